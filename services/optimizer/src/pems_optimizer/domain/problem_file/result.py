"""The answer to a problem file: what to do in each slot, what follows from it, what it costs, and how good it is.

Money is in the file's currency, powers are means over a slot at the AC side [W] (grid + = import, battery + =
discharge), temperatures and stored energy are those at the end of each slot.
"""

from datetime import datetime
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pems_common.messages import Intent, Reason, Violation
from pems_optimizer.domain.body import violations_of
from pems_optimizer.domain.problem import Floats, Note, PlanningProblem
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.fields import Part
from pems_optimizer.domain.reasons import explain
from pems_optimizer.domain.scoring import Verified

__all__ = ["BatteryAnswer", "CostAnswer", "ProblemAnswer", "RoomAnswer", "SolverAnswer", "answer_of", "answer_schema"]


class RoomAnswer(Part):
    """A room: relay in each slot, air and mass at its end [C], the band it was planned for [C]."""

    relay_on: tuple[bool, ...]
    air_c: tuple[float, ...]
    mass_c: tuple[float, ...]
    low_c: tuple[float, ...]
    high_c: tuple[float, ...]


class BatteryAnswer(Part):
    """The battery: intent, power [W] (+ = discharge), stored energy at the end of each slot [Wh], SoC [%]."""

    intent: tuple[Intent, ...]
    power_w: tuple[float, ...]
    energy_wh: tuple[float, ...]
    soc_pct: tuple[float, ...]


class WaterAnswer(Part):
    """The tank: heater on in each slot, temperature at its end [C]."""

    on: tuple[bool, ...]
    temperature_c: tuple[float, ...]


class CostAnswer(Part):
    """Parts of the objective, in the file's currency; `total` is their sum.

    Attributes:
        energy: Money for energy, weights.export_per_kwh, and what battery, rooms and tank are worth less at the end
            than their references (negative where more).
        wear: Of the battery.
        peak: Of the highest import, and of import above its limit.
        comfort: Temperatures outside their bands, energy the car did not get, runs an appliance did not get.
        switching: Relay starts and changes of intent.
    """

    energy: float
    wear: float
    peak: float
    comfort: float
    switching: float
    total: float


class SolverAnswer(Part):
    """How the plan was found.

    Attributes:
        status: optimal: its gap is proven to be nil; incumbent: the best found; fallback: the rules' plan, because
            nothing better was found (`why`).
        bound: No plan can cost less, where `bound_kind` is proven; about so, where it is estimate.
        gap: Objective less bound.
        gap_rel: Gap as a share of the objective's magnitude.
    """

    name: str
    status: Literal["optimal", "incumbent", "fallback"]
    why: str = ""
    complete: bool
    objective: float
    bound: float | None = None
    gap: float | None = None
    gap_rel: float | None = None
    bound_kind: Literal["proven", "estimate"] | None = None
    solve_s: float


class ProblemAnswer(Part):
    """The plan for a problem file.

    Attributes:
        net_cost: What is paid for energy less what is earned.
        rules_total: Objective of the rules' plan on the same problem.
        price_per_kwh: What one more kWh would cost in each slot, all of the house considered (shadow price of energy);
            empty where no solver found one.
    """

    format: Literal["pems-plan/1"] = "pems-plan/1"
    name: str = ""
    currency: str
    start: datetime
    step_minutes: int
    slots: int
    rooms: dict[str, RoomAnswer] = Field(default_factory=dict)
    battery: BatteryAnswer | None = None
    water: WaterAnswer | None = None
    ev_power_w: tuple[float, ...] = ()
    appliances: dict[str, tuple[bool, ...]] = Field(default_factory=dict)
    pv_used_w: tuple[float, ...]
    grid_power_w: tuple[float, ...]
    cost: CostAnswer
    net_cost: float
    rules_total: float
    price_per_kwh: tuple[float, ...] = ()
    peak_import_w: float
    self_consumption_rate: float | None = None
    solver: SolverAnswer
    violations: tuple[Violation, ...] = ()
    reasons: dict[str, tuple[Reason, ...]] = Field(default_factory=dict)


def answer_schema() -> dict[str, Any]:
    """Return the JSON Schema of the answer (draft 2020-12)."""
    schema = ProblemAnswer.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "PEMS plan for a problem"}


def _rounded(values: Any, digits: int) -> tuple[float, ...]:
    return tuple((np.round(values, digits) + 0.0).tolist())


def _rooms(problem: PlanningProblem, plan: Verified) -> dict[str, RoomAnswer]:
    rooms, path = problem.rooms, plan.path
    return {
        name: RoomAnswer(
            relay_on=tuple(plan.decision.relay_on[:, r].tolist()),
            air_c=_rounded(path.air_c[1:, r], 3),
            mass_c=_rounded(path.mass_c[1:, r], 3),
            low_c=_rounded(rooms.band_low_c[:, r], 3),
            high_c=_rounded(rooms.band_high_c[:, r], 3),
        )
        for r, name in enumerate(rooms.names)
    }


def _battery(problem: PlanningProblem, plan: Verified) -> BatteryAnswer | None:
    if problem.battery is None:
        return None
    flow = plan.flow
    return BatteryAnswer(
        intent=flow.intent,
        power_w=_rounded(flow.battery_w, 1),
        energy_wh=_rounded(flow.soc_wh, 1),
        soc_pct=_rounded(100.0 * flow.soc_wh / problem.battery.capacity_wh, 3),
    )


def _self_consumption(problem: PlanningProblem, plan: Verified) -> float | None:
    """PV used in the house, battery included, as a share of PV that could be made; None without PV."""
    possible = float(problem.pv_w.sum())
    if possible < 1.0:
        return None
    exported = np.minimum(np.maximum(-plan.flow.grid_w, 0.0), plan.flow.pv_used_w)
    return round(float((plan.flow.pv_used_w - exported).sum()) / possible, 4)


def _in_currency(reasons: dict[str, tuple[Reason, ...]], money: float) -> dict[str, tuple[Reason, ...]]:
    """Turn the reasons' parameters in CZK into the file's currency: `buy_czk_kwh` becomes `buy_per_kwh`."""

    def turned(params: dict[str, float | str]) -> dict[str, float | str]:
        return {
            name.replace("_czk_kwh", "_per_kwh").replace("_czk", ""): round(value / money, 5)
            if "_czk" in name and not isinstance(value, str)
            else value
            for name, value in params.items()
        }

    return {
        slot: tuple(Reason(code=reason.code, params=turned(reason.params)) for reason in those)
        for slot, those in reasons.items()
    }


def answer_of(
    document: ProblemDocument,
    problem: PlanningProblem,
    plan: Verified,
    rules_total_czk: float,
    solver: SolverAnswer,
    notes: tuple[Note, ...],
    *,
    price_czk_kwh: Floats | None = None,
) -> ProblemAnswer:
    """Write a verified plan as the answer to its file.

    Args:
        document: The file.
        problem: The problem made from it.
        plan: The plan.
        rules_total_czk: What the rules would cost [CZK].
        solver: How it was found, in the file's currency.
        notes: What is worse than usual about the whole plan.
        price_czk_kwh: Shadow price of energy (T,).
    """
    money, decision, flow = document.money, plan.decision, plan.flow
    cost = {name: round(value / money, 4) for name, value in plan.cost.model_dump().items()}
    return ProblemAnswer(
        name=document.name,
        currency=document.currency,
        start=document.start.astimezone(document.timezone),
        step_minutes=document.step_minutes,
        slots=problem.slots,
        rooms=_rooms(problem, plan),
        battery=_battery(problem, plan),
        water=None
        if problem.water is None
        else WaterAnswer(on=tuple(decision.water_on.tolist()), temperature_c=_rounded(plan.water_c[1:], 3)),
        ev_power_w=() if problem.ev is None else _rounded(decision.ev_w, 1),
        appliances={
            spec.name: tuple(on.tolist()) for spec, on in zip(problem.appliances, decision.appliances, strict=False)
        },
        pv_used_w=_rounded(flow.pv_used_w, 1),
        grid_power_w=_rounded(flow.grid_w, 1),
        cost=CostAnswer(**cost),
        net_cost=round(plan.net_cost / money, 4),
        rules_total=round(rules_total_czk / money, 4),
        price_per_kwh=() if price_czk_kwh is None else _rounded(price_czk_kwh / money, 5),
        peak_import_w=round(plan.peak_w, 1),
        self_consumption_rate=_self_consumption(problem, plan),
        solver=solver,
        violations=violations_of(problem, plan),
        reasons=_in_currency(explain(problem, plan, notes), money),
    )
