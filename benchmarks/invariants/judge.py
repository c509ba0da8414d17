"""One random instance, planned, certified and looked at: what must hold whatever the problem is."""

import time
from dataclasses import dataclass, field

import numpy as np
from benchmarks.invariants.check_devices import device_faults
from benchmarks.invariants.check_flow import flow_faults
from benchmarks.invariants.random_house import random_problem
from benchmarks.invariants.recount import recount

from pems_optimizer.domain.certificate import Bound, certify
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.reference.solvers import NoReferenceError, SolverName
from pems_optimizer.domain.reference_model import solve_reference
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

__all__ = ["Finding", "judge", "plan_faults"]

_SAME_CZK = 1e-4
_SMALL = 60  # slots times devices: what the reference model solves in no time
_REFERENCE_S = 3.0
_SOLVERS: tuple[SolverName, ...] = ("highs", "cbc")


@dataclass(frozen=True)
class Finding:
    """What became of one instance.

    Attributes:
        family: Of the instance.
        seed: Of its chance.
        faults: What must not be, empty where all is well.
        solved: Whether there is a plan better than the rules.
        why: Why not.
        kind: Of the bound, empty where there is none.
        gap_czk: Objective less bound.
        gap_pct: The same in % of the objective.
        reference_pct: How far the plan is above the optimum of the reference model; None where that was not asked.
        plan_s: Wall seconds of the plan.
        bound_s: Wall seconds of the certificate.
        overloaded: Whether the plan draws more than the breaker lets through (at a price).
    """

    family: str
    seed: int
    faults: list[str] = field(default_factory=list)
    solved: bool = False
    why: str = ""
    kind: str = ""
    gap_czk: float | None = None
    gap_pct: float | None = None
    reference_pct: float | None = None
    plan_s: float = 0.0
    bound_s: float = 0.0
    overloaded: bool = False


def plan_faults(problem: PlanningProblem, plan: Verified, *, by_rules: bool = False) -> list[str]:
    """Return everything about a plan that breaks a rule, or is not accounted for as it should be.

    `by_rules` is the rules' plan, whose intents are wishes: where nothing can be charged nothing is (I4).
    """
    faults = device_faults(problem, plan)
    if faults and faults[0].startswith("T1"):
        return faults
    faults += [fault for fault in flow_faults(problem, plan) if not (by_rules and fault.startswith("I4"))]
    parts = recount(problem, plan)
    for name, value in parts.items():
        told = getattr(plan.cost, name)
        if not abs(told - value) <= _SAME_CZK * max(1.0, 1e-3 * abs(value)):
            faults.append(f"O1: {name} is {told:.4f} CZK, added up {value:.4f}")
    if not abs(sum(parts.values()) - plan.cost.total) <= 1e-3 * max(1.0, 1e-3 * abs(plan.cost.total)):
        faults.append("O1: the parts are not the total")
    return faults


def _bound_faults(problem: PlanningProblem, solved: Solved, bound: Bound) -> list[str]:
    """Hold a bound against the plan, and a proven one against the rules too, which are a plan as well."""
    best, faults = solved.best.cost.total, []
    if np.isnan(bound.value_czk) or bound.value_czk > best + 1e-6 * max(1.0, abs(best)):
        faults.append(f"D3: a bound ({bound.kind}) of {bound.value_czk:.4f} CZK above the plan's {best:.4f}")
    rules = solved.rules.cost.total
    if problem.uncertainty.strategy == "point" and bound.kind == "proven" and bound.value_czk > rules + _SAME_CZK:
        faults.append(f"D3: a proven bound of {bound.value_czk:.4f} CZK above the rules' {rules:.4f}")
    return faults


def _is_small(problem: PlanningProblem) -> bool:
    devices = problem.rooms.count + len(problem.appliances) + (problem.water is not None) + (problem.ev is not None)
    return problem.uncertainty.strategy == "point" and problem.slots * max(1, devices) <= _SMALL


def _reference(problem: PlanningProblem, plan: Verified, bound: Bound | None) -> tuple[float | None, list[str]]:
    """Ask the reference model: no plan is below its optimum, no proven bound above any of its plans.

    Two solvers, and the better answer counts: now and then either calls a plan optimal that is not (HiGHS 1.15 in
    hot_rooms 6, CBC in one_room 9).
    """
    found = []
    for solver in _SOLVERS:
        try:
            found.append(solve_reference(problem, solver=solver, time_limit_s=_REFERENCE_S))
        except NoReferenceError:
            return None, []  # not in time
    best, faults = plan.cost.total, []
    near = _SAME_CZK * max(1.0, 1e-2 * abs(best))
    least, reached = min(f.bound for f in found), min(f.objective for f in found)
    if least > best + near:
        faults.append(f"D2: the plan costs {best:.4f} CZK, none can cost less than {least:.4f}")
    proven = -np.inf if bound is None or bound.kind != "proven" else bound.value_czk
    if proven > reached + near:
        faults.append(f"D3: a proven bound of {proven:.4f} CZK, and a plan for {reached:.4f}")
    if any(f.status != "optimal" for f in found):
        return None, faults
    return 100.0 * (best - reached) / max(1.0, abs(reached)), faults


def judge(family: str, seed: int, *, limit_s: float = 10.0, certificate_s: float = 1.0) -> Finding:
    """Plan and certify one instance, and look at everything; what raises is a finding too."""
    problem = random_problem(family, seed)
    began = time.perf_counter()

    def elapsed() -> float:
        return time.perf_counter() - began

    try:
        outcome = solve(problem, SolverOptions(limit_s), elapsed)
    except Exception as error:  # a bench tells of it and goes on
        return Finding(family, seed, [f"T4: no plan, but {error!r}"])
    plan_s, bound = elapsed(), None
    plan = outcome.rules if isinstance(outcome, NoPlan) else outcome.best
    faults = plan_faults(problem, plan, by_rules=isinstance(outcome, NoPlan))
    began = time.perf_counter()
    if isinstance(outcome, Solved):
        try:
            bound = certify(problem, plan.decision, outcome.memory, plan.cost.total, elapsed, certificate_s)
        except Exception as error:
            faults.append(f"D3: no bound, but {error!r}")
        else:
            faults += _bound_faults(problem, outcome, bound)
    bound_s = elapsed()
    reference_pct, more = _reference(problem, plan, bound) if _is_small(problem) else (None, [])
    gap = None if bound is None else plan.cost.total - bound.value_czk
    return Finding(
        family,
        seed,
        faults + more,
        solved=isinstance(outcome, Solved),
        why=outcome.why if isinstance(outcome, NoPlan) else "",
        kind="" if bound is None else bound.kind,
        gap_czk=gap,
        gap_pct=None if gap is None else 100.0 * gap / max(1.0, abs(plan.cost.total)),
        reference_pct=reference_pct,
        plan_s=plan_s,
        bound_s=bound_s,
        overloaded=bool(plan.flow.grid_w.max() > problem.grid.import_max_w + 1.0),
    )
