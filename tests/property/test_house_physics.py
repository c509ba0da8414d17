"""Invariants of the simulated house: heat and charge are neither made nor lost, whatever is done to it."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.house.house_fakes import StillWorld, a_plant, the_home

from pems_house.domain.building import make_building
from pems_house.domain.inverter import Inverter
from pems_house.domain.plant import StartState
from pems_house.domain.rooms import RoomInputs, Rooms

HOME = the_home()


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    outdoor=st.floats(-20, 35),
    first=st.floats(5, 30),
    step_s=st.sampled_from([7.0, 30.0, 60.0]),
)
def test_heat_balance_closes_over_days(seed: int, outdoor: float, first: float, step_s: float) -> None:
    rng = np.random.default_rng(seed)
    building = make_building(HOME, seed)
    n = building.count
    rooms = Rooms(building, np.full(4 * n, first) + rng.normal(0, 2, 4 * n))
    before, given_wh = rooms.stored_wh().sum(), 0.0
    turnover = 1.0
    for i in range(360):
        swing = 6.0 * np.sin(i / 200.0)
        heat = building.heat_w * (rng.random(n) < 0.3)
        gains, sun = rng.uniform(0, 200, n), rng.uniform(0, 400, n)
        opened = (rng.random(n) < 0.02).astype(float)
        inputs = RoomInputs(outdoor + swing, 9.0, float(rng.uniform(0, 12)), 80.0, heat, gains, sun, opened, gains)
        for _ in range(8):
            rooms.step(inputs, step_s)
        got = float(heat.sum() + gains.sum() + sun.sum()) * 8 * step_s / 3600.0
        given_wh += got
        turnover += abs(got)
    change = rooms.stored_wh().sum() - before
    assert change == pytest.approx(given_wh - rooms.lost_wh, abs=1e-6 * (turnover + abs(rooms.lost_wh)))
    assert np.isfinite(rooms.temperature_c).all()
    assert ((rooms.humidity_pct() >= 0) & (rooms.humidity_pct() <= 100)).all()


_ACTIONS = st.sampled_from(
    [
        ("batteryfirst/set/timeslot", {"slot": 1, "start": "00:00", "stop": "23:59", "enabled": True}),
        ("batteryfirst/set/timeslot", {"slot": 1, "start": "00:00", "stop": "23:59", "enabled": False}),
        ("gridfirst/set/timeslot", {"slot": 1, "start": "00:00", "stop": "23:59", "enabled": True}),
        ("gridfirst/set/timeslot", {"slot": 1, "start": "00:00", "stop": "23:59", "enabled": False}),
        ("batteryfirst/set/stopsoc", {"value": 95}),
        ("batteryfirst/set/stopsoc", {"value": 30}),
        ("gridfirst/set/stopsoc", {"value": 0}),
        ("gridfirst/set/stopsoc", {"value": 100}),
        ("gridfirst/set/stopsoc", {"value": 55}),
        ("gridfirst/set/powerrate", {"value": 100}),
        ("batteryfirst/set/powerrate", {"value": 3}),
        ("batteryfirst/set/powerrate", {"value": 60_000}),
        ("export/disable", {}),
        ("export/enable", {}),
        ("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": 0}),
        ("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": 1}),
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    soc=st.floats(5, 100),
    moves=st.lists(st.tuples(_ACTIONS, st.floats(0, 13_500), st.floats(0, 17_000)), min_size=1, max_size=25),
)
def test_battery_stays_within_its_bounds_and_power_balances(soc: float, moves: list) -> None:
    inverter = Inverter(HOME, 3, soc)
    battery = inverter.battery
    assert battery is not None
    before = battery.energy_wh
    for i, ((command, params), dc_w, load_w) in enumerate(moves):
        local = datetime(2026, 5, 4, 1) + timedelta(minutes=40 * i)  # noqa: DTZ001 - local
        inverter.registers.handle(command, json.dumps(params).encode(), local)
        for minute in range(40):
            flows = inverter.step(dc_w, load_w, local + timedelta(minutes=minute), 12.0, 60.0)
            assert flows.grid_w + flows.pv_w + flows.battery_w == pytest.approx(load_w, abs=1e-6)
            assert 0.0 <= flows.pv_w <= flows.pv_possible_w + 1e-9
            assert abs(flows.battery_w) <= battery.power_max_w + 1e-6
            assert min(soc, 9.0) - 0.5 <= battery.soc_pct <= 100.0 + 1e-9
            assert -flows.grid_w <= HOME.grid.export_max_w + 1e-6
            if not inverter.registers.export_enabled and inverter.registers.inverter_on:
                assert flows.grid_w >= -1e-6
    stored = battery.energy_wh - before
    assert stored == pytest.approx(battery.charged_wh - battery.discharged_wh - battery.lost_wh, abs=1e-3)
    assert battery.lost_wh >= 0


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), outdoor=st.floats(-15, 28), soc=st.floats(10, 100))
def test_whole_plant_balances_over_half_a_day(seed: int, outdoor: float, soc: float) -> None:
    start = datetime(2026, 4, 14, 3, tzinfo=UTC)
    plant = a_plant(
        StillWorld(outdoor, dni_w_m2=400.0, dhi_w_m2=80.0), start=start, seed=seed, state=StartState(soc_pct=soc)
    )
    heat_before = plant.tell()["rooms_stored_wh"]
    plant.advance(start + timedelta(hours=12))
    t = plant.tell()
    given_wh = t["heating_wh"] + t["gains_wh"] + t["sun_wh"]
    assert t["rooms_stored_wh"] - heat_before == pytest.approx(given_wh - t["rooms_lost_wh"], abs=2.0)
    into = t["import_wh"] + t["pv_wh"] + t["battery_out_wh"]
    assert into == pytest.approx(t["export_wh"] + t["load_wh"] + t["battery_in_wh"], abs=1.0)
