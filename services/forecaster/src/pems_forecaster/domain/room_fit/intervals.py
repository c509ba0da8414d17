"""How sure a fitted room's parameters are: 90 % intervals, and its slowest time constant."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np

from pems_common.messages import RoomModel
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.room_fit.fit import Fitted
from pems_forecaster.domain.room_fit.parameters import NOISE_NAMES, PHYSICAL_NAMES

__all__ = ["difference_k", "intervals", "time_constant_h"]

_Z90 = 1.645
_NUDGE = 1e-4
_STRUCTURE, _STRUCTURE_OF_TIME = 0.10, 0.15
_OFFSET_K, _LEAST_DIFFERENCE_K = 0.15, 3.0


def difference_k(air_c: Floats, outdoor_c: Floats) -> float:
    """Return how much warmer than outdoors a room usually is [K]; at least a little."""
    away = np.abs(air_c - outdoor_c)
    known = away[np.isfinite(away)]
    return max(float(known.mean()), _LEAST_DIFFERENCE_K) if len(known) else _LEAST_DIFFERENCE_K


def intervals(fitted: Fitted, difference_k: float) -> dict[str, tuple[float, float]]:
    """Return 90 % intervals of the parameters, and of the slowest time constant (linearised).

    A real room has more than two nodes: to what the data leave open, `_STRUCTURE` of each parameter is added, about
    what the two nodes were off in simulated rooms of four. Neighbours' sensors differ by `_OFFSET_K`: what that sends
    through the walls is added to the loss, and so to the time constant.
    """
    parameters, names = fitted.parameters, fitted.parameters.prior.names
    coupling = sum(parameters.each("neighbour").values()) * parameters.of("rea_k_w")
    offset = _OFFSET_K * coupling / difference_k
    result = {}
    for k, name in enumerate(names):
        if name.startswith("gains:") or name in NOISE_NAMES:
            continue
        own = _STRUCTURE**2 + (offset**2 if name == "rea_k_w" else 0.0)
        half = _Z90 * sqrt(max(float(fitted.covariance[k, k]), 0.0) + own)
        low, high = float(parameters.values[k]) - half, float(parameters.values[k]) + half
        if name == "heat_to_mass":
            result[name] = (1.0 / (1.0 + exp(-low)), 1.0 / (1.0 + exp(-high)))
        else:
            result[name] = (exp(low), exp(high))
    middle = time_constant_h(parameters.model())
    slope = np.zeros(len(names))
    for k, name in enumerate(names):
        if name in PHYSICAL_NAMES:
            moved = parameters.values.copy()
            moved[k] += _NUDGE
            slope[k] = log(time_constant_h(replace(parameters, values=moved).model()) / middle) / _NUDGE
    half = _Z90 * sqrt(max(float(slope @ fitted.covariance @ slope), 0.0) + _STRUCTURE_OF_TIME**2 + offset**2)
    result["time_constant_h"] = (middle * exp(-half), middle * exp(half))
    return result


def time_constant_h(model: RoomModel) -> float:
    """Return the slowest time constant of a room whose neighbours follow it [h]."""
    g, loss = 1.0 / model.ria_k_w, 1.0 / model.rea_k_w
    a, d = -(g + loss) / model.ci_j_k, -g / model.cm_j_k
    mean, det = (a + d) / 2.0, loss * g / model.ci_j_k / model.cm_j_k
    return -1.0 / (mean + sqrt(max(mean * mean - det, 0.0))) / 3600.0
