"""The rules: cheap hours, what is urgent, the month's peak, machines in their windows, and nothing against devices."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import first_house, small_home, small_problem

from pems_optimizer.domain.problem import ApplianceSpec, EvSpec
from pems_optimizer.domain.rule_devices import appliance_runs, car_power, slot_worth, water_heating
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.thermal_response import simulate_water

SLOTS = 192


@pytest.fixture(scope="module")
def problem():
    return small_problem()


@pytest.fixture(scope="module")
def house():
    whole = small_problem(first_house(), seed=2)
    return replace(whole, grid=replace(whole.grid, import_max_w=16_400.0))  # so that the breaker is not what decides


def machine(**facts) -> ApplianceSpec:
    return ApplianceSpec(**{"name": "dish", "power_w": 1000.0, "run_slots": 4, "earliest": 10, "deadline": 40, **facts})


def run_of(problem, room_w=1e9, **facts):
    (on,) = appliance_runs(replace(problem, appliances=(machine(**facts),)), (np.full(problem.slots, room_w),))
    return np.flatnonzero(on).tolist()


def runs_of(on: np.ndarray) -> list[int]:
    """Lengths of the runs of equal states, without the first and the last one."""
    edges = np.flatnonzero(np.diff(on.astype(int))) + 1
    return np.diff(edges).tolist()


def test_cheap_hours_heat_more(house):
    plan = rule_plan(house)
    heat = plan.decision.relay_on @ house.rooms.heater_w
    dear = house.buy > np.quantile(house.buy, 0.7)
    assert heat[house.cheap].mean() > 1.5 * heat[dear].mean()
    flat = rule_plan(replace(house, cheap=np.zeros(house.slots, dtype=bool)))
    assert heat[house.cheap].mean() > 1.05 * (flat.decision.relay_on @ house.rooms.heater_w)[house.cheap].mean()


def test_rooms_are_kept_comfortable_and_relays_their_times(house):
    plan = rule_plan(house)
    below = np.maximum(house.rooms.band_low_c - plan.path.air_c[1:], 0.0)
    assert below[16:].max() < 0.6
    for r in range(house.rooms.count):
        on = plan.decision.relay_on[:, r]
        lengths = runs_of(on)
        assert min(lengths, default=9) >= 2
        starts = int(np.sum(on[1:] & ~on[:-1])) + int(on[0] and not house.rooms.relay_on[r])
        assert starts <= house.rooms.starts_max[r]


def test_few_starts_are_made_to_last(problem):
    few = replace(problem, rooms=replace(problem.rooms, starts_max=np.full(3, 4)))
    plan = rule_plan(few)
    for r in range(3):
        on = plan.decision.relay_on[:, r]
        assert int(np.sum(on[1:] & ~on[:-1])) + int(on[0] and not few.rooms.relay_on[r]) <= 4
    assert (few.rooms.band_low_c - plan.path.air_c[1:]).max() < 3.0


def test_what_is_not_urgent_keeps_below_the_months_peak(house):
    free = rule_plan(house)
    peak = 0.75 * free.peak_w
    kept = rule_plan(replace(house, grid=replace(house.grid, peak_so_far_w=peak)))
    assert kept.peak_w < free.peak_w
    over = [np.maximum(plan.flow.grid_w - peak, 0.0).sum() for plan in (free, kept)]
    assert over[1] < 0.5 * over[0]
    below = [np.maximum(house.rooms.band_low_c - p.path.air_c[1:], 0.0).sum() for p in (free, kept)]
    assert below[1] <= below[0] + 10.0


def test_a_battery_is_charged_from_the_grid_only_in_winter_and_where_it_pays(problem):
    assert "charge_from_grid" in rule_plan(problem).flow.intent
    assert set(rule_plan(replace(problem, heating_season=False)).flow.intent) <= {"self_consume", "hold"}
    flat = replace(problem, buy=np.full(SLOTS, 3.0))
    assert "charge_from_grid" not in rule_plan(flat).flow.intent
    worn = replace(problem, battery=replace(problem.battery, wear_czk_kwh=50.0))
    assert "charge_from_grid" not in rule_plan(worn).flow.intent
    peaky = replace(problem, grid=replace(problem.grid, peak_so_far_w=3000.0))
    flow = rule_plan(peaky).flow
    assert all(w <= 3000.0 for w, intent in zip(flow.grid_w, flow.intent, strict=True) if intent == "charge_from_grid")


def test_forced_intents_stand(problem):
    forced = replace(problem, battery=replace(problem.battery, forced=3, forced_intent=("hold",) * 3))
    assert set(rule_plan(forced).flow.intent[:3]) <= {"hold", "export_pv"}  # the same to the inverter


def test_the_tank_is_heated_in_cheap_hours_and_in_time(problem):
    on = water_heating(problem)
    water = problem.water
    path = simulate_water(water, on, problem.dt_h)
    assert (path[1:] >= water.low_c - 0.2).all()
    assert on[problem.cheap].mean() > 2 * on[~problem.cheap].mean()
    assert min(runs_of(on)) >= 2
    forced = replace(problem, water=replace(water, forced=4, forced_on=(True, False, False, True)))
    assert water_heating(forced)[:4].tolist() == [True, False, False, True]
    assert not water_heating(replace(problem, water=None)).any()


def test_a_high_wish_is_prepared_for(problem):
    low = problem.water.low_c.copy()
    low[60:62] = 58.0
    high = np.maximum(problem.water.high_c, 60.0)
    hot = replace(problem, cheap=np.zeros(SLOTS, dtype=bool), water=replace(problem.water, low_c=low, high_c=high))
    path = simulate_water(hot.water, water_heating(hot), hot.dt_h)
    assert path[61:63].min() >= 57.5
    assert path[40] < 52.0, "not earlier than needed"


def test_a_machine_runs_in_the_cheapest_window_that_fits(problem):
    price = np.full(SLOTS, 3.0)
    price[20:24] = 1.0
    price[60:80] = 0.1
    priced = replace(problem, buy=price, pv_w=np.zeros(SLOTS))
    assert run_of(priced) == [20, 21, 22, 23]
    assert run_of(priced, run_slots=6)[0] in {18, 19, 20}
    price[12] = price[30] = 0.5
    assert run_of(replace(priced, buy=price), interruptible=True, run_slots=4) == [12, 20, 21, 30]


def test_the_sun_of_the_roof_is_cheaper_than_the_grid(problem):
    sunny = replace(
        problem, buy=np.full(SLOTS, 3.0), sell=np.full(SLOTS, 1.0), pv_w=np.where(np.arange(SLOTS) == 30, 9e3, 0.0)
    )
    assert slot_worth(sunny)[30] == 1.0
    assert 30 in run_of(sunny)
    paid = replace(sunny, sell=np.full(SLOTS, -1.0))
    assert slot_worth(paid)[30] == 0.0


def test_what_cannot_run_whole_does_not_run_and_what_has_begun_goes_on(problem):
    assert run_of(problem, deadline=13) == []
    assert run_of(problem, deadline=13, interruptible=True) == [10, 11, 12]
    assert run_of(problem, earliest=0, forced=2, forced_on=(False, True)) == [1, 2, 3, 4]
    assert run_of(problem, earliest=0, on_now=True) == [0, 1, 2, 3]
    assert run_of(problem, forced=4, forced_on=(True,) * 4, earliest=0) == [0, 1, 2, 3]
    assert run_of(problem, run_slots=0) == []


def test_machines_leave_each_other_room(problem):
    price = np.full(SLOTS, 3.0)
    price[20:28] = 1.0
    two = (machine(), machine(name="wash"))
    both = replace(problem, buy=price, pv_w=np.zeros(SLOTS), appliances=two)
    first, second = appliance_runs(both, (np.full(SLOTS, 1500.0),))
    assert not (first & second).any()
    assert (first | second).sum() == 8


def test_the_car_is_charged_within_the_peak_where_that_will_do(problem):
    ev = EvSpec(8000.0, 60, 1400.0, 11_000.0, np.array([2000.0]))
    house = replace(problem, ev=ev)
    wide, breaker = np.full(SLOTS, 3000.0), np.full(SLOTS, 16_000.0)
    power = car_power(house, (wide, breaker))
    assert power.max() <= 3000.0
    assert power[0] == 2000.0
    assert power[:60].sum() * 0.25 == pytest.approx(8000.0, abs=400.0)
    assert (power[60:] == 0.0).all()
    assert ((power == 0.0) | (power >= 1400.0)).all()
    need = replace(house, ev=replace(ev, need_wh=100_000.0))
    assert car_power(need, (wide, breaker)).max() == 11_000.0
    none = car_power(replace(house, ev=replace(ev, forced_w=np.empty(0))), (np.full(SLOTS, 1000.0),))
    assert not none.any(), "below the least power there is no charging"


def test_a_house_with_nothing_is_a_plan():
    home = small_home("zachod", ev=None, water=None, battery=None)
    plan = rule_plan(replace(small_problem(home), appliances=()))
    assert plan.flow.intent == ()
    assert np.isfinite(plan.cost.total)
