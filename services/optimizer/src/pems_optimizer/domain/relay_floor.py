"""What no schedule of a switched device can be below: its dynamic program with every rounding in the device's favour.

The slow mode is counted in *decayed units* `y = z / decay^t`: off leaves `y` as it is, on adds a known amount, which is
rounded up to whole steps. So states stay on the grid and nothing is interpolated: a node is never colder than the
truth, and how much warmer it may be is carried along for the band's upper edge. Every few hours the units begin anew,
so that the grid is equally fine over the horizon. The fast mode lives in cells: a cell goes to every cell that its
image touches, and its comfort is the best within it; it decays within hours, so this favour does not pile up. Two grids
run side by side: a coarse one over everything that can be reached, and a fine one in a window about the band whose
edges take their values from the coarse one. No state is ever clamped: a bound that clamped at an edge made "never
heat" look cheap (seen).
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Floats
from pems_optimizer.domain.relay_dp import RelayDevice

__all__ = ["relay_floor"]

_COARSE = 8  # fine steps in a coarse one
_CELLS_COARSE = 8  # fine cells of the fast mode in a coarse one
_FAR = 1 << 40  # a node that no heat reaches
_MARGIN_K = 0.4  # the window beyond the band
_NEAR_SLOTS = 16  # the window holds the bands of so many slots before and after
_ANEW = 0.75  # units begin anew when the slow mode has decayed to this

Ints = NDArray[np.int64]


@nb.njit(cache=True, nogil=True)
def _image(edges: Floats, cold: float, warm: float) -> tuple[int, int]:
    """Return the first and last cell that [cold, warm] touches."""
    cells = len(edges) - 1
    first = 0
    while first < cells - 1 and edges[first + 1] < cold - 1e-12:
        first += 1
    last = first
    while last < cells - 1 and edges[last + 1] < warm - 1e-12:
        last += 1
    return first, last


@nb.njit(cache=True, nogil=True)
def _step(
    later: NDArray[np.float64],
    ahead: NDArray[np.float64],
    edges: Floats,
    decay_fast: float,
    push_fast: float,
    begin: int,
    end: int,
    offset: int,
    shift: int,
    unit_c: float,
    free_c: float,
    low_c: float,
    high_c: float,
    warmth_czk_k: float,
    money: Floats,
    price_on: float,
    colder_c: float,
    cap: int,
) -> None:
    """Fill `ahead` (N, 2, F, nodes begin..end) from `later` (N, 2, F, node - offset), both actions.

    `colder_c` is how much colder the truth may be than the node; heat does not go beyond node `cap`.
    """
    steps, cells = ahead.shape[0], len(edges) - 1
    count = end - begin + 1
    cost = np.empty(count)
    for u in range(2):
        move = shift * u
        # Free to warm up to here, stopped by the cap up to there, beyond it already.
        free = min(max(cap - move - begin + 1, 0), count) if u else count
        stopped = min(max(cap - begin + 1, free), count)
        for f in range(cells):
            cold = decay_fast * edges[f] + push_fast * u
            warm = decay_fast * edges[f + 1] + push_fast * u
            k0, k1 = _image(edges, cold, warm)
            top, bottom = free_c + warm, free_c + cold - colder_c
            bonus = top if warmth_czk_k < 0.0 else bottom
            energy = price_on * u + warmth_czk_k * bonus
            first, kept = begin + move, begin
            for i in range(count):
                node = first + i if i < free else cap if i < stopped else kept + i
                z = node * unit_c
                lack, much = low_c - top - z, z + bottom - high_c
                cost[i] = (
                    energy
                    + warmth_czk_k * z
                    + (money[0] * lack if lack > 0.0 else 0.0)
                    + (money[1] * much if much > 0.0 else 0.0)
                )
            for n in range(steps):
                out = ahead[n, u, f]
                for k in range(k0, k1 + 1):
                    one = later[n, u, k]
                    at = first - offset
                    if k == k0:
                        for i in range(free):
                            out[i] = one[at + i] + cost[i]
                        for i in range(free, stopped):
                            out[i] = one[cap - offset] + cost[i]
                        for i in range(stopped, count):
                            out[i] = one[kept - offset + i] + cost[i]
                    else:
                        for i in range(free):
                            v = one[at + i] + cost[i]
                            out[i] = v if v < out[i] else out[i]
                        for i in range(free, stopped):
                            out[i] = min(out[i], one[cap - offset] + cost[i])
                        for i in range(stopped, count):
                            out[i] = min(out[i], one[kept - offset + i] + cost[i])


@nb.njit(cache=True, nogil=True)
def _choose(
    ahead: NDArray[np.float64], now: NDArray[np.float64], count: int, enter_on: int, enter_off: int, start_czk: float
) -> None:
    """Fill `now` from `ahead`: what the minimum times leave, the better of staying and switching."""
    last, cells = ahead.shape[0] - 1, ahead.shape[2]
    for f in range(cells):
        for n in range(last):
            for u in range(2):
                for i in range(count):
                    now[n, u, f, i] = ahead[n + 1, u, f, i]
        for i in range(count):
            stay, switch = ahead[last, 0, f, i], ahead[enter_on, 1, f, i] + start_czk
            now[last, 0, f, i] = switch if switch < stay else stay
            stay, switch = ahead[last, 1, f, i], ahead[enter_off, 0, f, i]
            now[last, 1, f, i] = switch if switch < stay else stay


@nb.njit(cache=True, nogil=True)
def _floor(
    free_c: Floats,
    low_c: Floats,
    high_c: Floats,
    price_on: Floats,
    warmth_czk_k: Floats,
    cap_c: Floats,
    decay: Floats,
    push: Floats,
    money: Floats,
    start_czk: float,
    min_on: int,
    min_off: int,
    end_fine: NDArray[np.float64],
    end_coarse: NDArray[np.float64],
    edges: Floats,
    edges_coarse: Floats,
    leave: Ints,
    land: Ints,
    shift: Ints,
    shift_coarse: Ints,
    units: Floats,
    colder: Floats,
) -> NDArray[np.float64]:
    """Return the floor at the first boundary (N, 2, F) for the state without any heat yet.

    `leave` and `land` (T+1, 3) hold the window's first and last node and the coarse grid's last node, counted in the
    units that hold for leaving a boundary and for landing on it; `units` (T+1, 2) are these units [K], `colder`
    (T+1, 2) what the truth may be colder than a node of the fine and the coarse grid [K].
    """
    slots, cells, cells_coarse = len(free_c), len(edges) - 1, len(edges_coarse) - 1
    steps = max(min_on, min_off)
    enter_off, enter_on = steps - min_off, steps - min_on
    group = cells // cells_coarse
    wide, wide_c = 0, 0
    for t in range(slots):
        low, high = min(leave[t, 0], land[t + 1, 0]), max(leave[t, 1] + shift[t], land[t + 1, 1])
        wide = max(wide, high - low + 1)
        wide_c = max(wide_c, land[t + 1, 2] + 1)
    later = np.empty((steps, 2, cells, wide))
    ahead = np.empty((steps, 2, cells, wide))
    later_c = np.empty((steps, 2, cells_coarse, wide_c))
    ahead_c = np.empty((steps, 2, cells_coarse, wide_c))
    now = np.empty((steps, 2, cells, wide))
    now_c = np.empty((steps, 2, cells_coarse, wide_c))
    for n in range(steps):
        for u in range(2):
            now[n, u, :, : end_fine.shape[1]] = end_fine
            now_c[n, u, :, : end_coarse.shape[1]] = end_coarse
    for t in range(slots - 1, -1, -1):
        # Values at t + 1 wherever a state of t may land: the window's own, else the coarse grid's. Units may change.
        ratio = units[t + 1, 1] / units[t + 1, 0]  # landing units per leaving unit
        low, high = min(leave[t, 0], land[t + 1, 0]), max(leave[t, 1] + shift[t], land[t + 1, 1])
        for n in range(steps):
            for u in range(2):
                for f in range(cells):
                    own, other, out = now[n, u, f], now_c[n, u, f // group], later[n, u, f]
                    for i in range(low, high + 1):
                        j = i if ratio == 1.0 else int(np.ceil(i * ratio - 1e-9))
                        if leave[t + 1, 0] <= j <= leave[t + 1, 1]:
                            out[i - low] = own[j - leave[t + 1, 0]]
                        else:
                            out[i - low] = other[min((j + _COARSE - 1) // _COARSE, leave[t + 1, 2])]
                for f in range(cells_coarse):
                    own, out = now_c[n, u, f], later_c[n, u, f]
                    for i in range(land[t + 1, 2] + 1):
                        out[i] = own[i if ratio == 1.0 else min(int(np.ceil(i * ratio - 1e-9)), leave[t + 1, 2])]
        unit = units[t + 1, 1]
        cap, cap_coarse = _FAR, _FAR
        if len(cap_c):
            cap = int(np.ceil((cap_c[t] - free_c[t]) / unit))
            cap_coarse = int(np.ceil((cap_c[t] - free_c[t]) / (unit * _COARSE)))
        _step(
            later, ahead, edges, decay[1], push[1], leave[t, 0], leave[t, 1], low, shift[t], unit, free_c[t], low_c[t],
            high_c[t], warmth_czk_k[t], money, price_on[t], colder[t + 1, 0], cap,
        )  # fmt: skip
        _choose(ahead, now, leave[t, 1] - leave[t, 0] + 1, enter_on, enter_off, start_czk)
        _step(
            later_c, ahead_c, edges_coarse, decay[1], push[1], 0, leave[t, 2], 0, shift_coarse[t], unit * _COARSE,
            free_c[t], low_c[t], high_c[t], warmth_czk_k[t], money, price_on[t], colder[t + 1, 1], cap_coarse,
        )  # fmt: skip
        _choose(ahead_c, now_c, leave[t, 2] + 1, enter_on, enter_off, start_czk)
    return now[:, :, :, 0].copy()


@dataclass(frozen=True)
class _Units:
    """How the slow mode is counted; see `_floor`."""

    leave: Ints
    land: Ints
    shift: Ints
    shift_coarse: Ints
    units: Floats
    colder: Floats


def _count(device: RelayDevice, step_k: float, fast_low: float, fast_high: float) -> _Units:
    """Lay out units, windows and roundings of all boundaries."""
    slots = len(device.free_c)
    slow, push = float(device.decay[0]), float(device.push[0])
    length = max(4, int(np.log(_ANEW) / np.log(slow))) if 0.0 < slow < 1.0 else max(1, slots)
    leave, land = np.zeros((slots + 1, 3), dtype=np.int64), np.zeros((slots + 1, 3), dtype=np.int64)
    shift, shift_c = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int64)
    units, colder = np.full((slots + 1, 2), step_k), np.zeros((slots + 1, 2))
    colder[0, 1] = _COARSE * step_k
    top = 0
    for t in range(slots + 1):
        if t:
            unit = units[t - 1, 0] * slow
            shift[t - 1] = int(np.ceil(push / unit - 1e-9))
            shift_c[t - 1] = int(np.ceil(push / (_COARSE * unit) - 1e-9))
            fine = colder[t - 1, 0] * slow + shift[t - 1] * unit - push
            coarse = colder[t - 1, 1] * slow + shift_c[t - 1] * unit * _COARSE - push
            top += int(shift[t - 1])
            land[t, 2] = leave[t - 1, 2] + shift_c[t - 1]
            units[t] = unit
            if t % length == 0 and t < slots:
                units[t, 0] = step_k
                top = int(np.ceil(top * unit / step_k))
                fine, coarse = fine + step_k, coarse + _COARSE * step_k
                leave[t, 2] = int(np.ceil(land[t, 2] * unit / step_k))
            else:
                leave[t, 2] = land[t, 2]
            colder[t] = fine, max(coarse, fine + _COARSE * step_k)
        k = min(max(t - 1, 0), slots - 1)
        near = slice(max(0, k - _NEAR_SLOTS), k + _NEAR_SLOTS)
        low, high = (device.low_c[near].min(), device.high_c[near].max()) if slots else (0.0, 0.0)
        free = device.free_c[k] if slots else 0.0
        for table, unit in ((leave, units[t, 0]), (land, units[t, 1])):
            most = int(np.ceil(top * units[t, 0] / unit))
            first = min(max(int((low - free - fast_high - _MARGIN_K) // unit), 0), most)
            table[t, 0], table[t, 1] = first, min(max(int((high - free - fast_low + _MARGIN_K) // unit), first), most)
    return _Units(leave, land, shift, shift_c, units, colder)


def relay_floor(device: RelayDevice, price_on: Floats, *, start_czk: float, fineness: int, fast_cells: int) -> float:
    """Return a bound that comfort, starts and energy of no schedule can be below [CZK].

    Args:
        device: The device; heat raises its slow mode.
        price_on: Money for one slot on (T,).
        start_czk: Money per start.
        fineness: Grid steps that one slot of heat is worth; more is tighter.
        fast_cells: Cells of the fast mode, a multiple of 8; one is used where there is no fast mode.
    """
    slots = len(device.free_c)
    gain, lam = float(device.push[1]), float(device.decay[1])
    limit = gain / max(1e-9, 1.0 - lam) if not device.one_mode else 0.0
    cells, coarse_cells = (fast_cells, fast_cells // _CELLS_COARSE) if limit else (1, 1)
    edges = np.linspace(min(0.0, limit), max(0.0, limit), cells + 1)
    coarse_edges = edges[:: cells // coarse_cells]
    count = _count(device, max(float(device.push[0]), 1e-6) / fineness, float(edges[0]), float(edges[-1]))
    unit, (first, last, top) = float(count.units[-1, 0]), count.leave[-1].tolist()
    end_fine = _end_values(device, edges, unit * np.arange(first, last + 1))
    end_coarse = _end_values(device, coarse_edges, unit * _COARSE * np.arange(top + 1))
    if slots == 0:
        return float(end_fine.min())
    floors = _floor(
        device.free_c,
        device.low_c,
        device.high_c,
        price_on,
        device.warmth_czk_k,
        device.cap_c,
        device.decay,
        device.push,
        np.array([device.below, device.above]),
        start_czk,
        device.min_on,
        device.min_off,
        end_fine,
        end_coarse,
        edges,
        coarse_edges,
        count.leave,
        count.land,
        count.shift,
        count.shift_coarse,
        count.units,
        count.colder,
    )
    steps = max(device.min_on, device.min_off)
    least = device.min_on if device.on_now else device.min_off
    run = steps - 1 - (least - min(max(device.slots_in_state, 1), least))
    at_zero = np.flatnonzero((edges[:-1] <= 1e-12) & (edges[1:] >= -1e-12))
    return float(floors[run, int(device.on_now), at_zero].min())


def _end_values(device: RelayDevice, edges: Floats, slow_c: Floats) -> Floats:
    """Return the least end value of each cell and node (F, S): the warmest end is worth most."""
    weight = float(device.end_gain[1])
    fast = np.maximum(weight * edges[1:], weight * edges[:-1])
    warm = float(device.end_gain[0]) * slow_c
    gap = device.free_end_c + warm[None, :] + fast[:, None] - device.end_reference_c
    return np.asarray(-device.end_value * np.minimum(gap, 0.0) - device.end_bonus * np.clip(gap, 0.0, 1.0))
