"""What rooms, tank, car and machines must not do, looked at slot by slot with nothing but the problem's numbers.

Names in front of a finding are rules of docs/planning-problem.md. None of the code under test is called.
"""

from collections.abc import Iterator

import numpy as np

from pems_optimizer.domain.problem import ApplianceSpec, Bools, EvSpec, Floats, PlanningProblem, WaterSpec
from pems_optimizer.domain.scoring import Verified

__all__ = ["device_faults"]

_SAME = 1e-6


def _switching(
    name: str, on: Bools, forced: Bools, now: bool, held: int, least_on: int, least_off: int, starts_max: int | None
) -> Iterator[str]:
    """Look at minimum times (R4 to R6), starts (R7) and what is given (R3) of one relay."""
    if not np.array_equal(on[: len(forced)], forced):
        yield f"R3 {name}: a forced slot is otherwise"
    state, held, starts, given = now, max(held, 1), 0, 0
    for t, wanted in enumerate(on.tolist()):
        if wanted == state:
            held += 1
            continue
        least = least_on if state else least_off
        if t >= len(forced) and held < least:
            yield f"R4 {name}: switched in slot {t} after {held} of {least} slots"
        state, held = wanted, 1
        starts += int(wanted)
        given += int(wanted and t < len(forced))
    if starts_max is not None and starts > max(starts_max, given):
        yield f"R7 {name}: {starts} starts, {starts_max} allowed"


def _rooms(problem: PlanningProblem, plan: Verified) -> Iterator[str]:
    rooms, on = problem.rooms, plan.decision.relay_on
    count = rooms.count
    for r in range(count):
        forced = rooms.forced_on[: rooms.forced[r], r]
        yield from _switching(
            rooms.names[r],
            on[:, r],
            forced,
            bool(rooms.relay_on[r]),
            int(rooms.slots_in_state[r]),
            rooms.min_on,
            rooms.min_off,
            int(rooms.starts_max[r]),
        )
    air, mass = rooms.air_c.copy(), rooms.mass_c.copy()
    for t in range(problem.slots):
        heat = rooms.heater_w * on[t]
        pushed = np.concatenate([rooms.air_input_w[t] + (1.0 - rooms.heat_to_mass) * heat, rooms.heat_to_mass * heat])
        both = rooms.joint_a @ np.concatenate([air, mass]) + rooms.joint_b @ pushed
        air, mass = both[:count], both[count:]
        off = max(
            np.abs(plan.path.air_c[t + 1] - air).max(initial=0.0),
            np.abs(plan.path.mass_c[t + 1] - mass).max(initial=0.0),
        )
        if off > _SAME:
            yield f"R1: temperatures are {off:.2e} K off in slot {t}"
            return


def _tank(problem: PlanningProblem, water: WaterSpec, plan: Verified) -> Iterator[str]:
    on = plan.decision.water_on
    forced = np.array(water.forced_on[: water.forced], dtype=np.bool_)
    yield from _switching("water", on, forced, water.on_now, water.slots_in_state, water.min_on, water.min_off, None)
    x = water.temperature_c
    for t in range(problem.slots):
        x -= water.drain_w[t] * problem.dt_h / water.capacity_wh_k
        if on[t]:
            x += min(water.heat_w * problem.dt_h / water.capacity_wh_k, max(0.0, water.high_c[t] - x))
        if abs(x - plan.water_c[t + 1]) > _SAME:
            yield f"W1: the tank is {x - plan.water_c[t + 1]:.2e} K off in slot {t}"
            return


def _car(ev: EvSpec, power: Floats) -> Iterator[str]:
    first = len(ev.forced_w)
    if not np.allclose(power[:first], ev.forced_w[: len(power)], atol=_SAME):
        yield "V2: a given power of the car is otherwise"
    free = power[first:]
    if np.any((free > _SAME) & (free < ev.power_min_w - _SAME)) or free.max(initial=0.0) > ev.power_max_w + _SAME:
        yield f"V1: the car draws what it cannot: {free[free > 0.0].min():.1f} to {free.max():.1f} W"
    if np.any(power[max(first, ev.deadline) :] > _SAME):
        yield "V2: the car charges after its deadline"


def _machine(spec: ApplianceSpec, on: Bools) -> Iterator[str]:
    first = min(spec.forced, len(on))
    if not np.array_equal(on[:first], spec.forced_on[:first]):
        yield f"A2 {spec.name}: a forced slot is otherwise"
    free = np.flatnonzero(on[first:]) + first
    if len(free) == 0:
        return
    left = max(0, spec.run_slots - int(on[:first].sum()))
    if free[0] < spec.earliest or free[-1] >= spec.deadline:
        yield f"A1 {spec.name}: it runs outside its window"
    if len(free) > left:
        yield f"A3 {spec.name}: it runs {len(free)} slots, {left} are missing"
    if spec.interruptible:
        return
    begun = bool(on[first - 1]) if first else spec.on_now
    if free[-1] - free[0] + 1 != len(free) or len(free) != left:
        yield f"A4 {spec.name}: its run is not whole"
    if left < spec.run_slots and (not begun or free[0] != first):
        yield f"A4 {spec.name}: the rest of its run does not come at once"


def device_faults(problem: PlanningProblem, plan: Verified) -> list[str]:
    """Return everything about a plan's devices that breaks a rule."""
    decision, slots = plan.decision, problem.slots
    if decision.relay_on.shape != (slots, problem.rooms.count) or decision.ev_w.shape != (slots,):
        return ["T1: the plan does not have the slots of its problem"]
    found = [*_rooms(problem, plan)]
    if problem.water is not None:
        found += _tank(problem, problem.water, plan)
    elif decision.water_on.any():
        found.append("W: water is heated where there is no tank")
    if problem.ev is not None:
        found += _car(problem.ev, decision.ev_w)
    elif decision.ev_w.any():
        found.append("V: a car is charged where there is none")
    if len(decision.appliances) != len(problem.appliances):
        return [*found, "A: machines are missing"]
    for spec, on in zip(problem.appliances, decision.appliances, strict=True):
        found += _machine(spec, on)
    return found
