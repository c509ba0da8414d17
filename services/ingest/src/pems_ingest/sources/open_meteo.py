"""Weather forecasts of Open-Meteo, turned into hourly slots: means of each slot, units checked.

Open-Meteo gives irradiance as the mean of the *preceding* hour and everything else at the instant. So slot
`[t, t + 1 h)` takes irradiance stamped t + 1 h, and the mean of both ends of everything else.
(Source: documentation of the Weather Forecast API, "Hourly Parameter Definition".)
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any

from pems_common.clock import Clock
from pems_common.messages import Series, Weather
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError

__all__ = ["HOURLY", "OPEN_METEO_URL", "OpenMeteo", "parse_open_meteo"]

OPEN_METEO_URL = "https://api.open-meteo.com/v1/forecast"
_HOUR = timedelta(hours=1)
_INSTANT, _PRECEDING = "instant", "preceding"
# Field of the message: (name there, kind, low, high, decimals)
_FIELDS: dict[str, tuple[str, str, float, float]] = {
    "temperature_c": ("temperature_2m", _INSTANT, -60.0, 60.0),
    "cloud_cover_pct": ("cloud_cover", _INSTANT, 0.0, 100.0),
    "ghi_w_m2": ("shortwave_radiation", _PRECEDING, 0.0, 1_500.0),
    "dni_w_m2": ("direct_normal_irradiance", _PRECEDING, 0.0, 1_500.0),
    "dhi_w_m2": ("diffuse_radiation", _PRECEDING, 0.0, 1_200.0),
    "wind_m_s": ("wind_speed_10m", _INSTANT, 0.0, 110.0),
    "humidity_pct": ("relative_humidity_2m", _INSTANT, 0.0, 100.0),
    "snow_depth_m": ("snow_depth", _INSTANT, 0.0, 20.0),
}
HOURLY = ",".join(name for name, *_ in _FIELDS.values())
_REQUIRED = ("temperature_c", "cloud_cover_pct", "ghi_w_m2")
# Unit there -> (factor, offset) to the message's unit, per field.
_TEMPERATURE = {"°C": (1.0, 0.0), "°F": (5 / 9, -160 / 9)}
_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "temperature_c": _TEMPERATURE,
    "cloud_cover_pct": {"%": (1.0, 0.0)},
    "ghi_w_m2": {"W/m²": (1.0, 0.0)},
    "dni_w_m2": {"W/m²": (1.0, 0.0)},
    "dhi_w_m2": {"W/m²": (1.0, 0.0)},
    "wind_m_s": {"m/s": (1.0, 0.0), "km/h": (1 / 3.6, 0.0), "mp/h": (0.44704, 0.0), "kn": (0.514444, 0.0)},
    "humidity_pct": {"%": (1.0, 0.0)},
    "snow_depth_m": {"m": (1.0, 0.0), "ft": (0.3048, 0.0)},
}
_TOLERANCE = 0.01  # of the range: small excursions of models are clipped, larger ones refuse the answer
_GAP_H_MAX = 3


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
            "latitude": f"{latitude:.4f}",
            "longitude": f"{longitude:.4f}",
            "hourly": HOURLY,
            "timezone": "UTC",
            "wind_speed_unit": "ms",
            "forecast_days": "4",
            **({"past_days": str(past_days)} if past_days else {}),
        }

    async def forecast(self, now: datetime) -> Weather:
        """Return the newest run."""
        body = await self._fetcher.get(self._url, params=self._params)
        return parse_open_meteo(body, now, name=self.name)


def parse_open_meteo(body: bytes, now: datetime, *, name: str = "open_meteo") -> Weather:
    """Read an hourly forecast; the answer's own time zone is honoured.

    Args:
        body: The JSON answer.
        now: When it came; becomes `available_at`, its hour `run_at`.
        name: Provider in the message.

    Raises:
        SourceError: Fields missing, of another unit, length or range, or with too many holes.
    """
    times, hourly, units = _table(body, name)
    columns: dict[str, Series] = {}
    warnings: list[str] = []
    for field, (there, kind, low, high) in _FIELDS.items():
        if there not in hourly:
            if field in _REQUIRED:
                raise SourceError("malformed", f"{name}: no {there}")
            continue
        conversion = _UNITS[field].get(str(units.get(there)))
        if conversion is None:
            raise SourceError("wrong_units", f"{name}: {there} in {units.get(there)!r}, not {list(_UNITS[field])}")
        raw = hourly[there]
        if not isinstance(raw, list) or len(raw) != len(times):
            raise SourceError("malformed", f"{name}: {there} is not {len(times)} values long")
        values = [_value(v, conversion, low, high, f"{name}: {there}") for v in raw]
        values, filled = _fill(values)
        if filled:
            warnings.append(f"{field}: {filled} h interpolated")
        if field in _REQUIRED and sum(v is None for v in values) > len(values) // 4:
            raise SourceError("empty", f"{name}: {there} is mostly null")
        if any(v is not None for v in values):
            slots = values[1:] if kind == _PRECEDING else [_mean(a, b) for a, b in pairwise(values)]
            columns[field] = Series.of(times[0], 3600, slots, digits=3)
        elif field in _REQUIRED:
            raise SourceError("empty", f"{name}: {there} is null throughout")
    run_at = now.replace(minute=0, second=0, microsecond=0)
    return Weather(provider=name, run_at=run_at, available_at=now, warnings=tuple(warnings), **columns)


def _table(body: bytes, name: str) -> tuple[list[datetime], dict[str, Any], dict[str, Any]]:
    try:
        data = json.loads(body)
        hourly, units = data["hourly"], data["hourly_units"]
        offset = timedelta(seconds=int(data.get("utc_offset_seconds", 0)))
        times = [datetime.fromisoformat(t).replace(tzinfo=UTC) - offset for t in hourly["time"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise SourceError("malformed", f"{name}: {error!r} in {body[:60]!r}") from error
    if not isinstance(units, dict) or len(times) < 25:
        raise SourceError("malformed", f"{name}: {len(times)} hours")
    if len(times) > 24 * 400 or any(b - a != _HOUR for a, b in pairwise(times)):
        raise SourceError("malformed", f"{name}: times are not consecutive hours")
    return times, hourly, units


def _value(raw: Any, conversion: tuple[float, float], low: float, high: float, what: str) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not isfinite(raw):
        raise SourceError("malformed", f"{what} = {str(raw)[:40]}")
    value = raw * conversion[0] + conversion[1]
    slack = _TOLERANCE * (high - low)
    if not low - slack <= value <= high + slack:
        raise SourceError("impossible_value", f"{what} = {raw}")
    return min(max(value, low), high)


def _fill(values: list[float | None]) -> tuple[list[float | None], int]:
    """Interpolate holes of at most three hours between known values."""
    result, filled = list(values), 0
    known = [i for i, v in enumerate(values) if v is not None]
    for left, right in pairwise(known):
        if 1 < right - left <= _GAP_H_MAX + 1:
            a, b = values[left], values[right]
            for i in range(left + 1, right):
                if a is not None and b is not None:
                    result[i] = a + (b - a) * (i - left) / (right - left)
                    filled += 1
    return result, filled


def _mean(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else 0.5 * (a + b)
