"""The plan message: rounding, violations, diff and reasons of a verified plan."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from pems_common.messages import (
    BatteryPlan,
    Plan,
    PlanCost,
    PlanInputs,
    RoomPlan,
    ScenarioCost,
    Solver,
    Violation,
)
from pems_optimizer.domain.problem import Floats, Note, PlanningProblem
from pems_optimizer.domain.reasons import explain
from pems_optimizer.domain.run_names import merged_schedules
from pems_optimizer.domain.scoring import Verified

__all__ = ["PlanHead", "plan_body", "violations_of"]

VALID = timedelta(hours=2)
CONTROL = timedelta(hours=24)
_COMFORT_TOLERANCE_K = 0.1


@dataclass(frozen=True)
class PlanHead:
    """What identifies a plan and says how it came about."""

    plan_id: str
    plan_no: int
    config_hash: str
    issued_at: datetime
    status: Literal["optimal", "incumbent", "fallback"]
    solver_name: str
    solve_s: float
    build_s: float
    inputs: PlanInputs
    replaces: str = ""
    diff: tuple[str, ...] = ()
    scenario_costs: tuple[ScenarioCost, ...] = ()
    baseline_total_czk: float | None = None
    notes: tuple[Note, ...] = ()
    price_czk_kwh: Floats | None = None
    relaxed_czk: float | None = None


def violations_of(problem: PlanningProblem, plan: Verified) -> tuple[Violation, ...]:
    """Return the worst slot of each soft rule that is not kept: comfort [K], SoC [Wh], breaker [W], EV [Wh].

    For an appliance it is the slots it lacks. Comfort is measured against the home's own band, not the planner's
    tighter one, and not before the first slot that the plan decides.
    """
    out, rooms = [], problem.rooms
    air = plan.path.air_c[1:]
    for r, name in enumerate(rooms.names):
        for rule, excess in (
            (f"comfort_below:{name}", rooms.band_low_c[:, r] - air[:, r]),
            (f"comfort_above:{name}", air[:, r] - rooms.band_high_c[:, r]),
        ):
            worst = int(np.argmax(excess))
            if excess[worst] > _COMFORT_TOLERANCE_K:
                out.append(Violation(rule=rule, slot=worst, amount=round(float(excess[worst]), 3)))
    grid = problem.grid
    over = plan.flow.grid_w - (grid.import_max_w if grid.breaker_w is None else grid.breaker_w)
    if over.max(initial=0.0) > 1.0:
        out.append(Violation(rule="import_limit", slot=int(np.argmax(over)), amount=round(float(over.max()), 1)))
    heat = plan.decision.relay_on @ rooms.heater_w - grid.heating_max_w
    if heat.max(initial=0.0) > 1.0:
        out.append(Violation(rule="heating_limit", slot=int(np.argmax(heat)), amount=round(float(heat.max()), 1)))
    battery = problem.battery
    if battery is not None:
        for rule, gap in (
            ("soc_below_min", battery.min_wh - battery.energy_wh),
            ("soc_above_max", battery.energy_wh - battery.max_wh),
        ):
            if gap > 1.0:
                out.append(Violation(rule=rule, slot=0, amount=round(gap, 1)))
    if problem.ev is not None:
        missing = problem.ev.need_wh - float(plan.decision.ev_w[: problem.ev.deadline].sum()) * problem.dt_h
        if missing > 100.0:
            out.append(Violation(rule="ev_energy", slot=max(0, problem.ev.deadline - 1), amount=round(missing, 1)))
    if problem.water is not None:
        cold = problem.water.low_c - 1.0 - plan.water_c[1:]
        if cold.max(initial=0.0) > 0.5:
            out.append(Violation(rule="water_below", slot=int(np.argmax(cold)), amount=round(float(cold.max()), 2)))
    for spec, on in zip(problem.appliances, plan.decision.appliances, strict=False):
        missing = spec.run_slots - int(on.sum())
        if missing > 0:
            last = min(max(0, spec.deadline - 1), problem.slots - 1)
            out.append(Violation(rule=f"appliance_run:{spec.name}", slot=last, amount=float(missing)))
    return tuple(out)


def _rooms(problem: PlanningProblem, plan: Verified) -> dict[str, RoomPlan]:
    rooms = problem.rooms
    air = np.round(plan.path.air_c[1:], 2)
    low, high = np.round(rooms.band_low_c, 2), np.round(rooms.band_high_c, 2)
    return {
        name: RoomPlan(
            relay_on=tuple(plan.decision.relay_on[:, r].tolist()),
            temperature_c=tuple(air[:, r].tolist()),
            comfort_low_c=tuple(low[:, r].tolist()),
            comfort_high_c=tuple(high[:, r].tolist()),
        )
        for r, name in enumerate(rooms.names)
    }


def _import_keep_w(problem: PlanningProblem, plan: Verified) -> float | None:
    """Import above which it costs more [W]; None where peaks cost nothing.

    What the month has reached above what may be planned was an accident: kept to, each one would allow for the next.
    """
    if problem.weights.peak_czk_kw <= 0.0:
        return None
    return round(max(plan.peak_w, min(problem.grid.peak_so_far_w, problem.grid.import_max_w)), 1)


def _self_consumption(problem: PlanningProblem, plan: Verified) -> float | None:
    """PV used in the house (battery included) as a share of PV that could be made; None without PV."""
    possible = float(problem.pv_w.sum())
    if possible < 1.0:
        return None
    exported = np.minimum(np.maximum(-plan.flow.grid_w, 0.0), plan.flow.pv_used_w)
    return round(float((plan.flow.pv_used_w - exported).sum()) / possible, 4)


def _gap(objective: float, relaxed: float | None) -> dict[str, Any]:
    """How far from the relaxed master the plan is: an estimate until its certificate comes."""
    if relaxed is None:
        return {}
    gap = max(0.0, objective - relaxed)
    rel = round(gap / abs(objective), 6) if abs(objective) > 1.0 else None
    return {"gap_czk": round(gap, 4), "gap_rel": rel, "bound_kind": "estimate"}


def plan_body(problem: PlanningProblem, plan: Verified, head: PlanHead) -> Plan:
    """Write a verified plan as its message.

    `cost.energy` is the money for energy, the self-consumption term, and what battery, slabs and tank are worth
    less at the end than wanted (negative where more); `net_cost_czk` is the money alone.
    """
    flow, slots = plan.flow, problem.slots
    battery = None
    if problem.battery is not None:
        soc = np.round(100.0 * flow.soc_wh / problem.battery.capacity_wh, 2)
        battery = BatteryPlan(
            intent=flow.intent,
            power_w=tuple(np.round(flow.battery_w, 1).tolist()),
            soc_pct=tuple(np.clip(soc, 0.0, 100.0).tolist()),
        )
    limits = [round(float(used), 1) if held else None for used, held in zip(flow.pv_used_w, flow.limited, strict=True)]
    return Plan(
        plan_id=head.plan_id,
        plan_no=head.plan_no,
        config_hash=head.config_hash,
        issued_at=head.issued_at,
        valid_until=head.issued_at + VALID,
        control_until=head.issued_at + CONTROL,
        start=problem.start,
        step_s=int(problem.step.total_seconds()),
        slots=slots,
        rooms=_rooms(problem, plan),
        battery=battery,
        pv_limit_w=tuple(limits),
        grid_power_w=tuple(np.round(flow.grid_w, 1).tolist()),
        ev_power_w=tuple(np.round(plan.decision.ev_w, 1).tolist()) if problem.ev or problem.charger_known else (),
        water_on=tuple(plan.decision.water_on.tolist()) if problem.water is not None else (),
        appliances={
            name: tuple(on.tolist())
            for name, on in merged_schedules(problem.appliances, plan.decision.appliances).items()
        },
        cost=PlanCost(**{name: round(value, 4) for name, value in plan.cost.model_dump().items()}),
        scenario_costs=head.scenario_costs,
        net_cost_czk=round(plan.net_cost, 4),
        peak_import_w=round(plan.peak_w, 1),
        import_keep_w=_import_keep_w(problem, plan),
        price_czk_kwh=() if head.price_czk_kwh is None else tuple(np.round(head.price_czk_kwh, 4).tolist()),
        self_consumption_rate=_self_consumption(problem, plan),
        baseline_total_czk=None if head.baseline_total_czk is None else round(head.baseline_total_czk, 4),
        solver=Solver(
            name=head.solver_name,
            status=head.status,
            objective=round(plan.cost.total, 4),
            **_gap(plan.cost.total, head.relaxed_czk),
            solve_s=round(head.solve_s, 4),
            build_s=round(head.build_s, 4),
        ),
        profile=problem.weights.profile,
        weights=problem.weights.given,
        inputs=head.inputs,
        replaces=head.replaces,
        diff=head.diff,
        reasons=explain(problem, plan, head.notes),
        violations=violations_of(problem, plan),
        fallback_mode=head.status == "fallback",
    )
