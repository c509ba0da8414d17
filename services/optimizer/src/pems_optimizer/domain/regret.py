"""What a plan lost against the best there was, split by where it was lost (docs/replay.md).

The problem is put together once more with the truth in place of the forecasts, for the same rooms, battery and prices
of comfort. On it everything is accounted for alike: the plan that was made, its battery following its intents as the
controller lets it; the plan that the same planner makes when it is told the truth; and the best that a thorough search
finds. What was measured is set against what the planner's models say of the very same relays and battery power.

    total = model + execution + forecast + solver

Forecasts are valued by the decisions they lead to: Murphy 1993,
doi:10.1175/1520-0434(1993)008<0281:WIAGFA>2.0.CO;2; regret of a decision under a prediction: Elmachtoub and Grigas
2022, doi:10.1287/mnsc.2020.3922.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from pems_common.messages import Band, Forecast, Intent, PlanCost, Series
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.battery_flow import follow_intents
from pems_optimizer.domain.plan_case import PlanCase, TimeTold, plan_digest, replayed
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.planning import MadePlan, plan_with_making
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem, RoomSet, Uncertainty
from pems_optimizer.domain.running import RunningPlan, moved_on
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, start_count, verify
from pems_optimizer.domain.sized_solving import solve_sized
from pems_optimizer.domain.solving import NoPlan, SolverOptions
from pems_optimizer.domain.thermal_response import RoomPath, simulate_rooms, simulate_water

__all__ = [
    "THOROUGH",
    "Account",
    "Happened",
    "RegretSplit",
    "SpanSplit",
    "TrueCourse",
    "regret_split",
    "with_truth",
]

THOROUGH = Effort(rounds=20, fine_rounds=12, at_once=1, sweeps=3, intent_sweeps=3)
_ENDLESS_S = 1e9


@dataclass(frozen=True)
class Account:
    """A cost by parts [CZK], or the difference of two; and the comfort that goes with it.

    Attributes:
        energy: Money for energy, less what is left stored in rooms, battery, tank and car.
        below_k_h: K h below the home's comfort bands, over all planned rooms.
    """

    energy: float = 0.0
    wear: float = 0.0
    peak: float = 0.0
    comfort: float = 0.0
    switching: float = 0.0
    below_k_h: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the money."""
        return self.energy + self.wear + self.peak + self.comfort + self.switching

    def to_json(self) -> dict[str, float]:
        """Return plain JSON data, to tenths of a heller."""
        parts = {f.name: round(getattr(self, f.name), 3) for f in fields(self)}
        return {
            "total_czk": round(self.total, 3),
            **{n if n == "below_k_h" else f"{n}_czk": v for n, v in parts.items()},
        }

    @classmethod
    def of(cls, problem: PlanningProblem, plan: Verified) -> Self:
        """Take a verified plan's."""
        cost: PlanCost = plan.cost
        below = _below_k_h(problem, plan.path.air_c)
        return cls(cost.energy, cost.wear, cost.peak, cost.comfort, cost.switching, below)

    def __add__(self, other: "Account") -> "Account":
        return Account(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: "Account") -> "Account":
        return Account(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class TrueCourse:
    """What came in place of what was forecast, on 15-min slots from `forecast`'s first one on; NaN where not known.

    Attributes:
        pv_w: PV that could have been made (T,).
        load_w: Load without rooms, car and tank (T,).
        buy: Price of import [CZK/kWh] (T,).
        sell: Money for export [CZK/kWh] (T,).
        outdoor_c: Outdoor temperature (T,).
        solar_w_m2: Sun by facade (T,); those that are absent stay as forecast.
    """

    pv_w: Floats
    load_w: Floats
    buy: Floats
    sell: Floats
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]


@dataclass(frozen=True)
class Happened:
    """What was measured from a plan's first slot on, T' slots; NaN where not known.

    Powers are means of slots [W]: grid + = import, battery + = discharge.

    Attributes:
        air_c: Air of each planned room at the slot boundaries (T'+1, R).
        relay: Share of each slot its relay was on (T', R).
        grid_w: At the meter (T',).
        battery_w: Of the battery (T',).
        stored_wh: In it at the slot boundaries (T'+1,).
        pv_used_w: PV after curtailment (T',).
        ev_w: The car's (T',).
        water_on: Share of each slot the tank was heated (T',).
    """

    air_c: Floats
    relay: Floats
    grid_w: Floats
    battery_w: Floats
    stored_wh: Floats
    pv_used_w: Floats
    ev_w: Floats
    water_on: Floats

    @property
    def slots(self) -> int:
        """Slots from the first one on in which grid, battery and PV are known."""
        known = np.isfinite(self.grid_w) & np.isfinite(self.battery_w) & np.isfinite(self.pv_used_w)
        return len(known) if known.all() else int(np.argmin(known))


@dataclass(frozen=True)
class SpanSplit:
    """The split over the first slots of a plan.

    Attributes:
        slots: How many.
        forecast: What not knowing cost: the plan against the one that is made with the truth.
        solver: What the search lost: the plan that is made with the truth against the best that was found; and the
            plan that its time limit cut short against the one that it would have become.
        model: What rooms, battery and heaters did otherwise than modelled; None where nothing was measured.
        execution: What was done otherwise than planned (controller, persons, later plans); None likewise.
    """

    slots: int
    forecast: Account
    solver: Account
    model: Account | None = None
    execution: Account | None = None

    @property
    def total(self) -> Account:
        """Sum of the parts that are known."""
        return sum((part for part in (self.model, self.execution) if part is not None), self.forecast + self.solver)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        parts = {name: getattr(self, name) for name in ("forecast", "model", "execution", "solver", "total")}
        return {"slots": self.slots, **{name: None if one is None else one.to_json() for name, one in parts.items()}}


@dataclass(frozen=True)
class RegretSplit:
    """What a plan lost.

    Attributes:
        executed: Over the slots until the next plan: what was decided in them, with the best that can follow.
        horizon: Over the whole horizon, as if the plan had been followed to its end; model and execution over what of
            it was measured.
        solver_as_told: What the search lost on the problem as it was told: forecasts, courses and all.
        air_bias_k: Mean of measured less modelled air temperature of each planned room at the end of each slot
            measured, by room.
        air_rmse_k: Root of the mean square of the same.
        energy_kwh: Measured less modelled import over what was measured; None where nothing was.
    """

    plan_id: str
    executed: SpanSplit
    horizon: SpanSplit
    solver_as_told: Account
    air_bias_k: Mapping[str, float]
    air_rmse_k: Mapping[str, float]
    energy_kwh: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "executed": self.executed.to_json(),
            "horizon": self.horizon.to_json(),
            "solver_as_told": self.solver_as_told.to_json(),
            "air_bias_k": {room: round(k, 3) for room, k in self.air_bias_k.items()},
            "air_rmse_k": {room: round(k, 3) for room, k in self.air_rmse_k.items()},
            "energy_kwh": None if self.energy_kwh is None else round(self.energy_kwh, 3),
        }


def with_truth(forecast: Forecast, course: TrueCourse) -> Forecast:
    """Return a forecast that knew what came; where that is not known it stays as it was."""

    def band(old: Band, true: Floats) -> Band:
        return Band(**{name: _instead(getattr(old, name), true) for name in ("p10", "p50", "p90")})

    solar = {
        side: _instead(of, course.solar_w_m2[side]) if side in course.solar_w_m2 else of
        for side, of in forecast.solar_w_m2.items()
    }
    return forecast.model_copy(
        update={
            "pv_power_w": band(forecast.pv_power_w, course.pv_w),
            "load_power_w": band(forecast.load_power_w, course.load_w),
            "buy_czk_kwh": band(forecast.buy_czk_kwh, course.buy),
            "sell_czk_kwh": band(forecast.sell_czk_kwh, course.sell),
            "outdoor_temperature_c": band(forecast.outdoor_temperature_c, course.outdoor_c),
            "solar_w_m2": solar,
        }
    )


def _instead(old: Series, true: Floats) -> Series:
    known = [float(v) for v in true[: len(old.values)]]
    values = [v if v == v else before for v, before in zip(known, old.values, strict=False)]
    return Series.of(old.start, old.step_s, [*values, *old.values[len(values) :]])


# --- plans on a problem ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Decided:
    """A decision with the battery's intents and powers."""

    decision: Decision
    intents: tuple[Intent, ...]
    battery_w: Floats

    @classmethod
    def of(cls, plan: Verified) -> Self:
        return cls(plan.decision, plan.flow.intent, plan.flow.battery_w)

    def same_until(self, other: "_Decided", slots: int) -> bool:
        """Whether both do the same in the first slots."""
        one, two, cut = self.decision, other.decision, slice(slots)
        return (
            np.array_equal(one.relay_on[cut], two.relay_on[cut])
            and np.array_equal(one.water_on[cut], two.water_on[cut])
            and np.array_equal(one.ev_w[cut], two.ev_w[cut])
            and all(np.array_equal(a[cut], b[cut]) for a, b in zip(one.appliances, two.appliances, strict=True))
            and self.intents[cut] == other.intents[cut]
        )


def _told(case: PlanCase, made: MadePlan) -> _Decided:
    """Return what the original plan decided; what was made now where its message alone cannot tell."""
    plan = case.plan
    if plan_digest(made.plan) == plan_digest(plan):
        return _Decided.of(made.chosen)
    decision = moved_on(made.problem, RunningPlan(plan), made.chosen.decision, with_car=True)
    if decision is None or (plan.battery is None) != (made.problem.battery is None):
        return _Decided.of(made.chosen)
    if plan.battery is None:
        return _Decided(decision, (), made.chosen.flow.battery_w)
    return _Decided(decision, plan.battery.intent, np.array(plan.battery.power_w))


def _followed(problem: PlanningProblem, done: _Decided) -> Verified:
    """Return what a plan leads to on a problem when its battery follows its intents."""
    load_w = controlled_load_w(problem, done.decision)
    flow = follow_intents(problem, load_w, done.decision.ev_w, done.intents, done.battery_w)
    return verify(problem, done.decision, flow)


def _searched(problem: PlanningProblem, effort: Effort) -> Verified:
    """Return the best plan that a search of any length finds; the rules' where it finds none."""
    options = SolverOptions(limit_s=_ENDLESS_S, effort=effort)
    outcome = solve_sized(replace(problem, uncertainty=Uncertainty()), options, lambda: 0.0)
    return outcome.rules if isinstance(outcome, NoPlan) else outcome.best


def _begun(problem: PlanningProblem, done: _Decided, slots: int) -> PlanningProblem:
    """Return the problem in which the first slots are what a plan does in them."""
    decision, rooms, battery = done.decision, problem.rooms, problem.battery
    forced_on = rooms.forced_on.copy()
    forced_on[:slots] = decision.relay_on[:slots]
    water, ev = problem.water, problem.ev
    return replace(
        problem,
        frozen=max(problem.frozen, slots),
        rooms=replace(rooms, forced=np.maximum(rooms.forced, slots), forced_on=forced_on),
        battery=None
        if battery is None
        else replace(battery, forced=max(battery.forced, slots), forced_intent=_intents(battery, done, slots)),
        ev=None if ev is None else replace(ev, forced_w=_longer(ev.forced_w, decision.ev_w, slots)),
        water=None
        if water is None
        else replace(
            water, forced=max(water.forced, slots), forced_on=_forced(water.forced_on, decision.water_on, slots)
        ),
        appliances=tuple(
            replace(spec, forced=max(spec.forced, slots), forced_on=_forced(spec.forced_on, on, slots))
            for spec, on in zip(problem.appliances, decision.appliances, strict=True)
        ),
    )


def _intents(battery: BatterySpec, done: _Decided, slots: int) -> tuple[str, ...]:
    return (*done.intents[:slots], *battery.forced_intent[slots:])


def _longer(forced_w: Floats, ev_w: Floats, slots: int) -> Floats:
    return np.concatenate([ev_w[:slots], forced_w[slots:]])


def _forced(before: Sequence[bool], on: np.ndarray, slots: int) -> tuple[bool, ...]:
    return (*(bool(state) for state in on[:slots]), *before[slots:])


def _after(
    problem: PlanningProblem, plans: Sequence[tuple[_Decided, Verified]], slots: int, effort: Effort
) -> tuple[list[Account], list[Verified]]:
    """Return the best that can follow the first slots of each plan, and all plans that were found.

    Plans that begin alike are one. Whatever is found counts for all it is a plan of: a better one may be missed, but
    none is forgotten.
    """
    begun: list[tuple[_Decided, list[Verified]]] = []
    of: list[list[Verified]] = []
    for done, plan in plans:
        found = next((found for other, found in begun if other.same_until(done, slots)), None)
        if found is None:
            found = [_searched(_begun(problem, done, slots), effort)]
            begun.append((done, found))
        found.append(plan)
        of.append(found)
    return [_best(problem, *found) for found in of], [plan for _, found in begun for plan in found]


def _best(problem: PlanningProblem, *plans: Verified) -> Account:
    return Account.of(problem, min(plans, key=lambda plan: plan.cost.total))


# --- what was measured against the models ------------------------------------------------------------------------


def _below_k_h(problem: PlanningProblem, air_c: Floats) -> float:
    slots = len(air_c) - 1
    return float(np.maximum(problem.rooms.band_low_c[:slots] - air_c[1:], 0.0).sum() * problem.dt_h)


@dataclass(frozen=True)
class _Lived:
    """Some first slots of a horizon as they were, or as they are modelled."""

    path: RoomPath
    relay: Floats
    grid_w: Floats
    battery_w: Floats
    stored_wh: Floats
    pv_used_w: Floats
    ev_w: Floats
    water_on: np.ndarray

    def cut(self, slots: int) -> "_Lived":
        return _Lived(
            RoomPath(self.path.air_c[: slots + 1], self.path.mass_c[: slots + 1]),
            self.relay[:slots],
            self.grid_w[:slots],
            self.battery_w[:slots],
            self.stored_wh[: slots + 1],
            self.pv_used_w[:slots],
            self.ev_w[:slots],
            self.water_on[:slots],
        )


def _account(problem: PlanningProblem, lived: _Lived) -> Account:
    """Account for some first slots; what is stored at their end counts, a peak does not: it is the horizon's matter."""
    rooms, weights, n = problem.rooms, problem.weights, len(lived.grid_w)
    imported, exported = np.maximum(lived.grid_w, 0.0), np.maximum(-lived.grid_w, 0.0)
    money = float((imported * problem.buy[:n] - exported * problem.sell[:n]).sum() * problem.kwh)
    curtailed = np.maximum(problem.pv_w[:n] - lived.pv_used_w, 0.0)
    term = float((exported + curtailed).sum() * problem.kwh * weights.export_czk_kwh)
    stored = float(rooms.end_value_czk_k @ lived.path.end_c(rooms))
    stored += float(lived.ev_w.sum()) * problem.kwh * float(problem.buy.mean())
    wear = 0.0
    if problem.battery is not None:
        stored += problem.battery.end_value_czk_wh * float(lived.stored_wh[-1])
        wear = float(np.maximum(lived.battery_w, 0.0).sum()) * problem.kwh * problem.battery.wear_czk_kwh
    if problem.water is not None:
        tank_c = simulate_water(problem.water, lived.water_on > 0.5, problem.dt_h)
        stored += problem.water.end_value_czk_k * float(tank_c[-1])
    air = lived.path.air_c[1:]
    below = np.maximum(rooms.low_c[:n] - air, 0.0).sum(axis=0) @ rooms.priority
    above = np.maximum(air - rooms.high_c[:n], 0.0).sum(axis=0) @ rooms.priority
    starts = start_count(lived.relay > 0.5, rooms.relay_on) * weights.start_czk
    return Account(
        energy=money + term - stored,
        wear=wear,
        comfort=float(problem.dt_h * (weights.below_czk_k_h * below + weights.above_czk_k_h * above)),
        switching=float(starts),
        below_k_h=_below_k_h(problem, lived.path.air_c),
    )


def _planned(problem: PlanningProblem, plan: Verified) -> _Lived:
    """A followed plan, from the first slot on."""
    before = 0.0 if problem.battery is None else problem.battery.energy_wh
    stored = np.concatenate([[before], plan.flow.soc_wh])
    decision, flow = plan.decision, plan.flow
    relay = decision.relay_on.astype(np.float64)
    return _Lived(
        plan.path, relay, flow.grid_w, flow.battery_w, stored, flow.pv_used_w, decision.ev_w, decision.water_on
    )


def _modelled(problem: PlanningProblem, happened: Happened, slots: int) -> _Lived:
    """What the planner's models make of the relays, the battery's power and the car as they really were."""
    relay = np.nan_to_num(happened.relay[:slots])
    ev_w, water_on = np.nan_to_num(happened.ev_w[:slots]), np.nan_to_num(happened.water_on[:slots])
    battery_w, pv_used = happened.battery_w[:slots], happened.pv_used_w[:slots]
    heat = relay @ problem.rooms.heater_w
    water = 0.0 if problem.water is None else problem.water.electric_w
    grid = problem.load_w[:slots] + heat + ev_w + water_on * water - battery_w - pv_used
    stored = np.zeros(slots + 1)
    if problem.battery is not None:
        spec = problem.battery
        taken = np.where(battery_w < 0.0, battery_w * spec.charge_efficiency, battery_w / spec.discharge_efficiency)
        stored = np.clip(spec.energy_wh - np.concatenate([[0.0], np.cumsum(taken)]) * problem.dt_h, 0.0, None)
    path = simulate_rooms(problem.rooms, relay)
    return _Lived(path, relay, grid, battery_w, stored, pv_used, ev_w, water_on)


def _slab_behind(rooms: RoomSet, air_c: Floats, relay: Floats) -> Floats:
    """Return the slab of each room, modelled under air that was measured (T'+1, R)."""
    heat = relay * rooms.heater_w
    mass = np.empty_like(air_c)
    mass[0] = rooms.mass_c
    for t in range(len(relay)):
        into_air = rooms.air_input_w[t] + air_c[t] @ rooms.coupling_w_k + heat[t] * (1.0 - rooms.heat_to_mass)
        mass[t + 1] = (
            rooms.a[:, 1, 0] * air_c[t]
            + rooms.a[:, 1, 1] * mass[t]
            + rooms.b_air[:, 1] * into_air
            + rooms.b_mass[:, 1] * heat[t] * rooms.heat_to_mass
        )
    return mass


def _measured(problem: PlanningProblem, happened: Happened, modelled: _Lived) -> _Lived:
    """What really was; where a room or the battery's charge was not measured, as it is modelled."""
    slots = len(modelled.grid_w)
    air = happened.air_c[: slots + 1]
    known = np.isfinite(air)
    air = np.where(known, air, modelled.path.air_c)
    mass = np.where(known.all(axis=0), _slab_behind(problem.rooms, air, modelled.relay), modelled.path.mass_c)
    stored = happened.stored_wh[: slots + 1]
    stored = np.where(np.isfinite(stored), stored, modelled.stored_wh)
    return replace(
        modelled, path=RoomPath(air, np.asarray(mass)), grid_w=happened.grid_w[:slots], stored_wh=np.asarray(stored)
    )


# --- the split ---------------------------------------------------------------------------------------------------


def regret_split(
    case: PlanCase,
    truth: Forecast,
    happened: Happened | None = None,
    *,
    executed_slots: int,
    effort: Effort = THOROUGH,
    progress: Callable[[str], None] = lambda _: None,
) -> RegretSplit:
    """Split what a plan lost.

    Args:
        case: The plan.
        truth: Its forecast as it should have been (`with_truth`).
        happened: What was measured from its first slot on; None where nothing was.
        executed_slots: Slots from its first one on until the next plan took over.
        effort: Of the searches for the best plan.
        progress: Told what is begun.

    Raises:
        ValueError: No slot was executed.
        InputProblem: There is no usable forecast.
    """
    if executed_slots < 1:
        raise ValueError("at least one slot of a plan must have been executed")
    progress("the plan as it was")
    made = replayed(case)
    told = _told(case, made)
    progress("the plan with the truth")
    known = replace(case.known, forecast=truth)
    informed = plan_with_making(
        case.home, known, case.inputs, case.ask, elapsed_s=lambda: -_ENDLESS_S, effort=case.effort
    ).chosen
    problem = assemble(case.home, known, now=case.ask.now, decide_from=case.ask.decide_from)
    executed = min(executed_slots, problem.slots)
    followed = unhurried = _followed(problem, told)
    calm, chosen = told, made.chosen
    if not case.complete:
        progress("the plan with all the time it wanted")
        chosen = replayed(replace(case, time=TimeTold())).chosen
        calm = _Decided.of(chosen)
        unhurried = _followed(problem, calm)

    progress("the best with the truth")
    found = [_searched(problem, effort)]
    progress("the best after what was done")
    plans = ((told, followed), (calm, unhurried), (_Decided.of(informed), informed))
    (after, after_calm, after_wise), more = _after(problem, plans, executed, effort)
    best = _best(problem, *found, *more)
    progress("the best as it was told")
    as_told = _followed(made.problem, told)
    best_as_told = _best(made.problem, _searched(made.problem, effort), as_told, chosen)

    split = RegretSplit(
        plan_id=case.plan.plan_id,
        executed=SpanSplit(executed, after_calm - after_wise, after - after_calm + after_wise - best),
        horizon=SpanSplit(
            problem.slots,
            Account.of(problem, unhurried) - Account.of(problem, informed),
            Account.of(problem, followed) - Account.of(problem, unhurried) + Account.of(problem, informed) - best,
        ),
        solver_as_told=Account.of(made.problem, as_told) - best_as_told,
        air_bias_k={},
        air_rmse_k={},
    )
    return split if happened is None or not happened.slots else _with_measured(split, problem, followed, happened)


def _with_measured(split: RegretSplit, problem: PlanningProblem, followed: Verified, happened: Happened) -> RegretSplit:
    slots = min(happened.slots, problem.slots)
    modelled = _modelled(problem, happened, slots)
    measured, planned = _measured(problem, happened, modelled), _planned(problem, followed)

    def over(span: SpanSplit, first: int) -> SpanSplit:
        was, would, meant = (_account(problem, lived.cut(first)) for lived in (measured, modelled, planned))
        return replace(span, model=was - would, execution=would - meant)

    error = measured.path.air_c[1:] - modelled.path.air_c[1:]
    seen = np.asarray(np.isfinite(happened.air_c[: slots + 1]).any(axis=0)).tolist()
    rooms = [(name, r) for r, name in enumerate(problem.rooms.names) if seen[r]]
    return replace(
        split,
        executed=over(split.executed, min(split.executed.slots, slots)),
        horizon=over(split.horizon, slots),
        air_bias_k={name: float(error[:, r].mean()) for name, r in rooms},
        air_rmse_k={name: float(np.sqrt(np.mean(error[:, r] ** 2))) for name, r in rooms},
        energy_kwh=float((measured.grid_w - modelled.grid_w).sum() * problem.kwh),
    )
