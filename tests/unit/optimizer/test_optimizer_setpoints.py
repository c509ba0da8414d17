"""A battery that takes any power: the program's flow, named by intents, one way at a time, and rest if all fails."""

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import battery, car, toy
from tests.unit.optimizer.test_optimizer_battery import assert_physical

from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.dispatch import dispatch_battery
from pems_optimizer.domain.house_lp import HouseLp
from pems_optimizer.domain.reference_model import solve_reference
from pems_optimizer.domain.setpoints import setpoint_flow

NO_CAR = np.zeros(4)


def flow_of(problem, ev_w=NO_CAR, **how):
    flow = setpoint_flow(problem, problem.load_w + ev_w, ev_w, **how)
    assert_physical(problem, flow, problem.load_w + ev_w)
    return flow


def house(**change):
    given = {"buy": [1.0, 6.0, 2.0, 6.0], "sell": 0.5, "load": 1000.0, "battery": battery(energy_wh=500.0)}
    return toy(4, **{**given, **change})


def test_powers_are_named_by_what_they_do_to_the_house():
    night = flow_of(house())
    assert night.intent == ("charge_from_grid", "self_consume", "self_consume", "self_consume")
    sunny = flow_of(house(buy=1.0, pv=[3000.0, 0.0, 0.0, 0.0]))
    assert sunny.intent[0] == "self_consume", "it takes the roof's surplus"
    sold = flow_of(house(buy=9.0, sell=[8.0, 0.5, 0.5, 0.5], battery=battery(energy_wh=9000.0)))
    assert sold.intent[0] == "discharge_to_grid"
    full = {"energy_wh": 9000.0, "max_wh": 9000.0}
    idle = flow_of(house(buy=1.0, pv=[3000.0, 0.0, 0.0, 0.0], battery=battery(**full, wear_czk_kwh=9.0)))
    assert idle.intent == ("export_pv", "hold", "hold", "hold")


def test_it_costs_what_the_program_says():
    problem = house(battery=battery(energy_wh=500.0, charge_efficiency=0.9, wear_czk_kwh=0.4, end_value_czk_wh=1e-3))
    flow = flow_of(problem)
    assert flow.money.total == pytest.approx(HouseLp(problem).solve().objective)
    assert flow.money.switching == 0.0


def test_the_cars_power_is_given_and_not_out_of_the_battery():
    ev_w = np.array([0.0, 2000.0, 0.0, 0.0])
    problem = house(ev=car(2000.0, 4), battery=battery(energy_wh=9000.0))
    flow = flow_of(problem, ev_w)
    assert flow.grid_w[1] >= 2000.0 - 1e-6
    assert flow.battery_w[1] == pytest.approx(1000.0), "the rest of the house has it"


@pytest.mark.parametrize(
    ("intent", "sign"), [("charge_from_grid", -1), ("discharge_to_grid", 1), ("hold", 0), ("export_pv", 0), ("off", 0)]
)
def test_a_wish_is_granted_in_its_slot(intent, sign):
    flow = flow_of(house(battery=battery(energy_wh=5000.0)), wish=(1, intent))
    assert np.sign(np.round(flow.battery_w[1])) == sign
    free = flow_of(house(battery=battery(energy_wh=5000.0)))
    assert flow.money.total >= free.money.total - 1e-6
    same = flow_of(house(battery=battery(energy_wh=5000.0)), wish=(1, "self_consume"))
    assert same.money.total == pytest.approx(free.money.total)


def test_what_cannot_be_wished_lets_the_battery_rest():
    empty = house(battery=battery(energy_wh=0.0))
    flow = flow_of(empty, wish=(0, "discharge_to_grid"))
    assert not flow.battery_w.any()
    assert flow.soc_wh.tolist() == [0.0] * 4
    assert flow.money.total == pytest.approx(15.0)


DEAR_THEN_CHEAP = [9.0, 8.0, 0.5, 9.0, 9.0, 0.5, 9.0, 9.0]


@pytest.mark.parametrize("energy_wh", [0.0, 400.0, 1900.0])
@pytest.mark.parametrize("sun_w", [0.0, 3000.0])
def test_from_below_its_limit_it_gives_nothing_until_it_is_above(energy_wh, sun_w):
    spec = battery(energy_wh=energy_wh, min_wh=2000.0, charge_efficiency=0.95, discharge_efficiency=0.95)
    problem = toy(8, buy=DEAR_THEN_CHEAP, sell=[0.4] * 7 + [7.0], load=1000.0, pv=[sun_w, *[0.0] * 7], battery=spec)
    flow = setpoint_flow(problem, problem.load_w, np.zeros(8))
    assert_physical(problem, flow, problem.load_w)
    assert flow.money.total == pytest.approx(solve_reference(problem).objective, abs=1e-4)
    assert flow.battery_w.max() > 0, "worth coming back for: else this shows nothing"


@pytest.mark.parametrize("taper", [{}, {"taper_from_wh": 7000.0, "taper_full_w": 0.0}])
@pytest.mark.parametrize("energy_wh", [8100.0, 9900.0])
def test_from_above_its_limit_it_takes_nothing_until_it_is_below(energy_wh, taper):
    spec = battery(energy_wh=energy_wh, max_wh=8000.0, charge_efficiency=0.95, discharge_efficiency=0.95, **taper)
    paid_to_take = [-2.0, 6.0, -2.0, 6.0, 1.0, -2.0, 9.0, 9.0]
    problem = toy(8, buy=paid_to_take, sell=-3.0, load=1000.0, battery=spec)
    flow = setpoint_flow(problem, problem.load_w, np.zeros(8))
    assert_physical(problem, flow, problem.load_w)
    assert flow.money.total == pytest.approx(solve_reference(problem).objective, abs=1e-4)
    assert flow.battery_w.min() < 0, "worth coming back for: else this shows nothing"


def test_without_a_battery_roof_and_grid_settle_among_themselves():
    flow = setpoint_flow(house(battery=None, pv=3000.0), np.full(4, 1000.0), NO_CAR)
    assert flow.intent == ()
    assert flow.grid_w == pytest.approx([-2000.0] * 4)


def test_roofs_that_cost_are_held_back():
    flow = flow_of(house(sell=-1.0, pv=3000.0, battery=battery(energy_wh=9000.0, max_wh=9000.0)))
    assert flow.limited.all()
    assert flow.grid_w == pytest.approx([0.0] * 4)


def test_a_set_point_battery_is_dispatched_by_the_program_and_another_by_intents():
    problem = house()
    flow = dispatch_battery(problem, problem.load_w, NO_CAR, 0.0)
    assert flow.money.total == pytest.approx(flow_of(problem).money.total)
    modes = house(battery=battery(energy_wh=500.0, control="intents", dispatch_min_w=4000.0))
    thorough = dispatch_battery(modes, modes.load_w, NO_CAR, 0.0)
    quick = dispatch_battery(modes, modes.load_w, NO_CAR, 0.0, thorough=False)
    assert flow.money.total <= thorough.money.total <= quick.money.total + 1e-6


def test_without_time_for_the_best_answer_it_does_no_worse_than_modes(monkeypatch):
    """Half the prices below zero, so that nothing but whole numbers keeps it from burning energy in a circle."""
    monkeypatch.setattr("pems_optimizer.domain.house_lp._MIXED_S", 0.0)
    slots = 400
    rng = np.random.default_rng(3)
    buy = rng.normal(0.5, 3.0, slots)
    lossy = battery(energy_wh=5000.0, charge_efficiency=0.9, discharge_efficiency=0.9)
    problem = toy(slots, buy=buy, sell=buy - 1.0, load=800.0, pv=rng.uniform(0.0, 4000.0, slots), battery=lossy)
    flow = setpoint_flow(problem, problem.load_w, np.zeros(slots))
    modes = plan_battery(problem, problem.load_w, np.zeros(slots), 1e9)
    assert_physical(problem, flow, problem.load_w)
    assert flow.money.total <= modes.money.total + 1e-6
