"""Snow on the roofs: from the depth on the ground, what was known before, and what the plant gave.

Snow that falls covers a roof. It slides off where it is warm or sunny enough, or is gone with the snow on the ground.
After Marion et al. (2013), Solar Energy 97, 112-121, with the least depth of Ryberg and Freeman (2017),
NREL/TP-6A20-68705, as in `pvlib.snow.coverage_nrel`. There only snow of more than 1 cm within an hour covers a roof.
Much of central Europe's snow falls more slowly: while nothing can slide it covers by and by, all after 1 cm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Ints
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["Snow", "cover_of", "remember_snow", "snow_now"]

_SLOT_H = SLOT_S / 3600.0
_LEAST_M = 0.01
_FALL_M_H = 0.01
_SLIDES_W_M2_K = -80.0
_SLIDE_PER_H = 0.197
_COVER, _PLANT = "snow_cover.", "pv_snow"
_REMEMBERED_SLOTS = SLOTS_PER_DAY
_SEEN_SLOTS = 4
_LEAST_CLEAR_W = 100.0  # below it power tells nothing of the roof


@dataclass(frozen=True)
class Snow:
    """Snow over slots, and the state that they begin with.

    Attributes:
        depth_m: On the ground (T,), NaN where unknown: then nothing is taken to lie on the roof.
        before_m: In the slot before the first one, NaN where unknown.
        cover: Share of each roof's slant height under snow then; empty where unknown: what lies on the ground is taken
            to lie on the roofs.
        seen_bare: Share of the roofs that cannot have been under snow then: they gave power.
    """

    depth_m: Floats
    before_m: float = nan
    cover: tuple[float, ...] = ()
    seen_bare: float = 0.0


def cover_of(snow: Snow, roof: int, tilt_deg: float, air_c: Floats, poa_w_m2: Floats) -> Floats:
    """Return the share of a roof's slant height under snow (T,), 0..1.

    Args:
        snow: Of the slots.
        roof: Number of the roof.
        tilt_deg: Of the roof: a flat one keeps its snow until that on the ground is gone.
        air_c: Air temperature (T,).
        poa_w_m2: Irradiance on the plane, above the snow (T,).
    """
    cover = np.zeros(len(snow.depth_m))
    if not (snow.depth_m >= _LEAST_M).any():
        return cover
    slides = air_c > poa_w_m2 / _SLIDES_W_M2_K
    step = _SLIDE_PER_H * float(np.sin(np.radians(tilt_deg))) * _SLOT_H
    now = min(snow.cover[roof] if roof < len(snow.cover) else 1.0, 1.0 - snow.seen_bare)
    before = snow.before_m
    for t, depth in enumerate(snow.depth_m.tolist()):
        if isnan(depth):
            now, before = 1.0, nan
            continue
        rise = depth - before if depth > before else 0.0
        if depth < _LEAST_M:
            now = 0.0
        elif rise > _FALL_M_H * _SLOT_H:
            now = 1.0
        elif slides[t]:
            now = max(now - step, 0.0)
        else:
            now = min(now + rise / _LEAST_M, 1.0)
        cover[t], before = now, depth
    return cover


def snow_now(depth_m: Callable[[Ints], Floats], slots: Ints, history: SlotHistory) -> Snow | None:
    """Return the snow of a forecast, with what is remembered of the last day; None where no depth is known.

    Args:
        depth_m: Depth on the ground of any slots as one run tells it: two runs differ by centimetres that never fell.
        slots: Of the forecast.
        history: Holds what `remember_snow` put there, and the power of the last hour; not looked at from the forecast's
            first slot on.
    """
    depth, first = depth_m(slots), int(slots[0])
    if not np.isfinite(depth).any():
        return None
    known, _ = history.window(f"{_COVER}0", first - _REMEMBERED_SLOTS, first)
    before, cover = nan, list[float]()
    if len(known):
        before = float(depth_m(known[-1:])[0])
        while (value := history.get(f"{_COVER}{len(cover)}", int(known[-1]), before=first)) is not None:
            cover.append(value)
    last = np.arange(first - _SEEN_SLOTS, first, dtype=np.int64)
    gave, clear = history.at("pv_w", last, before=first), history.at("pv_clear_w", last, before=first)
    tells = np.isfinite(gave) & (clear > _LEAST_CLEAR_W)
    seen_bare = float(np.clip(gave[tells].sum() / clear[tells].sum(), 0.0, 1.0)) if tells.any() else 0.0
    return Snow(depth, before, tuple(cover), seen_bare)


def remember_snow(history: SlotHistory, first: int, snow: Snow | None, cover: Floats, bare: Floats) -> None:
    """Remember a forecast's first slot: for the next forecast to begin with, and for what may teach (`pv_snow`).

    Args:
        history: Where it is kept.
        first: Number of that slot.
        snow: Of the forecast.
        cover: Share of each roof under snow (R, T).
        bare: Share of the plant that is free of it (T,).
    """
    if snow is None or isnan(snow.depth_m[0]):
        return
    history.put(_PLANT, first, 1.0 - float(bare[0]))
    for roof, share in enumerate(cover[:, 0].tolist()):
        history.put(f"{_COVER}{roof}", first, share)
