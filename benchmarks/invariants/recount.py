"""A plan's cost added up anew by rule O1 of docs/planning-problem.md. None of the code under test is called."""

import itertools

import numpy as np
from benchmarks.invariants.check_flow import load_of

from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem
from pems_optimizer.domain.scoring import Verified

__all__ = ["recount"]

_CLASS = {"export_pv": "hold"}


def _starts(on: Bools, now: bool) -> int:
    return int(np.sum(on & ~np.concatenate([[now], on[:-1]])))


def _rooms(problem: PlanningProblem, plan: Verified) -> dict[str, float]:
    rooms, w, on = problem.rooms, problem.weights, plan.decision.relay_on
    air = plan.path.air_c[1:]
    lack, much = np.maximum(rooms.low_c - air, 0.0), np.maximum(air - rooms.high_c, 0.0)
    share = rooms.capacity_wh_k / rooms.capacity_wh_k.sum(axis=1, keepdims=True)
    ends = share[:, 0] * plan.path.air_c[-1] + share[:, 1] * plan.path.mass_c[-1]
    gap = ends - rooms.end_reference_c
    end = rooms.end_value_czk_k * np.maximum(-gap, 0.0) - rooms.end_bonus_czk_k * np.minimum(np.maximum(gap, 0.0), 1.0)
    over = np.maximum(on @ rooms.heater_w - problem.grid.heating_max_w, 0.0)
    return {
        "comfort": float(problem.dt_h * ((w.below_czk_k_h * lack + w.above_czk_k_h * much) @ rooms.priority).sum()),
        "energy": float(end.sum()),
        "switching": w.start_czk * sum(_starts(on[:, r], bool(rooms.relay_on[r])) for r in range(rooms.count)),
        "peak": float(problem.kwh * w.overload_czk_kwh * over.sum()),
    }


def _tank_car_machines(problem: PlanningProblem, plan: Verified) -> dict[str, float]:
    w, water, ev, decision = problem.weights, problem.water, problem.ev, plan.decision
    comfort = energy = switching = 0.0
    if water is not None:
        comfort += water.below_czk_k_h * problem.dt_h * float(np.maximum(water.low_c - plan.water_c[1:], 0.0).sum())
        energy += water.end_value_czk_k * max(0.0, float(water.high_c[-1] - plan.water_c[-1]))
        switching += w.start_czk * _starts(decision.water_on, water.on_now)
    if ev is not None:
        got = problem.dt_h * float(decision.ev_w[: ev.deadline].sum())
        comfort += ev.short_czk_kwh * max(0.0, ev.need_wh - got) / 1000.0
    for spec, on in zip(problem.appliances, decision.appliances, strict=True):
        ran = int(on[: max(spec.deadline, spec.forced)].sum())
        comfort += spec.missing_czk * max(0, spec.run_slots - ran)
        switching += spec.start_czk * _starts(on, spec.on_now)
    return {"comfort": comfort, "energy": energy, "switching": switching}


def _house(problem: PlanningProblem, plan: Verified) -> dict[str, float]:
    w, grid, battery = problem.weights, problem.grid, problem.battery
    load = load_of(problem, plan)
    settled: Floats = load - plan.flow.battery_w - plan.flow.pv_used_w
    drawn, given = np.maximum(settled, 0.0), np.maximum(-settled, 0.0)
    lost = problem.pv_w - plan.flow.pv_used_w
    energy = problem.kwh * float(problem.buy @ drawn - problem.sell @ given + w.export_czk_kwh * (given + lost).sum())
    peak = w.peak_czk_kw / 1000.0 * max(0.0, float(drawn.max()) - grid.peak_so_far_w)
    peak += w.overload_czk_kwh * problem.kwh * float(np.maximum(drawn - grid.import_max_w, 0.0).sum())
    wear = switching = 0.0
    if battery is not None:
        wear = battery.wear_czk_kwh * problem.kwh * float(np.maximum(plan.flow.battery_w, 0.0).sum())
        lacking = np.maximum(battery.reserve_wh - plan.flow.soc_wh, 0.0).sum()
        energy += battery.reserve_czk_kwh_h * problem.kwh * float(lacking)
        energy -= battery.end_value_czk_wh * float(plan.flow.soc_wh[-1])
        if battery.control == "intents":
            classes = [_CLASS.get(intent, intent) for intent in (battery.intent_now, *plan.flow.intent) if intent]
            switching = w.intent_czk * sum(a != b for a, b in itertools.pairwise(classes))
    return {"energy": energy, "peak": peak, "wear": wear, "switching": switching}


def recount(problem: PlanningProblem, plan: Verified) -> dict[str, float]:
    """Return the parts of a plan's cost by name, as `PlanCost` has them [CZK]."""
    parts = dict.fromkeys(("energy", "wear", "peak", "comfort", "switching"), 0.0)
    for some in (_rooms(problem, plan), _tank_car_machines(problem, plan), _house(problem, plan)):
        for name, value in some.items():
            parts[name] += value
    return parts
