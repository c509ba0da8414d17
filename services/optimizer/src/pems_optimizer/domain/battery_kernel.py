"""The battery's dynamic program, compiled by numba: values of all states, and the walk through them.

Arrays: T slots, A actions, N stored energies, 5 ways (the last way is part of the state, for changes cost).
"""

import numba as nb
import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.battery_actions import FORBIDDEN, Rules, Slot, follow
from pems_optimizer.domain.problem import Floats

__all__ = ["WAYS", "values", "walk"]

WAYS = 5
_follow = nb.njit(cache=True, nogil=True)(follow)


@nb.njit(cache=True, nogil=True)
def _slot(slots: Floats, t: int) -> Slot:
    row = slots[t]
    return Slot(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])


@nb.njit(cache=True, nogil=True)
def _between(row: Floats, energy_wh: float, low_wh: float, step_wh: float) -> float:
    """Interpolate values (N,) at a stored energy."""
    at = min(max((energy_wh - low_wh) / step_wh, 0.0), len(row) - 1.0)
    k = min(int(at), len(row) - 2)
    return float(row[k] + (at - k) * (row[k + 1] - row[k]))


@nb.njit(cache=True, nogil=True)
def values(
    slots: Floats,
    ways: NDArray[np.int64],
    levels_w: Floats,
    must: NDArray[np.int64],
    energy_wh: Floats,
    end_czk_wh: float,
    change_czk: float,
    rules: Rules,
) -> Floats:
    """Return the value of every boundary, last way and stored energy (T+1, 5, N) [CZK].

    Args:
        slots: What each slot brings (T, 9), as in `Slot`.
        ways: Way of each action (A,).
        levels_w: Power of each (A,) [W].
        must: Way that a slot is bound to, -1 where it is free (T,).
        energy_wh: Stored energies, evenly spaced (N,).
        end_czk_wh: What stored energy is worth at the end.
        change_czk: What doing something else than in the slot before costs.
        rules: What holds in all slots.
    """
    count, points = len(slots), len(energy_wh)
    low, step = energy_wh[0], energy_wh[1] - energy_wh[0]
    result = np.empty((count + 1, WAYS, points))
    for way in range(WAYS):
        result[count, way] = -end_czk_wh * energy_wh
    best = np.empty(WAYS)
    for t in range(count - 1, -1, -1):
        slot = _slot(slots, t)
        for n in range(points):
            best[:] = np.inf
            for a in range(len(ways)):
                way = ways[a]
                _, cost, after = _follow(way, levels_w[a], slot, energy_wh[n], rules)
                if must[t] >= 0 and way != must[t]:
                    cost += FORBIDDEN
                best[way] = min(best[way], cost + _between(result[t + 1, way], after, low, step))
            changed = best.min() + change_czk
            for way in range(WAYS):
                result[t, way, n] = min(changed, best[way])
    return result


@nb.njit(cache=True, nogil=True)
def walk(
    value: Floats,
    slots: Floats,
    ways: NDArray[np.int64],
    levels_w: Floats,
    must: NDArray[np.int64],
    energy_wh: Floats,
    change_czk: float,
    rules: Rules,
    start_wh: float,
    last_way: int,
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return the best action (T,), its battery power (T,) [W] and the stored energy after each slot (T,) [Wh].

    Begins with the stored energy `start_wh` and the way that runs now (`last_way`, -1 where unknown), and looks up
    what comes later in `value`, which `values` gave for the same slots, actions and rules.
    """
    count = len(slots)
    low, step = energy_wh[0], energy_wh[1] - energy_wh[0]
    chosen, powers, stored = np.zeros(count, dtype=np.int64), np.zeros(count), np.empty(count)
    energy, last = start_wh, last_way
    for t in range(count):
        slot = _slot(slots, t)
        least, best, after_best = np.inf, 0, energy
        for a in range(len(ways)):
            way = ways[a]
            if must[t] >= 0 and way != must[t]:
                continue
            power, cost, after = _follow(way, levels_w[a], slot, energy, rules)
            worth = cost + _between(value[t + 1, way], after, low, step)
            if last >= 0 and way != last:
                worth += change_czk
            if worth < least:
                least, best, after_best, powers[t] = worth, a, after, power
        energy, last = after_best, ways[best]
        chosen[t], stored[t] = best, energy
    return chosen, powers, stored
