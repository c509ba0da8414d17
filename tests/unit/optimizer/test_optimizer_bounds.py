"""The bound of a plan: never above it, proven where devices fall apart, an estimate where rooms warm each other."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from benchmarks._family import Family, reference_problem
from benchmarks.invariants.random_house import random_problem

from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.problem import PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.solving import Solved, SolverOptions, solve


@cache
def case(*, coupled=False, slab=False, strategy="point") -> tuple[PlanningProblem, Solved]:
    """The first small house of the random ones that is as asked for, and its plan."""
    for seed in range(200):
        problem = random_problem("no_pv" if seed % 2 else "cold_rooms", seed, longest_h=6.0)
        rooms = problem.rooms
        as_asked = bool(rooms.coupling_w_k.any()) == coupled and (rooms.heat_to_mass.any() or coupled) == (
            slab or coupled
        )
        if as_asked and rooms.count in {2, 3} and problem.battery is not None and problem.ev is None:
            problem = replace(problem, uncertainty=Uncertainty())
            if strategy != "point":
                problem = replace(problem, uncertainty=uncertainty(problem, strategy))
            outcome = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0)
            if isinstance(outcome, Solved):
                return problem, outcome
    raise AssertionError("no such house")


def uncertainty(problem, strategy):
    days = tuple(
        Scenario(name, share, problem.pv_w, problem.load_w * load, problem.buy * price, problem.sell)
        for name, share, load, price in (("calm", 0.6, 0.9, 0.95), ("dear", 0.4, 1.15, 1.1))
    )
    return Uncertainty(strategy, scenarios=days, shared_slots=2, cvar_share=0.3)


def bound_of(problem, solved, *, limit_s=60.0, elapsed_s=lambda: 0.0):
    total = solved.best.cost.total
    return certify(problem, solved.best.decision, solved.memory, total, elapsed_s, limit_s), total


@pytest.mark.parametrize("slab", [False, True])
def test_devices_that_fall_apart_have_a_proven_bound_below_every_plan(slab):
    problem, solved = case(slab=slab)
    bound, total = bound_of(problem, solved)
    assert bound.kind == "proven"
    assert bound.value_czk <= total + 1e-6 * abs(total)
    assert bound.value_czk <= rule_plan(problem).cost.total
    assert bound.value_czk > total - 0.25 * abs(total) - 1.0, "and not far below"


def test_radiators_have_two_modes_although_no_heat_goes_into_the_mass_first():
    problem = reference_problem(0, Family(rooms=4, hours=36, coupled=True))
    assert not problem.rooms.heat_to_mass.any()
    outcome = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0)
    assert isinstance(outcome, Solved)
    bound, total = bound_of(problem, outcome)
    assert bound.kind == "estimate"
    assert bound.value_czk > total - 0.03 * abs(total)


def test_a_bound_knows_that_an_inverter_can_be_off_with_its_roofs():
    """Paid for drawing, the best plan of this house switches off roofs that nothing else can hold back (I6)."""
    problem = random_problem("negative_prices", 10)
    assert problem.battery is not None
    assert (problem.battery.control, problem.grid.pv_curtailable) == ("intents", False)
    outcome = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0)
    assert isinstance(outcome, Solved)
    assert "off" in outcome.best.flow.intent
    bound, total = bound_of(problem, outcome)
    assert bound.kind == "proven"
    assert bound.value_czk <= total


def test_a_set_point_battery_has_no_off():
    problem = random_problem("negative_prices", 10)
    assert problem.battery is not None
    free = replace(problem, battery=replace(problem.battery, control="setpoint"))
    flow = plan_battery(free, problem.load_w, np.zeros(problem.slots), 1e9)
    assert np.allclose(flow.pv_used_w, problem.pv_w), "its roofs cannot be held back"


def test_rooms_that_warm_each_other_have_an_estimate_that_is_never_above_the_plan():
    problem, solved = case(coupled=True)
    bound, total = bound_of(problem, solved)
    assert bound.kind == "estimate"
    assert total - 0.25 * abs(total) - 1.0 < bound.value_czk <= total


@pytest.mark.parametrize("strategy", ["scenarios", "robust"])
def test_of_several_courses_all_are_compared_with_all(strategy):
    problem, solved = case(strategy=strategy)
    bound, total = bound_of(problem, solved)
    assert bound.kind == "proven"
    assert bound.value_czk <= total + 1e-6 * abs(total)
    assert bound.value_czk > total - 0.25 * abs(total) - 1.0


class Hasty:
    """A clock that runs on with every look at it."""

    def __init__(self, step_s):
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


@pytest.mark.parametrize("step_s", [0.02, 0.2, 5.0])
def test_a_short_limit_gives_a_bound_all_the_same(step_s):
    for problem, solved in (case(), case(coupled=True), case(strategy="scenarios")):
        bound, total = bound_of(problem, solved, limit_s=1.0, elapsed_s=Hasty(step_s))
        assert bound.value_czk <= total + 1e-6 * abs(total)
        assert not np.isnan(bound.value_czk)


def test_more_time_makes_it_no_worse():
    problem, solved = case(slab=True)
    long, _ = bound_of(problem, solved)
    short, _ = bound_of(problem, solved, limit_s=1.0, elapsed_s=Hasty(0.2))
    assert short.value_czk <= long.value_czk + 1e-3 * abs(long.value_czk)


def test_a_plan_that_is_worse_has_the_same_bound():
    """The rules' decision is certified with what the solver remembers: the problem is the same."""
    problem, solved = case()
    rules = rule_plan(problem)
    mine, _ = bound_of(problem, solved)
    theirs = certify(problem, rules.decision, solved.memory, rules.cost.total, lambda: 0.0, 60.0)
    assert theirs.value_czk == pytest.approx(mine.value_czk, rel=2e-3, abs=0.05)


def test_a_memory_of_other_slots_is_no_hindrance():
    problem, solved = case()
    other = {**solved.memory, "price": solved.memory["price"][:-1]}
    total = solved.best.cost.total
    bound = certify(problem, solved.best.decision, other, total, lambda: 0.0, 60.0)
    assert bound.value_czk <= total + 1e-6 * abs(total)
    assert bound.value_czk > total - 0.25 * abs(total) - 1.0
