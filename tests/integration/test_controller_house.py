"""Controller and simulated house in lockstep: half a winter day on rules alone, judged by what the house did."""

from datetime import UTC, datetime, timedelta

from tests.unit.controller.controller_kit import first_house

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.messages import Prices, Series, wrap
from pems_common.mqtt import MemoryBroker
from pems_common.world import open_world
from pems_controller.adapters.store import ControllerStore
from pems_controller.handlers import ControllerHandlers
from pems_house.handlers import HouseHandlers

START = datetime(2026, 1, 14, 23, tzinfo=UTC)


async def test_half_a_winter_day_on_rules():
    home, clock, broker = first_house(), FakeClock(START), MemoryBroker()
    bus, mqtt = MemoryBus(clock), broker.client()
    world = open_world(None, latitude=home.site.latitude, longitude=home.site.longitude, seed=1)
    house = HouseHandlers(home, clock, broker.client(), world, seed=1, off_delay_s=130)
    controller = ControllerHandlers(home, clock, bus, mqtt, ControllerStore(None), armed_env=True, instance="x")
    await house.start()
    await controller.start()
    await mqtt.start()
    start = START - timedelta(hours=1)
    slots = [start + timedelta(minutes=15 * i) for i in range(104)]
    spot = [(world.spot_eur_mwh(at) or 80.0) * 24.5 / 1000 for at in slots]
    buy = Series.of(
        start, 900, [home.tariff.prices(p, at, home.site.zone)[0] for p, at in zip(spot, slots, strict=True)]
    )
    prices = Prices(
        spot_eur_mwh=buy,
        eur_czk=24.5,
        buy_czk_kwh=buy,
        sell_czk_kwh=buy,
        known_until=buy.end,
        source="test",
        tariff_version="1",
    )
    await controller.on_state(wrap(prices, site=home.site.id, clock=clock, source="test@1"))

    relays: dict[str, tuple[bool, int]] = {}
    lowest_soc, too_soon, over_w = 100.0, [], 0.0
    for minute in range(12 * 60):
        await house.tick()
        await controller.tick()
        clock.advance(30)
        await house.tick()
        clock.advance(30)
        for name, room in house.state()["rooms"].items():
            on, since = relays.get(name, (room["relay_on"], -60))
            if room["relay_on"] is not on:
                if minute - since < 10 and minute > 1:
                    too_soon.append((name, minute, minute - since))
                since = minute
            relays[name] = (room["relay_on"], since)
        battery = house.plant.inverter.battery
        assert battery is not None
        lowest_soc = min(lowest_soc, battery.soc_pct)
        over_w = max(over_w, house.plant.inverter.flows.grid_w - home.grid.import_max_w)

    status = controller.status
    assert status is not None
    assert {device.mode for device in status.devices.values()} == {"rule_based"}
    assert status.violations == ()
    assert too_soon == []
    assert lowest_soc >= 20
    assert over_w <= 1_500  # what the household switches on between two ticks
    assert 0 < house.plant.inverter.registers.writes <= 60
    assert house.plant.inverter.registers.writes_unchanged <= 2
    assert all(room["by_pems"] for room in house.state()["rooms"].values())
    temperatures = [room["temperature_c"] for room in house.state()["rooms"].values()]
    assert min(temperatures) > 18
    assert max(temperatures) < 25

    await controller.stop()
    clock.advance(60)
    await house.tick()
    state = house.state()
    assert not any(room["by_pems"] for room in state["rooms"].values())
    assert state["inverter"]["priority"] == "loadfirst"
