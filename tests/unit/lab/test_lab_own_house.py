"""A house of identified rooms: its physics by hand, its stores out of a history, its past as a world."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.unit.lab.backtest_kit import BEGIN, FULL, MODEL, ROOM, SMALL, made_columns, read

from pems_common.messages import Series, Weather
from pems_common.timegrid import SLOT
from pems_house.domain.battery import Battery
from pems_house.domain.plant import Plant
from pems_house.domain.rooms import RoomInputs
from pems_lab.backtest.own_house import MeasuredPeople, OwnHouse, OwnRooms, own_building
from pems_lab.backtest.own_house_stores import found_battery, hot_water_w, trips
from pems_lab.measured.world import MeasuredWorld, temperature_scale

DAY = timedelta(days=1)
CAR_AND_TANK = FULL.model_copy(update={"rooms": SMALL.rooms})


def inputs(outdoor_c: float, heat_w: float, gains_w: float = 0.0) -> RoomInputs:
    nothing = np.zeros(1)
    return RoomInputs(outdoor_c, 10.0, 0.0, 75.0, np.array([heat_w]), np.array([gains_w]), nothing, nothing, nothing)


def test_a_room_in_balance_stays_and_keeps_its_energy() -> None:
    # 500 W through 25 W/K hold 20 C in 0 C; the slab is 500 W x 0.01 K/W warmer.
    rooms = OwnRooms(own_building(SMALL, {"loznice": MODEL}), np.array([20.0]), np.array([25.0]))
    for _ in range(600):
        rooms.step(inputs(0.0, 500.0), 60.0)
    assert rooms.air_c == pytest.approx([20.0], abs=1e-4)
    assert rooms.lost_wh == pytest.approx(5_000.0, rel=1e-4)
    before = rooms.stored_wh().sum()
    for _ in range(60):
        rooms.step(inputs(0.0, 500.0, 200.0), 60.0)
    assert rooms.stored_wh().sum() - before == pytest.approx(700.0 - (rooms.lost_wh - 5_000.0), abs=0.1)


def test_neighbours_pull_at_each_other() -> None:
    home = SMALL.model_copy(update={"rooms": {"loznice": ROOM, "pokoj_1": ROOM}})
    models = {
        "loznice": MODEL.model_copy(update={"neighbours": {"pokoj_1": 10.0}}),
        "pokoj_1": MODEL.model_copy(update={"neighbours": {"loznice": 10.0}}),
    }
    rooms = OwnRooms(own_building(home, models), np.array([22.0, 18.0]), np.array([22.0, 18.0]))
    nothing = np.zeros(2)
    for _ in range(60):
        rooms.step(RoomInputs(20.0, 10.0, 0.0, 75.0, nothing, nothing, nothing, nothing, nothing), 60.0)
    warm, cold = rooms.air_c
    assert 20.0 < warm < 22.0
    assert 18.0 < cold < 20.0
    assert warm + cold == pytest.approx(40.0, abs=0.01)


async def test_a_plant_of_a_history_gives_its_pv_and_draws_its_load() -> None:
    pv = np.zeros(192)
    pv[40:60] = 1_500.0
    columns = made_columns(2, pv_power_w=pv, grid_power_w=900.0 - pv)
    columns["load_power_w"][50], columns["grid_power_w"][50] = 1_100.0, -400.0
    span = await read(columns, 2)
    house = OwnHouse(span, {"loznice": MODEL}, Battery(10_000.0, 0.92, 5_300.0, 2_450.0, 0.0))
    plant = Plant(
        span.home,
        span.true_weather().at,
        lambda slot: (4.0, 2.0),
        BEGIN,
        seed=3,
        state=house.begun(0),
        parts=house.parts(0, seed=3),
    )
    assert plant.inverter.battery is not None
    assert plant.inverter.battery.soc_pct == pytest.approx(50.0)
    plant.advance(BEGIN + 50 * SLOT)
    before = dict(plant.truth.wh)
    plant.advance(BEGIN + 51 * SLOT)
    assert plant.truth.wh["pv_possible"] - before["pv_possible"] == pytest.approx(375.0, rel=1e-3)
    assert plant.truth.wh["household"] - before["household"] == pytest.approx(150.0, rel=1e-3)
    assert plant.outdoor_reading_c == pytest.approx(0.0, abs=0.05)


async def test_an_hour_that_the_clock_repeats_is_lived_twice_as_it_was() -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # the day has 25 hours
    columns = made_columns(100 / 96)
    household = 400.0 + np.arange(100.0)
    columns["load_power_w"] = household + 500.0
    span = await read(columns, 100 / 96, begin=begin)
    people, zone = MeasuredPeople(span, {"loznice": MODEL}), SMALL.site.zone
    for slot in (8, 12):  # 02:00 summer and winter time
        at = begin + slot * SLOT
        day, minute = people.at(at, at.astimezone(zone))
        assert day.load_w[minute] == pytest.approx(400.0 + slot)


async def test_the_battery_is_found_in_its_history() -> None:
    power, soc = np.zeros(1440), np.empty(1440)
    energy_wh, leg, capacity = 4_000.0, 0.93, 9_000.0
    for slot in range(1440):
        soc[slot] = 100.0 * energy_wh / capacity
        power[slot] = -1_500.0 if slot % 25 < 10 else 930.0 * 14.0 / 15.0
        energy_wh -= power[slot] / 4.0 * (leg if power[slot] < 0 else 1.0 / leg)
    columns = made_columns(15, battery_power_w=power, grid_power_w=900.0 - power, battery_soc_pct=np.floor(soc))
    found = found_battery(await read(columns, 15))
    assert found is not None
    assert found.battery.capacity_wh == pytest.approx(capacity, rel=0.05)
    assert found.battery.leg_efficiency == pytest.approx(leg, abs=0.02)


async def test_a_battery_that_rests_is_the_one_of_the_file() -> None:
    found = found_battery(await read(made_columns(3), 3))
    assert found is not None
    assert found.battery.capacity_wh == 10_000.0
    assert "tell too little" in found.told


def with_car_and_tank(days: float) -> dict[str, np.ndarray]:
    count = round(days * 96)
    return made_columns(days) | {
        "ev.power_w": np.zeros(count),
        "ev.connected": np.ones(count),
        "ev.soc_pct": np.full(count, 80.0),
        "water.power_w": np.zeros(count),
        "water.temperature_c": np.full(count, 50.0),
    }


async def test_a_trip_uses_what_the_car_lacks_when_it_is_back() -> None:
    columns = with_car_and_tank(1)
    columns["ev.connected"][30:60] = 0.0
    columns["ev.soc_pct"][30:60] = np.nan
    columns["ev.soc_pct"][60:] = 72.0
    assert trips(await read(columns, 1, home=CAR_AND_TANK)) == {30: pytest.approx(6_000.0)}


async def test_hot_water_is_what_the_tank_lost_beyond_its_standing_loss() -> None:
    water = CAR_AND_TANK.water
    assert water is not None
    columns = with_car_and_tank(1)
    columns["water.temperature_c"][48:] = 46.0
    # The heater makes up for the standing loss: its COP at 0 C is 0.874 of the rated one.
    loss_w = water.standing_loss_w * (columns["water.temperature_c"] - 18.0) / 34.0
    columns["water.power_w"] = loss_w / (0.874 * water.cop)
    drawn = hot_water_w(await read(columns, 1, home=CAR_AND_TANK))
    fell_wh = 4.0 * water.volume_l * 4186.0 / 3600.0
    lift = (48.0 - 10.0) / (water.target_c - 10.0)
    assert drawn.sum() / 4.0 * lift == pytest.approx(fell_wh, rel=0.1)
    assert (drawn >= 0.0).all()


def told(run_at: datetime, temperature_c: float) -> Weather:
    hours = [temperature_c] * 72
    series = {
        name: Series.of(run_at, 3600, hours if name == "temperature_c" else [0.0] * 72)
        for name in ("temperature_c", "cloud_cover_pct", "ghi_w_m2")
    }
    return Weather(provider="x", run_at=run_at, available_at=run_at + timedelta(minutes=1), **series)


async def test_forecasts_are_those_that_were_known() -> None:
    span = await read(made_columns(3), 3)
    archive = [told(BEGIN + timedelta(hours=h), float(h)) for h in (0, 6, 30)]
    world = MeasuredWorld(span, archive)
    assert world.weather_forecast(BEGIN + timedelta(hours=5)) is archive[0]
    assert world.weather_forecast(BEGIN + timedelta(hours=6)) is archive[0], "it became known a minute later"
    assert world.weather_forecast(BEGIN + timedelta(hours=7)) is archive[1]
    assert world.modelled == 0
    modelled = world.weather_forecast(BEGIN + timedelta(hours=20), 48)
    assert (world.modelled, modelled.provider) == (1, "measured")
    errors = np.array(modelled.temperature_c.values, dtype=np.float64)
    assert 0.1 < errors.std() < 2.5, "about the 0 C that came"


async def test_modelled_errors_are_as_large_as_the_users_own() -> None:
    span = await read(made_columns(20), 20)
    rng = np.random.default_rng(1)
    archive = [told(BEGIN + timedelta(hours=6 * i), float(rng.normal(0.0, 2.0))) for i in range(60)]
    assert temperature_scale(span, archive) == pytest.approx(2.4, abs=0.5)
    assert temperature_scale(span, archive[:1]) == 1.0
    at = BEGIN + timedelta(days=2)
    once = np.array(MeasuredWorld(span, scale=1.0).weather_forecast(at).temperature_c.values, dtype=np.float64)
    twice = np.array(MeasuredWorld(span, scale=2.0).weather_forecast(at).temperature_c.values, dtype=np.float64)
    assert twice == pytest.approx(2.0 * once, abs=0.02)


async def test_prices_become_public_as_the_market_publishes_them() -> None:
    columns = made_columns(2)
    columns["price.spot_eur_mwh"] += np.arange(192.0)
    world = MeasuredWorld(await read(columns, 2))
    morning = BEGIN + timedelta(hours=8)
    assert world.published_until(morning) == BEGIN + DAY
    assert world.published_until(BEGIN + timedelta(hours=15)) == BEGIN + 2 * DAY
    assert world.published_until(BEGIN + DAY + timedelta(hours=15)) == BEGIN + 2 * DAY, "the history ends"
    assert world.spot_eur_mwh(BEGIN + SLOT) == pytest.approx(101.0)
    assert world.spot_eur_mwh(BEGIN + 3 * DAY) is None


async def test_the_filter_finds_the_slab() -> None:
    span = await read(made_columns(4), 4)
    house = OwnHouse(span, {"loznice": MODEL}, None)
    (start, end) = house.states([300, 350])
    assert start[:, 0] == pytest.approx([20.0, 25.0], abs=0.3)
    assert end[:, 0] == pytest.approx([20.0, 25.0], abs=0.3)
    assert house.battery_at(0) is None
