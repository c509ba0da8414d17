"""Battery and car of a problem: legs, cold, taper, reserve, set-points; the car's own prices and usual need."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case

from pems_common.home import Battery, Cold, Taper
from pems_common.messages import EvReading
from pems_optimizer.domain.assemble import assemble


def problem_with(battery=None, telemetry=None, home=None, **facts):
    home = home or small_home()
    battery = battery or Battery(capacity_wh=10_000, **facts)
    home = home.model_copy(update={"battery": battery})
    known = winter_case(home, 1)
    if telemetry:
        known = replace(known, telemetry=known.telemetry.model_copy(update=telemetry))
    return assemble(home, known, now=START, decide_from=START)


def test_legs_and_limits_are_those_of_the_home():
    b = problem_with(charge_efficiency=0.96, discharge_efficiency=0.9).battery
    assert (b.charge_efficiency, b.discharge_efficiency) == (0.96, 0.9)
    assert (b.control, b.dispatch_min_w) == ("intents", 2450.0)
    assert not b.tapers
    assert b.reserve_czk_kwh_h == 0.0
    assert len(b.charge_share) == len(b.discharge_share) == 0
    assert b.charge_max_w == 5000.0, "the controller's limit is below the battery's own"


def test_a_cold_battery_takes_less_and_says_so():
    cold = Cold(charge_full_c=10, charge_zero_c=0, discharge_full_c=-10, discharge_zero_c=-20)
    problem = problem_with(cold=cold, telemetry={"battery_temperature_c": 2.5})
    b = problem.battery
    assert np.allclose(b.charge_limit_w(problem.slots), 1250.0)
    assert np.allclose(b.discharge_limit_w(problem.slots), 5000.0)
    assert next(n for n in problem.notes if n.code == "battery_cold").params["charge_share"] == 0.25
    frozen = problem_with(cold=cold, telemetry={"battery_temperature_c": -15.0}).battery
    assert np.allclose(frozen.charge_limit_w(4), 0.0)
    assert np.allclose(frozen.discharge_limit_w(4), 2500.0)


@pytest.mark.parametrize("telemetry", [{"battery_temperature_c": None}, {"battery_temperature_c": 18.0}])
def test_a_warm_battery_or_one_without_a_thermometer_has_all_its_power(telemetry):
    problem = problem_with(cold=Cold(), telemetry=telemetry)
    assert len(problem.battery.charge_share) == 0
    assert not [n for n in problem.notes if n.code == "battery_cold"]


def test_taper_and_reserve_are_energies():
    b = problem_with(
        taper=Taper(from_soc_pct=92, full_w=500), soc_max_pct=98, reserve_pct=40, reserve_czk_kwh_h=0.7
    ).battery
    assert b.tapers
    assert (b.taper_from_wh, b.taper_full_w) == (9200.0, 500.0)
    assert (b.reserve_wh, b.reserve_czk_kwh_h) == (4000.0, 0.7)
    weak = problem_with(taper=Taper(from_soc_pct=92, full_w=9000)).battery
    assert weak.taper_full_w == weak.charge_max_w


def test_a_set_point_battery_has_no_least_power():
    b = problem_with(control="setpoint").battery
    assert (b.control, b.dispatch_min_w) == ("setpoint", 0.0)


def test_a_stored_wh_is_worth_less_with_worse_legs():
    good, bad = (problem_with(round_trip_efficiency=e).battery.end_value_czk_wh for e in (0.95, 0.6))
    assert 0.0 < bad < good


def test_a_house_that_may_not_export_has_no_export():
    home = small_home()
    home = home.model_copy(update={"grid": home.grid.model_copy(update={"export_allowed": False})})
    assert problem_with(home=home).grid.export_max_w == 0.0


def test_the_car_has_its_own_usual_need_and_price():
    home = small_home()
    home = home.model_copy(update={"ev": home.ev.model_copy(update={"usual_wh_day": 4500.0, "short_czk_kwh": 3.0})})
    ev = problem_with(home=home, telemetry={"ev": EvReading(connected=True)}).ev
    assert ev.need_wh == pytest.approx(4500.0 / home.ev.efficiency)
    assert ev.short_czk_kwh == 3.0
