"""What the rules do with hot water, car and appliances: what has to be, in the cheapest slots that fit.

`room_w` in these functions is what may be drawn more in each slot (T,) [W]: without raising the month's peak where
that will do, else up to the breaker.
"""

from collections.abc import Sequence

import numpy as np

from pems_optimizer.domain.problem import ApplianceSpec, Bools, EvSpec, Floats, PlanningProblem, WaterSpec

__all__ = ["appliance_runs", "car_power", "slot_worth", "water_heating"]

_WATER_STEP_K = 3.0
_WATER_TOP_K = 0.3
_WATER_CHEAP_K = 1.5
_NEED_MARGIN_K = 0.5
_RATE_MARGIN = 0.85  # of what heating does: minimum times may cost a slot


def slot_worth(problem: PlanningProblem) -> Floats:
    """Return what a kWh more costs in each slot (T,): the price of import, or of the export forgone."""
    spare = problem.pv_w > problem.load_w
    return np.where(spare, np.minimum(np.maximum(problem.sell, 0.0), problem.buy), problem.buy)


def _needed_c(water: WaterSpec, dt_h: float) -> Floats:
    """Return the temperature that the end of each slot must not be below (T,) if all later wishes are to be met."""
    need = water.low_c.copy()
    rate = (_RATE_MARGIN * water.heat_w - water.drain_w) * dt_h / water.capacity_wh_k
    for t in range(len(need) - 2, -1, -1):
        need[t] = min(max(need[t], need[t + 1] - rate[t + 1]), max(water.high_c[t], water.low_c[t]))
    return np.asarray(need)


def water_heating(problem: PlanningProblem) -> Bools:
    """Heat the tank in time for what is wanted of it, and full in cheap slots, with minimum times (T,)."""
    on = np.zeros(problem.slots, dtype=np.bool_)
    water = problem.water
    if water is None:
        return on
    dt, capacity = problem.dt_h, water.capacity_wh_k
    need, gain = _needed_c(water, dt), water.heat_w * dt / capacity
    x, heating, held = water.temperature_c, water.on_now, max(1, water.slots_in_state)
    for t in range(problem.slots):
        cooled, top = x - float(water.drain_w[t]) * dt / capacity, float(water.high_c[t])
        full = x >= top - _WATER_TOP_K
        wanted = cooled < need[t] + _NEED_MARGIN_K
        if problem.cheap[t]:
            wanted = wanted or (not full and (heating or x < top - _WATER_CHEAP_K))
        elif heating:
            wanted = wanted or (not full and x < need[t] + _WATER_STEP_K)
        if held < (water.min_on if heating else water.min_off):
            wanted = heating
        if t < water.forced:
            wanted = water.forced_on[t]
        held, heating = (held + 1, heating) if wanted == heating else (1, wanted)
        on[t] = heating
        x = max(cooled, min(cooled + gain, top)) if heating else cooled
    return on


def _fill(ev: EvSpec, power: Floats, order: Sequence[int], room_w: Floats, missing_wh: float, dt_h: float) -> float:
    """Charge in slots in order, as far as there is room; return what is still missing [Wh]."""
    for t in order:
        if missing_wh <= 0.0:
            break
        allowed = min(ev.power_max_w, float(room_w[t]))
        take = min(allowed, max(ev.power_min_w, power[t] + missing_wh / dt_h))
        if take >= ev.power_min_w and take > power[t]:
            missing_wh -= (take - power[t]) * dt_h
            power[t] = take
    return missing_wh


def car_power(problem: PlanningProblem, rooms_w: Sequence[Floats]) -> Floats:
    """Charge the car in the cheapest slots before its deadline (T,) [W].

    Args:
        problem: The problem.
        rooms_w: What may be drawn more (T,): first within the month's peak, then up to the breaker.
    """
    power, ev = np.zeros(problem.slots), problem.ev
    if ev is None:
        return power
    n = min(len(ev.forced_w), problem.slots)
    power[:n] = ev.forced_w[:n]
    missing = ev.need_wh - float(power[: ev.deadline].sum()) * problem.dt_h
    worth = slot_worth(problem)[: ev.deadline]
    order = [t for t in np.argsort(worth, kind="stable").tolist() if t >= n]
    for room_w in rooms_w:
        missing = _fill(ev, power, order, room_w, missing, problem.dt_h)
    return power


def _run(spec: ApplianceSpec, worth: Floats, rooms_w: Sequence[Floats]) -> Bools:
    """Return when one machine runs (T,)."""
    slots = len(worth)
    on = np.zeros(slots, dtype=np.bool_)
    forced = min(spec.forced, slots)
    on[:forced] = spec.forced_on[:forced]
    left = spec.run_slots - int(on.sum())
    first, end = max(spec.earliest, forced), min(spec.deadline, slots)
    if left <= 0 or end - first < (1 if spec.interruptible else left):
        return on
    # A slot without room for it costs as much as breaking a limit: less within the breaker than above it.
    cost = worth + sum(np.where(room_w < spec.power_w, 50.0, 0.0) for room_w in rooms_w)
    if spec.interruptible:
        on[first + np.argsort(cost[first:end], kind="stable")[:left]] = True
        return on
    begun = bool(on[forced - 1]) if forced else spec.on_now
    total = np.concatenate([[0.0], np.cumsum(cost)])
    starts = np.arange(first, end - left + 1)
    start = first if begun else int(starts[np.argmin(total[starts + left] - total[starts])])
    on[start : start + left] = True
    return on


def appliance_runs(problem: PlanningProblem, rooms_w: Sequence[Floats]) -> tuple[Bools, ...]:
    """Run each machine in its cheapest window, one after the other so that they leave each other room."""
    left = [room_w.copy() for room_w in rooms_w]
    worth, runs = slot_worth(problem), []
    for spec in problem.appliances:
        on = _run(spec, worth, left)
        for room_w in left:
            room_w -= on * spec.power_w
        runs.append(on)
    return tuple(runs)
