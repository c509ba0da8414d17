"""The planning problem as one plain MILP: the oracle that fast answers are held against on small instances.

It says in PuLP what docs/planning-problem.md says in words, one function per rule group (`reference/`), and knows no
trick: a house of a few rooms and some hours is what it can solve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pulp

from pems_common.errors import PemsError
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem
from pems_optimizer.domain.reference.appliances import add_appliance
from pems_optimizer.domain.reference.car import Car, add_car
from pems_optimizer.domain.reference.courses import courses_counted
from pems_optimizer.domain.reference.grid import CourseFlow, add_course, add_heating_limit
from pems_optimizer.domain.reference.intents import add_intents
from pems_optimizer.domain.reference.model import Model, Series, Term, total
from pems_optimizer.domain.reference.rooms import add_rooms
from pems_optimizer.domain.reference.solvers import Found, SolverName, run_solver
from pems_optimizer.domain.reference.uncertainty import money_of_courses, share_first_slots
from pems_optimizer.domain.reference.water import add_water
from pems_optimizer.domain.scoring import Decision

__all__ = ["CourseSolution", "ReferenceSolution", "solve_reference"]


@dataclass(frozen=True)
class CourseSolution:
    """What battery and grid do in one course of the days [W] (T,), and what the course costs [CZK].

    Attributes:
        name: Of the course.
        probability: Of the course.
        stored_wh: Stored energy at the end of each slot; empty without a battery.
        intents: Class of the intent in each slot; empty where the battery has none.
        money: Everything but the devices' own.
    """

    name: str
    probability: float
    import_w: Floats
    export_w: Floats
    held_back_w: Floats
    charge_w: Floats
    discharge_w: Floats
    stored_wh: Floats
    intents: tuple[str, ...]
    money: float


@dataclass(frozen=True)
class ReferenceSolution:
    """The answer of the reference model.

    Attributes:
        objective: Money, the same account as `PlanCost.total` [CZK].
        bound: No decision at all costs less [CZK].
        status: `optimal` within the gap, or `incumbent`: the best that was found in time.
        relay_on: Relays (T, R).
        water_on: Water heater (T,).
        ev_w: Power of the car [W] (T,).
        appliances: Each appliance's schedule (T,).
        own_money: Comfort, starts, end heat, what car, water and appliances lack [CZK].
        courses: Battery and grid in each course of the days.
    """

    objective: float
    bound: float
    status: Literal["optimal", "incumbent"]
    relay_on: Bools
    water_on: Bools
    ev_w: Floats
    appliances: tuple[Bools, ...]
    own_money: float
    courses: tuple[CourseSolution, ...]

    @property
    def decision(self) -> Decision:
        """What is decided before battery and grid, as `scoring.verify` takes it."""
        return Decision(self.relay_on, self.water_on, self.ev_w, self.appliances)


@dataclass(frozen=True)
class _Devices:
    """Series of everything that is decided before the courses part."""

    relays: list[Series]
    water: Series
    car: Car | None
    appliances: list[Series]


def solve_reference(
    problem: PlanningProblem,
    *,
    relays: Bools | None = None,
    solver: SolverName = "highs",
    gap: float = 1e-6,
    time_limit_s: float = 60.0,
) -> ReferenceSolution:
    """Solve the whole planning problem as one MILP.

    Args:
        problem: A small problem.
        relays: States that the relays must have (T, R); None leaves them free.
        solver: Which solver.
        gap: Relative gap that counts as optimal.
        time_limit_s: Wall seconds.

    Raises:
        SolverMissingError: The solver is not on this machine.
        NoReferenceError: The given relays break a hard rule, or nothing was found in time.
        PemsError: `relays` do not fit the problem, or the problem has no slots.
    """
    if problem.slots < 1:
        raise PemsError("the planning problem has no slots", remedy="give a horizon of at least one slot")
    model = Model(problem)
    devices = _add_devices(model)
    if relays is not None:
        if relays.shape != (problem.slots, problem.rooms.count):
            raise PemsError(
                f"relays have the shape {relays.shape}",
                remedy=f"give one state per slot and room: {(problem.slots, problem.rooms.count)}",
            )
        for r, series in enumerate(devices.relays):
            model.fix(series, relays[:, r].tolist())
    flows, intents = _add_courses(model, devices)
    model.lp += total(model.own_money) + money_of_courses(model, flows)
    found = run_solver(model.lp, solver, gap=gap, time_limit_s=time_limit_s)
    return _read(model, devices, flows, intents, found)


def _add_devices(model: Model) -> _Devices:
    p = model.problem
    relays = add_rooms(model)
    water = [] if p.water is None else add_water(model, p.water)
    car = None if p.ev is None else add_car(model, p.ev)
    appliances = [add_appliance(model, k, spec) for k, spec in enumerate(p.appliances)]
    return _Devices(relays, water, car, appliances)


def _add_courses(model: Model, devices: _Devices) -> tuple[list[CourseFlow], list[list[dict[str, Term]]]]:
    """Add battery and grid of every course, bound to intents where the inverter knows nothing else."""
    p = model.problem
    heater_w = p.rooms.heater_w.tolist()
    heating: Series = []
    devices_w: Series = []
    for t in range(p.slots):
        heating.append(total([0.0, *(w * on[t] for w, on in zip(heater_w, devices.relays, strict=True))]))
        drawn = [heating[t], *(spec.power_w * on[t] for spec, on in zip(p.appliances, devices.appliances, strict=True))]
        if p.water is not None:
            drawn.append(p.water.electric_w * devices.water[t])
        if devices.car is not None:
            drawn.append(devices.car.power_w[t])
        devices_w.append(total(drawn))
    add_heating_limit(model, heating)
    most_w = sum(heater_w) + sum(spec.power_w for spec in p.appliances)
    most_w += 0.0 if p.water is None else p.water.electric_w
    most_w += 0.0 if p.ev is None else max(p.ev.power_max_w, *p.ev.forced_w.tolist(), 0.0)
    flows, intents = [], []
    for k, course in enumerate(courses_counted(p)):
        flow = add_course(model, f"course{k}", course, devices_w, most_w, devices.car)
        if p.battery is not None and p.battery.control == "intents":
            intents.append(add_intents(model, f"course{k}", flow, p.battery, devices.car))
        flows.append(flow)
    share_first_slots(model, flows, intents)
    return flows, intents


def _values(series: Series) -> Floats:
    return np.array([float(pulp.value(term)) for term in series], dtype=np.float64)


def _states(series: Series) -> Bools:
    return np.asarray(_values(series) > 0.5)


def _read(
    model: Model,
    devices: _Devices,
    flows: Sequence[CourseFlow],
    intents: Sequence[list[dict[str, Term]]],
    found: Found,
) -> ReferenceSolution:
    """Read the solution off the variables."""
    slots = model.problem.slots
    courses = []
    for k, flow in enumerate(flows):
        battery = flow.battery
        chosen = [] if not intents else [max(at, key=lambda c: pulp.value(at[c])) for at in intents[k]]
        courses.append(
            CourseSolution(
                name=flow.given.name,
                probability=flow.given.probability,
                import_w=_values(flow.import_w),
                export_w=_values(flow.export_w),
                held_back_w=_values(flow.held_back_w),
                charge_w=np.zeros(slots) if battery is None else _values(battery.charge_w),
                discharge_w=np.zeros(slots) if battery is None else _values(battery.discharge_w),
                stored_wh=np.empty(0) if battery is None else _values(battery.stored_wh),
                intents=tuple(chosen),
                money=float(pulp.value(total(flow.money))),
            )
        )
    relay_on = np.zeros((slots, model.problem.rooms.count), dtype=np.bool_)
    for r, series in enumerate(devices.relays):
        relay_on[:, r] = _states(series)
    return ReferenceSolution(
        objective=found.objective,
        bound=found.bound,
        status="optimal" if found.optimal else "incumbent",
        relay_on=relay_on,
        water_on=_states(devices.water) if devices.water else np.zeros(slots, dtype=np.bool_),
        ev_w=np.zeros(slots) if devices.car is None else _values(devices.car.power_w),
        appliances=tuple(_states(series) for series in devices.appliances),
        own_money=float(pulp.value(total(model.own_money))),
        courses=tuple(courses),
    )
