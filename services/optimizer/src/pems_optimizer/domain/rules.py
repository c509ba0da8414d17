"""The rule plan: thermostats with cheap-hour pre-heating and a self-consumption battery, simulated ahead.

It is the baseline that a plan is compared with, and what is published when there is no better plan.
"""

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.battery_dp import follow_intents
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem, RoomSet
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, verify

__all__ = ["rule_plan"]

_HYSTERESIS_K = 0.3
_PREHEAT_K = 0.5
_LEAD_SLOTS = 16
_CHARGE_SLOTS_A_DAY = 8


def _targets(problem: PlanningProblem) -> Floats:
    """Return what the thermostats aim at (T, R): more in cheap slots, and a rise is met ahead, unless that is dear."""
    rooms, slots = problem.rooms, problem.slots
    target = rooms.target_c.copy()
    for t in range(slots):
        ahead = slice(t, min(t + _LEAD_SLOTS, slots))
        if problem.buy[t] <= problem.buy[ahead].mean() + 1e-6:
            target[t] = rooms.target_c[ahead].max(axis=0)
    target += _PREHEAT_K * problem.cheap[:, None]
    return np.minimum(target, rooms.band_high_c - 0.2)


class _Thermostats:
    """All thermostats with their minimum times."""

    def __init__(self, rooms: RoomSet, target_c: Floats) -> None:
        self.rooms = rooms
        self.target_c = target_c
        self.on = rooms.relay_on.copy()
        self.held = rooms.slots_in_state.copy()

    def decide(self, t: int, air_c: Floats, allowed_w: float) -> Bools:
        rooms, target = self.rooms, self.target_c[t]
        wanted = np.where(self.on, air_c < target + 0.5 * _HYSTERESIS_K, air_c < target - 0.5 * _HYSTERESIS_K)
        least = np.where(self.on, rooms.min_on, rooms.min_off)
        wanted = np.where(self.held < least, self.on, wanted)
        # Too much at once: those nearest to their target wait, unless they are inside their least time.
        for r in np.argsort(-(air_c - target)):
            if float(wanted @ rooms.heater_w) <= allowed_w:
                break
            if wanted[r] and not (self.on[r] and self.held[r] < rooms.min_on):
                wanted[r] = False
        forced = rooms.forced > t
        wanted = np.where(forced, rooms.forced_on[t], wanted)
        same = wanted == self.on
        self.held = np.where(same, self.held + 1, 1)
        self.on = wanted.astype(np.bool_)
        return self.on


def _rooms(problem: PlanningProblem, other_w: Floats) -> Bools:
    rooms, slots = problem.rooms, problem.slots
    relay_on = np.zeros((slots, rooms.count), dtype=np.bool_)
    if rooms.count == 0:
        return relay_on
    state = np.concatenate([rooms.air_c, rooms.mass_c])
    thermostats = _Thermostats(rooms, _targets(problem))
    for t in range(slots):
        allowed = min(problem.grid.heating_max_w, problem.grid.import_max_w - float(other_w[t]))
        on = thermostats.decide(t, state[: rooms.count], allowed)
        relay_on[t] = on
        heat = on * rooms.heater_w
        inputs = np.concatenate([rooms.air_input_w[t] + heat * (1.0 - rooms.heat_to_mass), heat * rooms.heat_to_mass])
        state = rooms.joint_a @ state + rooms.joint_b @ inputs
    return relay_on


def _water(problem: PlanningProblem) -> Bools:
    on = np.zeros(problem.slots, dtype=np.bool_)
    water = problem.water
    if water is None:
        return on
    temperature, heating, dt = water.temperature_c, water.on_now, problem.dt_h
    for t in range(problem.slots):
        if t < water.forced:
            heating = water.forced_on[t]
        elif heating:
            heating = temperature < water.high_c[t] - 1.0
        else:
            heating = temperature < water.low_c[t] + 3.0
        on[t] = heating
        gain = water.heat_w if heating else 0.0
        temperature += (gain - float(water.drain_w[t])) * dt / water.capacity_wh_k
    return on


def _car(problem: PlanningProblem, other_w: Floats) -> Floats:
    """Charge in the cheapest slots before the deadline, as far as the breaker lets."""
    power = np.zeros(problem.slots)
    ev = problem.ev
    if ev is None:
        return power
    power[: len(ev.forced_w)] = ev.forced_w
    missing = ev.need_wh - float(power.sum()) * problem.dt_h
    order = np.argsort(problem.buy[: ev.deadline], kind="stable")
    for t in order.tolist():
        if missing <= 0.0:
            break
        if t < len(ev.forced_w):
            continue
        allowed = min(ev.power_max_w, problem.grid.import_max_w - float(other_w[t]))
        take = min(allowed, max(ev.power_min_w, missing / problem.dt_h))
        if take >= ev.power_min_w:
            power[t] = take
            missing -= take * problem.dt_h
    return power


def _intents(problem: PlanningProblem, load_w: Floats, ev_w: Floats) -> tuple[tuple[Intent, ...], Floats]:
    battery = problem.battery
    if battery is None:
        return (), np.zeros(problem.slots)
    intents: list[Intent] = ["self_consume"] * problem.slots
    if problem.heating_season:
        for first in range(0, problem.slots, 96):
            day = np.arange(first, min(first + 96, problem.slots))
            for t in day[np.argsort(problem.buy[day], kind="stable")][:_CHARGE_SLOTS_A_DAY].tolist():
                if load_w[t] + battery.charge_max_w <= problem.grid.import_max_w:
                    intents[t] = "charge_from_grid"
    for t in range(problem.slots):
        if ev_w[t] > 0.0 and intents[t] == "self_consume" and load_w[t] > problem.pv_w[t]:
            intents[t] = "hold"
        if t < battery.forced:
            intents[t] = battery.forced_intent[t]  # type: ignore[call-overload]
    return tuple(intents), np.full(problem.slots, battery.charge_max_w)


def rule_plan(problem: PlanningProblem) -> Verified:
    """Simulate the rules over the horizon."""
    water_on = _water(problem)
    water_w = 0.0 if problem.water is None else problem.water.electric_w
    other = problem.load_w + water_on * water_w
    relay_on = _rooms(problem, other)
    heat = relay_on.astype(np.float64) @ problem.rooms.heater_w
    ev_w = _car(problem, other + heat)
    decision = Decision(relay_on, water_on, ev_w)
    load = controlled_load_w(problem, decision)
    intents, power = _intents(problem, load, ev_w)
    return verify(problem, decision, follow_intents(problem, load, ev_w, intents, power))
