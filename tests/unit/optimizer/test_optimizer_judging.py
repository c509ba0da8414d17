"""Plans are compared by the measure of the home's strategy, and the best of them is taken."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_home, small_problem

from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.judging import cost_in, judged_czk, tail_mean
from pems_optimizer.domain.problem import Scenario, Uncertainty
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve


def courses(problem):
    p = problem
    return (
        Scenario("mild", 0.7, p.pv_w, 0.8 * p.load_w, p.buy, p.sell),
        Scenario("dear", 0.3, 0.2 * p.pv_w, 1.5 * p.load_w, 1.6 * p.buy, p.sell),
    )


@pytest.fixture(scope="module")
def problem():
    return small_problem(small_home("pokoj_1", "pokoj_2"), ev_missing_wh=None)


def uncertain(problem, strategy, **known):
    return replace(problem, uncertainty=Uncertainty(strategy, scenarios=courses(problem), **known))


def test_each_strategy_has_its_own_measure(problem):
    plan = rule_plan(problem)
    mild, dear = (cost_in(problem, course, plan) for course in courses(problem))
    assert mild < dear
    assert judged_czk(problem, plan) == plan.cost.total
    assert judged_czk(uncertain(problem, "robust"), plan) == dear
    mean = 0.7 * mild + 0.3 * dear
    assert judged_czk(uncertain(problem, "scenarios"), plan) == pytest.approx(mean)
    careful = uncertain(problem, "scenarios", cvar_share=0.4, cvar_tail=0.3)
    assert judged_czk(careful, plan) == pytest.approx(0.6 * mean + 0.4 * dear)


def test_the_tail_is_the_worst_share_of_the_probability():
    assert tail_mean(np.array([1.0, 9.0, 5.0]), np.array([0.5, 0.2, 0.3]), 0.3) == pytest.approx(
        (0.2 * 9 + 0.1 * 5) / 0.3
    )


@pytest.mark.parametrize("strategy", ["robust", "scenarios"])
def test_no_strategy_does_worse_than_the_expected_course_by_its_own_measure(problem, strategy):
    expected = solve(problem, SolverOptions(60.0), lambda: 0.0)
    asked = uncertain(problem, strategy)
    found = solve(asked, SolverOptions(60.0), lambda: 0.0)
    assert isinstance(expected, Solved)
    assert isinstance(found, Solved)
    assert judged_czk(asked, found.best) <= judged_czk(asked, expected.best) + 1e-6
    assert judged_czk(asked, found.best) < judged_czk(asked, found.rules)


def test_when_time_is_up_the_running_plan_stays_where_it_beats_the_rules(problem):
    good = solve(problem, SolverOptions(60.0), lambda: 0.0)
    assert isinstance(good, Solved)
    late = SolverOptions(1.0)
    kept = solve(problem, late, lambda: 5.0, move_on=lambda rules: good.best.decision)
    assert isinstance(kept, Solved)
    assert not kept.complete
    assert (
        certify(problem, kept.best.decision, kept.memory, kept.best.cost.total, lambda: 0.0, 1.0).value_czk == -np.inf
    )
    warm = solve(problem, late, lambda: 5.0, move_on=lambda rules: good.best.decision, warm=good.memory)
    assert isinstance(warm, Solved)
    bound = certify(problem, warm.best.decision, warm.memory, warm.best.cost.total, lambda: 0.0, 60.0)
    assert 0.5 * warm.best.cost.total < bound.value_czk <= warm.best.cost.total
    assert warm.best.cost.total < 1.2 * good.best.cost.total
    assert np.array_equal(kept.best.decision.relay_on, good.best.decision.relay_on)
    assert kept.best.cost.total < kept.rules.cost.total

    idle = replace(good.best.decision, relay_on=np.zeros_like(good.best.decision.relay_on))
    assert isinstance(solve(problem, late, lambda: 5.0, move_on=lambda rules: idle), NoPlan)
    assert isinstance(solve(problem, late, lambda: 5.0), NoPlan)
