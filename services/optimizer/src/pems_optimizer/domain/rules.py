"""The rule plan: thermostats with cheap-hour pre-heating and a self-consumption battery, simulated ahead.

It is the baseline that a plan is compared with, and what is published when there is no better plan. Whatever the
problem, it is a plan: nothing here can fail or be infeasible. What is not urgent keeps below the month's peak so far.
"""

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.battery_flow import follow_intents
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem, RoomSet
from pems_optimizer.domain.rule_devices import appliance_runs, car_power, water_heating
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, verify

__all__ = ["rule_plan"]

_HYSTERESIS_K = 0.3
_WIDE_HYSTERESIS_K = 1.0
_PREHEAT_K = 0.5
_LEAD_H = 4.0
_CHARGE_H_A_DAY = 2.0
_DAY_H = 24.0
_URGENT_K = 0.2
_STEADY_SHARE = 1.3


def _targets(problem: PlanningProblem) -> Floats:
    """Return what the thermostats aim at (T, R): more in cheap slots, and a rise is met ahead, unless that is dear."""
    rooms, slots = problem.rooms, problem.slots
    lead, target = max(1, round(_LEAD_H / problem.dt_h)), rooms.target_c.copy()
    for t in range(slots):
        ahead = slice(t, min(t + lead, slots))
        if problem.buy[t] <= problem.buy[ahead].mean() + 1e-6:
            target[t] = rooms.target_c[ahead].max(axis=0)
    target += _PREHEAT_K * problem.cheap[:, None]
    return np.asarray(np.minimum(target, rooms.band_high_c - 0.2))


class _Thermostats:
    """All thermostats with their minimum times and starts."""

    def __init__(self, rooms: RoomSet, target_c: Floats) -> None:
        self.rooms = rooms
        self.target_c = target_c
        self.on = rooms.relay_on.copy()
        self.held = np.maximum(rooms.slots_in_state, 1)
        self.starts = np.zeros(rooms.count, dtype=np.int64)

    def decide(self, t: int, air_c: Floats, allowed_w: float, peak_w: float) -> Bools:
        """Return the relays of a slot: all together below `allowed_w`, and below `peak_w` but for urgent ones."""
        rooms, target = self.rooms, self.target_c[t]
        # Whoever switches too often for the starts it has gets a wider band.
        spent = self.starts > rooms.starts_max * (t / max(1, len(self.target_c)) + 0.125)
        half = 0.5 * np.where(spent, _WIDE_HYSTERESIS_K, _HYSTERESIS_K)
        wanted = np.where(self.on, air_c < target + half, air_c < target - half)
        wanted &= self.on | (self.starts < rooms.starts_max)
        bound = self.held < np.where(self.on, rooms.min_on, rooms.min_off)
        wanted = np.where(bound, self.on, wanted)
        # Too much at once: those nearest to their target wait.
        urgent = air_c < rooms.low_c[t] + _URGENT_K
        for r in np.argsort(-(air_c - target)):
            total = float(wanted @ rooms.heater_w)
            if total <= min(allowed_w, peak_w):
                break
            if wanted[r] and not bound[r] and (total > allowed_w or not urgent[r]):
                wanted[r] = False
        wanted = np.where(rooms.forced > t, rooms.forced_on[t], wanted)
        self.starts += wanted & ~self.on
        self.held = np.where(wanted == self.on, self.held + 1, 1)
        self.on = wanted.astype(np.bool_)
        return self.on


def _rooms(problem: PlanningProblem, breaker_w: Floats, peak_w: Floats) -> Bools:
    """Let the thermostats run through the horizon (T, R), with so much room below the breaker and the peak (T,)."""
    rooms, slots = problem.rooms, problem.slots
    relay_on = np.zeros((slots, rooms.count), dtype=np.bool_)
    if rooms.count == 0:
        return relay_on
    state = np.concatenate([rooms.air_c, rooms.mass_c])
    thermostats = _Thermostats(rooms, _targets(problem))
    for t in range(slots):
        allowed = min(problem.grid.heating_max_w, float(breaker_w[t]))
        on = thermostats.decide(t, state[: rooms.count], allowed, float(peak_w[t]))
        relay_on[t] = on
        heat = on * rooms.heater_w
        inputs = np.concatenate([rooms.air_input_w[t] + heat * (1.0 - rooms.heat_to_mass), heat * rooms.heat_to_mass])
        state = rooms.joint_a @ state + rooms.joint_b @ inputs
    return relay_on


def _ceiling_w(problem: PlanningProblem) -> float:
    """Import that what is not urgent keeps below: the month's peak, but no less than the house draws all the time."""
    if problem.grid.peak_so_far_w <= 0.0:
        return problem.grid.import_max_w
    rooms = problem.rooms
    heat = float((rooms.outward_w_k * rooms.low_c - rooms.air_input_w).sum(axis=1).mean()) if rooms.count else 0.0
    steady = float(problem.load_w.mean()) + min(max(heat, 0.0), float(rooms.heater_w.sum()))
    return min(problem.grid.import_max_w, max(problem.grid.peak_so_far_w, _STEADY_SHARE * steady))


def _intents(
    problem: PlanningProblem, load_w: Floats, ev_w: Floats, ceiling_w: float
) -> tuple[tuple[Intent, ...], Floats]:
    """Consume what the roof gives; in the heating season charge in the cheapest hours where the spread pays for it."""
    battery = problem.battery
    if battery is None:
        return (), np.zeros(problem.slots)
    intents: list[Intent] = ["self_consume"] * problem.slots
    day, charging = round(_DAY_H / problem.dt_h), max(1, round(_CHARGE_H_A_DAY / problem.dt_h))
    round_trip = battery.charge_efficiency * battery.discharge_efficiency
    for first in range(0, problem.slots if problem.heating_season else 0, day):
        slots = np.arange(first, min(first + day, problem.slots))
        for t in slots[np.argsort(problem.buy[slots], kind="stable")][:charging].tolist():
            later = np.sort(problem.buy[t + 1 : t + 1 + day])[-charging:]
            pays = len(later) > 0 and problem.buy[t] / round_trip + battery.wear_czk_kwh < later.mean()
            if pays and load_w[t] - problem.pv_w[t] + battery.charge_max_w <= ceiling_w:
                intents[t] = "charge_from_grid"
    for t in range(problem.slots):
        if ev_w[t] > 0.0 and intents[t] == "self_consume" and load_w[t] > problem.pv_w[t]:
            intents[t] = "hold"
    forced = battery.forced_intent[: min(battery.forced, problem.slots)]
    intents[: len(forced)] = forced  # type: ignore[assignment]  # a spec keeps its intents as plain strings
    return tuple(intents), np.full(problem.slots, battery.charge_max_w)


def rule_plan(problem: PlanningProblem) -> Verified:
    """Simulate the rules over the horizon."""
    ceiling = _ceiling_w(problem)
    water_on = water_heating(problem)
    water_w = 0.0 if problem.water is None else problem.water.electric_w
    import_w = problem.load_w + water_on * water_w - problem.pv_w
    relay_on = _rooms(problem, problem.grid.import_max_w - import_w, ceiling - import_w)
    import_w = import_w + relay_on.astype(np.float64) @ problem.rooms.heater_w
    ev_w = car_power(problem, (ceiling - import_w, problem.grid.import_max_w - import_w))
    import_w = import_w + ev_w
    runs = appliance_runs(problem, (ceiling - import_w, problem.grid.import_max_w - import_w))
    decision = Decision(relay_on, water_on, ev_w, runs)
    load = controlled_load_w(problem, decision)
    intents, power = _intents(problem, load, ev_w, ceiling)
    return verify(problem, decision, follow_intents(problem, load, ev_w, intents, power))
