"""Sun position and simple sky models, enough to generate weather (forecasts use pvlib)."""

from datetime import datetime
from math import cos, exp, pi, radians, sin

from pems_common.timegrid import require_utc

__all__ = ["clear_sky_ghi_w_m2", "cloud_factor", "cos_zenith", "split_beam_diffuse"]


def cos_zenith(at: datetime, latitude: float, longitude: float) -> float:
    """Return the cosine of the sun's zenith angle (declination and equation of time after Spencer 1971)."""
    utc = require_utc(at)
    day = utc.timetuple().tm_yday - 1 + (utc.hour + utc.minute / 60.0) / 24.0
    g = 2.0 * pi * day / 365.0
    declination = (
        0.006918
        - 0.399912 * cos(g)
        + 0.070257 * sin(g)
        - 0.006758 * cos(2 * g)
        + 0.000907 * sin(2 * g)
        - 0.002697 * cos(3 * g)
        + 0.00148 * sin(3 * g)
    )
    equation_min = 229.18 * (
        0.000075 + 0.001868 * cos(g) - 0.032077 * sin(g) - 0.014615 * cos(2 * g) - 0.040849 * sin(2 * g)
    )
    solar_h = utc.hour + utc.minute / 60.0 + utc.second / 3600.0 + longitude / 15.0 + equation_min / 60.0
    hour_angle = radians(15.0 * (solar_h - 12.0))
    phi = radians(latitude)
    return sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour_angle)


def clear_sky_ghi_w_m2(cosz: float) -> float:
    """Return global irradiance of a cloudless sky (Haurwitz 1945)."""
    return 0.0 if cosz <= 0.0 else 1098.0 * cosz * exp(-0.057 / max(cosz, 1e-3))


def cloud_factor(cloud_cover_pct: float) -> float:
    """Return the share of clear-sky global irradiance under clouds (Kasten and Czeplak 1980)."""
    cover = min(max(cloud_cover_pct / 100.0, 0.0), 1.0)
    return 1.0 - 0.75 * float(cover**3.4)


def split_beam_diffuse(ghi_w_m2: float, cosz: float, day_of_year: int) -> tuple[float, float]:
    """Split global irradiance into direct normal and diffuse horizontal (Erbs, Klein, Duffie 1982)."""
    if ghi_w_m2 <= 0.0 or cosz <= 0.0:
        return 0.0, max(ghi_w_m2, 0.0)
    extraterrestrial = 1367.0 * (1.0 + 0.033 * cos(2.0 * pi * day_of_year / 365.0))
    kt = min(ghi_w_m2 / (extraterrestrial * max(cosz, 0.065)), 1.0)
    if kt <= 0.22:
        share = 1.0 - 0.09 * kt
    elif kt <= 0.8:
        share = 0.9511 - 0.1604 * kt + 4.388 * kt**2 - 16.638 * kt**3 + 12.336 * kt**4
    else:
        share = 0.165
    diffuse = ghi_w_m2 * share
    beam = min((ghi_w_m2 - diffuse) / max(cosz, 0.065), extraterrestrial)
    return beam, diffuse
