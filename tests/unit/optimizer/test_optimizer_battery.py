"""Battery intents: limits, least dispatch, the car, negative prices, odd starts."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem

from pems_optimizer.domain import battery_kernel
from pems_optimizer.domain.battery_actions import BatteryActions
from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.battery_flow import HouseFlow, flow_without_battery, follow_intents
from pems_optimizer.domain.battery_kernel import DISCHARGE, SELF
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
def test_compiled_or_not_a_battery_plans_the_same(curtailable, monkeypatch):
    problem = small_problem()
    slots = 24
    buy = np.linspace(-2.0, 4.0, problem.slots)
    problem = replace(
        problem,
        buy=buy,
        sell=buy - 0.8,
        pv_w=np.tile([0.0, 3_000.0, 9_000.0], problem.slots)[: problem.slots],
        grid=replace(problem.grid, pv_curtailable=curtailable, export_max_w=4_000.0),
    )
    ev_w = np.tile([0.0, 0.0, 0.0, 3_000.0], problem.slots)[: problem.slots]
    house = BatteryActions(problem, problem.battery, problem.load_w + ev_w, ev_w, 5_000.0)
    assert len(set(house.ways.tolist())) == 5
    energies, must = house.energies_wh(7), np.full(slots, -1)
    must[3] = DISCHARGE
    actions = house.slots[:slots], house.ways, house.levels_w, must, energies

    def plan_it():
        value = battery_kernel.values(*actions, 0.002, 0.25, house.rules)
        return value, *battery_kernel.walk(value, *actions, 0.25, house.rules, 5_000.0, SELF)

    compiled = plan_it()
    for name in ("_follow", "_slot", "_between", "values", "walk"):
        monkeypatch.setattr(battery_kernel, name, getattr(battery_kernel, name).py_func)
    for one, other in zip(compiled, plan_it(), strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-9)


def test_the_value_of_a_state_is_what_the_walk_from_it_costs():
    problem = small_problem()
    ev_w = np.zeros(problem.slots)
    house = BatteryActions(problem, problem.battery, problem.load_w, ev_w, 5_000.0)
    energies, must = house.energies_wh(641), np.full(problem.slots, -1)
    actions = house.slots, house.ways, house.levels_w, must, energies
    end = problem.battery.end_value_czk_wh
    value = battery_kernel.values(*actions, end, 0.25, house.rules)
    start = float(energies[300])
    chosen, _, stored = battery_kernel.walk(value, *actions, 0.25, house.rules, start, SELF)
    cost, last, energy = -end * stored[-1], SELF, start
    for t, a in enumerate(chosen.tolist()):
        _, stage, energy = house.follow(t, a, energy)
        cost += stage + 0.25 * (house.ways[a] != last)
        last = house.ways[a]
        assert energy == pytest.approx(stored[t])
    assert cost == pytest.approx(value[0, SELF, 300], abs=0.05), "values are interpolated between states"
