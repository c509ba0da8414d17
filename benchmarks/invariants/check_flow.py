"""What battery, roof and grid must not do: balance, stored energy, limits, intents, the car out of the battery.

Names in front of a finding are rules of docs/planning-problem.md. None of the code under test is called.
"""

from collections.abc import Iterator

import numpy as np

from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem
from pems_optimizer.domain.scoring import Verified

__all__ = ["flow_faults", "load_of"]

_SAME_W = 1e-6
_NEAR_W = 1e-2  # programs are solved to 1e-7 kW
_NEAR_WH = 1e-2
_STILL_W = 1.0


def load_of(problem: PlanningProblem, plan: Verified) -> Floats:
    """Return everything that the house draws (T,) [W]."""
    decision = plan.decision
    load = problem.load_w + decision.relay_on @ problem.rooms.heater_w + decision.ev_w
    if problem.water is not None:
        load = load + problem.water.electric_w * decision.water_on
    for spec, on in zip(problem.appliances, decision.appliances, strict=True):
        load = load + spec.power_w * on
    return np.asarray(load, dtype=np.float64)


def _roof_and_grid(problem: PlanningProblem, plan: Verified, load: Floats) -> Iterator[str]:
    flow, grid = plan.flow, problem.grid
    off = np.abs(flow.pv_used_w + flow.grid_w + flow.battery_w - load)
    if off.max() > _NEAR_W:
        yield f"G1: slot {int(off.argmax())} does not balance by {off.max():.2e} W"
    held_back = problem.pv_w - flow.pv_used_w
    if held_back.min() < -_SAME_W or flow.pv_used_w.min() < -_NEAR_W:
        yield "G5: more PV is used or held back than there is"
    off_by_intent = np.array([i == "off" for i in flow.intent]) if flow.intent else np.zeros(problem.slots, np.bool_)
    if not grid.pv_curtailable and np.any((held_back > _NEAR_W) & ~off_by_intent):
        yield "G5: PV is held back that cannot be"
    battery = problem.battery
    given_slots = battery.forced if battery is not None and battery.control == "intents" else 0
    most = -flow.grid_w[given_slots:].min(initial=0.0)  # a forced intent exports what it does
    if grid.pv_curtailable and most > grid.export_max_w + _NEAR_W:
        yield f"G3: {most:.0f} W are exported, {grid.export_max_w:.0f} W are allowed"
    given = np.maximum(flow.battery_w, 0.0)
    above = given - np.maximum(grid.inverter_max_w - flow.pv_used_w, 0.0)
    if above[given > _STILL_W].max(initial=0.0) > _NEAR_W:
        yield f"G6: {above.max():.1f} W more than the inverter can"


def _battery(problem: PlanningProblem, battery: BatterySpec, plan: Verified) -> Iterator[str]:
    """B1 to B5: a power has one direction, so energy that follows it says that nothing went both ways at once."""
    power, stored, dt = plan.flow.battery_w, plan.flow.soc_wh, problem.dt_h
    before = battery.energy_wh
    most_in, most_out = battery.charge_limit_w(problem.slots), battery.discharge_limit_w(problem.slots)
    for t in range(problem.slots):
        into, out = max(-power[t], 0.0), max(power[t], 0.0)
        after = before + (into * battery.charge_efficiency - out / battery.discharge_efficiency) * dt
        if abs(after - stored[t]) > _NEAR_WH:
            yield f"B1, B4: stored energy is {after - stored[t]:.2e} Wh off in slot {t}"
        if into > most_in[t] + _NEAR_W or out > most_out[t] + _NEAR_W:
            yield f"B2: {power[t]:.1f} W in slot {t} are more than it can"
        if into > _STILL_W and after > battery.max_wh + _NEAR_WH:
            yield f"B3: charged beyond {battery.max_wh:.0f} Wh in slot {t}, to {after:.0f} Wh"
        if out > _STILL_W and after < battery.min_wh - _NEAR_WH:
            yield f"B3: discharged below {battery.min_wh:.0f} Wh in slot {t}, to {after:.0f} Wh"
        if battery.taper_from_wh < battery.max_wh:
            fall = (battery.charge_max_w - battery.taper_full_w) / (battery.max_wh - battery.taper_from_wh)
            tapered = battery.charge_max_w - fall * max(0.0, before - battery.taper_from_wh)
            if into > max(0.0, tapered) + _NEAR_W:
                yield f"B5: {into:.1f} W in slot {t} are more than near full"
        before = float(stored[t])


def _intents(problem: PlanningProblem, battery: BatterySpec, plan: Verified, load: Floats) -> Iterator[str]:
    power, grid_w = plan.flow.battery_w, plan.flow.grid_w
    if plan.flow.intent[: battery.forced] != battery.forced_intent[: problem.slots]:
        wanted = zip(plan.flow.intent, battery.forced_intent, strict=False)
        if any({a, b} != {"hold", "export_pv"} and a != b for a, b in wanted):
            yield "I8: a forced intent is otherwise"
    least_in, least_out = (min(battery.dispatch_min_w, w) for w in (battery.charge_max_w, battery.discharge_max_w))
    for t, intent in enumerate(plan.flow.intent):
        free, p = t >= battery.forced, float(power[t])
        if intent in {"hold", "export_pv", "off"} and abs(p) > _SAME_W:
            yield f"I3: {p:.1f} W in slot {t} though it {intent}s"
        if intent == "charge_from_grid" and (p > _SAME_W or (free and -p < 0.5 * least_in - _NEAR_W)):
            yield f"I4: {p:.1f} W in slot {t} is no charging"
        if intent == "discharge_to_grid" and (p < -_SAME_W or (free and p < 0.9 * least_out - _NEAR_W)):
            yield f"I5: {p:.1f} W in slot {t} is no discharging"
        surplus = problem.pv_w[t] - load[t]
        if intent == "self_consume" and not min(-surplus, 0.0) - _NEAR_W <= p <= max(-surplus, 0.0) + _NEAR_W:
            yield f"I2: {p:.1f} W in slot {t} does not follow the house"
        if free and plan.decision.ev_w[t] > _STILL_W and p > _STILL_W:
            yield f"I9: the battery gives {p:.0f} W in slot {t} while the car charges"
        if intent == "off" and abs(grid_w[t] - load[t]) > _NEAR_W:
            yield f"I6: PV is used in slot {t} though the inverter is off"


def flow_faults(problem: PlanningProblem, plan: Verified) -> list[str]:
    """Return everything about a plan's flows that breaks a rule."""
    load, battery = load_of(problem, plan), problem.battery
    found = [*_roof_and_grid(problem, plan, load)]
    if battery is None:
        return found + (["B: a battery works where there is none"] if plan.flow.battery_w.any() else [])
    found += _battery(problem, battery, plan)
    if battery.control == "intents":
        return [*found, *_intents(problem, battery, plan, load)]
    drawn = np.maximum(plan.flow.grid_w, 0.0) + plan.flow.pv_used_w
    if np.any((plan.decision.ev_w > _STILL_W) & (plan.decision.ev_w > drawn + _STILL_W)):
        found.append("V4: the car is charged out of the battery")
    return found
