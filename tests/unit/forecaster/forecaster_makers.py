"""Inputs for tests of the forecaster: a home, weather, prices and telemetry out of few numbers."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from pems_common.home import Home, load_home
from pems_common.messages import Prices, RoomReading, Series, Telemetry, Weather
from pems_forecaster.domain.grid import Grid, LocalCalendar, slot_no
from pems_forecaster.domain.lessons import Lessons, WeatherRun
from pems_forecaster.domain.sun import Sun, sun_at

SUMMER = datetime(2026, 6, 15, 0, 0, tzinfo=UTC)
WINTER = datetime(2026, 1, 14, 0, 0, tzinfo=UTC)


@lru_cache(maxsize=1)
def the_home() -> Home:
    return load_home(Path(__file__).parents[3] / "config" / "home.yaml")


def calendar() -> LocalCalendar:
    return LocalCalendar(the_home().site.zone, "CZ")


def sun_of(start: datetime, slots: int) -> Sun:
    site = the_home().site
    first = slot_no(start)
    return sun_at(
        np.arange(first, first + slots, dtype=np.int64),
        latitude=site.latitude,
        longitude=site.longitude,
        altitude_m=site.altitude_m,
    )


def hourly(start: datetime, values) -> Series:
    return Series.of(start, 3600, [float(v) for v in values])


def make_weather(
    start: datetime,
    hours: int = 72,
    *,
    index: float = 0.7,
    temperature_c: float = 5.0,
    cloud_pct: float = 40.0,
    available_at: datetime | None = None,
    **more: Series,
) -> Weather:
    """Weather with a constant share of the clear sky."""
    clear = sun_of(start, hours * 4).clear_ghi_w_m2.reshape(-1, 4).mean(axis=1)
    return Weather(
        provider="test",
        run_at=start,
        available_at=start if available_at is None else available_at,
        temperature_c=hourly(start, [temperature_c] * hours),
        cloud_cover_pct=hourly(start, [cloud_pct] * hours),
        ghi_w_m2=hourly(start, index * clear),
        wind_m_s=hourly(start, [2.0] * hours),
        **more,
    )


def make_prices(start: datetime, hours: int = 36, *, spot_eur: float = 100.0) -> Prices:
    home = the_home()
    count = hours * 4
    spot = [spot_eur + 30.0 * np.sin(2 * np.pi * i / 96) for i in range(count)]
    both = [
        home.tariff.prices(s * 24.0 / 1000, start + timedelta(minutes=15 * i), home.site.zone)
        for i, s in enumerate(spot)
    ]
    return Prices(
        spot_eur_mwh=Series.of(start, 900, spot),
        eur_czk=24.0,
        buy_czk_kwh=Series.of(start, 900, [b for b, _ in both]),
        sell_czk_kwh=Series.of(start, 900, [s for _, s in both]),
        known_until=start + timedelta(hours=hours),
        source="test",
        tariff_version="test",
    )


def make_telemetry(**fields) -> Telemetry:
    rooms = fields.pop("rooms", {name: RoomReading(temperature_c=21.0, relay_on=False) for name in the_home().rooms})
    base = {
        "pv_power_w": 0.0,
        "load_power_w": 500.0,
        "grid_power_w": 500.0,
        "battery_power_w": 0.0,
        "battery_soc_pct": 50.0,
        "inverter_online": True,
        "outdoor_temperature_c": 3.0,
    }
    return Telemetry(**{**base, **fields}, rooms=rooms)


def grid_at(at: datetime, slots: int = 216) -> Grid:
    return Grid(at, slots)


def shaded_lessons(days: int, *, seed: int = 1, start: datetime = SUMMER) -> Lessons:
    """A roof that trees shade until noon, its weather as it was told four times a day, and steady loads and prices."""
    slots, rng = days * 96, np.random.default_rng(seed)
    first, sun = slot_no(start), sun_of(start, days * 96 + 216)
    clear, top_w = sun.clear_ghi_w_m2, the_home().pv.inverter_ac_limit_w
    index = np.clip(0.7 + 0.25 * rng.standard_normal(days + 3), 0.1, 1.05).repeat(96)[: len(clear)]
    noise = np.clip(1.0 + 0.1 * rng.standard_normal(len(clear)), 0.5, 1.5)
    shade = np.where(sun.azimuth_deg < 180.0, 0.4, 1.0)
    power_w = np.clip(top_w * index * noise * shade * clear / 1000.0, 0.0, top_w)
    runs = tuple(
        WeatherRun(
            (first + at) * 900,
            first + at,
            {
                "ghi_w_m2": (index * clear)[at : at + 216],
                "temperature_c": np.full(216, 20.0),
                "cloud_pct": 100.0 * np.clip(1.0 - index[at : at + 216], 0.0, 1.0),
                "wind_m_s": np.full(216, 2.0),
            },
        )
        for at in range(0, slots, 24)
    )
    measured = {
        "pv_w": power_w[:slots],
        "pv_limited": np.zeros(slots),
        "load_w": np.full(slots, 300.0),
        "spot_eur_mwh": np.full(slots, 90.0),
        "pv_snow": np.zeros(slots),
    }
    return Lessons(first, measured, runs)
