"""What the sun gave to the four quarters in the past: the weather as it was told, corrected by the own PV plant."""

import numpy as np

from pems_common.home import Home
from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_pv import taught
from pems_forecaster.domain.pv import facade_irradiance
from pems_forecaster.domain.sun import sun_at

__all__ = ["SUN_FLOOR", "SUN_RATIO_MAX", "facade_history"]

SUN_RATIO_MAX = 1.6
SUN_FLOOR = 0.05
"""Share of the AC limit below which the plant does not tell how strong the sun is."""


def facade_history(home: Home, lessons: Lessons) -> dict[str, Floats]:
    """Return irradiance by quarter of the slots of lessons (T,) [W/m2], NaN where no weather was told."""
    weather = lessons.weather()
    slots = lessons.first + np.arange(lessons.until - lessons.first, dtype=np.int64)
    site = home.site
    sun = sun_at(slots, latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m)
    ghi = weather["ghi_w_m2"]
    unknown = np.isnan(ghi)
    fine = FineWeather(
        sun=sun,
        temperature_c=np.nan_to_num(weather["temperature_c"]),
        cloud_pct=np.nan_to_num(weather["cloud_pct"]),
        ghi_w_m2=np.where(sun.clear_ghi_w_m2 > 0.0, np.nan_to_num(ghi), 0.0),
        dhi_w_m2=None,
        wind_m_s=np.nan_to_num(weather["wind_m_s"]),
        guessed=unknown,
        temperature_guessed=np.isnan(weather["temperature_c"]),
    )
    ratio = _seen_by_the_plant(home, lessons)
    return {name: np.where(unknown, np.nan, irradiance * ratio) for name, irradiance in facade_irradiance(fine).items()}


def _seen_by_the_plant(home: Home, lessons: Lessons) -> Floats:
    """How much stronger than told the sun was (T,); 1 where the plant cannot tell."""
    if not home.pv.roofs:
        return np.ones(lessons.until - lessons.first)
    plant = taught(home, lessons)
    expected_w = plant.strength * plant.physics_w
    tells = np.isfinite(plant.power_w) & (expected_w >= SUN_FLOOR * home.pv.inverter_ac_limit_w)
    ratio = np.where(tells, plant.power_w, 1.0) / np.where(tells, expected_w, 1.0)
    return np.clip(ratio, 0.0, SUN_RATIO_MAX)
