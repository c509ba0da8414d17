"""Whatever the house and the day are: there is a plan, it keeps every rule, it is accounted for, and no bound is above.

The houses are those of `./pems bench invariants`, small and few here; what looks at the plans calls none of the solver.
"""

from dataclasses import replace

from benchmarks.invariants.judge import plan_faults
from benchmarks.invariants.random_house import FAMILIES, random_problem
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.judging import judged_czk
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

FEW = settings(max_examples=25, deadline=None)
QUICK = Effort(rounds=4, fine_rounds=2, rough=(24, 4), fine=(40, 5))
SMALL = tuple(family for family in FAMILIES if family not in {"thirty_rooms", "clock_change", "missing_prices"})

families, seeds = st.sampled_from(SMALL), st.integers(0, 10**6)


def house(family: str, seed: int) -> PlanningProblem:
    """A small one; a battery outside its limits has an inverter that knows intents."""
    problem = random_problem(family, seed, longest_h=3.0)
    battery = problem.battery
    if family == "soc_outside" and battery is not None:
        problem = replace(problem, battery=replace(battery, control="intents"))
    return problem


def planned(problem: PlanningProblem) -> Solved | NoPlan:
    return solve(problem, SolverOptions(limit_s=60.0, effort=QUICK), lambda: 0.0)


def faults_of(problem: PlanningProblem, outcome: Solved | NoPlan) -> list[str]:
    if isinstance(outcome, Solved):
        return plan_faults(problem, outcome.best)
    return plan_faults(problem, outcome.rules, by_rules=True)


@FEW
@given(families, seeds)
@example("hot_rooms", 727)  # three courses: dearer than the rules in the expected one, cheaper over all
def test_a_plan_keeps_every_rule_and_is_accounted_for(family, seed):
    problem = house(family, seed)
    outcome = planned(problem)
    assert faults_of(problem, outcome) == []
    if isinstance(outcome, Solved):
        rules = judged_czk(problem, outcome.rules)  # over all courses where the strategy counts with several
        assert judged_czk(problem, outcome.best) <= rules + 1e-6 * abs(rules)


@FEW
@given(families, seeds)
def test_the_rules_plan_is_accounted_for_too(family, seed):
    problem = house(family, seed)
    assert plan_faults(problem, rule_plan(problem), by_rules=True) == []


@FEW
@given(families, seeds)
def test_no_bound_is_above_its_plan_and_no_proven_one_above_any(family, seed):
    problem = house(family, seed)
    outcome = planned(problem)
    if isinstance(outcome, NoPlan):
        return
    total = outcome.best.cost.total
    bound = certify(problem, outcome.best.decision, outcome.memory, total, lambda: 0.0, 0.5)
    assert bound.value_czk <= total + 1e-6 * max(1.0, abs(total))
    if bound.kind == "proven" and problem.uncertainty.strategy == "point":
        assert bound.value_czk <= outcome.rules.cost.total + 1e-4
    assert bound.kind == ("estimate" if problem.rooms.coupling_w_k.any() else "proven")


@FEW
@given(families, seeds, st.integers(1, 60))
def test_time_that_ends_anywhere_leaves_a_plan(family, seed, looks):
    problem = house(family, seed)
    left = iter([0.0] * looks)
    outcome = solve(problem, SolverOptions(limit_s=5.0, effort=QUICK), lambda: next(left, 99.0))
    assert faults_of(problem, outcome) == []


@FEW
@given(families, seeds)
def test_the_same_problem_gives_the_same_plan(family, seed):
    problem = house(family, seed)
    one, two = planned(problem), planned(problem)
    assert type(one) is type(two)
    if isinstance(one, Solved) and isinstance(two, Solved):
        assert one.best.cost == two.best.cost
        assert (one.best.decision.relay_on == two.best.decision.relay_on).all()
