"""A plant's strength is found whatever the name plate says, and followed when it jumps."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_pv_rows import DAY_S, START_S, on_days, rows, with_power

from pems_forecaster.domain.pv_capacity import capacity_of
from pems_forecaster.domain.pv_quality import PvRows


def judged(made: PvRows):
    return capacity_of(made, np.ones(len(made.day), dtype=np.bool_))


def scaled(made: PvRows, factor: float, *days: int) -> PvRows:
    where = on_days(made, *days) if days else np.ones(len(made.day), dtype=np.bool_)
    return with_power(made, where, factor * made.measured)


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.4])
def test_name_plates_lie(strength):
    found = judged(scaled(rows(60), strength))
    assert found.ratio == pytest.approx(strength, rel=0.08)
    assert found.days > 50
    assert found.jump_days == ()
    assert (found.rescale == 1.0).all()


def test_without_data_the_name_plate_counts_and_a_few_days_move_it_a_little():
    nothing = rows(3).known_at(START_S)
    assert judged(nothing).ratio == 1.0
    assert judged(nothing).days == 0
    few = judged(scaled(rows(4), 0.5))
    assert 0.65 < few.ratio < 0.85


@pytest.mark.parametrize("seed", range(5))
def test_half_the_roof_goes_dark_and_is_noticed_within_a_week(seed):
    made = scaled(rows(90, error=0.2, seed=seed), 0.5, 60, 90)
    noticed = judged(made.known_at(START_S + 67 * DAY_S))
    assert len(noticed.jump_days) == 1
    assert abs(noticed.jump_days[0] - int(made.day[0]) - 60) <= 2
    assert noticed.ratio == pytest.approx(0.5, abs=0.08)
    later = judged(made)
    assert len(later.jump_days) == 1
    old = on_days(made, 0, 55)
    assert later.rescale[old] == pytest.approx(0.5, abs=0.05)
    assert (later.rescale[on_days(made, 65, 90)] == 1.0).all()


def test_it_comes_back():
    made = scaled(rows(120), 0.5, 50, 90)
    found = judged(made)
    assert [day - int(made.day[0]) for day in found.jump_days] == pytest.approx([50, 90], abs=2)
    assert found.rescale[0] == pytest.approx(1.0, abs=0.2)
    assert found.ratio == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_weather_and_small_changes_are_no_jumps(seed):
    assert judged(scaled(rows(200, error=0.25, seed=seed), 0.85, 100, 200)).jump_days == ()


def test_rows_in_doubt_do_not_count():
    made = rows(60)
    wrong = on_days(made, 45, 60)
    found = capacity_of(with_power(made, wrong, 0.1 * made.measured), ~wrong)
    assert found.jump_days == ()
    assert found.ratio == pytest.approx(1.0, abs=0.08)


def test_a_day_that_is_not_over_is_left_out():
    made = rows(30)
    noon = made.known_at(START_S + 29 * DAY_S + 12 * 3600)
    assert judged(noon).days == 29
    assert judged(replace(made)).days == 30
