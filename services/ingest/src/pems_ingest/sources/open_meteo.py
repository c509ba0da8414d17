"""Weather forecasts of Open-Meteo, turned into hourly slots: means of each slot, units checked.

Open-Meteo gives irradiance as the mean of the *preceding* hour and everything else at the instant. (Source:
documentation of the Weather Forecast API, "Hourly Parameter Definition".) Its other interfaces have the same table.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pems_common.clock import Clock
from pems_common.messages import Weather
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.hourly import REQUIRED, Conversion, Slots, check_hours, hour_slots, weather_of
from pems_ingest.sources.port import SourceError

__all__ = ["COLUMNS", "OPEN_METEO_URL", "OpenMeteo", "Table", "parse_open_meteo", "place_params", "read_table"]

OPEN_METEO_URL = "https://api.open-meteo.com/v1/forecast"
COLUMNS = {
    "temperature_c": "temperature_2m",
    "cloud_cover_pct": "cloud_cover",
    "ghi_w_m2": "shortwave_radiation",
    "dni_w_m2": "direct_normal_irradiance",
    "dhi_w_m2": "diffuse_radiation",
    "wind_m_s": "wind_speed_10m",
    "humidity_pct": "relative_humidity_2m",
    "snow_depth_m": "snow_depth",
}
"""Field of the message: its name there."""
_PRECEDING = {"ghi_w_m2", "dni_w_m2", "dhi_w_m2"}
_PERCENT: dict[str, Conversion] = {"%": (1.0, 0.0)}
_IRRADIANCE: dict[str, Conversion] = {"W/m²": (1.0, 0.0)}
_UNITS: dict[str, dict[str, Conversion]] = {
    "temperature_c": {"°C": (1.0, 0.0), "°F": (5 / 9, -160 / 9)},
    "cloud_cover_pct": _PERCENT,
    "ghi_w_m2": _IRRADIANCE,
    "dni_w_m2": _IRRADIANCE,
    "dhi_w_m2": _IRRADIANCE,
    "wind_m_s": {"m/s": (1.0, 0.0), "km/h": (1 / 3.6, 0.0), "mp/h": (0.44704, 0.0), "kn": (0.514444, 0.0)},
    "humidity_pct": _PERCENT,
    "snow_depth_m": {"m": (1.0, 0.0), "ft": (0.3048, 0.0)},
}


class OpenMeteo:
    """`WeatherSource` on Open-Meteo's forecast API."""

    name = "open_meteo"

    def __init__(
        self,
        fetcher: Fetcher,
        clock: Clock,
        *,
        latitude: float,
        longitude: float,
        url: str = OPEN_METEO_URL,
        past_days: int = 0,
    ) -> None:
        """Ask at `url` for a place [deg]; `past_days` of analysis before today come along."""
        self._fetcher, self._clock, self._url = fetcher, clock, url
        self._params = {
            **place_params(latitude, longitude),
            "hourly": ",".join(COLUMNS.values()),
            "forecast_days": "4",
            **({"past_days": str(past_days)} if past_days else {}),
        }

    async def forecast(self, now: datetime) -> Weather:
        """Return the newest run."""
        body = await self._fetcher.get(self._url, params=self._params)
        return parse_open_meteo(body, now, name=self.name)


def place_params(latitude: float, longitude: float) -> dict[str, str]:
    """Return what every request says: the place [deg], UTC, and wind in m/s."""
    return {
        "latitude": f"{latitude:.4f}",
        "longitude": f"{longitude:.4f}",
        "timezone": "UTC",
        "wind_speed_unit": "ms",
    }


@dataclass(frozen=True)
class Table:
    """An hourly table of any of Open-Meteo's interfaces.

    Attributes:
        name: The source, for people.
        times: UTC stamps, consecutive hours.
        columns: Values by name there.
        units: Unit by name there.
    """

    name: str
    times: list[datetime]
    columns: dict[str, Any]
    units: dict[str, Any]

    def slots(self, field: str, column: str, *, fill: bool = True) -> Slots:
        """Return the hourly means of a column as `field` of the message, small holes filled unless told otherwise.

        Raises:
            SourceError: The column is missing, of another unit or length, or out of range.
        """
        what = f"{self.name}: {column}"
        if column not in self.columns:
            raise SourceError("malformed", f"{what} is missing")
        raw, count, unit = self.columns[column], len(self.times), self.units.get(column)
        conversion = _UNITS[field].get(str(unit))
        if conversion is None:
            if raw == [None] * count:  # what a model lacks is null and "undefined"
                return [None] * (count - 1), 0
            raise SourceError("wrong_units", f"{what} in {unit!r}, not {list(_UNITS[field])}")
        return hour_slots(field, raw, count, conversion, preceding=field in _PRECEDING, what=what, fill=fill)


def read_table(body: bytes, name: str) -> Table:
    """Read the hourly table of an answer; the answer's own time zone is honoured.

    Raises:
        SourceError: There is none.
    """
    try:
        data = json.loads(body)
        hourly, units = data["hourly"], data["hourly_units"]
        offset = timedelta(seconds=int(data.get("utc_offset_seconds", 0)))
        times = [datetime.fromisoformat(t).replace(tzinfo=UTC) - offset for t in hourly["time"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise SourceError("malformed", f"{name}: {error!r} in {body[:60]!r}") from error
    if not isinstance(units, dict):
        raise SourceError("malformed", f"{name}: no units")
    check_hours(times, name)
    return Table(name, times, hourly, units)


def parse_open_meteo(body: bytes, now: datetime, *, name: str = "open_meteo") -> Weather:
    """Read an hourly forecast.

    Args:
        body: The JSON answer.
        now: When it came; becomes `available_at`, its hour `run_at`.
        name: Provider in the message.

    Raises:
        SourceError: Fields missing, of another unit, length or range, or with too many holes.
    """
    table = read_table(body, name)
    columns = {
        field: table.slots(field, there)
        for field, there in COLUMNS.items()
        if there in table.columns or field in REQUIRED
    }
    run_at = now.replace(minute=0, second=0, microsecond=0)
    return weather_of(columns, provider=name, start=table.times[0], run_at=run_at, available_at=now)
