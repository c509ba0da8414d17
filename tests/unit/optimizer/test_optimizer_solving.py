"""Plans of the whole first house and of small ones: limits, repeatability, odd starts, the time limit."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, first_house, small_home, small_problem, winter_case
from tests.unit.optimizer.test_optimizer_battery import assert_physical
from tests.unit.optimizer.test_optimizer_relay_dp import keeps_minimum_times

from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.house_lp import expected_course
from pems_optimizer.domain.plan_search import Effort, PlanSearch
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Verified, controlled_load_w
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve
from pems_optimizer.domain.thermal_response import room_device, simulate_rooms


def no_clock() -> float:
    return 0.0


def solved(problem: PlanningProblem, sweeps: int = 1) -> Solved:
    outcome = solve(problem, SolverOptions(limit_s=60.0, effort=Effort(sweeps=sweeps)), no_clock)
    assert isinstance(outcome, Solved), outcome
    return outcome


@pytest.fixture(scope="module")
def whole() -> tuple[PlanningProblem, Solved]:
    problem = small_problem(first_house(), seed=3)
    return problem, solved(problem, sweeps=2)


def assert_relays_keep_their_times(problem: PlanningProblem, plan: Verified) -> None:
    path = simulate_rooms(problem.rooms, plan.decision.relay_on)
    for r in range(problem.rooms.count):
        first = int(problem.rooms.forced[r])
        device = room_device(problem, path, r, plan.decision.relay_on)
        assert keeps_minimum_times(plan.decision.relay_on[first:, r], device), problem.rooms.names[r]


def test_the_whole_house_is_planned_within_its_limits(whole):
    problem, outcome = whole
    plan = outcome.best
    assert plan.decision.relay_on.shape == (192, 17)
    assert_relays_keep_their_times(problem, plan)
    assert_physical(problem, plan.flow, controlled_load_w(problem, plan.decision))
    assert plan.flow.grid_w.max() <= first_house().grid.import_max_w
    heat = plan.decision.relay_on @ problem.rooms.heater_w
    assert heat.max() <= problem.grid.heating_max_w
    starts = (~plan.decision.relay_on[:-1] & plan.decision.relay_on[1:]).sum(axis=0)
    assert (starts <= problem.rooms.starts_max).all()


def test_it_is_cheaper_and_not_colder_than_the_rules(whole):
    problem, outcome = whole
    assert outcome.best.cost.total < 0.85 * outcome.rules.cost.total
    assert outcome.best.net_cost < outcome.rules.net_cost
    low = problem.rooms.band_low_c
    below = [np.maximum(low - v.path.air_c[1:], 0).sum() for v in (outcome.best, outcome.rules)]
    assert below[0] < 0.2 * below[1]


def test_the_car_gets_its_energy_in_useful_powers(whole):
    problem, outcome = whole
    power = outcome.best.decision.ev_w
    assert power.sum() * 0.25 >= problem.ev.need_wh - 100
    assert ((power == 0) | (power >= problem.ev.power_min_w - 1e-6)).all()
    assert (power[problem.ev.deadline :] == 0).all()
    assert (outcome.best.flow.battery_w[power > 1] <= 1).all()


def test_the_bidders_own_view_is_close_to_the_house_simulated_together(whole):
    """A room alone, its neighbours taken from the last iterate, predicts the coupled house."""
    problem, outcome = whole
    on, path = outcome.best.decision.relay_on, outcome.best.path
    errors = []
    for r in range(problem.rooms.count):
        device = room_device(problem, path, r, on)
        z = np.zeros(2)
        for t in range(problem.slots):
            z = device.decay * z + device.push * on[t, r]
            errors.append(device.free_c[t] + z.sum() - path.air_c[t + 1, r])
    assert np.sqrt(np.mean(np.square(errors))) < 0.02


def test_the_same_problem_gives_the_same_plan():
    problem = small_problem()
    a, b = solved(problem).best, solved(problem).best
    assert np.array_equal(a.decision.relay_on, b.decision.relay_on)
    assert a.flow.intent == b.flow.intent
    assert a.cost == b.cost


def test_a_sweep_never_makes_the_masters_worth_worse():
    # The worth is that of the relaxed battery; with intents the verified cost may still differ either way.
    problem = small_problem(small_home("pokoj_1", "pokoj_2", "loznice", "hosti"), seed=5)
    effort = Effort()
    search = PlanSearch(problem, lambda: 60.0, courses=(expected_course(problem),), grid=effort.rough)
    search.offer(rule_plan(problem).decision)
    priced = search.find_prices(effort)
    assert priced is not None
    dived = search.market.dive(priced, at_once=effort.at_once)
    assert dived is not None
    before = search.market.worth(dived)
    after = search.market.worth(search.market.polish(dived, search.order))
    assert after <= before + 1e-6 * abs(before)


@pytest.mark.parametrize("seed", [4, 5])
def test_sweeps_never_make_it_worse(seed):
    problem = small_problem(small_home("pokoj_1", "pokoj_2", "loznice", "hosti"), seed=seed)
    first = solved(problem, sweeps=0).best.cost.total
    second = solved(problem, sweeps=2).best.cost.total
    assert second <= first + 1.0


def test_out_of_time_leaves_the_rules():
    outcome = solve(small_problem(), SolverOptions(limit_s=1.0), lambda: 2.0)
    assert isinstance(outcome, NoPlan)
    assert outcome.rules.decision.relay_on.any()


def test_time_that_ends_in_the_middle_gives_what_is_there():
    problem, calls = small_problem(), iter(range(10_000))
    outcome = solve(problem, SolverOptions(limit_s=5.0, effort=Effort(sweeps=50)), lambda: next(calls) * 0.15)
    assert isinstance(outcome, NoPlan | Solved)
    if isinstance(outcome, Solved):
        assert_relays_keep_their_times(problem, outcome.best)


@pytest.mark.parametrize(
    ("air_c", "energy_wh"),
    [(12.0, 500.0), (31.0, 10_000.0)],
)
def test_an_impossible_start_still_gets_a_plan(air_c, energy_wh):
    problem = small_problem()
    odd = replace(
        problem,
        rooms=replace(problem.rooms, air_c=np.full(3, air_c), mass_c=np.full(3, air_c)),
        battery=replace(problem.battery, energy_wh=energy_wh),
    )
    plan = solved(odd).best
    assert np.isfinite(plan.cost.total)
    first_hours = plan.decision.relay_on[2:8]
    assert first_hours.all() if air_c < 15 else not first_hours.any()


def test_a_house_with_few_things_is_planned():
    home = small_home("pokoj_1", ev=None, battery=None, water=None)
    plan = solved(small_problem(home, outdoor_c=-10.0)).best
    assert plan.flow.intent == ()
    assert plan.decision.relay_on.any()


def test_a_house_without_planned_rooms_is_planned():
    bare = small_home()
    known = replace(winter_case(bare, 1), thermals={})
    problem = assemble(bare, known, now=START, decide_from=START)
    plan = solved(problem).best
    assert plan.decision.relay_on.shape == (192, 0)


def test_forced_slots_stay_as_they_are():
    problem = small_problem()
    rooms = problem.rooms
    forced_on = rooms.forced_on.copy()
    forced_on[:5, 0] = True
    odd = replace(problem, rooms=replace(rooms, forced=np.array([5, 0, 3]), forced_on=forced_on))
    on = solved(odd).best.decision.relay_on
    assert on[:5, 0].all()
    assert not on[:3, 2].any()


def test_the_rules_keep_minimum_times_and_the_breaker():
    problem = small_problem(first_house(), seed=2, outdoor_c=-12.0)
    plan = rule_plan(problem)
    assert_relays_keep_their_times(problem, plan)
    assert plan.flow.grid_w.max() <= problem.grid.import_max_w + 1500
    assert_physical(problem, plan.flow, controlled_load_w(problem, plan.decision))


def test_very_cold_days_stay_below_the_breaker():
    problem = small_problem(first_house(), seed=2, outdoor_c=-12.0)
    plan = solved(problem, sweeps=1).best
    assert plan.flow.grid_w.max() <= first_house().grid.import_max_w
