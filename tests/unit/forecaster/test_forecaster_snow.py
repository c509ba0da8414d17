"""Snow on the roofs: it covers, slides and melts as published, is remembered, and what is not known changes nothing."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest
from pvlib.snow import coverage_nrel
from tests.unit.forecaster.forecaster_makers import WINTER, grid_at, hourly, make_weather, the_home
from tests.unit.forecaster.forecaster_pv_rows import on_days, rows

from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.pv import PvPower, pv_power
from pems_forecaster.domain.pv_history import judge
from pems_forecaster.domain.pv_quality import Doubt, doubts, teaches
from pems_forecaster.domain.pv_table import PvPlace, PvTable, features_of, physics_of
from pems_forecaster.domain.slot_history import SlotHistory
from pems_forecaster.domain.snow import Snow, cover_of, remember_snow, snow_now

HOME = the_home()
SITE = HOME.site


def weather_with(depth_m, *, temperature_c=-5.0, index=0.4, history=None, at=WINTER) -> FineWeather:
    """Three days of hourly weather with snow; None: no depth is told."""
    more = {} if depth_m is None else {"snow_depth_m": hourly(WINTER, np.broadcast_to(depth_m, 72))}
    told = make_weather(WINTER, index=index, temperature_c=temperature_c).model_copy(update=more)
    return fine_weather(
        grid_at(at, 192),
        told,
        SlotHistory() if history is None else history,
        latitude=SITE.latitude,
        longitude=SITE.longitude,
        altitude_m=SITE.altitude_m,
    )


def power(depth_m, **more) -> PvPower:
    return pv_power(HOME.pv, weather_with(depth_m, **more))


def test_deep_snow_in_the_cold_leaves_nothing():
    white, green = power(0.2), power(None)
    assert green.expected_w.max() > 1000.0
    assert (white.expected_w == 0.0).all()
    assert (white.bare == 0.0).all()
    np.testing.assert_array_equal(white.clear_w, green.clear_w)


@pytest.mark.parametrize("depth", [None, 0.0, 0.005])
def test_no_snow_and_no_knowledge_of_it_change_no_bit(depth):
    got, usual = power(depth), power(None)
    np.testing.assert_array_equal(got.expected_w, usual.expected_w)
    assert (got.bare == 1.0).all()
    assert not got.snow_cover.any()


def test_when_the_snow_on_the_ground_has_melted_the_roof_is_free():
    melting = np.concatenate([np.full(24, 0.2), np.linspace(0.2, 0.0, 7), np.zeros(41)])
    got, usual = power(melting), power(None)
    assert (got.expected_w[:96] == 0.0).all()
    np.testing.assert_array_equal(got.expected_w[124:], usual.expected_w[124:])


def test_snow_slides_in_the_sun_and_off_steep_roofs_first():
    air, dark, sunny = np.full(40, -5.0), np.zeros(40), np.full(40, 500.0)
    snow = Snow(np.full(40, 0.2))
    assert (cover_of(snow, 0, 35.0, air, dark) == 1.0).all()
    slow, fast = (cover_of(snow, 0, tilt, air, sunny) for tilt in (20.0, 60.0))
    assert (np.diff(slow) < 0.0).all()
    assert (fast < slow).all()
    assert (cover_of(snow, 0, 0.0, air + 20.0, sunny) == 1.0).all(), "a flat roof waits for the melt"


@pytest.mark.parametrize("tilt", [10.0, 35.0, 70.0])
def test_it_is_pvlibs_model_where_snow_falls_quickly(tilt):
    """Snowfall of 2 cm an hour or none, over days of thaw and frost."""
    rng = np.random.default_rng(3)
    n = 96 * 6
    fall = np.repeat(rng.random(n // 8) < 0.06, 8) * 0.005
    fall[0] = 0.0
    depth, hour = 0.05 + np.cumsum(fall), np.arange(n) % 96 / 4.0
    air = -4.0 + 6.0 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi) + np.repeat(rng.normal(0.0, 2.0, 6), 96)
    poa = 450.0 * np.maximum(np.sin((hour - 7.0) / 10.0 * np.pi), 0.0)
    ours = cover_of(Snow(depth, before_m=0.05, cover=(0.7,)), 0, tilt, air, poa)
    times = pd.date_range(WINTER, periods=n, freq="15min")
    fallen, theirs_poa, theirs_air, lying = (pd.Series(v, index=times) for v in (100.0 * fall, poa, air, 100.0 * depth))
    theirs = coverage_nrel(fallen, theirs_poa, theirs_air, tilt, snow_depth=lying, initial_coverage=0.7)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert 0.0 < ours.mean() < 1.0


def test_a_gentle_fall_covers_where_nothing_slides():
    depth = 0.2 + np.arange(40) * 0.0005  # 2 mm an hour
    bare = Snow(depth, before_m=0.2, cover=(0.0,))
    dark = np.zeros(40)
    cold, mild = (cover_of(bare, 0, 35.0, np.full(40, c), dark) for c in (-5.0, 1.0))
    np.testing.assert_allclose(cold[:20], np.arange(20) * 0.05, atol=1e-9)
    assert (cold[21:] == 1.0).all()
    assert not mild.any()


def test_what_is_unknown_is_taken_to_be_bare_and_what_is_found_lying_to_be_fresh():
    depth = np.array([0.2, 0.2, np.nan, np.nan, 0.2, 0.2])
    cover = cover_of(Snow(depth, before_m=0.2, cover=(0.0,)), 0, 35.0, np.full(6, -9.0), np.zeros(6))
    np.testing.assert_array_equal(cover, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0])


def test_a_forecast_goes_on_where_the_last_one_stood():
    """Re-issued every quarter of an hour, a roof clears as in one forecast; nothing is remembered of no depth."""
    history, first = SlotHistory(), grid_at(WINTER).first
    whole = power(0.2, temperature_c=3.0)
    for k in range(1, 24):
        at = WINTER + timedelta(minutes=15 * k)
        remembered = weather_with(0.2, temperature_c=3.0, history=history, at=at)
        now = pv_power(HOME.pv, remembered)
        remember_snow(history, first + k, remembered.snow, now.snow_cover, now.bare)
    np.testing.assert_allclose(now.snow_cover[:, 0], whole.snow_cover[:, 22], atol=2e-3)
    assert history.get("pv_snow", first + 23, before=first + 24) == pytest.approx(float(now.snow_cover[:, 0].mean()))
    empty = SlotHistory()
    remember_snow(empty, first, None, now.snow_cover, now.bare)
    assert not empty.series


def test_what_falls_between_forecasts_is_remembered_what_another_run_says_is_not_fallen():
    """Slow snow covers though each forecast sees a quarter of an hour of it; runs that differ by 5 cm do not."""

    def cover_after(base_m: list[float], fall_m: float) -> float:
        def depth_at(base: float, slots: np.ndarray) -> np.ndarray:
            return base + fall_m * (slots - 999.0)

        history, now = SlotHistory(), 0.0
        remember_snow(history, 999, Snow(np.full(1, 0.2)), np.zeros((1, 1)), np.ones(1))
        for k, base in enumerate(base_m):
            slots = 1000 + k + np.arange(8)
            snow = snow_now(partial(depth_at, base), slots, history)
            assert snow is not None
            cover = cover_of(snow, 0, 35.0, np.full(8, -9.0), np.zeros(8))
            remember_snow(history, 1000 + k, snow, cover[None, :], 1.0 - cover)
            now = float(cover[0])
        return now

    assert cover_after([0.2] * 30, 0.0005) == 1.0
    assert cover_after([0.2] * 10, 0.0005) == pytest.approx(0.5)
    assert cover_after([0.2, 0.25, 0.2, 0.25], 0.0) == 0.0


def test_power_that_came_shows_that_the_roof_is_bare():
    history, first = SlotHistory(), 1000
    for slot in range(first - 4, first + 4):
        history.put("pv_clear_w", slot, 4000.0)
        history.put("pv_w", slot, 3000.0 if slot < first else 0.0)
    snow = snow_now(lambda slots: np.full(len(slots), 0.2), first + np.arange(8), history)
    assert snow is not None
    cover = cover_of(snow, 0, 35.0, np.full(8, -9.0), np.zeros(8))
    np.testing.assert_allclose(cover, 0.25)
    assert snow_now(lambda slots: np.full(len(slots), np.nan), first + np.arange(8), history) is None


def test_nothing_is_remembered_from_the_future_or_for_longer_than_a_day():
    history, first = SlotHistory(), 1000
    remember_snow(history, first, Snow(np.full(1, 0.3)), np.full((2, 1), 0.5), np.full(1, 0.5))
    for other in (first, first + 97):
        snow = snow_now(lambda slots: np.full(len(slots), 0.3), other + np.arange(4), history)
        assert snow is not None
        assert not snow.cover
        assert np.isnan(snow.before_m)
    snow = snow_now(lambda slots: np.full(len(slots), 0.3), first + 96 + np.arange(4), history)
    assert snow is not None
    assert (snow.before_m, snow.cover) == (0.3, (0.5, 0.5))


def test_archived_weather_with_snow_goes_through_the_same_chain():
    """Hourly rows; the depth is no feature: models never see a row under snow."""
    start = int(WINTER.timestamp()) + 3600 * np.arange(48)
    depth = np.where(np.arange(48) < 24, 0.2, 0.0)
    columns = {"ghi_w_m2": np.full(48, 100.0), "temperature_c": np.full(48, -12.0)}
    place = PvPlace(SITE.latitude, SITE.longitude, SITE.altitude_m, HOME.pv)
    table = PvTable(place, start, start, 3600, columns, np.full(48, np.nan))
    white, green = physics_of(replace(table, weather={**columns, "snow_depth_m": depth})), physics_of(table)
    assert (white.power_w[:24] == 0.0).all()
    assert (white.bare[:23] == 0.0).all()
    np.testing.assert_array_equal(white.power_w[25:], green.power_w[25:])
    np.testing.assert_array_equal(white.clear_w, green.clear_w)
    assert "snow_depth_m" not in features_of(replace(table, weather={**columns, "snow_depth_m": depth}), white)
    unknown = physics_of(replace(table, weather={**columns, "snow_depth_m": np.full(48, np.nan)}))
    np.testing.assert_array_equal(unknown.power_w, green.power_w)


def test_days_under_snow_teach_neither_rows_nor_capacity():
    made = rows(30)
    lying = on_days(made, 20, 29)
    buried = replace(made, measured=np.where(lying, 0.05 * made.clear, made.measured))
    noon = lying & (made.clear > 0.85)  # seen at some hours of the day only
    told = replace(buried, snow=noon)
    found = doubts(told)
    np.testing.assert_array_equal((found & Doubt.SNOW) > 0, lying)
    assert not teaches(told, found)[lying].any()
    assert teaches(told, found)[~lying].all()
    honest, fooled = judge(told).capacity.ratio, judge(buried).capacity.ratio
    assert honest == pytest.approx(judge(made).capacity.ratio, rel=0.03)
    assert fooled < 0.8 * honest
    known = told.known_at(int(made.start_s[24 * 25]))
    np.testing.assert_array_equal((doubts(known) & Doubt.SNOW) > 0, lying[: 24 * 25])
