"""What the hardware really does under each priority (docs/architecture.md, the first house)."""

from datetime import datetime

import pytest
from tests.unit.house.house_fakes import the_home

from pems_house.domain.inverter import Flows, Inverter

HOME = the_home()
NOON = datetime(2026, 1, 13, 12, 0)  # noqa: DTZ001 - local, as the inverter's clock


def an_inverter(soc_pct: float = 50.0) -> Inverter:
    inverter = Inverter(HOME, 1, soc_pct)
    assert inverter.battery is not None
    return inverter


def mode(inverter: Inverter, kind: str, *, rate: float = 50.0, stop: float = 90.0) -> None:
    registers = getattr(inverter.registers, kind)
    registers.power_rate_pct, registers.stop_soc_pct = rate, stop
    registers.slots[0].start_min, registers.slots[0].stop_min, registers.slots[0].enabled = 0, 1439, True


def run(inverter: Inverter, minutes: int, *, dc_w: float = 0.0, load_w: float = 1000.0) -> Flows:
    flows = inverter.flows
    for _ in range(minutes):
        flows = inverter.step(dc_w, load_w, NOON, 15.0, 60.0)
    return flows


def soc(inverter: Inverter) -> float:
    assert inverter.battery is not None
    return inverter.battery.soc_pct


def test_load_first_covers_the_house_and_stores_surplus() -> None:
    inverter = an_inverter()
    flows = run(inverter, 1, load_w=2000.0)
    assert (flows.battery_w, flows.grid_w) == (2000.0, 0.0)
    flows = run(inverter, 1, dc_w=4000.0, load_w=1000.0)
    assert flows.battery_w == pytest.approx(1000.0 - flows.pv_w)
    assert flows.grid_w == pytest.approx(0.0)


def test_load_first_ignores_stop_soc_and_ends_at_the_batterys_own_floor() -> None:
    inverter = an_inverter(25.0)
    inverter.registers.loadfirst.stop_soc_pct = 60.0
    flows = run(inverter, 240, load_w=3000.0)
    assert 9.5 < soc(inverter) < 10.5
    assert flows.grid_w == pytest.approx(3000.0)


def test_battery_first_charges_from_the_grid_though_ac_charge_is_off() -> None:
    inverter = an_inverter(30.0)
    mode(inverter, "batteryfirst", rate=50.0, stop=60.0)
    flows = run(inverter, 5)
    assert not inverter.registers.ac_charge
    assert flows.battery_w == pytest.approx(-4900.0)
    assert flows.grid_w == pytest.approx(5900.0)
    run(inverter, 120)
    assert soc(inverter) == pytest.approx(60.0, abs=0.6)
    assert inverter.flows.grid_w == pytest.approx(1000.0)


def test_battery_first_at_the_live_soc_holds_and_exports_surplus() -> None:
    inverter = an_inverter(55.4)
    mode(inverter, "batteryfirst", stop=55.0)
    assert run(inverter, 60).battery_w == 0.0
    flows = run(inverter, 10, dc_w=5000.0)
    assert flows.battery_w == 0.0
    assert flows.grid_w < -3000.0


def test_full_rate_is_limited_by_the_battery_not_by_the_scale() -> None:
    inverter = an_inverter(30.0)
    mode(inverter, "batteryfirst", rate=400.0)
    assert run(inverter, 1).battery_w == pytest.approx(-5300.0)


def test_grid_first_discharges_at_its_rate_to_stop_soc_and_keeps_it() -> None:
    inverter = an_inverter(60.0)
    mode(inverter, "gridfirst", rate=50.0, stop=40.0)
    flows = run(inverter, 1, load_w=500.0)
    assert flows.battery_w == pytest.approx(4900.0)
    assert flows.grid_w == pytest.approx(-4400.0)
    run(inverter, 180, load_w=500.0)
    assert soc(inverter) == pytest.approx(40.0, abs=1.1)
    assert inverter.flows.battery_w == pytest.approx(0.0, abs=1.0)


def test_grid_first_below_its_stop_soc_charges_to_it() -> None:
    inverter = an_inverter(40.0)
    mode(inverter, "gridfirst", rate=40.0, stop=50.0)
    assert run(inverter, 1).battery_w == pytest.approx(-3920.0)
    run(inverter, 60)
    assert soc(inverter) == pytest.approx(50.0, abs=1.1)


def test_grid_first_at_100_exports_pv_and_the_battery_keeps_its_charge() -> None:
    inverter = an_inverter(70.0)
    mode(inverter, "gridfirst", stop=100.0)
    flows = run(inverter, 30, dc_w=6000.0, load_w=800.0)
    assert flows.battery_w == 0.0
    assert flows.grid_w == pytest.approx(800.0 - flows.pv_w)
    assert soc(inverter) == pytest.approx(70.0, abs=0.1)


def test_no_export_curtails_pv_and_discharge() -> None:
    inverter = an_inverter(100.0)
    inverter.registers.export_enabled = False
    flows = run(inverter, 1, dc_w=6000.0, load_w=800.0)
    assert flows.pv_possible_w > 5000.0
    assert flows.grid_w == pytest.approx(0.0)
    mode(inverter, "gridfirst", rate=50.0, stop=30.0)
    flows = run(inverter, 1, load_w=800.0)
    assert flows.battery_w == pytest.approx(800.0)


def test_register_zero_switches_everything_off() -> None:
    inverter = an_inverter()
    inverter.registers.inverter_on = False
    flows = run(inverter, 1, dc_w=6000.0, load_w=800.0)
    assert (flows.pv_w, flows.battery_w, flows.grid_w) == (0.0, 0.0, 800.0)
    assert inverter.state()["InverterStatus"] == 0


def test_pv_and_discharge_share_the_ac_limit() -> None:
    inverter = an_inverter(90.0)
    mode(inverter, "gridfirst", rate=60.0, stop=20.0)
    flows = run(inverter, 1, dc_w=8000.0)
    assert flows.pv_w + flows.battery_w <= 10_000.0 + 1e-6
    assert run(inverter, 1, dc_w=13_500.0).pv_w == 10_000.0


def test_a_told_power_below_the_least_useful_dispatch_wastes_energy() -> None:
    def gained_per_wh(rate: float) -> float:
        inverter = an_inverter(30.0)
        mode(inverter, "batteryfirst", rate=rate)
        before = inverter.battery.energy_wh  # type: ignore[union-attr]
        flows = run(inverter, 1)
        return (inverter.battery.energy_wh - before) / (-flows.battery_w / 60.0)  # type: ignore[union-attr]

    assert gained_per_wh(5.0) < 0.75 < 0.88 < gained_per_wh(50.0)


def test_charging_tapers_near_full_and_in_the_cold() -> None:
    inverter = an_inverter(97.0)
    mode(inverter, "batteryfirst", rate=100.0, stop=100.0)
    assert -3000.0 < run(inverter, 1).battery_w < 0.0
    cold = an_inverter(50.0)
    assert cold.battery is not None
    cold.battery.temperature_c = -5.0
    mode(cold, "batteryfirst", rate=100.0, stop=100.0)
    assert run(cold, 1).battery_w == pytest.approx(-530.0, rel=0.1)


def test_counters_of_the_day_begin_again_at_local_midnight() -> None:
    inverter = an_inverter()
    run(inverter, 60, load_w=6000.0)
    assert inverter.state()["LocalLoadEnergyToday"] == pytest.approx(6.0)
    inverter.step(0.0, 6000.0, NOON.replace(day=14, hour=0, minute=1), 15.0, 60.0)
    assert inverter.state()["LocalLoadEnergyToday"] == pytest.approx(0.1)
