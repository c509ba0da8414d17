"""The neutral simulator of the benchmark against EMHASS: nobody may win by leaving something out."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.emhass.case import SLOTS, House, Load
from benchmarks.emhass.simulator import Schedule, idle_schedule, settle
from tests.unit.benchmarks.emhass_cases import a_day

HOUSE = House(efficiency=0.9, end_value_share=0.0)
MACHINE = Load(power_w=2000.0, run_slots=4, earliest=10, deadline=20, one_piece=False)


def schedule(*runs, battery_w=0.0) -> Schedule:
    on = np.zeros((len(runs), SLOTS), dtype=bool)
    for k, slots in enumerate(runs):
        on[k, list(slots)] = True
    return Schedule(on, np.broadcast_to(np.asarray(battery_w, dtype=float), SLOTS).copy())


def one_slot(slot: int, value: float) -> np.ndarray:
    series = np.zeros(SLOTS)
    series[slot] = value
    return series


def test_import_is_bought_and_export_sold():
    assert settle(a_day(load_w=1000.0), HOUSE, (), schedule()).cost_czk == pytest.approx(24 * 2.0)
    assert settle(a_day(pv_w=1000.0), HOUSE, (), schedule()).cost_czk == pytest.approx(-24 * 1.0)


def test_a_run_within_its_window_costs_its_energy_and_nothing_else():
    bill = settle(a_day(), HOUSE, (MACHINE,), schedule([10, 12, 15, 19]))
    assert bill.cost_czk == pytest.approx(2.0 * 0.5 * 4 * 2.0)
    assert bill.faultless


@pytest.mark.parametrize("slots", [[10, 11, 12], [10, 11, 12, 20], [9, 10, 11, 12]])
def test_a_slot_missed_or_outside_the_window_is_charged_at_the_dearest_price(slots):
    day = a_day(buy=2.0 + one_slot(40, 5.0))
    bill = settle(day, HOUSE, (MACHINE,), schedule(slots))
    assert bill.missed_kwh == pytest.approx(1.0)
    assert bill.charge_czk == pytest.approx(7.0)
    assert bill.cost_czk > settle(day, HOUSE, (MACHINE,), schedule([10, 11, 12, 13])).cost_czk
    assert not bill.faultless


def test_a_machine_that_may_not_pause_gets_its_longest_piece_only():
    piece = replace(MACHINE, one_piece=True)
    assert settle(a_day(), HOUSE, (piece,), schedule([10, 11, 12, 14])).missed_kwh == pytest.approx(1.0)
    assert settle(a_day(), HOUSE, (piece,), schedule([13, 14, 15, 16])).faultless


def test_running_longer_than_wanted_is_paid_and_reported():
    bill = settle(a_day(), HOUSE, (MACHINE,), schedule(range(10, 16)))
    assert bill.extra_kwh == pytest.approx(2.0)
    assert bill.energy_czk == pytest.approx(12.0)


def test_the_battery_loses_on_both_legs_and_gives_what_it_stores():
    bill = settle(a_day(), HOUSE, (), schedule(battery_w=one_slot(3, -2000.0)))
    assert bill.end_wh == pytest.approx(5000.0 + 900.0)
    bill = settle(a_day(load_w=one_slot(3, 1800.0)), HOUSE, (), schedule(battery_w=one_slot(3, 1800.0)))
    assert bill.end_wh == pytest.approx(5000.0 - 1000.0)
    assert bill.energy_czk == pytest.approx(0.0)


def test_an_empty_battery_gives_nothing_and_the_grid_makes_it_up():
    bill = settle(a_day(load_w=1000.0), HOUSE, (), schedule(battery_w=1000.0))
    assert bill.end_wh == pytest.approx(HOUSE.min_wh)
    assert bill.energy_czk == pytest.approx((24.0 - 2.7) * 2.0)
    assert bill.unserved_kwh == pytest.approx(24.0 - 2.7)


def test_the_battery_is_held_to_its_power():
    bill = settle(a_day(), HOUSE, (), schedule(battery_w=one_slot(0, 9000.0)))
    assert bill.end_wh == pytest.approx(5000.0 - 2500.0 / 0.9)
    assert bill.unserved_kwh == pytest.approx(2.0)


def test_what_is_stored_at_the_end_has_its_worth():
    house = replace(HOUSE, end_value_share=0.5)
    full = settle(a_day(), house, (), schedule(battery_w=one_slot(0, -2000.0)))
    assert full.cost_czk == pytest.approx(full.energy_czk - 0.9 * 0.5 * 2.0)


def test_import_above_the_limit_is_charged_on_top():
    day = a_day(load_w=one_slot(5, 10_000.0))
    bill = settle(day, HOUSE, (), schedule())
    assert bill.overload_kwh == pytest.approx(0.5)
    assert bill.cost_czk == pytest.approx(5.0 * 2.0 + 0.5 * 2.0)


def test_pv_is_held_back_where_export_costs_and_where_import_pays():
    assert settle(a_day(pv_w=1000.0, sell=-1.0), HOUSE, (), schedule()).cost_czk == pytest.approx(0.0)
    bill = settle(a_day(load_w=1000.0, pv_w=1000.0, buy=-1.0, sell=-2.0), HOUSE, (), schedule())
    assert bill.cost_czk == pytest.approx(-24.0)


def test_holding_pv_back_never_goes_beyond_the_import_limit():
    bill = settle(a_day(load_w=9500.0, pv_w=1000.0, buy=-1.0, sell=-2.0), HOUSE, (), schedule())
    assert bill.overload_kwh == 0.0
    assert bill.cost_czk == pytest.approx(-9.0 * 24)


def test_pv_beyond_the_export_limit_is_lost():
    bill = settle(a_day(pv_w=one_slot(20, 12_000.0)), HOUSE, (), schedule())
    assert bill.energy_czk == pytest.approx(-4.5)


def test_without_a_planner_each_machine_runs_as_soon_as_it_may():
    idle = idle_schedule((MACHINE, replace(MACHINE, earliest=0, one_piece=True)), SLOTS)
    assert np.flatnonzero(idle.on[0]).tolist() == [10, 11, 12, 13]
    assert np.flatnonzero(idle.on[1]).tolist() == [0, 1, 2, 3]
    assert not idle.battery_w.any()
