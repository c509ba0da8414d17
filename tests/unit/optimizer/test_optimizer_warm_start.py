"""What is remembered of the last plan moves on in time, and the next search begins there."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import first_house, small_home, small_problem

from pems_optimizer.domain.plan_search import Effort, PlanSearch, is_coupled
from pems_optimizer.domain.solving import Solved, SolverOptions, solve
from pems_optimizer.domain.warm_start import moved_memory


@pytest.fixture(scope="module")
def solved():
    problem = small_problem(small_home("pokoj_1", "pokoj_2"), ev_missing_wh=None)
    outcome = solve(problem, SolverOptions(60.0), lambda: 0.0)
    assert isinstance(outcome, Solved)
    return problem, outcome


def test_an_hour_later_schedules_and_prices_are_an_hour_on(solved):
    problem, outcome = solved
    later = replace(problem, start=problem.start + timedelta(hours=1))
    moved = moved_memory(outcome.memory, problem.start, problem.step, later)
    for name in ("on", "price", "heat_price", "car_price"):
        assert moved[name].shape[-1] == problem.slots
        assert np.array_equal(moved[name][..., :-4], outcome.memory[name][..., 4:])
        assert np.array_equal(moved[name][..., -4:], outcome.memory[name][..., -96:-92]), "the end is as a day before"


@pytest.mark.parametrize(
    ("ago", "step"),
    [
        (timedelta(hours=30), timedelta(minutes=15)),
        (timedelta(minutes=5), timedelta(minutes=15)),
        (timedelta(hours=-1), timedelta(minutes=15)),
        (timedelta(0), timedelta(minutes=5)),
    ],
)
def test_what_does_not_fit_is_left(solved, ago, step):
    problem, outcome = solved
    assert moved_memory(outcome.memory, problem.start - ago, step, problem) is None
    assert moved_memory({}, problem.start, problem.step, problem) is None


def test_a_warm_plan_is_as_good_as_a_cold_one(solved):
    problem, outcome = solved
    dearer = replace(problem, buy=problem.buy * np.linspace(0.9, 1.2, problem.slots))
    cold = solve(dearer, SolverOptions(60.0), lambda: 0.0)
    warm = solve(dearer, SolverOptions(60.0), lambda: 0.0, warm=outcome.memory)
    assert isinstance(cold, Solved)
    assert isinstance(warm, Solved)
    assert warm.best.cost.total <= cold.best.cost.total + 0.01 * abs(cold.best.cost.total)


def test_a_warm_search_of_coupled_rooms_looks_at_their_neighbours():
    home = first_house()
    problem = small_problem(home, ev_missing_wh=None)
    assert is_coupled(problem)
    cold = solve(problem, SolverOptions(60.0), lambda: 0.0)
    assert isinstance(cold, Solved)
    search = PlanSearch(problem, grid=(12, 3))
    before = search.path.air_c
    prices = search.recall(cold.memory)
    search.find_prices(Effort(rounds=0, fine_rounds=1, fine=(12, 3)), prices)
    meant = cold.best.path.air_c
    assert np.abs(search.path.air_c - meant).mean() < 0.5 * np.abs(before - meant).mean()
    assert np.any(search.warmth_czk_k), "what warmth is worth next door is known again"


def test_memory_of_other_devices_is_no_harm(solved):
    _, outcome = solved
    other = small_problem(small_home("chodba_nahore", "pokoj_2"), ev_missing_wh=None)
    assert isinstance(solve(other, SolverOptions(60.0), lambda: 0.0, warm=outcome.memory), Solved)
