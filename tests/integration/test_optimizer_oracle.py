"""Plans against the reference model (docs/planning-problem.md) on instances small enough to be solved to the end."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_home, small_problem

from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.house_lp import HouseLp
from pems_optimizer.domain.problem import PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.reference.courses import robust_courses
from pems_optimizer.domain.reference_model import solve_reference
from pems_optimizer.domain.solving import Solved, SolverOptions, solve

SLOTS = 12
SAME_CZK = 1e-4
# The intents' dynamic program has three levels of charging and a grid of stored energy.
INTENTS_GAP, INTENTS_DISPATCH_CZK = 0.08, 0.35
SETPOINT_GAP = 0.01
BOUND_BELOW_CZK = 0.5


def _cut(problem: PlanningProblem, slots: int) -> PlanningProblem:
    """The first slots of a problem; end values stay."""
    rooms = problem.rooms
    by_slot = ("air_input_w", "low_c", "high_c", "band_low_c", "band_high_c", "target_c", "forced_on")
    return replace(
        problem,
        slots=slots,
        **{name: getattr(problem, name)[:slots] for name in ("pv_w", "load_w", "buy", "sell", "outdoor_c", "cheap")},
        bands={},
        ev=None,
        water=None,
        # The peak of 48 h costs what it costs; that of three hours its share.
        weights=replace(problem.weights, peak_czk_kw=problem.weights.peak_czk_kw * slots / problem.slots),
        rooms=replace(rooms, **{name: getattr(rooms, name)[:slots] for name in by_slot}),
    )


def _small(seed: int, control: Literal["intents", "setpoint"], *names: str) -> PlanningProblem:
    """Some rooms on a cold day with some sun."""
    problem = _cut(small_problem(small_home(*names), seed=seed, outdoor_c=-8.0, sun=0.3), SLOTS)
    count = problem.rooms.count
    rooms = replace(
        problem.rooms,
        relay_on=np.zeros(count, dtype=bool),
        slots_in_state=np.full(count, 100),
        starts_max=np.full(count, 99),
    )
    assert problem.battery is not None
    # Changes of the intent are counted from the first slot's.
    return replace(problem, rooms=rooms, battery=replace(problem.battery, intent_now="", control=control))


def _plan(problem: PlanningProblem) -> Solved:
    outcome = solve(problem, SolverOptions(limit_s=60), lambda: 0.0)
    assert isinstance(outcome, Solved)
    return outcome


def _spent(problem: PlanningProblem, objective: float) -> float:
    """What is spent: the end value of the battery is no cost of running."""
    assert problem.battery is not None
    return objective + problem.battery.end_value_czk_wh * problem.battery.energy_wh


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_by_intents_is_close_to_the_optimum_and_never_below(seed):
    problem = _small(seed, "intents", "pokoj_1", "pokoj_2")
    plan = _plan(problem).best
    best, got = solve_reference(problem).objective, plan.cost.total
    dispatched = solve_reference(problem, relays=plan.decision.relay_on).objective
    assert dispatched - SAME_CZK <= got <= dispatched + INTENTS_DISPATCH_CZK, "near the best for these relays"
    assert best - SAME_CZK <= got <= best + INTENTS_GAP * _spent(problem, best)


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_by_set_points_is_dispatched_at_the_optimum(seed):
    problem = _small(seed, "setpoint", "pokoj_1", "pokoj_2")
    plan = _plan(problem).best
    best, got = solve_reference(problem).objective, plan.cost.total
    dispatched = solve_reference(problem, relays=plan.decision.relay_on).objective
    assert got == pytest.approx(dispatched, abs=SAME_CZK), "battery and grid are the best for these relays"
    assert best - SAME_CZK <= got <= best + SETPOINT_GAP * _spent(problem, best)


@pytest.mark.parametrize("control", ["setpoint", "intents"])
@pytest.mark.parametrize("seed", range(2))
def test_a_proven_bound_is_below_the_true_optimum(seed, control):
    problem = _small(seed, control, "pokoj_1")
    outcome = _plan(problem)
    bound = certify(problem, outcome.best.decision, outcome.memory, outcome.best.cost.total, lambda: 0.0, 60.0)
    best = solve_reference(problem).objective
    assert bound.kind == "proven"
    assert bound.value_czk <= best + SAME_CZK
    assert bound.value_czk >= best - BOUND_BELOW_CZK, "and not far below"


def _three_days(problem: PlanningProblem) -> tuple[Scenario, ...]:
    dull, fair, bright = (
        Scenario(name, probability, problem.pv_w * sun, problem.load_w * load, problem.buy * price, problem.sell)
        for name, probability, sun, load, price in (
            ("dull", 0.2, 0.2, 1.5, 1.2),
            ("fair", 0.5, 1.0, 1.0, 1.0),
            ("bright", 0.3, 2.0, 0.8, 0.7),
        )
    )
    return dull, fair, bright


@pytest.mark.parametrize("strategy", ["robust", "scenarios"])
@pytest.mark.parametrize("seed", range(2))
def test_the_program_over_several_courses_is_that_of_the_reference(seed, strategy):
    problem = _small(seed, "setpoint", "pokoj_1", "pokoj_2")
    courses = robust_courses(problem) if strategy == "robust" else _three_days(problem)
    known = Uncertainty(strategy, scenarios=courses, shared_slots=4, cvar_share=0.3, cvar_tail=0.25)
    problem = replace(problem, uncertainty=known)
    relays = np.zeros((SLOTS, 2), dtype=bool)
    relays[3:9, 0] = relays[5:, 1] = True
    reference = solve_reference(problem, relays=relays)
    program = HouseLp(problem)
    program.set_load([course.load_w + relays @ problem.rooms.heater_w for course in courses])
    done = program.solve_physical()
    assert done is not None
    assert done.objective + reference.own_money == pytest.approx(reference.objective, abs=SAME_CZK)
