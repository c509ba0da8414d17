"""The battery's dynamic program, compiled by numba: values of all states, and the walk through them.

What an action does is one plain function, `follow`: the rules call it as Python, the loops compile it. It stands in
this file because numba looks only at a compiled function's own file to see whether its cache still holds.

Arrays: T slots, A actions, N stored energies, 5 ways (the last way is part of the state, for changes cost).
"""

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.problem import Floats

__all__ = [
    "CHARGE",
    "DISCHARGE",
    "FORBIDDEN",
    "HOLD",
    "OFF",
    "SELF",
    "Rules",
    "Slot",
    "follow",
    "values",
    "walk",
]

SELF, HOLD, CHARGE, DISCHARGE, OFF = range(5)
FORBIDDEN = 1e7
WAYS = 5


class Slot(NamedTuple):
    """What a slot brings.

    `export_cap_w` is the surplus that is exported (0 where exporting costs), `pv_off_w` the import up to which PV is
    curtailed whole because importing pays (-inf elsewhere).
    """

    load_w: float
    pv_w: float
    ev_w: float
    buy: float
    sell: float
    export_cap_w: float
    pv_off_w: float
    charge_max_w: float
    discharge_max_w: float


class Rules(NamedTuple):
    """What holds in all slots: limits [W], [Wh] and prices of battery and grid.

    Attributes:
        taper_per_h: Fall of the charging power per stored energy above `taper_from_wh` (0: no taper).
        peak_w: Import above this is charged `peak_czk_w` in each slot.
    """

    dt_h: float
    kwh: float
    min_wh: float
    max_wh: float
    charge_efficiency: float
    discharge_efficiency: float
    full_charge_w: float
    taper_from_wh: float
    taper_per_h: float
    wear_czk_kwh: float
    reserve_wh: float
    reserve_czk_kwh_h: float
    inverter_max_w: float
    import_max_w: float
    export_max_w: float
    export_czk_kwh: float
    overload_czk_kwh: float
    peak_w: float
    peak_czk_w: float


def follow(way: int, level_w: float, slot: Slot, energy_wh: float, rules: Rules) -> tuple[float, float, float]:
    """Follow an action through a slot.

    Returns:
        Battery power [W] (+ = discharge), stage cost [CZK] (`FORBIDDEN` on top where it cannot be done), and stored
        energy afterwards [Wh].
    """
    load, pv = slot.load_w, slot.pv_w
    takes = min(slot.charge_max_w, max(rules.max_wh - energy_wh, 0.0) / (rules.charge_efficiency * rules.dt_h))
    if rules.taper_per_h > 0.0:
        tapered = rules.full_charge_w - rules.taper_per_h * max(energy_wh - rules.taper_from_wh, 0.0)
        takes = max(min(takes, tapered), 0.0)
    gives = min(slot.discharge_max_w, max(energy_wh - rules.min_wh, 0.0) * rules.discharge_efficiency / rules.dt_h)
    gives = min(gives, max(rules.inverter_max_w - pv, 0.0))
    deficit = load - pv
    bad = False
    power = 0.0
    if way == SELF:
        power = min(max(deficit, -takes), gives)
    elif way == CHARGE:
        power, bad = -min(takes, level_w), takes < 0.5 * level_w
    elif way == DISCHARGE:
        power = min(gives, level_w)
        bad = gives < 0.9 * level_w or level_w < deficit + 100.0 or power > deficit + rules.export_max_w
    # The car is never charged from the house battery: it may not discharge while the car charges.
    bad = bad or (slot.ev_w > 1.0 and power > 1.0)
    need = load - power
    drawn = max(need, 0.0)
    curtailed = pv if way == OFF else max(max(pv - drawn, 0.0) - slot.export_cap_w, 0.0)
    if way not in (SELF, OFF):
        curtailed = max(curtailed, min(pv, slot.pv_off_w - drawn))
    grid = need - (pv - curtailed)
    imported, exported, given = max(grid, 0.0), max(-grid, 0.0), max(power, 0.0)
    cost = rules.kwh * (
        imported * slot.buy
        - exported * slot.sell
        + (exported + curtailed) * rules.export_czk_kwh
        + given * rules.wear_czk_kwh
        + max(imported - rules.import_max_w, 0.0) * rules.overload_czk_kwh
    )
    cost += rules.peak_czk_w * max(imported - rules.peak_w, 0.0)
    if bad:
        cost += FORBIDDEN
    after = energy_wh - (given / rules.discharge_efficiency + min(power, 0.0) * rules.charge_efficiency) * rules.dt_h
    cost += max(rules.reserve_wh - after, 0.0) * (rules.reserve_czk_kwh_h * rules.kwh)
    return power, cost, after


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
