"""Weather forecasts of the German weather service (DWD, MOSMIX) from Bright Sky: the second opinion, no key needed.

MOSMIX has stations in all of Europe; Bright Sky takes the nearest within 50 km. In its units `dwd`, `solar` is the
irradiation [kWh/m2] and `wind_speed` the mean [km/h] of the *preceding* hour, everything else stands for the instant.
(Source: documentation of Bright Sky's `/weather`.) MOSMIX is issued each hour and comes within the next: the answer
does not say when, so the hour before stands as the run's time.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from pems_common.messages import Weather
from pems_common.timegrid import parse_instant
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.hourly import HOUR, Conversion, check_hours, hour_slots, weather_of
from pems_ingest.sources.port import SourceError

__all__ = ["BRIGHT_SKY_URL", "BrightSky", "parse_bright_sky"]

BRIGHT_SKY_URL = "https://api.brightsky.dev/weather"
_AHEAD = timedelta(days=4)
# Field of the message: (name there, conversion, whether it is the mean of the hour before)
_FIELDS: dict[str, tuple[str, Conversion, bool]] = {
    "temperature_c": ("temperature", (1.0, 0.0), False),
    "cloud_cover_pct": ("cloud_cover", (1.0, 0.0), False),
    "ghi_w_m2": ("solar", (1000.0, 0.0), True),
    "wind_m_s": ("wind_speed", (1 / 3.6, 0.0), True),
    "humidity_pct": ("relative_humidity", (1.0, 0.0), False),
}


class BrightSky:
    """`WeatherSource` on Bright Sky."""

    name = "bright_sky"

    def __init__(self, fetcher: Fetcher, *, latitude: float, longitude: float, url: str = BRIGHT_SKY_URL) -> None:
        """Ask at `url` for a place [deg]."""
        self._fetcher, self._url = fetcher, url
        self._params = {"lat": f"{latitude:.4f}", "lon": f"{longitude:.4f}", "units": "dwd", "tz": "UTC"}

    async def forecast(self, now: datetime) -> Weather:
        """Return the newest run."""
        period = {"date": now.date().isoformat(), "last_date": (now + _AHEAD).date().isoformat()}
        return parse_bright_sky(await self._fetcher.get(self._url, params={**self._params, **period}), now)


def parse_bright_sky(body: bytes, now: datetime, *, name: str = "bright_sky") -> Weather:
    """Read hourly records.

    Args:
        body: The JSON answer.
        now: When it came; becomes `available_at`.
        name: Provider in the message.

    Raises:
        SourceError: Fields missing or out of range, too many holes, or a station without irradiance.
    """
    times, records = _records(body, name)
    columns = {
        field: hour_slots(
            field,
            [record.get(there) for record in records],
            len(times),
            conversion,
            preceding=preceding,
            what=f"{name}: {there}",
        )
        for field, (there, conversion, preceding) in _FIELDS.items()
    }
    run_at = now.replace(minute=0, second=0, microsecond=0) - HOUR
    return weather_of(columns, provider=name, start=times[0], run_at=run_at, available_at=now)


def _records(body: bytes, name: str) -> tuple[list[datetime], list[dict[str, Any]]]:
    try:
        records = json.loads(body)["weather"]
        times = [parse_instant(record["timestamp"]) for record in records]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SourceError("malformed", f"{name}: {error!r} in {body[:60]!r}") from error
    check_hours(times, name)
    return times, records
