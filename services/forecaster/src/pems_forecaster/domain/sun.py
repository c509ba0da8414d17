"""Where the sun stands in the middle of each slot, and what a cloudless sky would give (pvlib)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pvlib import atmosphere, clearsky, irradiance, solarposition

from pems_forecaster.domain.grid import SLOT_S, Floats, Ints

__all__ = ["Sun", "sun_at"]

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
    """

    zenith_deg: Floats
    azimuth_deg: Floats
    up: np.ndarray[tuple[int], np.dtype[np.bool_]]
    extra_w_m2: Floats
    clear_ghi_w_m2: Floats
    clear_dni_w_m2: Floats
    clear_dhi_w_m2: Floats

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
    return Sun(zenith, position["azimuth"].to_numpy(dtype=np.float64), up, extra, ghi, dni, dhi)
