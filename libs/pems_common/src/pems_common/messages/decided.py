"""Bodies of what was decided: plans and their certificates."""

from typing import Literal

from pydantic import AwareDatetime

from pems_common.messages.series import Body

__all__ = [
    "BatteryPlan",
    "Certificate",
    "Intent",
    "Plan",
    "PlanCost",
    "PlanInputs",
    "Reason",
    "RoomPlan",
    "ScenarioCost",
    "Solver",
    "Violation",
]

Intent = Literal["self_consume", "charge_from_grid", "hold", "discharge_to_grid", "export_pv", "off"]


class RoomPlan(Body):
    """One room: relay in each slot, predicted air temperature at its end, the comfort band."""

    relay_on: tuple[bool, ...]
    temperature_c: tuple[float, ...]
    comfort_low_c: tuple[float, ...]
    comfort_high_c: tuple[float, ...]


class BatteryPlan(Body):
    """Intent per slot, expected mean power [W] (+ = discharge), expected SoC at the end of each slot [%]."""

    intent: tuple[Intent, ...]
    power_w: tuple[float, ...]
    soc_pct: tuple[float, ...]


class PlanCost(Body):
    """Expected cost of the whole horizon [CZK]; `total` is the objective's sum of the parts."""

    energy: float
    wear: float
    peak: float
    comfort: float
    switching: float
    total: float


class ScenarioCost(Body):
    """Cost of the plan in one scenario."""

    name: str
    probability: float
    total: float


class Solver(Body):
    """How the plan was found. Gap = objective - bound; `bound_kind` says whether the bound is proven."""

    name: str
    status: Literal["optimal", "incumbent", "fallback"]
    objective: float
    gap_rel: float | None = None
    gap_czk: float | None = None
    bound_kind: Literal["proven", "estimate"] | None = None
    solve_s: float
    build_s: float


class PlanInputs(Body):
    """What the plan was made from: message ids and versions."""

    forecast_id: str = ""
    prices_id: str = ""
    telemetry_id: str = ""
    thermal: dict[str, str] = {}


class Reason(Body):
    """Why a slot is as it is: a code of the catalogue and its parameters (text is made where it is shown)."""

    code: str
    params: dict[str, float | str] = {}


class Violation(Body):
    """A soft rule that the plan could not keep: rule, slot index, amount in the rule's unit."""

    rule: str
    slot: int
    amount: float


class Plan(Body):
    """What to do in each slot of `[start, start + slots * step_s)`.

    Attributes:
        plan_no: Grows with every plan of a site; a lower one never replaces a higher.
        config_hash: Of the home.yaml it was made for; a plan for another configuration is not trusted.
        valid_until: `issued_at` + 2 h.
        control_until: `issued_at` + 24 h; slots from there on are outlook only.
        pv_limit_w: Limit on PV output, None where free.
        grid_power_w: Expected mean, + = import.
        ev_power_w: Charging power.
        net_cost_czk: Money for energy bought less sold over the horizon.
        import_keep_w: Import (15-min mean) above which it costs more: its own peak, or the month's where that is
            higher (though no higher than what may be planned). None where peaks cost nothing.
        price_czk_kwh: Shadow price of energy: what one more kWh in each slot would cost, battery and peak counted.
        baseline_total_czk: The rules' cost for the same horizon, on the same forecasts, comfort counted as the plan's.
        fallback_mode: True where a rule plan stands in for the optimizer.
    """

    plan_id: str
    plan_no: int
    config_hash: str
    issued_at: AwareDatetime
    valid_until: AwareDatetime
    control_until: AwareDatetime
    start: AwareDatetime
    step_s: int
    slots: int
    rooms: dict[str, RoomPlan] = {}
    battery: BatteryPlan | None = None
    pv_limit_w: tuple[float | None, ...] = ()
    grid_power_w: tuple[float, ...] = ()
    ev_power_w: tuple[float, ...] = ()
    water_on: tuple[bool, ...] = ()
    appliances: dict[str, tuple[bool, ...]] = {}
    cost: PlanCost
    scenario_costs: tuple[ScenarioCost, ...] = ()
    net_cost_czk: float
    peak_import_w: float
    import_keep_w: float | None = None
    self_consumption_rate: float | None = None
    price_czk_kwh: tuple[float, ...] = ()
    baseline_total_czk: float | None = None
    solver: Solver
    profile: str
    weights: dict[str, float] = {}
    inputs: PlanInputs = PlanInputs()
    replaces: str = ""
    diff: tuple[str, ...] = ()
    reasons: dict[str, tuple[Reason, ...]] = {}
    violations: tuple[Violation, ...] = ()
    fallback_mode: bool = False


class Certificate(Body):
    """A bound found after the plan was published. Gap belongs to that very plan."""

    plan_id: str
    bound: float
    gap_rel: float | None = None
    gap_czk: float
    kind: Literal["proven", "estimate"]
    took_s: float
