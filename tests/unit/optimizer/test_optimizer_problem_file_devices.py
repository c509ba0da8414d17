"""Battery, car, water, appliances, money and scenarios of a problem file as parts of the planning problem."""

import numpy as np
import pytest
from tests.unit.optimizer.problem_file_cases import changed, small_file

from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.problem_file.reading import read_document
from pems_optimizer.domain.problem_file.to_problem import planning_problem


def problem_of(data) -> PlanningProblem:
    return planning_problem(read_document(data))


def test_numbers_hold_in_every_slot_and_nothing_is_decided_before():
    problem = problem_of(small_file())
    assert problem.slots == 8
    assert problem.frozen == 0
    assert problem.sell.tolist() == [1.0] * 8
    assert problem.load_w.tolist() == [300.0] * 8
    assert problem.dt_h == 0.25
    assert problem.cheap.tolist() == [False, True] * 4


def test_a_battery_that_is_weaker_in_the_cold_tapers_and_keeps_a_reserve():
    data = changed(small_file(), "battery.charge_max_w", [500] * 4 + [2500] * 4)
    data["battery"] |= {
        "taper": {"from_soc_pct": 80, "full_w": 400},
        "reserve": {"soc_pct": 30, "per_kwh_h": 0.1},
        "end_value_per_kwh": 2.0,
    }
    battery = problem_of(data).battery
    assert battery.charge_limit_w(8).tolist() == [500] * 4 + [2500] * 4
    assert battery.discharge_limit_w(8).tolist() == [2500] * 8
    assert (battery.taper_from_wh, battery.taper_full_w) == (4000, 400)
    assert (battery.reserve_wh, battery.reserve_czk_kwh_h) == (1500, 0.1)
    assert battery.energy_wh == 2500
    assert battery.end_value_czk_wh == 0.002
    assert battery.control == "setpoint"


def test_a_battery_that_can_never_charge_is_no_trouble():
    battery = problem_of(changed(small_file(), "battery.charge_max_w", [0] * 8)).battery
    assert battery.charge_limit_w(8).tolist() == [0] * 8


def test_windows_are_cut_to_whole_slots():
    data = changed(small_file(), "ev.plugged_at", "2026-01-15T06:20:00+01:00")
    data = changed(data, "ev.ready_at", "2026-01-15T07:55:00+01:00")
    data["appliances"][0] |= {"earliest_at": "2026-01-15T05:20:00Z", "ready_at": "2026-01-15T09:00:00+01:00"}
    problem = problem_of(data)
    assert problem.ev.forced_w.tolist() == [0, 0]
    assert problem.ev.deadline == 7
    assert problem.charger_known
    (machine,) = problem.appliances
    assert (machine.earliest, machine.deadline, machine.run_slots) == (2, 8, 3)


def test_what_is_not_limited_may_be_all_that_could_flow():
    grid = problem_of(small_file(grid={}, load_w=[300] * 7 + [900])).grid
    drawn = 900 + 2000 + 1000 + 7000 + 1000 + 1200 + 2500  # load, rooms, car, water, dishwasher, battery
    assert drawn <= grid.import_max_w <= drawn + 1200
    assert 1000 + 2500 <= grid.export_max_w <= 5000
    assert grid.heating_max_w >= 3000
    assert grid.inverter_max_w >= 3500


def test_limits_beyond_what_could_flow_are_brought_down_and_others_kept():
    grid = problem_of(small_file(grid={"import_max_w": 9e6, "export_max_w": 0, "heating_max_w": 2500})).grid
    assert grid.import_max_w < 20_000
    assert grid.export_max_w == 0
    assert grid.heating_max_w == 2500


def test_a_tank_is_a_temperature():
    water = problem_of(small_file(pv_w=0)).water
    assert water.capacity_wh_k == pytest.approx(174.45)
    assert water.end_value_czk_k == pytest.approx(2.5 * 0.17445 / 2)
    assert (water.min_on, water.min_off) == (2, 2)


def test_another_currency_changes_nothing_but_the_numbers():
    """The same house with prices in EUR, told what one is worth, is the same problem."""
    euro = small_file(currency="EUR", czk_per_currency=25, sell_per_kwh=0.04)
    euro["buy_per_kwh"] = [price / 25 for price in euro["buy_per_kwh"]]
    euro["appliances"][0]["per_start"] = 0.04
    czech = changed(small_file(), "appliances.0.per_start", 1.0)
    a, b = problem_of(euro), problem_of(czech)
    assert np.allclose(a.buy, b.buy)
    assert np.allclose(a.sell, b.sell)
    assert a.weights == b.weights
    assert a.battery.end_value_czk_wh == pytest.approx(b.battery.end_value_czk_wh)
    assert a.appliances[0] == b.appliances[0]
    assert np.allclose(a.rooms.end_value_czk_k, b.rooms.end_value_czk_k)


@pytest.mark.parametrize(
    ("weights", "export", "peak", "below"),
    [
        ({}, 0, 0, 8),
        ({"profile": "balanced"}, 0.2 / 0.7 * 2.5, 0.1 / 0.7 * 40, 8),
        ({"profile": "comfort", "peak_per_kw": 0}, 0.2 / 0.7 * 2.5, 0, 20),
        ({"export_per_kwh": 1.5, "below_per_k_h": 4}, 1.5, 0, 4),
    ],
)
def test_weights_come_from_the_profile_unless_said(weights, export, peak, below):
    found = problem_of(small_file(weights=weights)).weights
    assert (found.export_czk_kwh, found.peak_czk_kw, found.below_czk_k_h) == pytest.approx((export, peak, below))


def test_a_setpoint_battery_has_no_intents_to_change():
    assert problem_of(small_file()).weights.intent_czk == 0
    assert problem_of(changed(small_file(), "battery.control", "intents")).weights.intent_czk == 0.25


def test_three_days_come_from_the_bands():
    data = small_file(uncertainty={"strategy": "scenarios"}, bands={"pv_w": {"p10": 500, "p90": 1500}})
    data["bands"]["buy_per_kwh"] = {"p10": 1.5, "p90": [5.0] * 8}
    problem = problem_of(data)
    bad, middle, good = problem.uncertainty.scenarios
    assert (bad.pv_w[0], middle.pv_w[0], good.pv_w[0]) == (500, 1000, 1500)
    assert (bad.buy[0], middle.buy[0], good.buy[0]) == (5.0, 3.0, 1.5)
    assert sum(s.probability for s in problem.uncertainty.scenarios) == pytest.approx(1.0)
    assert problem.bands["pv_w"][1].tolist() == [1500] * 8


def test_listed_scenarios_are_as_expected_where_they_say_nothing():
    scenarios = [
        {"name": "sun", "probability": 0.6, "pv_w": [2000] * 8},
        {"name": "guests", "probability": 0.4, "load_w": 900},
    ]
    uncertainty = {"strategy": "scenarios", "scenarios": scenarios, "shared_slots": 2, "cvar_share": 0.3}
    found = problem_of(small_file(uncertainty=uncertainty)).uncertainty
    assert [s.name for s in found.scenarios] == ["sun", "guests"]
    assert found.scenarios[0].load_w.tolist() == [300] * 8
    assert found.scenarios[1].load_w.tolist() == [900] * 8
    assert (found.shared_slots, found.cvar_share) == (2, 0.3)
