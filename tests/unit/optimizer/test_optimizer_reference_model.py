"""The reference model as a whole: the same account as scoring, solvers as a setting, plain errors."""

from dataclasses import replace

import numpy as np
import pulp
import pytest
from tests.unit.optimizer.optimizer_cases import small_home, small_problem
from tests.unit.optimizer.reference_cases import appliance, battery, car, czk, rooms, tank, toy

from pems_common.errors import PemsError
from pems_optimizer.domain.battery_flow import flow_without_battery
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.reference.courses import courses_counted
from pems_optimizer.domain.reference.solvers import NoReferenceError, SolverMissingError
from pems_optimizer.domain.reference_model import ReferenceSolution, solve_reference
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Verified, controlled_load_w, verify
from pems_optimizer.domain.setpoints import setpoint_flow
from pems_optimizer.domain.uncertainty import robust_scenarios

HOUSE = {"start_czk": 0.1, "peak_czk_kw": 2.0, "export_czk_kwh": 0.5}


def full_house(slots: int = 8, seed: int = 0) -> PlanningProblem:
    """Two rooms, tank, car and two machines on prices of both signs."""
    rng = np.random.default_rng(seed)
    heated = rooms(
        slots, 2, low=rng.uniform(19.0, 22.0, slots), high=22.5, air_in_w=-600.0, min_on=2, min_off=2,
        heat_to_mass=[0.0, 0.5], end_reference_c=[20.5, 20.5], end_value_czk_k=[2.0, 2.0], end_bonus_czk_k=[0.5, 0.5],
    )  # fmt: skip
    return toy(
        slots,
        buy=rng.uniform(0.5, 4.0, slots),
        sell=rng.uniform(-1.0, 0.4, slots),
        pv=rng.uniform(0.0, 4000.0, slots),
        load=rng.uniform(200.0, 1500.0, slots),
        heated=heated,
        grid={"import_max_w": 4000.0, "export_max_w": 1000.0, "peak_so_far_w": 1500.0},
        weights=HOUSE,
        water=tank(slots, low=rng.uniform(48.0, 54.0, slots), drain_w=800.0, high=55.0, end_value_czk_k=0.3),
        ev=car(5000.0, slots - 2, forced=[0.0]),
        appliances=(appliance(3, slots, earliest=1), appliance(2, slots - 1, interruptible=True, start_czk=0.2)),
    )


def account(problem: PlanningProblem, solution: ReferenceSolution) -> Verified:
    """What the optimizer's own account says of the reference's decisions."""
    load = controlled_load_w(problem, solution.decision)
    if problem.battery is None:
        return verify(problem, solution.decision, flow_without_battery(problem, load))
    return verify(problem, solution.decision, setpoint_flow(problem, load, solution.ev_w))


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_house_costs_what_scoring_says(seed):
    problem = full_house(seed=seed)
    solution = solve_reference(problem)
    scored = account(problem, solution)
    assert solution.objective == pytest.approx(scored.cost.total, abs=1e-4)
    assert solution.relay_on.any()
    assert solution.water_on.any()
    assert solution.ev_w.any()
    assert solution.decision.appliances[0].sum() == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_house_with_a_set_point_battery_costs_what_its_dispatch_says(seed):
    spare = battery(
        energy_wh=3000.0, charge_efficiency=0.9, discharge_efficiency=0.95, wear_czk_kwh=0.3, end_value_czk_wh=1e-3,
        min_wh=1000.0, taper_from_wh=6000.0, taper_full_w=500.0, reserve_wh=2500.0, reserve_czk_kwh_h=0.2,
    )  # fmt: skip
    problem = replace(full_house(6, seed), battery=spare)
    solution = solve_reference(problem)
    assert solution.objective == pytest.approx(account(problem, solution).cost.total, abs=1e-4)
    flow = solution.courses[0]
    assert np.minimum(flow.charge_w, flow.discharge_w).max() < 1e-3
    assert np.minimum(flow.import_w, flow.export_w).max() < 1e-3


def test_rooms_of_the_first_house_cost_what_scoring_says_for_the_rules_relays():
    problem = small_problem(small_home("pokoj_1", "pokoj_2"), seed=3, outdoor_c=-5.0)
    problem = replace(problem, battery=None, water=None, ev=None)
    decision = rule_plan(problem).decision
    load = controlled_load_w(problem, decision)
    scored = verify(problem, decision, flow_without_battery(problem, load))
    solution = solve_reference(problem, relays=decision.relay_on)
    assert np.array_equal(solution.relay_on, decision.relay_on)
    assert solution.objective == pytest.approx(scored.cost.total, abs=1e-4)
    own = scored.cost.comfort + scored.cost.switching + scored.cost.energy - scored.net_cost
    exported = problem.weights.export_czk_kwh * (solution.courses[0].export_w + solution.courses[0].held_back_w)
    assert solution.own_money == pytest.approx(own - float(exported.sum()) * problem.kwh, abs=1e-4)


def test_given_relays_cost_at_least_what_free_ones_do():
    problem = full_house(6)
    free = solve_reference(problem)
    none = solve_reference(problem, relays=np.zeros_like(free.relay_on))
    assert none.objective > free.objective + 0.1


def test_robust_courses_are_those_that_plans_are_made_for():
    problem = full_house()
    problem = replace(problem, buy=problem.buy - 2.0)
    robust = replace(problem, uncertainty=replace(problem.uncertainty, strategy="robust", spread=0.2))
    for ours, theirs in zip(courses_counted(robust), robust_scenarios(problem, 0.2), strict=True):
        for name in ("pv_w", "load_w", "buy", "sell"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), (ours.name, name)


def test_cbc_and_highs_find_the_same():
    problem = replace(full_house(5), battery=battery(energy_wh=2000.0, wear_czk_kwh=0.3))
    assert czk(problem, solver="cbc") == pytest.approx(czk(problem, solver="highs"), abs=1e-3)


def test_a_missing_solver_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(pulp.GUROBI, "available", lambda _: False)
    with pytest.raises(SolverMissingError, match=r"gurobi is not available .*licence"):
        solve_reference(toy(), solver="gurobi")


def test_relays_that_break_a_minimum_time_are_refused():
    problem = toy(3, heated=rooms(3, min_on=2))
    with pytest.raises(NoReferenceError, match="contradicts itself"):
        solve_reference(problem, relays=np.array([[True], [False], [False]]))


def test_relays_of_another_shape_are_refused():
    with pytest.raises(PemsError, match=r"one state per slot and room: \(3, 1\)"):
        solve_reference(toy(3, heated=rooms(3)), relays=np.zeros((2, 1), dtype=bool))


def test_a_problem_without_slots_is_refused():
    with pytest.raises(PemsError, match="at least one slot"):
        solve_reference(toy(0))


def test_without_time_there_is_no_answer_rather_than_a_wrong_one():
    with pytest.raises(NoReferenceError, match="not solved in time"):
        solve_reference(full_house(), time_limit_s=0.0)


def test_a_wide_gap_is_told_by_the_bound():
    problem = full_house()
    exact = solve_reference(problem)
    rough = solve_reference(problem, gap=0.5)
    assert rough.bound <= exact.objective + 1e-6
    assert rough.objective >= exact.objective - 1e-6
    assert rough.bound < rough.objective - 1e-3
