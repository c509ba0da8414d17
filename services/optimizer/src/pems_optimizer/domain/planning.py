"""One plan from start to end: assemble, solve, weigh against the running plan, account, write.

Stability: the running plan's relays are moved on to the new grid and judged on the new forecast with a fresh
dispatch. Only a gain above the home's threshold replaces them. A kept plan is issued again all the same (new id,
fresh states, battery and car), because a plan is trusted for two hours only and measured states drift.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from pems_common.home import Home
from pems_common.messages import Plan, PlanInputs, ScenarioCost
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.body import PlanHead, plan_body
from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.judging import judged_czk
from pems_optimizer.domain.outlook import plan_outlook
from pems_optimizer.domain.plan_diff import plan_changes
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.problem import Note, PlanningProblem
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.running import RunningPlan, moved_on
from pems_optimizer.domain.scenarios import named_scenarios
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.sized_solving import solve_sized
from pems_optimizer.domain.solving import RESERVE_S, NoPlan, Solved, SolverOptions
from pems_optimizer.domain.warm_start import LastSearch, moved_memory

__all__ = ["Ask", "MadePlan", "make_plan", "make_rule_plan", "plan_with_making"]


@dataclass(frozen=True)
class Ask:
    """What a plan is asked for with.

    Attributes:
        now: House time of the measurements; becomes `issued_at`.
        decide_from: First slot that the plan can still decide.
        limit_s: Wall seconds for the whole work.
    """

    plan_id: str
    plan_no: int
    now: datetime
    decide_from: datetime
    limit_s: float


@dataclass(frozen=True)
class MadePlan:
    """A plan message and what it was made from.

    Attributes:
        problem: What was solved.
        chosen: What was chosen, verified.
        memory: What the solver wants back for a certificate, a "why" or a re-plan; empty where it keeps nothing.
    """

    plan: Plan
    problem: PlanningProblem
    chosen: Verified
    memory: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def _running(home: Home, known: Known, now: datetime) -> Plan | None:
    """Return the plan in force; None where it is too old, for another configuration, or there is none."""
    plan = known.running
    if plan is None or plan.config_hash != home.config_hash() or plan.valid_until < now:
        return None
    return plan


def _head(home: Home, ask: Ask, inputs: PlanInputs, replaces: str) -> PlanHead:
    return PlanHead(
        plan_id=ask.plan_id,
        plan_no=ask.plan_no,
        config_hash=home.config_hash(),
        issued_at=ask.now,
        status="incumbent",
        solver_name="bidders",
        solve_s=0.0,
        build_s=0.0,
        inputs=inputs,
        replaces=replaces,
    )


def _weigh(
    problem: PlanningProblem, solved: Solved, running: Plan | None, keep_gain_czk: float
) -> tuple[Verified, tuple[str, ...]]:
    """Choose between the new relays and those of the running plan; say why."""
    if running is None:
        return solved.best, ()
    decision = moved_on(problem, RunningPlan(running), solved.best.decision)
    if decision is None:
        return solved.best, ("new: the running plan does not fit the present state",)
    kept = run_decision(problem, decision, solved.best.peak_w)
    gain = judged_czk(problem, kept) - judged_czk(problem, solved.best)
    if gain < keep_gain_czk:
        return kept, (f"kept: a new plan would gain {gain:.2f} CZK, less than {keep_gain_czk:.2f}",)
    return solved.best, (f"new: gains {gain:.2f} CZK", *plan_changes(problem, kept, solved.best))


def _courses(
    problem: PlanningProblem, chosen: Verified, outcome: Solved, has_time: Callable[[], bool]
) -> tuple[tuple[ScenarioCost, ...], tuple[Note, ...]]:
    """What the plan costs in other courses of the days: those it counts with, else a good and a bad one."""
    if problem.uncertainty.scenarios:
        return plan_outlook(problem, chosen, outcome.memory, has_time)
    return named_scenarios(problem, chosen, has_time), ()


def _remembered(
    problem: PlanningProblem, last: LastSearch | None, config_hash: str
) -> Mapping[str, NDArray[Any]] | None:
    """What the solver remembers of the last plan, on this problem's grid; None where it does not fit."""
    if last is None or last.config_hash != config_hash:
        return None
    return moved_memory(last.memory, last.start, last.step, problem)


def _once_it_is_up(elapsed_s: Callable[[], float], limit_s: float) -> Callable[[], float]:
    """Tell a search of time only once it is up.

    Linear programs ask between turns of some iterations; one that a clock cut short would never come again
    (docs/replay.md).
    """

    def told() -> float:
        now_s = elapsed_s()
        return now_s if now_s >= limit_s - RESERVE_S else 0.0

    return told


def make_plan(
    home: Home,
    known: Known,
    inputs: PlanInputs,
    ask: Ask,
    *,
    elapsed_s: Callable[[], float],
    effort: Effort | None = None,
) -> Plan:
    """Make the plan for what is known now: the message of `plan_with_making`, with the same arguments and errors."""
    return plan_with_making(home, known, inputs, ask, elapsed_s=elapsed_s, effort=effort).plan


def plan_with_making(
    home: Home,
    known: Known,
    inputs: PlanInputs,
    ask: Ask,
    *,
    elapsed_s: Callable[[], float],
    effort: Effort | None = None,
) -> MadePlan:
    """Make the plan for what is known now.

    Args:
        home: The site.
        known: The latest messages.
        inputs: Their ids.
        ask: What is asked.
        elapsed_s: Wall seconds since the work began.
        effort: How hard to search; the usual where None.

    Raises:
        InputProblem: There is no usable forecast.
    """
    problem = assemble(home, known, now=ask.now, decide_from=ask.decide_from)
    build_s = elapsed_s()
    running = _running(home, known, ask.now)
    head = replace(_head(home, ask, inputs, "" if running is None else running.plan_id), build_s=build_s)
    outcome = solve_sized(
        problem,
        SolverOptions(limit_s=ask.limit_s, effort=effort or Effort()),
        _once_it_is_up(elapsed_s, ask.limit_s),
        move_on=lambda rules: None if running is None else moved_on(problem, RunningPlan(running), rules),
        warm=_remembered(problem, known.last, head.config_hash),
    )
    if isinstance(outcome, NoPlan):
        rules = _as_rules(problem, outcome.rules, head, outcome.why, elapsed_s() - build_s)
        return MadePlan(rules, problem, outcome.rules)
    chosen, diff = _weigh(problem, outcome, running, home.optimization.keep_gain_czk)
    costs, outlook = _courses(problem, chosen, outcome, lambda: elapsed_s() < ask.limit_s - 0.3)
    notes = outlook if outcome.complete else (*outlook, Note("time_limit", {"limit_s": ask.limit_s}))
    head = replace(
        head,
        solve_s=elapsed_s() - build_s,
        diff=diff,
        scenario_costs=costs,
        baseline_total_czk=_baseline_czk(outcome.rules, chosen),
        notes=notes,
        price_czk_kwh=outcome.price_czk_kwh,
        relaxed_czk=outcome.relaxed if problem.uncertainty.strategy == "point" else None,
    )
    return MadePlan(plan_body(problem, chosen, head), problem, chosen, outcome.memory)


def make_rule_plan(home: Home, known: Known, inputs: PlanInputs, ask: Ask, why: str) -> Plan:
    """Make the plan that the rules would follow, marked as a fallback.

    Raises:
        InputProblem: There is no usable forecast.
    """
    problem = assemble(home, known, now=ask.now, decide_from=ask.decide_from)
    running = _running(home, known, ask.now)
    head = _head(home, ask, inputs, "" if running is None else running.plan_id)
    return _as_rules(problem, rule_plan(problem), head, why, 0.0)


def _baseline_czk(rules: Verified, chosen: Verified) -> float:
    """Return the rules' cost with comfort counted as the plan's: what is shown as saved is money, not warmth."""
    return rules.cost.total - rules.cost.comfort + chosen.cost.comfort


def _as_rules(problem: PlanningProblem, rules: Verified, head: PlanHead, why: str, solve_s: float) -> Plan:
    head = replace(
        head,
        status="fallback",
        solver_name="rules",
        solve_s=solve_s,
        baseline_total_czk=rules.cost.total,
        notes=(Note("fallback", {"why": why}),),
    )
    return plan_body(problem, rules, head)
