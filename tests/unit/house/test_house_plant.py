"""The plant as a whole: plausible, deterministic, true to its seed and to the calendar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.unit.house.house_fakes import WINTER, StillWorld, a_plant, the_home

from pems_common.timegrid import local_midnight
from pems_house.domain.building import AIR, make_building
from pems_house.domain.household import draw_day
from pems_house.domain.plant import StartState
from pems_house.domain.rooms import RoomInputs, Rooms
from pems_house.domain.sensors import Sensors


@pytest.mark.parametrize("seed", range(5))
def test_time_constants_reach_from_small_rooms_to_heavy_ones(seed: int) -> None:
    hours = make_building(the_home(), seed).time_constant_h()
    assert 30.0 < hours.min() < 60.0
    assert 150.0 < hours.max() < 300.0


@pytest.mark.parametrize("seed", range(5))
def test_every_relay_can_hold_its_room_at_ten_below_zero(seed: int) -> None:
    home = the_home()
    building = make_building(home, seed)
    needed_w = building.loss_w_k() * (np.array([room.day_c for room in home.rooms.values()]) + 10.0)
    assert (needed_w < 0.95 * building.heat_w).all()


def test_the_house_needs_five_to_seven_kilowatts_at_zero_degrees() -> None:
    plant = a_plant(StillWorld(0.0))
    plant.advance(WINTER + timedelta(days=1))
    before = plant.tell()["heating_wh"]
    plant.advance(WINTER + timedelta(days=2))
    mean_w = (plant.tell()["heating_wh"] - before) / 24.0
    assert 5000.0 < mean_w < 7000.0
    told = plant.tell()
    assert all(1 <= n / 2 <= 24 for n in told["switchings"].values())
    assert told["violations_s"]["room_below_min"] == 0
    assert told["violations_s"]["heating_above_max"] == 0


def test_a_heating_pulse_shows_in_the_air_after_about_an_hour() -> None:
    home = the_home()
    building = make_building(home, 1)
    i, n = building.names.index("loznice"), building.count
    rooms = Rooms(building, np.full(4 * n, 20.0))
    nothing = np.zeros(n)
    heat = np.zeros(n)
    air = []
    for minute in range(6 * 60):
        heat[i] = building.heat_w[i] if minute < 60 else 0.0
        rooms.step(RoomInputs(20.0, 20.0, 0.0, 50.0, heat, nothing, nothing, nothing, nothing), 60.0)
        air.append(float(rooms.air_c[i]) - 20.0)
    seen = next(minute for minute, rise in enumerate(air) if rise >= 0.2)
    assert 25 < seen < 90
    assert air[9] < 0.05
    assert np.argmax(air) > 75


def test_the_kitchen_follows_the_living_room_that_it_is_open_to() -> None:
    building = make_building(the_home(), 1)
    a, b, c = (building.names.index(name) for name in ("obyvak", "kuchyne", "chodba_dole"))
    n = building.count
    links = -building.conductance_w_k[AIR * n : (AIR + 1) * n, AIR * n : (AIR + 1) * n]
    assert links[a, b] > 10 * links[a, c] > 0


def test_the_same_seed_lives_the_same_day_and_another_one_does_not() -> None:
    told = []
    for seed in (1, 1, 2):
        plant = a_plant(seed=seed)
        plant.advance(WINTER + timedelta(hours=8))
        told.append(plant.tell())
    assert told[0] == told[1] != told[2]


def test_the_size_of_the_ticks_hardly_matters() -> None:
    results = []
    for step_s in (7.0, 60.0, 3600.0):
        plant = a_plant()
        for i in range(int(4 * 3600 / step_s)):
            plant.advance(WINTER + timedelta(seconds=(i + 1) * step_s))
        plant.advance(WINTER + timedelta(hours=4))
        results.append(plant.tell())
    assert results[1] == results[2]
    assert results[0]["load_wh"] == pytest.approx(results[1]["load_wh"], rel=0.05)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_of_clock_change(day: date, hours: int) -> None:
    start = local_midnight(day, the_home().site.zone)
    plant = a_plant(StillWorld(6.0), start=start)
    plant.advance(start + timedelta(hours=hours) - timedelta(minutes=1))
    assert plant.local.date() == day
    used_kwh = plant.inverter.state()["LocalLoadEnergyToday"]
    assert used_kwh == pytest.approx(plant.tell()["load_wh"] / 1000.0, rel=1e-3)
    plant.advance(start + timedelta(hours=hours, minutes=2))
    assert plant.inverter.state()["LocalLoadEnergyToday"] < 1.0
    assert plant.tell()["elapsed_h"] == pytest.approx(hours + 2 / 60.0, abs=1e-3)


def test_base_load_is_that_of_a_household() -> None:
    home = the_home()
    days = [draw_day(home, WINTER.date() + timedelta(days=i), 3) for i in range(28)]
    mean_w = np.mean([day.load_w for day in days], axis=0)
    assert mean_w.mean() == pytest.approx(home.base_load_w, rel=0.1)
    assert mean_w[60:300].mean() < 0.75 * mean_w.mean() < 1.5 * mean_w.mean() < mean_w[1080:1260].mean() * 1.2
    assert np.mean([day.hot_water_w.sum() / 60.0 for day in days]) == pytest.approx(8000.0, rel=0.1)


def test_the_car_is_away_on_workdays_and_needs_about_eight_kilowatt_hours() -> None:
    home = the_home()
    monday = WINTER.date() - timedelta(days=WINTER.weekday())
    workdays = [draw_day(home, monday + timedelta(days=7 * week + i), 1) for week in range(6) for i in range(5)]
    assert all(day.car_away[10 * 60] and not day.car_away[6 * 60] and not day.car_away[19 * 60] for day in workdays)
    assert np.mean([day.drive_wh for day in workdays]) == pytest.approx(8000.0, rel=0.15)


def test_without_pems_the_car_charges_at_night() -> None:
    plant = a_plant(state=StartState(ev_soc_pct=60.0))
    plant.advance(WINTER + timedelta(hours=5))
    assert plant.car is not None
    assert plant.car.soc_pct > 75.0
    assert plant.tell()["ev_wh"] > 10_000


def test_sensors_read_in_tenths_with_a_small_error() -> None:
    sensors = Sensors(200, 4)
    true_c = np.linspace(18.0, 23.0, 200)
    read = sensors.measure(true_c)
    assert np.allclose(read * 10, np.round(read * 10))
    assert np.abs(read - true_c).max() < 0.5
    assert np.abs(read - true_c).mean() < 0.12
    again = sum(int((sensors.measure(true_c) != sensors.reading_c).sum()) for _ in range(3))
    assert again == 0  # the returned readings are the kept ones
    before = sensors.measure(true_c).copy()
    after = sensors.measure(true_c + 2.0, stuck=[5])
    assert after[5] == before[5]
    assert after[6] > before[6] + 1.5


def test_sun_warms_the_south_rooms_and_feeds_both_roofs() -> None:
    start = datetime(2026, 4, 14, tzinfo=UTC)
    plant = a_plant(StillWorld(10.0, dni_w_m2=900.0), start=start)
    day = plant.sky.day(start.date())
    peak_at = day.pv_dc_w.argmax(axis=0) / 60.0
    assert peak_at[1] < 11.0 < peak_at[0]  # south-east before south-west [h UTC]
    assert 4500.0 < day.pv_dc_w.max(axis=0).min() < day.pv_dc_w.max() < 7000.0
    assert day.pv_dc_w[:120].max() == 0.0
    assert day.facade_w_m2[:, 2].sum() > 2 * day.facade_w_m2[:, 0].sum()


def test_the_meter_balances() -> None:
    plant = a_plant(StillWorld(5.0, dni_w_m2=500.0, dhi_w_m2=100.0), start=datetime(2026, 4, 14, tzinfo=UTC))
    plant.advance(plant.at + timedelta(days=1))
    t = plant.tell()
    balance = t["import_wh"] + t["pv_wh"] + t["battery_out_wh"] - t["export_wh"] - t["load_wh"] - t["battery_in_wh"]
    assert balance == pytest.approx(0.0, abs=1.0)
    parts = t["household_wh"] + t["heating_wh"] + t["ev_wh"] + t["water_wh"]
    assert parts == pytest.approx(t["load_wh"], abs=1.0)
    assert t["energy_cost_czk"] == pytest.approx((t["import_wh"] * 4.0 - t["export_wh"] * 2.0) / 1000.0, abs=0.05)
    assert t["pv_wh"] == t["pv_possible_wh"] > 10_000


def test_load_management_keeps_the_thermostats_below_the_breaker() -> None:
    plant = a_plant(StillWorld(-10.0), state=StartState(rooms_c=dict.fromkeys(the_home().rooms, 17.0)))
    plant.advance(WINTER + timedelta(hours=12))
    assert plant.tell()["peak_import_15min_w"] < plant.home.grid.import_max_w


def test_in_summer_nothing_is_heated() -> None:
    plant = a_plant(StillWorld(22.0), start=datetime(2026, 7, 10, tzinfo=UTC))
    plant.advance(plant.at + timedelta(hours=12))
    assert plant.tell()["heating_wh"] == 0.0
