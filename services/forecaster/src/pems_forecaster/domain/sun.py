"""Where the sun stands in the middle of each slot and within it, and what a cloudless sky would give (pvlib)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pvlib import atmosphere, clearsky, irradiance, solarposition

from pems_forecaster.domain.grid import SLOT_S, Floats, Ints

__all__ = ["Sun", "path_within", "sun_at"]

LINKE_TURBIDITY = 3.0
"""Typical of central Europe over the year (2 in clean winter air, 4 to 5 in summer haze)."""


@dataclass(frozen=True)
class Sun:
    """Arrays over slots; angles in degrees, irradiance in W/m2.

    Attributes:
        zenith_deg: Apparent zenith (with refraction).
        azimuth_deg: 0 north, 90 east.
        up: The sun's middle is above the horizon.
        extra_w_m2: Extraterrestrial normal irradiance.
        clear_ghi_w_m2: Clear-sky global horizontal, exactly 0 at night.
        clear_dni_w_m2: Clear-sky direct normal.
        clear_dhi_w_m2: Clear-sky diffuse horizontal.
        latitude_deg: Of the place, north positive.
    """

    zenith_deg: Floats
    azimuth_deg: Floats
    up: np.ndarray[tuple[int], np.dtype[np.bool_]]
    extra_w_m2: Floats
    clear_ghi_w_m2: Floats
    clear_dni_w_m2: Floats
    clear_dhi_w_m2: Floats
    latitude_deg: float

    def __getitem__(self, part: slice) -> "Sun":
        """Return a slice of all arrays."""
        return Sun(
            self.zenith_deg[part],
            self.azimuth_deg[part],
            self.up[part],
            self.extra_w_m2[part],
            self.clear_ghi_w_m2[part],
            self.clear_dni_w_m2[part],
            self.clear_dhi_w_m2[part],
            self.latitude_deg,
        )


def sun_at(slots: Ints, *, latitude: float, longitude: float, altitude_m: float) -> Sun:
    """Compute sun and clear sky at slot middles.

    Position by the NREL algorithm (Reda and Andreas 2004, doi:10.1016/j.solener.2003.12.003), clear sky by
    Ineichen and Perez (2002, doi:10.1016/S0038-092X(02)00045-2) with a fixed Linke turbidity.
    """
    times = pd.DatetimeIndex(pd.to_datetime((slots * SLOT_S + SLOT_S // 2) * 1_000_000_000, utc=True))
    pressure = float(atmosphere.alt2pres(altitude_m))
    position = solarposition.spa_python(times, latitude, longitude, altitude=altitude_m, pressure=pressure)
    zenith = position["apparent_zenith"].to_numpy(dtype=np.float64)
    up = zenith < 90.0
    extra = np.asarray(irradiance.get_extra_radiation(times), dtype=np.float64)
    airmass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(np.where(up, zenith, 89.999)), pressure)
    with np.errstate(all="ignore"):  # it divides by the cosine at night; those slots are replaced below
        sky = clearsky.ineichen(zenith, airmass, LINKE_TURBIDITY, altitude=altitude_m, dni_extra=extra)
    ghi, dni, dhi = (np.where(up, np.nan_to_num(np.asarray(sky[k])), 0.0) for k in ("ghi", "dni", "dhi"))
    return Sun(zenith, position["azimuth"].to_numpy(dtype=np.float64), up, extra, ghi, dni, dhi, latitude)


def path_within(sun: Sun, per_slot: int) -> tuple[Floats, Floats]:
    """Return (elevation, azimuth) of the sun at `per_slot` instants, equally spaced, in each slot (per_slot, T) [deg].

    The sky turns about the pole, 15 degrees an hour: the vector to the sun in the middle of the slot, east, north, up,
    is turned about that to the pole (Rodrigues' formula). In a quarter of an hour declination and refraction move it by
    hundredths of a degree only. An odd number of instants holds the middle itself.
    """
    zenith, azimuth, latitude = np.radians(sun.zenith_deg), np.radians(sun.azimuth_deg), np.radians(sun.latitude_deg)
    east, north, up = np.sin(zenith) * np.sin(azimuth), np.sin(zenith) * np.cos(azimuth), np.cos(zenith)
    pole_north, pole_up = np.cos(latitude), np.sin(latitude)
    along = pole_north * north + pole_up * up
    share = (np.arange(per_slot) + 0.5) / per_slot - 0.5
    turn = -2.0 * np.pi * SLOT_S / 86_400.0 * share[:, None]
    cosine, sine = np.cos(turn), np.sin(turn)
    later_east = east * cosine + (pole_north * up - pole_up * north) * sine
    later_north = north * cosine + pole_up * east * sine + pole_north * along * (1.0 - cosine)
    later_up = up * cosine - pole_north * east * sine + pole_up * along * (1.0 - cosine)
    elevation = np.degrees(np.arcsin(np.clip(later_up, -1.0, 1.0)))
    return elevation, np.degrees(np.arctan2(later_east, later_north)) % 360.0
