"""Bodies of what was observed: telemetry, prices, weather."""

from typing import Literal

from pydantic import AwareDatetime

from pems_common.messages.series import Band, Body, Series

__all__ = [
    "EvReading",
    "ExpectedPv",
    "PhaseReading",
    "Prices",
    "Quality",
    "RoomReading",
    "Telemetry",
    "WaterReading",
    "Weather",
    "WeatherQuantiles",
]


class Quality(Body):
    """How far a reading can be trusted: its age [s] in house time, a score 0..1, and a flag."""

    age_s: float
    score: float
    flag: Literal["ok", "stale", "stuck", "outlier", "missing"] = "ok"


class EvReading(Body):
    """The car at the charger."""

    connected: bool
    soc_pct: float | None = None
    power_w: float = 0.0
    session_wh: float = 0.0


class WaterReading(Body):
    """The water heater; `power_w` is electric draw."""

    temperature_c: float | None = None
    power_w: float = 0.0


class RoomReading(Body):
    """One room. `temperature_c` is None until the first reading."""

    temperature_c: float | None = None
    humidity_pct: float | None = None
    target_c: float | None = None
    relay_on: bool | None = None
    window_open: bool | None = None


class PhaseReading(Body):
    """One phase at the meter."""

    current_a: float
    power_w: float


class Telemetry(Body):
    """State of the house. Grid + = import, battery + = discharge, PV and load >= 0 [W].

    `load_power_w` is everything the house draws (controlled devices included), without battery charging.
    Unknown readings are None.
    """

    pv_power_w: float | None = None
    load_power_w: float | None = None
    grid_power_w: float | None = None
    battery_power_w: float | None = None
    battery_soc_pct: float | None = None
    battery_temperature_c: float | None = None
    battery_soh_pct: float | None = None
    inverter_mode: str | None = None
    inverter_online: bool = False
    ev: EvReading | None = None
    water: WaterReading | None = None
    outdoor_temperature_c: float | None = None
    rooms: dict[str, RoomReading] = {}
    phases: tuple[PhaseReading, ...] | None = None
    quality: dict[str, Quality] = {}


class Prices(Body):
    """Known prices on the 15-min grid; from `known_until` on nothing is published yet."""

    spot_eur_mwh: Series
    eur_czk: float
    buy_czk_kwh: Series
    sell_czk_kwh: Series
    known_until: AwareDatetime
    source: str
    tariff_version: str


class WeatherQuantiles(Body):
    """Ensemble spread where the provider gives one."""

    temperature_c: Band
    ghi_w_m2: Band


class ExpectedPv(Body):
    """PV power that an outside service expects of this plant [W], the mean of each slot.

    `available_at` is when it could be known. Not every service gives the outer quantiles.
    """

    available_at: AwareDatetime
    p10: Series | None = None
    p50: Series
    p90: Series | None = None


class Weather(Body):
    """A weather forecast run. `available_at` is when it could be known; irradiance is the mean of each slot.

    `pv_power_w` holds what services that forecast PV power said, by their name (docs/adr/0011-outside-pv-forecasts.md).
    """

    provider: str
    run_at: AwareDatetime
    available_at: AwareDatetime
    temperature_c: Series
    cloud_cover_pct: Series
    ghi_w_m2: Series
    dni_w_m2: Series | None = None
    dhi_w_m2: Series | None = None
    wind_m_s: Series | None = None
    humidity_pct: Series | None = None
    snow_depth_m: Series | None = None
    quantiles: WeatherQuantiles | None = None
    pv_power_w: dict[str, ExpectedPv] = {}
    warnings: tuple[str, ...] = ()
