"""A horizon line hides sun and sky: as geometry says, nothing where it is flat, everything where it is a wall."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from pvlib import atmosphere, solarposition
from tests.unit.forecaster.forecaster_makers import SUMMER, WINTER, grid_at, make_weather, sun_of, the_home

from pems_common.home.models import Pv, Roof
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.grid import slot_no
from pems_forecaster.domain.horizon import outlook_of, sky_view
from pems_forecaster.domain.pv import PvPower, pv_power
from pems_forecaster.domain.pv_table import PvPlace, PvTable, physics_of
from pems_forecaster.domain.slot_history import SlotHistory
from pems_forecaster.domain.sun import path_within, sun_at

HOME = the_home()
FLAT = ((0.0, 0.0), (90.0, 0.0), (200.0, 0.0))
WALL = ((0.0, 90.0), (180.0, 90.0))
EAST = ((0.0, 0.0), (45.0, 0.0), (46.0, 30.0), (134.0, 30.0), (135.0, 0.0))


def weather_at(at: datetime, index: float = 0.7) -> FineWeather:
    site = HOME.site
    return fine_weather(
        grid_at(at, 96),
        make_weather(at, index=index),
        SlotHistory(),
        latitude=site.latitude,
        longitude=site.longitude,
        altitude_m=site.altitude_m,
    )


def behind(horizon_deg) -> Pv:
    roofs = tuple(roof.model_copy(update={"horizon_deg": horizon_deg}) for roof in HOME.pv.roofs)
    return HOME.pv.model_copy(update={"roofs": roofs})


def power(horizon_deg, at: datetime = SUMMER, index: float = 0.7) -> PvPower:
    return pv_power(behind(horizon_deg), weather_at(at, index))


@pytest.mark.parametrize("at", [SUMMER, WINTER])
def test_a_flat_horizon_changes_no_bit(at):
    free, flat = power((), at), power(FLAT, at)
    np.testing.assert_array_equal(free.expected_w, flat.expected_w)
    np.testing.assert_array_equal(free.clear_w, flat.clear_w)
    assert free.expected_w.max() > 500.0


@pytest.mark.parametrize("at", [SUMMER, WINTER])
def test_a_wall_all_around_leaves_nothing(at):
    walled = power(WALL, at)
    assert walled.expected_w.max() < 1e-9
    assert walled.clear_w.max() < 1e-9


@pytest.mark.parametrize("horizon", [(), FLAT, EAST, WALL])
def test_night_stays_exactly_zero_and_no_line_gives_power(horizon):
    sun = weather_at(SUMMER).sun
    hidden, free = power(horizon), power(())
    assert (hidden.expected_w[~sun.up] == 0.0).all()
    assert (hidden.clear_w[~sun.up] == 0.0).all()
    assert (hidden.expected_w <= free.expected_w).all()


def test_a_mountain_in_the_east_takes_the_morning_only():
    hidden, free, sun = power(EAST, index=1.0), power((), index=1.0), weather_at(SUMMER).sun
    behind_it = (sun.azimuth_deg > 60.0) & (sun.azimuth_deg < 120.0) & (sun.zenith_deg > 65.0) & (sun.zenith_deg < 80.0)
    assert behind_it.sum() >= 4
    assert (hidden.expected_w[behind_it] < 0.65 * free.expected_w[behind_it]).all(), "the sky's light stays"
    later = sun.up & (sun.azimuth_deg > 140.0)
    np.testing.assert_allclose(hidden.expected_w[later], free.expected_w[later], rtol=0.08)
    assert (hidden.expected_w[later] < free.expected_w[later]).any(), "a part of the sky is gone all day"


def test_the_sun_rises_over_the_line_within_a_slot():
    """The share follows the minutes: each half degree more of a line costs the same time."""
    sun = sun_of(SUMMER, 96)
    shares = [outlook_of(((0.0, h), (180.0, h)), 35.0, 90.0, sun).beam[:48] for h in np.arange(10.0, 14.0, 0.5)]
    hours = np.array([share.sum() for share in shares])
    assert (np.diff(hours) < 0.0).all()
    assert np.abs(np.diff(hours) - np.diff(hours).mean()).max() < 2.0 / 15.0
    assert all(((share > 0.0) & (share < 1.0)).sum() <= 1 for share in shares)


@pytest.mark.parametrize("latitude", [49.5, 0.0, -35.0])
def test_the_path_within_a_slot_is_the_suns(latitude):
    """Also in the south, where the sun goes through the north."""
    slots = slot_no(SUMMER) + np.arange(96)
    sun = sun_at(slots, latitude=latitude, longitude=17.4, altitude_m=300.0)
    elevation, direction = path_within(sun, 15)
    np.testing.assert_allclose(elevation[7], 90.0 - sun.zenith_deg, atol=1e-9)
    for k, minutes in ((0, -7.0), (14, 7.0)):
        times = pd.DatetimeIndex(pd.to_datetime((slots * 900 + 450 + int(60 * minutes)) * 1_000_000_000, utc=True))
        pressure = float(atmosphere.alt2pres(300.0))
        true = solarposition.spa_python(times, latitude, 17.4, altitude=300.0, pressure=pressure)
        high = true["apparent_elevation"].to_numpy() > 3.0
        np.testing.assert_allclose(elevation[k][high], true["apparent_elevation"][high], atol=0.06)
        off = (direction[k] - true["azimuth"].to_numpy() + 180.0) % 360.0 - 180.0
        np.testing.assert_allclose((off * np.cos(np.radians(elevation[k])))[high], 0.0, atol=0.01)


def test_a_plant_in_the_southern_hemisphere_loses_the_side_that_is_hidden():
    def day(horizon_deg):
        roof = Roof(name="north", peak_w=5000.0, tilt_deg=30.0, azimuth_deg=0.0, horizon_deg=horizon_deg)
        start = int(datetime(2026, 6, 15, tzinfo=UTC).timestamp()) - 10 * 3600 + 3600 * np.arange(24)
        place = PvPlace(-35.0, 150.0, 500.0, Pv(roofs=(roof,)))
        columns = {"ghi_w_m2": np.full(24, 400.0), "temperature_c": np.full(24, 10.0)}
        return physics_of(PvTable(place, start, start, 3600, columns, np.full(24, np.nan))).clear_w

    free, east = day(()), day(EAST)
    assert free.max() > 2000.0
    assert east[:9].sum() < 0.4 * free[:9].sum()
    assert east[10:].sum() > 0.98 * free[10:].sum()


@pytest.mark.parametrize("tilt", [0.0, 20.0, 35.0, 60.0, 90.0])
def test_the_view_of_the_sky_is_the_integral(tilt):
    """Against the closed form for a free horizon, and a sum over the hemisphere for a rough one."""
    assert sky_view(((0.0, 0.0),), tilt, 200.0) == pytest.approx((1.0 + np.cos(np.radians(tilt))) / 2.0, abs=2e-5)
    line = ((0.0, 10.0), (90.0, 40.0), (180.0, 5.0), (270.0, 25.0))
    e = np.radians((np.arange(900) + 0.5) / 10.0)[:, None]
    a = np.radians(np.arange(720) / 2.0)[None, :]
    above = np.degrees(e) > np.interp(np.degrees(a), *zip(*line, strict=True), period=360.0)
    s = np.radians(tilt)
    incidence = np.cos(s) * np.sin(e) + np.sin(s) * np.cos(e) * np.cos(a - np.radians(200.0))
    area = np.cos(e) * np.radians(0.1) * np.radians(0.5)
    total = (above * np.maximum(incidence, 0.0) * area).sum() / np.pi
    assert sky_view(line, tilt, 200.0) == pytest.approx(float(total), abs=1e-3)


def test_a_flat_roof_behind_an_even_line_sees_the_squared_cosine():
    outlook = outlook_of(((0.0, 30.0), (180.0, 30.0)), 0.0, 0.0, sun_of(SUMMER, 8))
    assert outlook.sky == pytest.approx(0.75)
    assert outlook.ground_sky == pytest.approx(0.75)


def test_backtest_and_live_chain_see_the_same_line():
    weather = replace(weather_at(SUMMER), dhi_w_m2=None)
    site, start = HOME.site, grid_at(SUMMER, 96).slots * 900
    place = PvPlace(site.latitude, site.longitude, site.altitude_m, behind(EAST))
    columns = {
        "ghi_w_m2": weather.ghi_w_m2,
        "temperature_c": weather.temperature_c,
        "cloud_pct": weather.cloud_pct,
        "wind_m_s": weather.wind_m_s,
    }
    told = physics_of(PvTable(place, start, start, 900, columns, np.full(96, np.nan))).power_w
    high = weather.sun.zenith_deg < 87.0  # lower down a table takes the clear-sky index of almost nothing as 0
    np.testing.assert_allclose(told[high], pv_power(behind(EAST), weather).expected_w[high], rtol=1e-9)
