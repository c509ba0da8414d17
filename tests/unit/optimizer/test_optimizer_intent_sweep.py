"""Polishing by what an inverter with modes really does: never dearer, strictly cheaper where it can be, tidy after."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_home, small_problem

from pems_optimizer.domain.house_lp import expected_course
from pems_optimizer.domain.intent_sweep import run_for_real, sweep
from pems_optimizer.domain.plan_search import Effort, PlanSearch
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.solving import Solved, SolverOptions, solve


def chosen(problem: PlanningProblem) -> tuple[PlanSearch, Verified]:
    """A search whose devices are fixed by a dive alone, and its plan."""
    search = PlanSearch(problem, courses=(expected_course(problem),))
    search.offer(rule_plan(problem).decision)
    priced = search.find_prices(Effort())
    assert priced is not None
    dived = search.market.dive(priced, at_once=4)
    assert dived is not None
    return search, run_for_real(search, np.zeros(problem.slots), dived.flows[0].peak_w)


def bounds(search: PlanSearch) -> list[tuple[float, float]]:
    lp = search.market.lp
    columns = [lp._highs.getCol(int(k)) for k in lp._ev]
    return [(column[2], column[3]) for column in columns]


@pytest.fixture(scope="module")
def problem() -> PlanningProblem:
    return small_problem(small_home("pokoj_1", "pokoj_2", "loznice", "hosti"), seed=5)


def test_it_gains_and_leaves_the_cars_bounds_as_they_were(problem):
    search, plan = chosen(problem)
    before = bounds(search)
    assert before, "this house has a car"
    better = sweep(search, plan, search.order)
    assert better.cost.total < plan.cost.total - 0.3
    assert bounds(search) == before
    again = run_for_real(search, better.decision.ev_w, plan.peak_w)
    assert again.cost.total == pytest.approx(better.cost.total), "what it returns is what is fixed"


def test_what_does_not_gain_after_all_is_taken_back(problem, monkeypatch):
    search, plan = chosen(problem)
    fixed = dict(search.market.fixed)
    # The coarse account praises every change, the fine one none.
    praise = iter(range(10_000))

    def account(_search, _ev_w, _peak_w, *, thorough=True):
        return SimpleNamespace(cost=SimpleNamespace(total=plan.cost.total + 1.0 if thorough else -next(praise)))

    monkeypatch.setattr("pems_optimizer.domain.intent_sweep.run_for_real", account)
    best = sweep(search, plan, search.order[:2])
    assert best is plan
    assert search.market.fixed == fixed


def test_out_of_time_it_changes_nothing(problem):
    search, plan = chosen(problem)
    search.market.out_of_time = lambda: True
    assert sweep(search, plan, search.order) is plan


def test_a_plan_is_made_with_it_and_cheaper_for_it():
    """A house in which it gains several crowns: what is left to gain differs a little between processors."""
    problem = small_problem(small_home("pokoj_1", "pokoj_2", "loznice", "hosti"), seed=6)

    def cost(sweeps: int) -> float:
        outcome = solve(problem, SolverOptions(60.0, Effort(sweeps=0, intent_sweeps=sweeps)), lambda: 0.0)
        assert isinstance(outcome, Solved)
        return outcome.best.cost.total

    assert cost(1) < cost(0) - 0.3
