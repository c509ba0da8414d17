"""A prior for a room of which nothing is known but its series: how large it is, from what heats it and how it cools."""

import numpy as np

from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["PLAIN_VAGUE", "plain_prior"]

PLAIN_VAGUE = 2.0
"""How much wider than usual priors are that know no more than this."""
_AREA_M2, _LOSS_W_M2K = 18.0, 1.4
_SLAB_W_M2K, _AIR_J_M2K, _MASS_J_M2K = 8.0, 80e3, 150e3
_APERTURE_M2_M2, _GAINS_W_M2 = 0.05, 3.0
_TO_MASS = 0.4
_COUPLING_W_K = 8.0
_COLDER_K = 3.0
_LEAST_W_K = 3.0


def plain_prior(series: HouseSeries, room: str) -> RoomModel:
    """Return a model of the right order of magnitude.

    The loss is the mean heat over the mean difference to outdoors, where the room was heated; without heat a room of
    18 m2 is assumed. Everything else grows with the loss. Other rooms of the series count as neighbours.

    Args:
        series: Of the house.
        room: The room.
    """
    air, heat = series.air_c[room], series.heat_w.get(room, np.zeros(series.steps))
    loss = _AREA_M2 * _LOSS_W_M2K
    known = np.isfinite(air) & np.isfinite(heat) & np.isfinite(series.outdoor_c)
    if known.any() and float(heat[known].mean()) > 0.0:
        loss = _loss_w_k(air[known], heat[known], series.outdoor_c[known])
    area = loss / _LOSS_W_M2K
    planes = max(len(series.solar_w_m2), 1)
    return RoomModel(
        ria_k_w=1.0 / (_SLAB_W_M2K * area),
        rea_k_w=1.0 / loss,
        ci_j_k=_AIR_J_M2K * area,
        cm_j_k=_MASS_J_M2K * area,
        neighbours={name: _COUPLING_W_K for name in series.air_c if name != room},
        solar_m2=dict.fromkeys(series.solar_w_m2, _APERTURE_M2_M2 * area / planes),
        gains_w={str(hour): _GAINS_W_M2 * area for hour in range(24)},
        heater_w=float(np.nanmax(heat, initial=0.0)),
        heat_to_mass=_TO_MASS,
    )


def _loss_w_k(air: Floats, heat: Floats, outdoor: Floats) -> float:
    difference = max(float((air - outdoor).mean()), _COLDER_K)
    return max(float(heat.mean()) / difference, _LEAST_W_K)
