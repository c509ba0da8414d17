"""Days generated from documented statistics, for machines without data and without a network.

Weather: yearly mean 8.5 C, yearly amplitude 10.5 K (coldest about 20 January), daily amplitude 2 K under clouds to
6 K under clear sky, synoptic swings of 3.5 K over about three days (long-term means of central European lowland
stations). Cloud cover around 75 % in winter and 55 % in summer. Prices: shape and level of Czech day-ahead prices
of 2025: about 110 EUR/MWh in winter and 80 in summer, morning and evening peaks, a midday dip that deepens with sun
and at weekends, quarter-hour saw-tooth around ramps; may fall below zero at sunny noons.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from math import cos, exp, pi
from zoneinfo import ZoneInfo

from pems_common.messages import Weather
from pems_common.timegrid import require_utc
from pems_common.world.noise import normal, smooth
from pems_common.world.outlook import forecast_from_truth
from pems_common.world.port import WeatherSample
from pems_common.world.publication import published_until
from pems_common.world.sky import clear_sky_ghi_w_m2, cloud_factor, cos_zenith, split_beam_diffuse

__all__ = ["GeneratedWorld"]

_PRAGUE = ZoneInfo("Europe/Prague")


class GeneratedWorld:
    """A made-up but plausible world, the same for the same seed."""

    def __init__(self, *, seed: int, latitude: float, longitude: float) -> None:
        """Fix the seed and the place."""
        self._key = f"generated:{seed}"
        self._seed = seed
        self._latitude, self._longitude = latitude, longitude

    @property
    def label(self) -> str:
        """Where the data come from."""
        return f"generated days (seed {self._seed})"

    def weather(self, at: datetime) -> WeatherSample:
        """Return the true weather at an instant."""
        at = require_utc(at)
        day = at.timetuple().tm_yday + at.hour / 24.0
        season = cos(2.0 * pi * (day - 20.0) / 365.25)  # 1 in mid-winter
        cover = (
            65.0
            + 10.0 * season
            + 26.0 * smooth(f"{self._key}:cloud", at, 31.0)
            + 14.0 * smooth(f"{self._key}:cloud2", at, 6.0)
            + 6.0 * smooth(f"{self._key}:cloud3", at, 1.0)
        )
        cover = min(100.0, max(0.0, cover))
        solar_h = (at.hour + at.minute / 60.0 + self._longitude / 15.0) % 24.0
        swing = (2.0 + 4.0 * (1.0 - cover / 100.0)) * cos(2.0 * pi * (solar_h - 14.5) / 24.0)
        temperature = 8.5 - 10.5 * season + swing * (1.0 - 0.4 * season)
        temperature += 3.5 * smooth(f"{self._key}:front", at, 70.0) + 0.5 * smooth(f"{self._key}:gust", at, 3.0)
        cosz = cos_zenith(at, self._latitude, self._longitude)
        ghi = clear_sky_ghi_w_m2(cosz) * cloud_factor(cover)
        dni, dhi = split_beam_diffuse(ghi, cosz, at.timetuple().tm_yday)
        wind = max(0.2, 3.0 + 1.6 * smooth(f"{self._key}:wind", at, 14.0))
        humidity = min(100.0, max(30.0, 78.0 + 8.0 * season + 0.12 * (cover - 60.0) - 2.0 * swing))
        return WeatherSample(temperature, cover, ghi, dni, dhi, wind, humidity)

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return what a weather service would have said at `issued_at`."""
        return forecast_from_truth(
            self.weather,
            require_utc(issued_at),
            hours,
            key=f"{self._key}:outlook",
            provider="generated",
            latitude=self._latitude,
            longitude=self._longitude,
        )

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of a slot."""
        slot = require_utc(slot_start)
        return self._spot(slot - timedelta(minutes=slot.minute % 15, seconds=slot.second))

    @lru_cache(maxsize=4096)  # noqa: B019 - one world lives as long as its process
    def _spot(self, slot: datetime) -> float:
        local = slot.astimezone(_PRAGUE)
        hour = local.hour + local.minute / 60.0
        season = cos(2.0 * pi * (slot.timetuple().tm_yday - 20.0) / 365.25)
        weekend = local.weekday() >= 5
        level = 95.0 + 15.0 * season - (14.0 if weekend else 0.0)
        level *= exp(0.18 * normal(f"{self._key}:level:{local.date()}"))

        def bump(center: float, width: float) -> float:
            return exp(-(((hour - center) / width) ** 2))

        peaks = (0.45 if weekend else 0.75) * bump(8.0, 1.7) + 0.8 * bump(18.6 - 0.4 * season, 2.2)
        night = 0.30 * (bump(3.0, 3.0) + bump(27.0, 3.0))
        noon_sky = self.weather(slot.replace(hour=11, minute=0))
        sunny = noon_sky.ghi_w_m2 / 900.0
        dip = (0.20 + 1.10 * sunny + (0.15 if weekend else 0.0)) * bump(13.0, 2.6)
        ramp = ((hour * 4) % 4 - 1.5) * (1.0 if 5 <= hour < 9 or 13 <= hour < 18 else -1.0) * 2.2
        noise = 5.0 * smooth(f"{self._key}:spot", slot, 1.5)
        return round(level * (0.92 + peaks - night - dip) + ramp + noise, 2)

    def eur_czk(self, at: datetime) -> float | None:
        """Return a constant rate."""
        return 24.3

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the public prices."""
        return published_until(at, self._key)
