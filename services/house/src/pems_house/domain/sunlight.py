"""Where the sun stands and what of it reaches a tilted plane and its modules: the models of pvlib, in numpy alone.

The forecaster uses pvlib itself; the house would load pandas and SciPy with it, 90 MB for these few formulas. A test
holds them against pvlib's.
"""

from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_temperature_c", "extraterrestrial_w_m2", "incidence_deg", "passed_by_glass", "sky_diffuse", "sun"]

Floats = NDArray[np.float64]

_J2000_UNIX_S = 946_728_000.0
_SOLAR_CONSTANT_W_M2 = 1366.1
_LEAST_COS_ZENITH = 0.01745  # 89 degrees: near the horizon the ratio of both cosines means nothing


def sun(unix_s: Floats, latitude: float, longitude: float) -> tuple[Floats, Floats]:
    """Apparent zenith and azimuth of the sun [deg] (azimuth from north over east), good to 0.01 degrees until 2050.

    Michalsky 1988, doi:10.1016/0038-092X(88)90045-X, refraction for a standard atmosphere included.

    Args:
        unix_s: Seconds since 1970 (T,).
        latitude: North positive [deg].
        longitude: East positive [deg].
    """
    days = (unix_s - _J2000_UNIX_S) / 86_400.0
    hour_utc = unix_s / 3600.0 % 24.0
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    oblique = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(oblique) * np.sin(ecliptic), np.cos(ecliptic))
    sin_declination = np.sin(oblique) * np.sin(ecliptic)
    cos_declination = np.sqrt(1.0 - sin_declination**2)
    sidereal_h = 6.697375 + 0.0657098242 * days + hour_utc + longitude / 15.0
    angle = np.radians(15.0 * sidereal_h) - ascension
    sin_latitude, cos_latitude = sin(latitude * pi / 180.0), cos(latitude * pi / 180.0)
    up = sin_latitude * sin_declination + cos_latitude * cos_declination * np.cos(angle)
    north = cos_latitude * sin_declination - sin_latitude * cos_declination * np.cos(angle)
    azimuth = np.degrees(np.arctan2(-cos_declination * np.sin(angle), north)) % 360.0
    return 90.0 - _refracted(np.degrees(np.arcsin(np.clip(up, -1.0, 1.0)))), azimuth


def _refracted(elevation_deg: Floats) -> Floats:
    """Elevation as it is seen through the atmosphere at 1013 hPa and 15 C (Michalsky 1988)."""
    high = 0.0159 / np.tan(np.radians(np.maximum(elevation_deg, 19.225)))
    e = np.clip(elevation_deg, -0.766, 19.225)
    low = 3.51823 * (0.1594 + 0.0196 * e + 2e-5 * e**2) / (1.0 + 0.505 * e + 0.0845 * e**2)
    shift = np.where(elevation_deg > 19.225, high, np.where(elevation_deg > -0.766, low, 0.0))
    return np.asarray(elevation_deg + shift, dtype=np.float64)


def extraterrestrial_w_m2(day_of_year: int) -> float:
    """Irradiance on a plane that faces the sun above the atmosphere (Spencer 1971)."""
    b = 2.0 * pi * (day_of_year - 1) / 365.0
    distance = 1.00011 + 0.034221 * cos(b) + 0.00128 * sin(b) + 0.000719 * cos(2.0 * b) + 7.7e-5 * sin(2.0 * b)
    return _SOLAR_CONSTANT_W_M2 * distance


def incidence_deg(tilt_deg: Floats, facing_deg: Floats, zenith_deg: Floats, azimuth_deg: Floats) -> Floats:
    """Angle between the sun and the normal of a plane [deg]; the arguments broadcast."""
    tilt, zenith = np.radians(tilt_deg), np.radians(zenith_deg)
    beside = np.radians(azimuth_deg - facing_deg)
    projection = np.cos(tilt) * np.cos(zenith) + np.sin(tilt) * np.sin(zenith) * np.cos(beside)
    return np.asarray(np.degrees(np.arccos(np.clip(projection, -1.0, 1.0))), dtype=np.float64)


def sky_diffuse(
    tilt_deg: Floats, angle_deg: Floats, zenith_deg: Floats, dhi: Floats, dni: Floats, extra_w_m2: float
) -> Floats:
    """Diffuse irradiance of the sky on a plane [W/m2]: isotropic and circumsolar (Hay and Davies 1980).

    Args:
        tilt_deg: Of the plane.
        angle_deg: Angle of incidence on it.
        zenith_deg: Of the sun.
        dhi: Diffuse on the level [W/m2].
        dni: Direct on a plane that faces the sun [W/m2].
        extra_w_m2: The same above the atmosphere.
    """
    ratio = np.maximum(np.cos(np.radians(angle_deg)), 0.0) / np.maximum(
        np.cos(np.radians(zenith_deg)), _LEAST_COS_ZENITH
    )
    clear = dni / extra_w_m2
    isotropic = (1.0 - clear) * 0.5 * (1.0 + np.cos(np.radians(tilt_deg)))
    return np.asarray(np.maximum(dhi * (clear * ratio + isotropic), 0.0), dtype=np.float64)


def passed_by_glass(angle_deg: Floats, b: float = 0.05) -> Floats:
    """Share of direct light that passes a module's glass, 1 at normal incidence (Souka and Safwat 1966)."""
    cosine = np.cos(np.radians(np.minimum(angle_deg, 89.9)))
    return np.asarray(np.where(angle_deg < 90.0, np.clip(1.0 - b * (1.0 / cosine - 1.0), 0.0, 1.0), 0.0))


def cell_temperature_c(plane_w_m2: Floats, outdoor_c: Floats, wind_m_s: Floats) -> Floats:
    """Temperature of the modules [C] from irradiance on them, air and wind (Faiman 2008, doi:10.1002/pip.813)."""
    return np.asarray(outdoor_c + plane_w_m2 / (25.0 + 6.84 * wind_m_s), dtype=np.float64)
