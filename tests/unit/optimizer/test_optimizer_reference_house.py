"""Rules B, I, G, O and U of docs/planning-problem.md: each test fails where its rule is dropped from the model."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import appliance, battery, car, czk, rooms, toy

from pems_optimizer.domain.problem import Scenario, Uncertainty
from pems_optimizer.domain.reference_model import solve_reference

FULL = 10_000.0


def modes(*forced, **change):
    """The toy battery behind an inverter that knows intents; the first ones may be forced."""
    given = {"control": "intents", "forced": len(forced), "forced_intent": forced, **change}
    return battery(**given)


# --- battery ----------------------------------------------------------------------------------


def test_b1_each_leg_loses_its_share():
    lossy = battery(charge_efficiency=0.8, discharge_efficiency=0.5)
    assert czk(toy(2, buy=[1.0, 10.0], load=[0.0, 1000.0], battery=lossy)) == 2.5


def test_b2_power_is_limited_and_less_in_the_cold():
    strong = battery(energy_wh=FULL, discharge_max_w=400.0)
    assert czk(toy(buy=10.0, load=1000.0, battery=strong)) == 6.0
    assert czk(toy(buy=10.0, load=1000.0, battery=replace(strong, discharge_share=np.array([0.5])))) == 8.0
    assert czk(toy(buy=-1.0, battery=battery())) == -5.0
    assert czk(toy(buy=-1.0, battery=battery(charge_share=np.array([0.5])))) == -2.5


def test_b3_it_stays_within_its_limits():
    assert czk(toy(buy=10.0, load=1000.0, battery=battery(energy_wh=FULL, min_wh=9700.0))) == 7.0
    small = battery(max_wh=500.0)
    assert czk(toy(2, buy=[1.0, 10.0], load=[0.0, 1000.0], battery=small)) == 5.5


def test_b3_outside_its_limits_it_may_stay_but_goes_no_further():
    assert czk(toy(buy=10.0, load=1000.0, battery=battery(energy_wh=1000.0, min_wh=2000.0))) == 10.0
    low = battery(energy_wh=1000.0, min_wh=2000.0, charge_max_w=500.0)
    assert czk(toy(2, buy=[0.0, 10.0], load=[0.0, 1000.0], battery=low)) == 10.0, "1.5 kWh are not to be used yet"
    assert czk(toy(buy=-1.0, battery=battery(energy_wh=3000.0, max_wh=2000.0))) == 0.0
    above = {"battery": battery(energy_wh=3000.0, max_wh=2000.0), "grid": {"export_max_w": 0.0}}
    assert czk(toy(2, buy=[0.0, -1.0], load=[1500.0, 0.0], **above)) == -0.5, "from 3 to 1.5 kWh, and back to 2"


def test_b4_it_does_not_burn_energy_in_a_circle():
    lossy = battery(energy_wh=FULL, charge_efficiency=0.5, discharge_efficiency=0.5)
    assert czk(toy(buy=-1.0, battery=lossy)) == 0.0


def test_b5_charging_falls_near_full():
    tapering = battery(energy_wh=5000.0, taper_from_wh=0.0, taper_full_w=0.0)
    assert czk(toy(buy=-1.0, battery=tapering)) == -2.5
    assert czk(toy(2, buy=-1.0, battery=tapering, grid={"export_max_w": 0.0})) == -3.75
    over = battery(energy_wh=FULL, max_wh=8000.0, taper_from_wh=6000.0, taper_full_w=100.0)
    assert czk(toy(buy=-1.0, battery=over)) == 0.0, "above full there is no charging, and no contradiction"


def test_b6_what_it_gives_wears_it():
    assert czk(toy(buy=10.0, load=1000.0, battery=battery(energy_wh=FULL, wear_czk_kwh=1.5))) == 1.5


@pytest.mark.parametrize(("price", "cost"), [(0.1, 0.2), (5.0, 4.0)])
def test_b7_the_reserve_is_kept_where_it_is_worth_it(price, cost):
    spare = battery(energy_wh=3000.0, reserve_wh=5000.0, reserve_czk_kwh_h=price)
    assert czk(toy(battery=spare)) == cost


def test_b8_energy_left_at_the_end_is_worth_something():
    assert czk(toy(battery=battery(end_value_czk_wh=0.003))) == 10.0 - 15.0


def test_b9_a_setpoint_battery_does_any_power():
    assert czk(toy(2, buy=[1.0, 10.0], load=[0.0, 1000.0], battery=battery())) == 1.0


# --- intents ----------------------------------------------------------------------------------


def test_i1_charging_and_following_the_house_are_not_done_in_one_slot():
    solution = solve_reference(toy(2, buy=[1.0, 10.0], load=[0.0, 1000.0], battery=modes()))
    assert solution.courses[0].intents == ("charge_from_grid", "self_consume")


def test_i2_self_consumption_takes_the_surplus_before_it_is_sold():
    assert czk(toy(pv=3000.0, load=1000.0, sell=5.0, battery=modes("self_consume"))) == 0.0
    weak = modes("self_consume", charge_max_w=500.0)
    assert czk(toy(pv=3000.0, load=1000.0, sell=5.0, battery=weak)) == -7.5
    nearly_full = modes("self_consume", energy_wh=9500.0)
    assert czk(toy(pv=3000.0, load=1000.0, sell=5.0, battery=nearly_full)) == -7.5
    tapering = modes("self_consume", energy_wh=9000.0, taper_from_wh=0.0, taper_full_w=0.0)
    assert czk(toy(pv=3000.0, load=1000.0, sell=5.0, battery=tapering)) == -7.5


def test_i2_self_consumption_meets_the_deficit_before_it_is_bought():
    given = {"wear_czk_kwh": 5.0, "energy_wh": 5000.0}
    assert czk(toy(buy=1.0, load=1000.0, battery=modes("self_consume", **given))) == 5.0
    assert czk(toy(buy=1.0, load=1000.0, battery=modes("self_consume", discharge_max_w=400.0, **given))) == 2.6
    assert czk(toy(buy=1.0, load=1000.0, battery=modes("self_consume", min_wh=4700.0, **given))) == 2.2


def test_i2_self_consumption_neither_buys_nor_sells_beyond_the_house():
    assert czk(toy(buy=-1.0, battery=modes("self_consume"))) == 0.0, "no charging from the grid"
    assert czk(toy(buy=-1.0, battery=modes("self_consume", discharge_max_w=0.0))) == 0.0, "whatever it can give"
    assert czk(toy(sell=5.0, battery=modes("self_consume", energy_wh=FULL))) == 0.0, "no selling of what is stored"
    assert czk(toy(sell=5.0, battery=modes("self_consume", energy_wh=FULL, charge_max_w=0.0))) == 0.0


def test_i3_holding_leaves_the_battery_alone():
    assert czk(toy(buy=10.0, load=1000.0, battery=modes("hold", energy_wh=FULL))) == 10.0
    assert czk(toy(pv=3000.0, load=1000.0, sell=5.0, battery=modes("export_pv"))) == -10.0


def test_i4_charging_from_the_grid_has_a_least_power_or_half_of_it_to_the_brim():
    day = {"buy": [1.0, 10.0], "load": [0.0, 1000.0]}
    assert czk(toy(2, **day, battery=modes())) == 2.0, "2 kWh at least, where 1 would do"
    assert czk(toy(2, **day, battery=modes(max_wh=1000.0))) == 1.0
    assert czk(toy(2, **day, battery=modes(max_wh=900.0))) == 10.0
    cold = modes(charge_share=np.array([0.2, 0.2]))
    assert czk(toy(2, **day, battery=cold)) == 1.0, "1 kW is all it takes, and half the least level"
    colder = modes(charge_share=np.array([0.1, 0.1]), max_wh=500.0)
    assert czk(toy(2, **day, battery=colder)) == 10.0, "two reasons to take little do not make it enough"


def test_i5_discharging_to_the_grid_has_a_least_power_or_nearly_that_to_the_ground():
    assert czk(toy(sell=5.0, battery=modes(energy_wh=FULL))) == -25.0
    assert czk(toy(sell=5.0, battery=modes(energy_wh=1800.0))) == -9.0
    assert czk(toy(sell=5.0, battery=modes(energy_wh=1700.0))) == 0.0
    cold = modes(energy_wh=1700.0, discharge_share=np.array([0.34]))
    assert czk(toy(sell=5.0, battery=cold)) == 0.0, "two reasons to give little do not make it enough"


def test_i5_discharging_to_the_grid_exports_something():
    assert czk(toy(buy=1.0, sell=5.0, load=4950.0, battery=modes(energy_wh=FULL))) == 0.0
    assert czk(toy(buy=1.0, sell=5.0, load=4850.0, battery=modes(energy_wh=FULL))) == -0.75
    fine = modes(energy_wh=85.0, dispatch_min_w=50.0)
    assert czk(toy(sell=5.0, battery=fine)) == 0.0, "less than nine tenths of 100 W"
    assert czk(toy(sell=5.0, battery=replace(fine, energy_wh=95.0))) == -0.475


def test_i5_discharging_to_the_grid_is_no_way_to_meet_a_part_of_the_deficit():
    evening = {"buy": [5.0, 10.0], "load": [3000.0, 500.0]}
    assert czk(toy(2, **evening, battery=battery(energy_wh=3300.0))) == 1.0
    assert czk(toy(2, **evening, battery=modes(energy_wh=3300.0))) == 2.0


def test_i6_off_takes_the_roof_away_where_a_price_is_negative():
    fixed = {"grid": {"pv_curtailable": False}, "pv": 2000.0, "load": 1000.0, "battery": modes(energy_wh=FULL)}
    assert czk(toy(buy=-1.0, sell=-3.0, **fixed)) == -1.0
    assert czk(toy(buy=0.5, sell=-3.0, **fixed)) == 3.0
    sunny = {"buy": [1.0, -1.0], "pv": [2000.0, 0.0], "load": [1000.0, 0.0]}
    assert czk(toy(2, **sunny, battery=modes("off", energy_wh=FULL))) == 1.0


def test_i7_each_change_of_intent_costs():
    weights = {"intent_czk": 0.25}
    known = modes(energy_wh=FULL, intent_now="hold")
    assert czk(toy(buy=10.0, load=1000.0, battery=known, weights=weights)) == 0.25
    assert czk(toy(buy=10.0, load=1000.0, battery=replace(known, intent_now=""), weights=weights)) == 0.0
    there_and_back = modes("self_consume", "export_pv", "hold", "self_consume", intent_now="self_consume")
    assert czk(toy(4, battery=there_and_back, weights=weights)) == 0.5


def test_i8_forced_intents_do_what_they_can():
    assert czk(toy(battery=modes("charge_from_grid", max_wh=500.0))) == 1.0, "less than half the least power"
    assert czk(toy(sell=5.0, battery=modes("discharge_to_grid", energy_wh=500.0))) == -2.5
    assert czk(toy(battery=modes("charge_from_grid"))) == 4.0, "but no less than its least power where it can"


def test_i9_while_the_car_charges_the_battery_does_not_discharge():
    late = {"buy": 10.0, "load": 1000.0, "ev": car(1400.0, 1, short=100.0)}
    assert czk(toy(**late, battery=modes(energy_wh=FULL))) == 24.0
    forced = {"buy": 10.0, "load": 1000.0, "ev": car(1400.0, 1, forced=[1400.0])}
    assert czk(toy(**forced, battery=modes("self_consume", energy_wh=FULL))) == 0.0, "but for what is forced"


# --- grid and roof ----------------------------------------------------------------------------


def test_g1_what_is_drawn_comes_from_somewhere():
    assert czk(toy(load=1000.0, pv=400.0)) == 1.2


def test_g2_import_above_the_breaker_is_possible_and_dear():
    assert czk(toy(load=1000.0, grid={"import_max_w": 500.0})) == 2.0 + 25.0


def test_g3_export_is_limited_where_the_roof_can_be_held_back():
    assert czk(toy(pv=1000.0, sell=5.0, grid={"export_max_w": 300.0})) == -1.5
    fixed = {"export_max_w": 300.0, "pv_curtailable": False}
    assert czk(toy(pv=1000.0, sell=5.0, grid=fixed)) == -5.0
    full = battery(energy_wh=FULL)
    assert czk(toy(sell=5.0, grid={"export_max_w": 300.0}, battery=full)) == -1.5


def test_g4_buying_to_sell_is_no_business():
    assert czk(toy(buy=1.0, sell=5.0)) == 0.0


def test_g5_the_roof_is_held_back_where_that_pays_and_can_be_done():
    assert czk(toy(pv=1000.0, sell=-3.0)) == 0.0
    assert czk(toy(pv=1000.0, sell=-3.0, grid={"pv_curtailable": False})) == 3.0
    assert czk(toy(pv=1000.0, load=1000.0, buy=-2.0)) == -2.0, "all of it, where importing pays"
    assert czk(toy(pv=1000.0, load=1000.0, buy=-2.0, grid={"pv_curtailable": False})) == 0.0


@pytest.mark.parametrize("make", [battery, modes])
def test_g6_roof_and_battery_share_the_inverter(make):
    full = make(energy_wh=FULL)
    assert czk(toy(buy=10.0, pv=2000.0, load=5000.0, grid={"inverter_max_w": 3000.0}, battery=full)) == 20.0


@pytest.mark.parametrize(("make", "left_kwh"), [(battery, 7.0), (modes, 9.0)])
def test_g6_a_roof_that_is_held_back_makes_room_for_set_points_only(make, left_kwh):
    unwanted = make(energy_wh=FULL, end_value_czk_wh=-1e-3, dispatch_min_w=1000.0)
    assert czk(toy(pv=2000.0, grid={"inverter_max_w": 3000.0}, battery=unwanted)) == left_kwh


def test_g7_heating_above_its_limit_is_dear():
    both = rooms(1, 2, forced=(True,))
    assert czk(toy(heated=both, grid={"heating_max_w": 1500.0})) == 4.0 + 25.0


def test_g8_only_what_is_above_the_months_peak_costs():
    weights = {"peak_czk_kw": 3.0}
    assert czk(toy(2, load=[4000.0, 1000.0], weights=weights, grid={"peak_so_far_w": 2500.0})) == 10.0 + 4.5
    assert czk(toy(2, load=[4000.0, 1000.0], weights=weights, grid={"peak_so_far_w": 9000.0})) == 10.0


def test_o2_what_leaves_the_roof_unused_costs():
    weights = {"export_czk_kwh": 0.7}
    assert czk(toy(pv=1000.0, weights=weights)) == 0.7
    assert czk(toy(pv=1000.0, sell=-1.0, weights=weights)) == 0.7, "held back as well as sold"


# --- what is not known ------------------------------------------------------------------------


def course(name, probability, buy, load):
    length = len(load)
    dark = np.zeros(length)
    return Scenario(name, probability, dark, np.array(load), np.array(buy), dark)


def test_u2_robust_plans_for_the_worst_of_four_courses():
    robust = Uncertainty(strategy="robust", spread=0.1)
    assert czk(toy(load=1000.0, pv=500.0, uncertainty=robust)) == 1.2, "more load: 0.6 kWh"
    assert czk(toy(load=1000.0, pv=900.0, uncertainty=robust)) == 0.4, "more load: 0.2 kWh; less PV: 0.19"
    assert czk(toy(load=1000.0, pv=2000.0, sell=1.0, uncertainty=robust)) == -0.8, "less PV: 0.8 kWh sold"
    negative = toy(buy=-1.0, appliances=(appliance(1, 1),), uncertainty=robust)
    assert czk(negative) == -0.9, "dearer: paid less for drawing"


def test_u2_the_battery_reacts_in_each_course():
    robust = Uncertainty(strategy="robust", spread=0.1, shared_slots=0)
    full = battery(energy_wh=FULL)
    solution = solve_reference(toy(load=1000.0, buy=10.0, battery=full, uncertainty=robust))
    given = {flow.name: round(float(flow.discharge_w[0])) for flow in solution.courses}
    assert given == {"base": 1000, "less_pv": 1000, "more_load": 1100, "dearer": 1000}


def test_u3_scenarios_count_by_probability_and_by_their_bad_tail():
    two = (course("usual", 0.8, [2.0], [1000.0]), course("bad", 0.2, [2.0], [3000.0]))

    def cost(share, tail):
        return czk(toy(uncertainty=Uncertainty("scenarios", scenarios=two, cvar_share=share, cvar_tail=tail)))

    assert cost(0.0, 0.1) == 2.8
    assert cost(0.5, 0.2) == 0.5 * 2.8 + 0.5 * 6.0
    assert cost(0.5, 0.4) == 0.5 * 2.8 + 0.5 * 4.0, "half the tail is the bad course, half the usual one"


def test_u1_a_machine_is_decided_once_for_all_courses():
    two = (course("a", 0.5, [1.0, 3.0], [0.0, 0.0]), course("b", 0.5, [5.0, 1.0], [0.0, 0.0]))
    unknown = Uncertainty("scenarios", scenarios=two)
    assert czk(toy(2, appliances=(appliance(1, 2),), uncertainty=unknown)) == 2.0


@pytest.mark.parametrize(("shared", "cost"), [(0, 0.5), (1, 1.0)])
@pytest.mark.parametrize("make", [battery, modes])
def test_u4_the_first_slots_are_the_same_in_all_courses(make, shared, cost):
    two = (course("dear", 0.5, [1.0, 10.0], [0.0, 1000.0]), course("free", 0.5, [1.0, 0.0], [0.0, 1000.0]))
    unknown = Uncertainty("scenarios", scenarios=two, shared_slots=shared)
    small = make(dispatch_min_w=1000.0)
    assert czk(toy(2, battery=small, uncertainty=unknown)) == cost


@pytest.mark.parametrize(("shared", "cost"), [(0, 1.0), (1, 2.0)])
@pytest.mark.parametrize("make", [battery, modes])
def test_u4_what_is_stored_is_spent_or_kept_in_all_courses_in_the_first_slots(make, shared, cost):
    two = (course("dear", 0.5, [2.0, 10.0], [1000.0] * 2), course("free", 0.5, [2.0, 0.0], [1000.0] * 2))
    unknown = Uncertainty("scenarios", scenarios=two, shared_slots=shared)
    assert czk(toy(2, battery=make(energy_wh=1000.0), uncertainty=unknown)) == cost
