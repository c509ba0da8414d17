"""The house as a linear program: its prices make sense, and each rule changes what it should, worked out by hand."""

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem
from tests.unit.optimizer.reference_cases import battery, car, rooms, toy

from pems_optimizer.domain import house_lp
from pems_optimizer.domain.house_lp import HouseLp

FULL = 10_000.0


def solved(problem, devices=0):
    done = HouseLp(problem, devices).solve()
    assert done is not None
    return done


def czk(problem):
    return round(solved(problem).objective, 3)


def price_kwh(problem):
    """What one more kWh costs in each slot [CZK]."""
    return solved(problem).prices.load / problem.kwh


# --- prices -------------------------------------------------------------------------------------


def test_what_one_more_kwh_costs_is_the_price_of_import_or_the_export_forgone():
    assert price_kwh(toy(2, buy=[2.0, 4.0], sell=0.5, load=1000.0)) == pytest.approx([2.0, 4.0])
    assert price_kwh(toy(2, buy=2.0, sell=0.5, load=1000.0, pv=[0.0, 3000.0])) == pytest.approx([2.0, 0.5])
    wasted = toy(buy=2.0, sell=0.5, pv=3000.0, grid={"export_max_w": 0.0}, weights={"export_czk_kwh": 0.7})
    assert price_kwh(wasted) == pytest.approx([-0.7]), "what is held back has a price too"


def test_the_price_of_energy_falls_where_pv_is_added_and_nowhere_rises():
    buy, load = [2.0, 3.0, 6.0, 5.0], 1500.0
    storing = battery(energy_wh=500.0, charge_max_w=2000.0, discharge_max_w=2000.0, wear_czk_kwh=0.3)
    before = price_kwh(toy(4, buy=buy, sell=0.5, load=load, battery=storing))
    sunny = price_kwh(toy(4, buy=buy, sell=0.5, load=load, battery=storing, pv=[0.0, 5000.0, 0.0, 0.0]))
    assert (sunny <= before + 1e-9).all()
    assert sunny[1] < before[1] - 1.0
    assert sunny[2] < before[2] - 0.9, "stored sun makes the evening cheaper too"


def test_the_price_of_energy_rises_with_the_load():
    prices = [
        price_kwh(toy(buy=2.0, load=load, grid={"import_max_w": 5000.0}, weights={"peak_czk_kw": 4.0}))[0]
        for load in (1000.0, 6000.0)
    ]
    assert prices == pytest.approx([6.0, 56.0]), "with its peak, and above the breaker with the overload"
    half = price_kwh(toy(2, buy=2.0, load=[3000.0, 1000.0], weights={"peak_czk_kw": 4.0}))
    assert half == pytest.approx([6.0, 2.0]), "only the highest slot pays for the peak"


def test_a_battery_brings_the_prices_of_its_hours_together():
    lossy = battery(charge_efficiency=0.8, discharge_efficiency=0.5, wear_czk_kwh=0.1)
    cheap, dear = price_kwh(toy(2, buy=[1.0, 10.0], load=[0.0, 1000.0], battery=lossy))
    assert cheap == pytest.approx(1.0)
    assert dear == pytest.approx(1.0 / 0.4 + 0.1), "through both legs, and with the wear"


def test_all_heating_at_its_limit_has_a_price_of_its_own():
    problem = toy(buy=2.0, heated=rooms(1, 2), grid={"heating_max_w": 1500.0})
    lp = HouseLp(problem, 2)
    for device in (0, 1):
        lp.add_column(device, np.array([1000.0]), 0.0, heats=True)
        lp.add_column(device, np.zeros(1), 100.0, heats=True)
    done = lp.solve()
    assert done.objective == pytest.approx(2 * 2.0 + 0.5 * 50.0)
    assert done.prices.heat / problem.kwh == pytest.approx([50.0])
    assert done.prices.load / problem.kwh == pytest.approx([2.0])
    assert not solved(toy(heated=rooms(1, 1))).prices.heat.any(), "no limit, no price"


def test_the_dual_of_a_device_is_what_its_best_mix_costs():
    lp = HouseLp(toy(2, buy=[1.0, 3.0]), 1)
    lp.add_column(0, np.array([1000.0, 0.0]), 0.25, heats=False)
    lp.add_column(0, np.array([0.0, 1000.0]), 0.0, heats=False)
    done = lp.solve()
    assert done.prices.device == pytest.approx([1.25])
    assert done.weights[:2] == pytest.approx([1.0, 0.0])


# --- rules --------------------------------------------------------------------------------------


def test_power_is_less_in_the_cold():
    assert czk(toy(buy=-1.0, battery=battery())) == -5.0
    assert czk(toy(buy=-1.0, battery=battery(charge_share=np.array([0.5])))) == -2.5
    strong = battery(energy_wh=FULL, discharge_max_w=400.0, discharge_share=np.array([0.5]))
    assert czk(toy(buy=10.0, load=1000.0, battery=strong)) == 8.0


def test_charging_falls_near_full():
    tapering = battery(energy_wh=5000.0, taper_from_wh=0.0, taper_full_w=0.0)
    assert czk(toy(buy=-1.0, battery=tapering)) == -2.5
    assert czk(toy(2, buy=-1.0, battery=tapering, grid={"export_max_w": 0.0})) == -3.75


@pytest.mark.parametrize("control", ["setpoint", "intents"])
def test_a_tapering_battery_above_full_is_no_contradiction(control):
    high = battery(energy_wh=9900.0, max_wh=8000.0, taper_from_wh=7000.0, taper_full_w=500.0, control=control)
    assert czk(toy(3, buy=2.0, load=100.0, battery=high)) == 0.0


def test_a_reserve_is_kept_where_it_is_worth_its_price():
    low = battery(energy_wh=1000.0, reserve_wh=3000.0, reserve_czk_kwh_h=1.0)
    assert czk(toy(buy=0.5, battery=low)) == 1.0, "two kWh are bought"
    assert czk(toy(buy=1.5, battery=low)) == 2.0, "two kWh are lacking"


def test_only_what_goes_above_the_months_peak_costs():
    paying = {"buy": 0.0, "load": 3000.0, "weights": {"peak_czk_kw": 5.0}}
    assert czk(toy(**paying, grid={"peak_so_far_w": 2000.0})) == 5.0
    assert czk(toy(**paying, grid={"peak_so_far_w": 4000.0})) == 0.0
    assert solved(toy(**paying, grid={"peak_so_far_w": 2000.0})).flows[0].peak_w == pytest.approx(3000.0)


def test_pv_and_battery_share_the_inverter():
    full = {"buy": 10.0, "load": 9000.0, "pv": 4000.0, "battery": battery(energy_wh=FULL)}
    assert czk(toy(**full)) == 0.0
    assert czk(toy(**full, grid={"inverter_max_w": 6000.0})) == 30.0


def test_pv_that_cannot_be_held_back_is_exported_whatever_the_limit():
    limited = {"buy": 2.0, "sell": -1.0, "pv": 3000.0, "grid": {"export_max_w": 1000.0, "pv_curtailable": False}}
    assert czk(toy(**limited)) == 3.0
    assert czk(toy(**{**limited, "grid": {"export_max_w": 1000.0}})) == 0.0


def test_the_car_is_not_charged_out_of_the_house_battery():
    house = {"buy": 10.0, "ev": car(1000.0, 1, low=0.0), "battery": battery(energy_wh=FULL)}
    assert czk(toy(**house)) == 10.0
    assert czk(toy(**house, pv=600.0)) == 4.0
    done = solved(toy(**house))
    assert done.prices.car / 1e-3 == pytest.approx([10.0])
    assert done.prices.load / 1e-3 == pytest.approx([0.0]), "for the house there is the battery"


def test_a_forced_intent_may_feed_the_car():
    given = {"buy": 10.0, "ev": car(1000.0, 1, forced=[1000.0]), "grid": {"import_max_w": 500.0}}
    forced = battery(energy_wh=FULL, control="intents", forced=1, forced_intent=("discharge_to_grid",))
    assert czk(toy(**given, battery=forced)) == 0.0


def test_a_car_that_comes_too_late_is_short_of_energy():
    assert czk(toy(2, buy=1.0, ev=car(5000.0, 1, high=3000.0))) == 3.0 + 2.0 * 15.0
    assert czk(toy(2, buy=1.0, ev=car(5000.0, 0))) == 75.0
    assert czk(toy(2, buy=20.0, ev=car(1000.0, 2))) == 15.0, "or too dear"


def test_the_car_may_be_held_to_a_power():
    problem = toy(2, buy=[1.0, 3.0], ev=car(1000.0, 2))
    lp = HouseLp(problem)
    lp.limit_ev(np.array([0.0, 500.0]), np.array([0.0, 500.0]))
    done = lp.solve()
    assert done.ev_w == pytest.approx([0.0, 500.0])
    assert done.objective == pytest.approx(1.5 + 7.5)
    HouseLp(toy()).limit_ev(np.zeros(1), np.zeros(1))  # without a car there is nothing to hold


def test_the_battery_may_be_held_to_what_it_does():
    problem = toy(2, buy=[1.0, 1.0], load=1000.0, sell=0.5, battery=battery(energy_wh=5000.0))
    for intent, battery_w in (("charge_from_grid", -2500.0), ("discharge_to_grid", 2500.0), ("hold", 0.0)):
        lp = HouseLp(problem)
        lp.limit_battery(0, intent)
        flow = lp.solve().flows[0]
        power = flow.discharge_w[0] - flow.charge_w[0]
        assert abs(power) >= abs(battery_w) - 1e-6
        assert np.sign(power) == np.sign(battery_w)
    free = HouseLp(problem)
    free.limit_battery(0, "self_consume")
    assert free.solve().objective == pytest.approx(solved(problem).objective)
    HouseLp(toy()).limit_battery(0, "hold")


def test_columns_are_limited_repriced_and_loads_replaced_on_the_way():
    problem = toy(2, buy=[1.0, 3.0])
    lp = HouseLp(problem, 1)
    assert lp.solve().objective >= 1e5, "a device without a schedule"
    early = lp.add_column(0, np.array([1000.0, 0.0]), 0.0, heats=False)
    late = lp.add_column(0, np.array([0.0, 1000.0]), 0.0, heats=False)
    assert lp.solve().objective == pytest.approx(1.0)
    lp.limit_columns(np.array([early]), 0.0)
    assert lp.solve().objective == pytest.approx(3.0)
    lp.limit_columns(np.array([early]), np.inf)
    lp.change_column_cost(early, 5.0)
    assert lp.solve().objective == pytest.approx(3.0)
    lp.limit_columns(np.array([late]), 0.0)
    assert lp.solve().objective == pytest.approx(6.0)
    lp.set_load([np.array([0.0, 2000.0])])
    assert lp.solve().objective == pytest.approx(12.0)


# --- one thing at a time ------------------------------------------------------------------------


def physical(problem):
    done = HouseLp(problem).solve_physical()
    assert done is not None
    (flow,) = done.flows
    assert np.minimum(flow.charge_w, flow.discharge_w).max() <= 1e-6
    assert np.minimum(flow.import_w, flow.export_w).max() <= 1e-6
    return done


def test_at_negative_prices_no_energy_is_burnt_in_a_circle():
    lossy = battery(energy_wh=FULL, charge_efficiency=0.5, discharge_efficiency=0.5)
    circle = toy(buy=-1.0, battery=lossy)
    assert solved(circle).objective < -1.0, "the program alone would"
    assert physical(circle).objective == pytest.approx(0.0)
    assert not physical(circle).prices.load.any(), "a mixed program has no prices"


def test_a_whole_negative_day_goes_without_circles():
    """Wherever one is forbidden the next slot would begin: more slots than rounds."""
    lossy = battery(energy_wh=5000.0, charge_efficiency=0.8, discharge_efficiency=0.8)
    sunny = toy(24, buy=1.0, sell=-1.0, pv=2000.0, battery=lossy, grid={"pv_curtailable": False})
    done = physical(sunny)
    assert done.objective < 24 * 2.0, "and the battery does something all the same"


def test_where_circles_go_on_from_slot_to_slot_they_are_forbidden_everywhere():
    lossy = battery(energy_wh=5000.0, charge_efficiency=0.5, discharge_efficiency=0.5)
    paid = toy(6, buy=[-1.0, -1.0, -2.0, -1.0, 3.0, 3.0], load=200.0, battery=lossy)
    at_once, step_by_step = (HouseLp(paid).solve_physical(rounds) for rounds in (1, 9))
    (flow,) = at_once.flows
    assert np.minimum(flow.charge_w, flow.discharge_w).max() <= 1e-6
    assert at_once.objective == pytest.approx(step_by_step.objective)


def test_where_selling_pays_more_than_buying_only_the_roof_is_sold():
    assert physical(toy(buy=1.0, sell=3.0, load=1000.0)).objective == pytest.approx(1.0)
    both = toy(buy=1.0, sell=3.0, load=1000.0, pv=2000.0)
    assert solved(both).objective == pytest.approx(-5.0)
    assert physical(both).objective == pytest.approx(-3.0)


def test_where_nothing_goes_both_ways_the_physical_answer_is_the_programs_own():
    plain = toy(2, buy=[1.0, 5.0], load=1000.0, battery=battery(charge_efficiency=0.9))
    assert physical(plain).objective == pytest.approx(solved(plain).objective)
    assert physical(plain).prices.load.any()


def test_a_long_program_is_asked_to_stop_between_turns_and_comes_again(monkeypatch):
    problem = small_problem(ev_missing_wh=None)
    whole = HouseLp(problem).solve()
    monkeypatch.setattr(house_lp, "_ITERATIONS", 20)
    asked = []

    def left_s() -> float:
        asked.append(1)
        return 1.0

    turned = HouseLp(problem, time_left_s=left_s).solve()
    assert len(asked) > 1, "it takes several turns"
    assert turned.objective == pytest.approx(whole.objective)
    assert HouseLp(problem, time_left_s=lambda: 0.0).solve() is None
