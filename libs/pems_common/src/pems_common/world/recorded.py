"""Recorded hours and prices as a world: a typical year's weather, or hours fetched before the run; prices by date."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from pems_common.messages import Weather
from pems_common.timegrid import require_utc, slot_start
from pems_common.world.outlook import forecast_from_truth
from pems_common.world.port import WeatherSample
from pems_common.world.publication import published_until
from pems_common.world.sky import cos_zenith

__all__ = ["HourlyWeather", "RecordedWorld", "TypicalYear"]

_HOUR = timedelta(hours=1)


class HourlyWeather:
    """Hourly means by absolute hour; between them temperature, wind, cloud and humidity are interpolated.

    Irradiance keeps its hourly mean and follows the sun's height inside the hour.
    """

    def __init__(self, start: datetime, hours: Sequence[WeatherSample], *, latitude: float, longitude: float) -> None:
        """Keep the hours; `start` is the beginning of the first."""
        if not hours:
            raise ValueError("no hours of weather")
        self._start = require_utc(start)
        self._hours = hours
        self._latitude, self._longitude = latitude, longitude

    def _hour(self, index: int) -> WeatherSample:
        """Hour by index; outside the record the nearest day's same hour."""
        n = len(self._hours)
        if index < 0:
            index += 24 * ((-index + 23) // 24)
        if index >= n:
            index -= 24 * ((index - n) // 24 + 1)
        return self._hours[max(0, min(n - 1, index))]

    def at(self, at: datetime) -> WeatherSample:
        """Return the weather at an instant."""
        position = (require_utc(at) - self._start) / _HOUR
        index = int(position // 1)
        middle = position - 0.5
        left = int(middle // 1)
        share = middle - left
        a, b, own = self._hour(left), self._hour(left + 1), self._hour(index)
        begin = self._start + index * _HOUR
        samples = [
            max(0.0, cos_zenith(begin + timedelta(minutes=5 + 10 * i), self._latitude, self._longitude))
            for i in range(6)
        ]
        mean = sum(samples) / len(samples)
        here = max(0.0, cos_zenith(at, self._latitude, self._longitude))
        factor = min(here / mean, 3.0) if mean > 1e-3 else (1.0 if own.ghi_w_m2 > 0 and here > 0 else 0.0)

        def between(x: float, y: float) -> float:
            return (1.0 - share) * x + share * y

        return WeatherSample(
            temperature_c=between(a.temperature_c, b.temperature_c),
            cloud_cover_pct=between(a.cloud_cover_pct, b.cloud_cover_pct),
            ghi_w_m2=own.ghi_w_m2 * factor,
            dni_w_m2=own.dni_w_m2 if here > 0 else 0.0,
            dhi_w_m2=own.dhi_w_m2 * factor,
            wind_m_s=between(a.wind_m_s, b.wind_m_s),
            humidity_pct=between(a.humidity_pct, b.humidity_pct),
        )


class TypicalYear:
    """A typical meteorological year laid on any date, moved to the site's solar time.

    Args:
        hours: 8,760 hours; hour 0 begins at 00:00 of `utc_offset_h` standard time on 1 January.
        longitude: Where it was measured; shifting by 4 minutes per degree keeps the sun's course right.
        utc_offset_h: Standard time of the record.
    """

    def __init__(
        self,
        hours: Sequence[WeatherSample],
        *,
        latitude: float,
        longitude: float,
        own_longitude: float,
        utc_offset_h: float,
    ) -> None:
        """Keep the year."""
        self._latitude, self._longitude = latitude, longitude
        self._hours = hours
        self._shift = timedelta(hours=utc_offset_h + (longitude - own_longitude) / 15.0)

    def at(self, at: datetime) -> WeatherSample:
        """Return the weather at an instant of any year (29 February repeats the 28th)."""
        moved = require_utc(at) + self._shift
        start = datetime(moved.year, 1, 1, tzinfo=UTC)
        position = moved - start
        if moved.month > 2 and _is_leap(moved.year):
            start += timedelta(days=1)
            position -= timedelta(days=1)
        day_start = int(position / _HOUR) // 24 * 24
        window = [self._hours[(day_start + i) % len(self._hours)] for i in range(-24, 48)]
        begin = start + (day_start - 24) * _HOUR - self._shift
        return HourlyWeather(begin, window, latitude=self._latitude, longitude=self._longitude).at(at)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


class RecordedWorld:
    """A world from recorded weather and recorded prices."""

    def __init__(
        self,
        *,
        label: str,
        weather: HourlyWeather | TypicalYear,
        spot: Mapping[datetime, float],
        rates: Mapping[date, float],
        latitude: float,
        longitude: float,
        seed: int,
    ) -> None:
        """Keep the records; `spot` is by start of each 15-min slot."""
        self._label = label
        self._weather = weather
        self._spot = spot
        self._rate_days = sorted(rates)
        self._rates = rates
        self._latitude, self._longitude = latitude, longitude
        self._key = f"recorded:{seed}"

    @property
    def label(self) -> str:
        """Where the data come from."""
        return self._label

    def weather(self, at: datetime) -> WeatherSample:
        """Return the recorded weather at an instant."""
        return self._weather.at(at)

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return the recorded weather with the documented forecast errors."""
        return forecast_from_truth(
            self.weather,
            require_utc(issued_at),
            hours,
            key=f"{self._key}:outlook",
            provider="recorded",
            latitude=self._latitude,
            longitude=self._longitude,
        )

    def spot_eur_mwh(self, slot_start_at: datetime) -> float | None:
        """Return the recorded price of the slot."""
        return self._spot.get(slot_start(slot_start_at))

    def eur_czk(self, at: datetime) -> float | None:
        """Return the rate of the day or the last one before it."""
        i = bisect_right(self._rate_days, require_utc(at).date())
        return self._rates[self._rate_days[i - 1]] if i else None

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the public prices."""
        return published_until(at, self._key)
