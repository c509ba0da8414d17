"""What a world tells: the truth to the simulated house, forecasts and published prices to ingest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pems_common.messages import Weather

__all__ = ["WeatherSample", "World"]


@dataclass(frozen=True)
class WeatherSample:
    """Weather at an instant. Irradiance in W/m2: global horizontal, direct normal, diffuse horizontal."""

    temperature_c: float
    cloud_cover_pct: float
    ghi_w_m2: float
    dni_w_m2: float
    dhi_w_m2: float
    wind_m_s: float
    humidity_pct: float


class World(Protocol):
    """Deterministic: the same question gets the same answer in every process of a run."""

    @property
    def label(self) -> str:
        """Where the data come from, for the page and the log."""

    def weather(self, at: datetime) -> WeatherSample:
        """Return the true weather at an instant."""

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return what a weather service would have said at `issued_at`: hourly means, errors growing with lead."""

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of the 15-min slot; None where the data have none."""

    def eur_czk(self, at: datetime) -> float | None:
        """Return the exchange rate of the day; None where the data have none."""

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the prices that are public at `at`."""
