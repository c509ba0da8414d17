"""A problem that is too large is solved on longer slots: nearly as good, feasible, and ready for a certificate."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem
from tests.unit.optimizer.test_optimizer_coarsening import least_times_kept

from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.problem import ApplianceSpec
from pems_optimizer.domain.sized_solving import solve_sized
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions

OPTIONS = SolverOptions(limit_s=60.0)


@pytest.fixture(scope="module")
def problem():
    dish = ApplianceSpec("dish", 1000.0, 7, 10, 60)
    return replace(small_problem(hours=24), appliances=(dish,))


def solved(problem, factor: int | None = None) -> Solved:
    outcome = solve_sized(problem, OPTIONS, lambda: 0.0, factor=factor)
    assert isinstance(outcome, Solved)
    return outcome


@pytest.fixture(scope="module")
def own(problem) -> Solved:
    return solved(problem)


@pytest.fixture(scope="module")
def coarse(problem) -> Solved:
    return solved(problem, factor=2)


def test_longer_slots_cost_little(own, coarse):
    assert coarse.best.cost.total < coarse.rules.cost.total
    assert coarse.rules.cost.total == own.rules.cost.total
    assert coarse.best.cost.total < own.best.cost.total + 0.04 * abs(own.best.cost.total)


def test_what_comes_back_is_a_plan_of_the_true_slots(problem, coarse):
    decision, rooms = coarse.best.decision, problem.rooms
    assert decision.relay_on.shape == (96, 3)
    for r in range(rooms.count):
        held = int(rooms.slots_in_state[r])
        on = decision.relay_on[:, r].tolist()
        assert least_times_kept(on, bool(rooms.relay_on[r]), held, (rooms.min_off, rooms.min_on))
    run = np.flatnonzero(decision.appliances[0])
    assert len(run) == run[-1] - run[0] + 1 == 7
    assert coarse.price_czk_kwh.shape == (96,)
    assert np.corrcoef(coarse.price_czk_kwh, problem.buy)[0, 1] > 0.5


def test_a_certificate_can_begin_from_what_is_remembered(problem, coarse):
    total = coarse.best.cost.total
    bound = certify(problem, coarse.best.decision, coarse.memory, total, lambda: 0.0, 20.0)
    assert total - 0.25 * abs(total) < bound.value_czk <= total + 0.02 * abs(total)


def test_a_small_problem_keeps_its_slots(problem, own):
    assert own.memory["on"].shape[1] == 96


def test_no_time_gives_the_rules_of_the_true_slots(problem):
    outcome = solve_sized(problem, SolverOptions(limit_s=0.1), lambda: 1.0, factor=2)
    assert isinstance(outcome, NoPlan)
    assert outcome.rules.decision.relay_on.shape == (96, 3)
