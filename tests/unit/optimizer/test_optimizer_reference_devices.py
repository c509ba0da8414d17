"""Rules R, W, V and A of docs/planning-problem.md: each test fails where its rule is dropped from the model."""

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import appliance, battery, car, czk, rooms, tank, toy

DEAR = 1000.0  # nobody heats at this price
PAID = [-1.0, 5.0, -1.0]  # running is paid for but in the middle


# --- rooms ------------------------------------------------------------------------------------


def test_r1_neighbours_warm_each_other():
    mixing = np.eye(4)
    mixing[:2, :2] = 0.5
    low = np.array([[0.0, 0.0], [0.0, 21.0]])
    pair = rooms(2, 2, joint_a=mixing, low_c=low, heater_w=[2000.0, 0.0])
    assert czk(toy(2, heated=pair)) == 4.0, "room 0 runs in slot 0: 22 and 20 C become 21 and 21"


def test_r1_heat_into_the_slab_reaches_the_air_a_slot_later():
    through_slab = np.array([[0.0, 1.0], [0.0, 1.0]])
    slab = rooms(2, joint_a=through_slab, heat_to_mass=[1.0], low=[20.0, 21.0], forced=(True, False))
    assert czk(toy(2, heated=slab)) == 2.0
    late = rooms(2, joint_a=through_slab, heat_to_mass=[1.0], low=[21.0, 21.0], forced=(True, False))
    assert czk(toy(2, heated=late)) == 12.0


@pytest.mark.parametrize(("start", "cost"), [(20.0, 0.0), (19.0, 2.0)])
def test_r2_rooms_begin_as_they_are(start, cost):
    assert czk(toy(heated=rooms(1, start=start, low=20.0))) == cost


def test_r3_forced_slots_stand_whatever_they_cost():
    assert czk(toy(2, heated=rooms(2, forced=(True,)))) == 2.0


def test_r4_a_relay_stays_on_for_its_least_time_or_to_the_end():
    assert czk(toy(4, heated=rooms(4, low=[21.0, 0.0, 0.0, 0.0], min_on=3))) == 6.0
    assert czk(toy(4, heated=rooms(4, low=[0.0, 0.0, 0.0, 21.0], min_on=3, high=20.5))) == 2.0 + 5.0


def test_r5_a_relay_stays_off_for_its_least_time():
    running = {"relay_on": [True]}
    buy = [-1.0, 5.0, -1.0, -1.0]
    assert czk(toy(4, buy=buy, heated=rooms(4, **running))) == -3.0
    assert czk(toy(4, buy=buy, heated=rooms(4, min_off=2, **running))) == -2.0


@pytest.mark.parametrize(("held", "cost"), [(0, 4.0), (1, 4.0), (2, 2.0), (3, 0.0)])
def test_r6_a_running_relay_owes_the_rest_of_its_time(held, cost):
    assert czk(toy(4, heated=rooms(4, relay_on=[True], slots_in_state=[held], min_on=3))) == cost


def test_r6_a_resting_relay_owes_the_rest_of_its_time():
    assert czk(toy(4, buy=-1.0, heated=rooms(4, slots_in_state=[1], min_off=3))) == -2.0


def test_r6_a_forced_start_owes_its_time_too():
    assert czk(toy(4, heated=rooms(4, forced=(True,), min_on=3))) == 6.0


def test_r7_starts_are_limited_and_forced_ones_count():
    assert czk(toy(3, buy=PAID, heated=rooms(3, starts_max=[2]))) == -2.0
    assert czk(toy(3, buy=PAID, heated=rooms(3, starts_max=[1]))) == -1.0
    assert czk(toy(3, buy=PAID, heated=rooms(3, starts_max=[1], forced=(True,)))) == -1.0
    assert czk(toy(3, buy=PAID, heated=rooms(3, starts_max=[0], forced=(True,)))) == -1.0


def test_r8_each_start_costs():
    weights = {"start_czk": 0.3}
    assert czk(toy(3, buy=PAID, heated=rooms(3), weights=weights)) == -1.4
    assert czk(toy(3, buy=PAID, heated=rooms(3, relay_on=[True]), weights=weights)) == -1.7


def test_r9_each_kelvin_hour_outside_the_band_costs_by_priority():
    weights = {"below_czk_k_h": 8.0, "above_czk_k_h": 3.0}
    cold = rooms(2, start=19.0, low=20.0, priority=[2.0])
    assert czk(toy(2, buy=DEAR, heated=cold, weights=weights)) == 2 * 1.0 * 8.0 * 2.0
    hot = rooms(2, start=31.5, high=30.0, priority=[2.0])
    assert czk(toy(2, heated=hot, weights=weights)) == 2 * 1.5 * 3.0 * 2.0


def test_r10_heat_short_at_the_end_costs_and_one_kelvin_beyond_pays():
    end = {"end_value_czk_k": [4.0], "end_bonus_czk_k": [1.5], "capacity_wh_k": [[1.0, 3.0]], "start": 24.0}
    assert czk(toy(buy=DEAR, heated=rooms(1, end_reference_c=[22.0], **end))) == 4.0, "air 24, slab 20: 21 C"
    assert czk(toy(buy=DEAR, heated=rooms(1, end_reference_c=[20.5], **end))) == -0.75
    assert czk(toy(buy=DEAR, heated=rooms(1, end_reference_c=[17.0], **end))) == -1.5


def test_r10_nothing_is_paid_for_warmth_while_some_is_short():
    odd = rooms(1, end_value_czk_k=[1.0], end_bonus_czk_k=[5.0], end_reference_c=[21.0])
    assert czk(toy(buy=DEAR, heated=odd)) == 1.0


# --- water ------------------------------------------------------------------------------------


def test_w1_use_cools_the_tank_and_heating_warms_it():
    assert czk(toy(2, water=tank(2, low=50.0, drain_w=1000.0))) == 2.0, "51 and 50 C"


def test_w2_the_tanks_thermostat_cuts_off():
    assert czk(toy(2, water=tank(2, low=[0.0, 53.0], high=51.0))) == 2.0 + 20.0
    assert czk(toy(2, buy=0.0, water=tank(2, low=56.0, high=51.0, temperature_c=55.0))) == 20.0, "hotter: none goes in"


def test_w2_what_cuts_off_draws_power_all_the_same():
    assert czk(toy(2, water=tank(2, high=50.0, forced=2, forced_on=(True, True)))) == 4.0


def test_w3_the_heater_keeps_least_times_and_forced_slots():
    assert czk(toy(3, water=tank(3, forced=1, forced_on=(True,), min_on=2))) == 4.0
    assert czk(toy(3, buy=-1.0, water=tank(3, slots_in_state=1, min_off=2))) == -2.0


def test_w4_a_hygiene_temperature_is_reached_by_its_slot():
    assert czk(toy(3, water=tank(3, low=[0.0, 54.0, 0.0]))) == 4.0
    assert czk(toy(3, buy=DEAR, water=tank(3, low=[0.0, 54.0, 0.0]))) == 40.0


def test_w5_each_start_of_the_heater_costs():
    assert czk(toy(3, buy=PAID, water=tank(3), weights={"start_czk": 0.3})) == -1.4


def test_w6_a_cooler_tank_at_the_end_costs():
    assert czk(toy(buy=DEAR, water=tank(1, end_value_czk_k=1.5))) == 15.0


# --- car --------------------------------------------------------------------------------------


def test_v1_it_charges_with_nothing_or_at_least_its_least_power():
    assert czk(toy(ev=car(500.0, 1))) == 2.8, "1.4 kWh at 2, cheaper than 0.5 kWh short at 15"
    assert czk(toy(2, ev=car(8000.0, 2))) == 12.0 + 30.0, "3 kW at most"


def test_v2_the_deadline_and_the_forced_slots_bound_it():
    assert czk(toy(3, buy=[2.0, 2.0, 0.1], ev=car(1400.0, 2))) == 2.8
    assert czk(toy(3, buy=[2.0, 2.0, -1.0], ev=car(1400.0, 2))) == 2.8, "gone, even where drawing is paid for"
    assert czk(toy(2, buy=[2.0, 0.0], ev=car(2000.0, 2, forced=[2000.0]))) == 4.0
    assert czk(toy(2, buy=[0.0, 2.0], ev=car(2000.0, 2, forced=[0.0]))) == 4.0


def test_v3_what_is_missing_at_the_deadline_costs_and_more_is_allowed():
    assert czk(toy(buy=DEAR, ev=car(2000.0, 1, short=7.0))) == 14.0
    assert czk(toy(buy=-1.0, ev=car(0.0, 1))) == -3.0


def test_v4_the_car_is_not_charged_out_of_the_house_battery():
    full = battery(energy_wh=10_000.0)
    assert czk(toy(buy=10.0, ev=car(1400.0, 1), battery=full)) == 14.0
    assert czk(toy(buy=10.0, load=1000.0, ev=car(1400.0, 1), battery=full)) == 14.0, "the house is"
    assert czk(toy(buy=10.0, pv=1400.0, ev=car(1400.0, 1), battery=full)) == 0.0, "the roof may"


# --- appliances -------------------------------------------------------------------------------


@pytest.mark.parametrize("interruptible", [True, False])
def test_a1_it_runs_in_its_window_only(interruptible):
    machine = appliance(1, 3, earliest=1, interruptible=interruptible)
    assert czk(toy(4, buy=[1.0, 7.0, 5.0, 1.0], appliances=(machine,))) == 5.0
    paid = appliance(1, 3, earliest=1, interruptible=interruptible, missing_czk=0.0)
    assert czk(toy(4, buy=[1.0, 7.0, 5.0, -1.0], appliances=(paid,))) == 0.0


def test_a2_forced_slots_stand():
    assert czk(toy(3, buy=[9.0, 1.0, 1.0], appliances=(appliance(1, 3, forced=1, forced_on=(True,)),))) == 9.0


def test_a3_it_runs_no_longer_than_it_has_to():
    assert czk(toy(3, buy=-1.0, appliances=(appliance(1, 3, interruptible=True),))) == -1.0
    done = appliance(1, 3, interruptible=True, forced=1, forced_on=(True,))
    assert czk(toy(3, buy=-1.0, appliances=(done,))) == -1.0


@pytest.mark.parametrize(("interruptible", "cost"), [(True, 2.0), (False, 6.0)])
def test_a4_it_pauses_only_where_it_may(interruptible, cost):
    machine = appliance(2, 4, interruptible=interruptible)
    assert czk(toy(4, buy=[1.0, 5.0, 1.0, 5.0], appliances=(machine,))) == cost


@pytest.mark.parametrize(("interruptible", "cost"), [(True, 52.0), (False, 100.0)])
def test_a4_it_does_not_begin_what_it_cannot_end(interruptible, cost):
    assert czk(toy(3, appliances=(appliance(2, 1, interruptible=interruptible),))) == cost


def test_a4_a_run_under_way_goes_on_at_once_or_not_at_all():
    going = appliance(3, 5, forced=1, forced_on=(True,))
    assert czk(toy(5, buy=[1.0, 9.0, 9.0, 1.0, 1.0], appliances=(going,))) == 19.0
    cut = appliance(2, 5, forced=2, forced_on=(True, False))
    assert czk(toy(5, appliances=(cut,))) == 2.0 + 50.0
    late = appliance(3, 2, forced=1, forced_on=(True,))
    assert czk(toy(5, appliances=(late,))) == 2.0 + 100.0


def test_a5_each_start_costs_and_going_on_is_none():
    machine = appliance(2, 3, interruptible=True, start_czk=0.3)
    assert czk(toy(3, buy=[1.0, 5.0, 1.0], appliances=(machine,))) == 2.6
    running = appliance(2, 3, interruptible=True, start_czk=0.3, on_now=True)
    assert czk(toy(3, buy=[1.0, 5.0, 1.0], appliances=(running,))) == 2.3


def test_a6_each_slot_it_did_not_get_costs():
    assert czk(toy(2, buy=DEAR, appliances=(appliance(2, 2, missing_czk=7.0),))) == 14.0
