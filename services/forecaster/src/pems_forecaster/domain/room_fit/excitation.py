"""Whether a room's history can tell its parameters apart: was it heated, and left alone, often enough?"""

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import Floats

__all__ = ["excitation"]

_HEATED_H, _ALONE_H, _TURNS = 24.0, 72.0, 10.0
_ALONE_RUN_H = 3.0
_ON = 0.05  # of the most heat


def excitation(air_c: Floats, heat_w: Floats, spoilt: NDArray[np.bool_], step_s: int) -> float:
    """Return 0..1: the least of three shares, each 1 where there is enough.

    A day's worth of full heating (mean heat over the most), three days in which it was left alone for three hours or
    more, and ten turns from heating to being left alone. Only steps with a measurement count, in which nothing unknown
    acted.

    Args:
        air_c: What may teach, NaN elsewhere (T,).
        heat_w: (T,).
        spoilt: Steps in which something unknown acted (T,).
        step_s: Length of a step.
    """
    most = float(heat_w.max()) if len(heat_w) else 0.0
    if most <= 0.0:
        return 0.0
    hours = step_s / 3600.0
    good = np.isfinite(air_c) & ~spoilt
    heated_h = float((heat_w / most)[good].sum()) * hours
    off = heat_w <= _ON * most
    edges = np.flatnonzero(np.diff(np.concatenate([[False], off, [False]]).astype(np.int8)))
    alone_h, turns = 0.0, 0
    for first, until in zip(edges[::2], edges[1::2], strict=True):
        if (until - first) * hours >= _ALONE_RUN_H:
            inside = float(good[first:until].sum()) * hours
            alone_h += inside
            turns += int(inside >= 0.5 * _ALONE_RUN_H and first > 0)
    return round(min(1.0, heated_h / _HEATED_H, alone_h / _ALONE_H, turns / _TURNS), 3)
