"""Battery intents: limits, least dispatch, the car, negative prices, odd starts."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem

from pems_optimizer.domain.battery_actions import BatteryActions
from pems_optimizer.domain.battery_dp import HouseFlow, flow_without_battery, follow_intents, plan_battery
from pems_optimizer.domain.problem import PlanningProblem


@pytest.fixture(scope="module")
def problem() -> PlanningProblem:
    return small_problem()


def plan(problem: PlanningProblem, load=None, ev=None, peak_w=1e9) -> HouseFlow:
    load = problem.load_w + 2000.0 if load is None else load
    ev = np.zeros(problem.slots) if ev is None else ev
    return plan_battery(problem, load + ev, ev, peak_w)


def assert_physical(problem: PlanningProblem, flow: HouseFlow, load: np.ndarray) -> None:
    battery = problem.battery
    assert battery is not None
    assert np.allclose(flow.pv_used_w + flow.grid_w + flow.battery_w, load, atol=1e-6)
    low, high = min(battery.min_wh, battery.energy_wh), max(battery.max_wh, battery.energy_wh)
    assert flow.soc_wh.min() >= low - 1e-6
    assert flow.soc_wh.max() <= high + 1e-6
    assert np.abs(flow.battery_w).max() <= battery.charge_max_w + 1e-6
    before = np.concatenate([[battery.energy_wh], flow.soc_wh[:-1]])
    moved = np.where(
        flow.battery_w > 0, flow.battery_w / battery.discharge_efficiency, flow.battery_w * battery.charge_efficiency
    )
    assert np.allclose(before - moved * problem.dt_h, flow.soc_wh, atol=1e-6)
    assert (flow.pv_used_w <= problem.pv_w + 1e-9).all()


def test_flows_balance_and_stay_inside_limits(problem):
    load = problem.load_w + 2000.0
    flow = plan(problem, load)
    assert_physical(problem, flow, load)
    idle = follow_intents(problem, load, np.zeros(problem.slots), ("hold",) * problem.slots, np.zeros(problem.slots))
    assert flow.money.total < idle.money.total


def test_told_to_charge_or_discharge_it_does_at_least_the_least_power(problem):
    flow = plan(problem)
    for t, intent in enumerate(flow.intent):
        if intent == "charge_from_grid":
            # nearly full it tapers: only then less
            assert -flow.battery_w[t] >= min(0.5 * problem.battery.dispatch_min_w, 2450.0) - 1e-6
        if intent == "discharge_to_grid":
            assert flow.battery_w[t] >= 0.9 * problem.battery.dispatch_min_w
        if intent in {"hold", "export_pv"}:
            assert flow.battery_w[t] == 0.0
    assert "charge_from_grid" in flow.intent


def test_the_car_is_never_charged_from_the_house_battery(problem):
    ev = np.where(np.arange(problem.slots) % 8 < 4, 6000.0, 0.0)
    flow = plan(problem, ev=ev)
    assert (flow.battery_w[ev > 0] <= 1.0).all()


def test_negative_prices_no_charge_and_discharge_at_once_and_exports_that_cost_are_curtailed(problem):
    n = problem.slots
    sunny = replace(
        problem,
        pv_w=np.full(n, 8000.0),
        buy=np.where(np.arange(n) % 2 == 0, -1.5, 2.0),
        sell=np.where(np.arange(n) % 2 == 0, -2.0, 1.0),
    )
    load = np.full(n, 1000.0)
    flow = plan(sunny, load)
    assert np.allclose(flow.pv_used_w + flow.grid_w + flow.battery_w, load, atol=1e-6)
    exporting = flow.grid_w < -1.0
    assert not (exporting & (sunny.sell < 0)).any()
    assert flow.limited[sunny.sell < 0].any()
    assert (flow.grid_w[(sunny.buy < -0.8)] > 0).mean() > 0.5  # being paid for import is taken


def test_without_curtailment_surplus_goes_to_the_grid(problem):
    n = problem.slots
    grid = replace(problem.grid, pv_curtailable=False)
    sunny = replace(problem, pv_w=np.full(n, 8000.0), sell=np.full(n, -0.5), grid=grid)
    flow = plan(sunny, np.full(n, 500.0))
    assert np.allclose(flow.pv_used_w, 8000.0)


def test_a_start_below_the_least_soc_is_planned_and_not_discharged(problem):
    low = replace(problem, battery=replace(problem.battery, energy_wh=1200.0))
    flow = plan(low)
    assert flow.soc_wh.min() >= 1200.0 - 1e-6
    assert_physical(low, flow, low.load_w + 2000.0)


def test_forced_intents_are_followed(problem):
    battery = replace(problem.battery, forced=3, forced_intent=("hold", "hold", "charge_from_grid"))
    flow = plan(replace(problem, battery=battery))
    assert [i if i != "export_pv" else "hold" for i in flow.intent[:3]] == ["hold", "hold", "charge_from_grid"]


def test_following_the_planned_intents_gives_the_planned_flow(problem):
    load, none = problem.load_w + 2000.0, np.zeros(problem.slots)
    flow = plan(problem, load)
    again = follow_intents(problem, load, none, flow.intent, flow.battery_w)
    assert again.intent == flow.intent
    assert again.money.net_cost == pytest.approx(flow.money.net_cost, rel=0.02)


def test_a_price_on_the_peak_lowers_it(problem):
    free, tight = plan(problem), plan(problem, peak_w=4000.0)
    assert tight.grid_w.max() <= free.grid_w.max() + 1e-6


def test_a_house_without_battery_has_a_flow_too(problem):
    bare = replace(problem, battery=None)
    flow = plan_battery(bare, problem.load_w, np.zeros(problem.slots), 1e9)
    assert flow.intent == ()
    assert flow.money.total == flow_without_battery(bare, problem.load_w).money.total
    assert np.allclose(flow.grid_w + flow.pv_used_w, problem.load_w)


def test_changing_the_intent_costs(problem):
    dear = replace(problem, weights=replace(problem.weights, intent_czk=100.0))
    assert len(set(plan(dear).intent) - {"hold", "export_pv"}) <= 1


@pytest.mark.parametrize("curtailable", [True, False])
def test_a_single_state_gives_what_the_table_gives(curtailable):
    problem = small_problem()
    slots = problem.slots
    buy = np.linspace(-2.0, 4.0, slots)
    problem = replace(
        problem,
        buy=buy,
        sell=buy - 0.8,
        pv_w=np.tile([0.0, 3_000.0, 9_000.0], slots)[:slots],
        grid=replace(problem.grid, pv_curtailable=curtailable, export_max_w=4_000.0),
    )
    ev_w = np.tile([0.0, 0.0, 0.0, 3_000.0], slots)[:slots]
    house = BatteryActions(problem, problem.battery, problem.load_w + ev_w, ev_w, 5_000.0)
    energies = house.energies_wh(7)
    table = house.table(energies, 0, slots)
    assert len({action.way for action in house.actions}) == 5
    for t in range(0, slots, 5):
        for a in range(len(house.actions)):
            for k, energy in enumerate(energies.tolist()):
                _, cost, after = house.follow(t, a, energy)
                assert cost == pytest.approx(table.cost[t, a, k])
                assert after == pytest.approx(table.after_wh[t, a, k])
