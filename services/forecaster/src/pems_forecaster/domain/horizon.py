"""What the horizon line of a roof leaves of the sun and of the sky.

The line hides the sun's beam for a part of a slot, and a part of the sky's even light for ever. What mountains, trees
and walls reflect themselves is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.sun import Sun, path_within

__all__ = ["FLAT", "Outlook", "outlook_of", "sky_view"]

_INSTANTS = 15  # one a minute: the sun's disc needs two to pass a line
_AZIMUTHS_DEG = np.arange(360.0)


@dataclass(frozen=True)
class Outlook:
    """Shares that are left, 0..1; all 1 where the horizon is flat.

    Attributes:
        beam: Of the time that the sun is up in a slot, the share in which it stands above the line (T,).
        sky: Of the isotropic sky irradiance on the plane.
        ground_sky: Of that on the ground before it.
    """

    beam: Floats
    sky: float
    ground_sky: float


FLAT = Outlook(np.ones(1), 1.0, 1.0)


def outlook_of(horizon_deg: Sequence[tuple[float, float]], tilt_deg: float, azimuth_deg: float, sun: Sun) -> Outlook:
    """Return what a horizon line leaves of sun and sky for a plane.

    Args:
        horizon_deg: (azimuth, elevation) points in the order of azimuth, straight lines between them; none: flat.
        tilt_deg: Of the plane, 0 horizontal.
        azimuth_deg: Of the plane, 0 north, 90 east.
        sun: Over the slots.
    """
    if not horizon_deg:
        return FLAT
    elevation, azimuth = path_within(sun, _INSTANTS)
    up = elevation > 0.0
    above = up & (elevation > _line(horizon_deg, azimuth))
    flat = ((0.0, 0.0),)
    return Outlook(
        beam=above.sum(axis=0) / np.maximum(up.sum(axis=0), 1),
        sky=sky_view(horizon_deg, tilt_deg, azimuth_deg) / sky_view(flat, tilt_deg, azimuth_deg),
        ground_sky=sky_view(horizon_deg, 0.0, 0.0) / sky_view(flat, 0.0, 0.0),
    )


def sky_view(horizon_deg: Sequence[tuple[float, float]], tilt_deg: float, azimuth_deg: float) -> float:
    """Return the irradiance of a plane under an isotropic sky, in units of that of a horizontal one with free sight.

    Dozier and Frew (1990), doi:10.1109/36.58986, equation 7b: the integral of the cosine of incidence over the sky
    above horizon and plane, here as the mean over whole degrees of azimuth. With a flat horizon: (1 + cos tilt) / 2.
    """
    tilt = np.radians(tilt_deg)
    towards = np.cos(np.radians(_AZIMUTHS_DEG - azimuth_deg))
    own = np.arctan2(np.maximum(-np.sin(tilt) * towards, 0.0), np.cos(tilt))  # the plane hides the sky behind itself
    zenith = np.pi / 2.0 - np.maximum(np.radians(_line(horizon_deg, _AZIMUTHS_DEG)), own)
    seen = np.cos(tilt) * np.sin(zenith) ** 2
    seen += np.sin(tilt) * towards * (zenith - np.sin(zenith) * np.cos(zenith))
    return float(seen.mean())


def _line(horizon_deg: Sequence[tuple[float, float]], azimuth_deg: Floats) -> Floats:
    azimuths, elevations = zip(*horizon_deg, strict=True)
    return np.asarray(np.interp(azimuth_deg, azimuths, elevations, period=360.0), dtype=np.float64)
