"""Rows that cannot be what the sun gave are named, with reasons; odd weather and lying name plates are not."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_pv_rows import DAY_S, START_S, on_days, rows, with_power

from pems_forecaster.domain.pv_quality import Doubt, PvRows, doubts, teaches

DAYS = 12


@pytest.fixture(scope="module")
def sound():
    return rows(DAYS)


def days_with(made: PvRows, doubt: Doubt) -> set[int]:
    return set((made.day - made.day[0])[(doubts(made) & doubt) > 0].tolist())


def test_a_sound_history_is_without_doubt(sound):
    assert not doubts(sound).any()
    assert teaches(sound, doubts(sound)).all()


@pytest.mark.parametrize("strength", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("step_s", [900, 3600])
def test_clear_noons_and_lying_name_plates_are_no_faults(strength, step_s):
    clear = rows(DAYS, step_s=step_s)
    clear = replace(clear, measured=np.minimum(strength * clear.clear, 1.0), physics=clear.clear)
    assert not (doubts(clear) & ~Doubt.UNKNOWN).any()


def test_what_was_not_measured_is_unknown(sound):
    made = with_power(sound, on_days(sound, 3, 4), np.nan)
    assert days_with(made, Doubt.UNKNOWN) == {3}
    assert not teaches(made, doubts(made))[on_days(made, 3, 4)].any()


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_stuck_sensor(sound, value):
    made = with_power(sound, on_days(sound, 4, 8), value)
    assert days_with(made, Doubt.STUCK) >= {4, 5, 6, 7}
    light = made.clear > 0.05
    stuck = (doubts(made) & Doubt.STUCK) > 0
    assert stuck[light & on_days(made, 4, 8)].all()
    assert not stuck[light & ~on_days(made, 4, 8)].any()


def test_three_equal_hours_are_weather(sound):
    hour = np.arange(len(sound.day)) % 24
    made = with_power(sound, on_days(sound, 4, 5) & (hour >= 10) & (hour < 13), 0.3)
    assert not days_with(made, Doubt.STUCK)


def test_power_at_night_and_power_that_is_impossible(sound):
    night = on_days(sound, 2, 3) & (sound.clear == 0.0)
    assert days_with(with_power(sound, night, 0.1), Doubt.NIGHT) == {2}
    assert not doubts(with_power(sound, night, 0.01)).any(), "inverters show a little"
    noon = sound.clear > 0.85
    assert days_with(with_power(sound, noon & on_days(sound, 5, 6), 1.3), Doubt.IMPOSSIBLE) == {5}
    assert days_with(with_power(sound, noon & on_days(sound, 6, 7), -0.1), Doubt.IMPOSSIBLE) == {6}
    dawn = (sound.clear > 0.0) & (sound.clear < 0.2)
    assert days_with(with_power(sound, dawn & on_days(sound, 7, 8), 0.8), Doubt.IMPOSSIBLE) == {7}


def test_a_ceiling_is_seen_where_nobody_told_of_it(sound):
    """Also on a day between with one hour at the ceiling, too few to show it by itself."""
    made = replace(sound, measured=np.where(on_days(sound, 3, 9), np.minimum(sound.measured, 0.3), sound.measured))
    hour = np.arange(len(made.day)) % 24
    cloudy = on_days(made, 5, 6) & (hour != 12)
    made = with_power(made, cloudy, 0.2 * made.clear)
    held = made.measured == 0.3
    assert held[on_days(made, 5, 6)].sum() == 1
    assert ((doubts(made) & Doubt.CEILING) > 0)[held].all()


def test_the_inverters_own_limit_is_none(sound):
    """Also where the configuration has another one: a plant that never gave more is as it is."""
    made = replace(sound, measured=np.minimum(1.5 * sound.clear, 0.8))
    assert (made.measured == 0.8).sum() > 6 * DAYS
    assert not doubts(made).any()
    by_night = with_power(made, on_days(made, 5, 6), 0.8)
    assert days_with(by_night, Doubt.STUCK) >= {5}


def test_of_a_day_that_was_held_back_only_what_came_before_teaches(sound):
    """What is left afterwards are its cloudy hours; the morning was not chosen by them."""
    made = replace(sound, limited=on_days(sound, 6, 7) & (sound.clear > 0.8))
    teaching = teaches(made, doubts(made))
    assert days_with(made, Doubt.LIMITED) == {6}
    that_day = on_days(made, 6, 7)
    before = that_day & (np.arange(len(made.day)) < np.flatnonzero(made.limited)[0])
    assert before.sum() > 6
    np.testing.assert_array_equal(teaching[that_day], before[that_day])
    assert teaching[~that_day].all()


def test_being_held_back_by_night_means_nothing(sound):
    made = replace(sound, limited=on_days(sound, 6, 7) & (sound.clear == 0.0))
    assert not doubts(made).any()


def test_only_what_had_ended_is_known(sound):
    instant = START_S + 3 * DAY_S + 1800
    assert len(sound.known_at(instant).day) == 72
    nothing = sound.known_at(START_S)
    assert len(doubts(nothing)) == len(teaches(nothing, doubts(nothing))) == 0


def test_solar_days_begin_at_the_suns_midnight():
    start_s = START_S + 3600 * np.arange(48)
    assert np.diff(PvRows.solar_day(start_s, 3600, 150.0)).nonzero()[0].tolist() == [13, 37], "14 h UTC is midnight"
