"""The service as a whole in lockstep: publishing, healing, storing, copying, alerting."""

import asyncio
import json
from datetime import timedelta

import pytest

from pems_common.errors import UnavailableError
from pems_common.messages import Alert, DeviceMode, Prices, Status, Telemetry, Weather, read_body, wrap
from pems_ingest.adapters.spool import Spool


async def test_telemetry_every_ten_seconds_prices_and_weather_at_once(bench):
    await bench.handlers.start()
    await bench.run(60)
    assert len(bench.bus.entries("telemetry")) == 6
    assert len(bench.bus.entries("prices")) == 1
    assert len(bench.bus.entries("weather")) == 1
    telemetry = read_body(await bench.bus.latest("telemetry", "home"), Telemetry)
    assert set(telemetry.rooms) == set(bench.home.rooms)
    prices = read_body(await bench.bus.latest("prices", "home"), Prices)
    assert prices.source == "world_generated"
    assert prices.buy_czk_kwh.at(bench.clock.now()) is not None


async def test_prices_of_tomorrow_come_when_published(bench):
    await bench.run(60)
    first = read_body(await bench.bus.latest("prices", "home"), Prices)
    await bench.run(6 * 3600, step_s=60)  # 10:00 -> 16:00 local
    second = read_body(await bench.bus.latest("prices", "home"), Prices)
    assert second.known_until == first.known_until + timedelta(days=1)


async def test_weather_each_three_hours(bench):
    await bench.run(9 * 3600, step_s=60)
    entries = [read_body(e, Weather) for e in bench.bus.entries("weather")]
    assert len(entries) == 3
    assert entries[1].available_at - entries[0].available_at == timedelta(hours=3)


async def test_at_most_one_telemetry_a_wall_second(bench, monkeypatch):
    monkeypatch.setattr(type(bench.clock), "monotonic", lambda clock: clock.house_monotonic() / 60)
    await bench.run(600)  # ten wall seconds at 60x
    assert len(bench.bus.entries("telemetry")) == 10


async def test_a_wiped_bus_gets_prices_and_weather_again(bench):
    await bench.run(60)
    bench.bus.wipe()
    await bench.run(30)
    assert await bench.bus.latest("prices", "home") is not None
    assert await bench.bus.latest_all("weather", "home") != {}


async def test_a_bus_that_is_away_costs_nothing_stored(bench, monkeypatch):
    async def refuse(envelope):
        raise UnavailableError("away")

    monkeypatch.setattr(bench.bus, "publish", refuse)
    await bench.say("loxone/temperature/obyvak", "21.4")
    await bench.run(60)
    stored = await bench.store.points(
        "room.obyvak.temperature_c", bench.clock.now() - timedelta(hours=1), bench.clock.now()
    )
    assert len(stored) == 1
    assert bench.metrics.value("ingest_publish_errors_total", {"type": "telemetry"}) == 6
    monkeypatch.undo()
    await bench.run(30)
    assert await bench.bus.latest("prices", "home") is not None


async def test_a_restart_takes_over_kept_prices(bench, benches, home):
    copying = [asyncio.create_task(work()) for work in bench.handlers.background()]
    await bench.run(60)
    await bench.bus.pump()
    for task in copying:
        task.cancel()
    await asyncio.gather(*copying, return_exceptions=True)
    kept = await bench.store.messages("prices", bench.clock.now() - timedelta(days=1), bench.clock.now())
    assert len(kept) == 1
    bench.bus.wipe()
    bench.handlers.prices._spot.clear()
    await bench.handlers.start()
    assert bench.handlers.prices.message(bench.clock.now()) is not None


async def test_messages_of_others_are_copied_but_of_status_only_changes_of_mode(bench):
    copying = [asyncio.create_task(work()) for work in bench.handlers.background()]
    clock, bus = bench.clock, bench.bus

    def status(mode: str, tick_ms: float) -> Status:
        devices = {"battery": DeviceMode(mode=mode, since=clock.now(), why="")}
        return Status(house_mode=mode, devices=devices, armed=True, shadow=False, tick_ms=tick_ms, uptime_s=1)

    start = clock.now()
    for i, mode in enumerate(["mpc", "mpc", "safety", "safety", "mpc"]):
        clock.advance(60)
        await bus.publish(wrap(status(mode, i), site="home", clock=clock, source="controller@1"))
        alert = Alert(code=f"c{i}", severity="info", text="x", raised_at=clock.now())
        await bus.publish(wrap(alert, site="home", clock=clock, source="test"))
    await bus.pump()
    clock.advance(1)
    assert len(await bench.store.messages("status", start, clock.now())) == 3
    assert len(await bench.store.messages("alert", start, clock.now())) == 5
    assert bench.bus.dead_letters("status") == []
    for task in copying:
        task.cancel()
    await asyncio.gather(*copying, return_exceptions=True)


async def test_slots_of_prices_and_weather_are_stored_as_series(bench):
    start = bench.clock.now()
    await bench.run(3600, step_s=60)
    got = await bench.store.slots(["price.buy_czk_kwh", "weather.temperature_c"], start, start + timedelta(hours=1))
    assert all(v is not None for column in got.values() for v in column[1:])


async def test_computed_load_is_stored(bench):
    bench.handlers._assembler.offer("pv_power_w", 1000.0, bench.clock.now())
    bench.handlers._assembler.offer("grid_power_w", 500.0, bench.clock.now())
    await bench.run(20)
    got = await bench.store.points("load_power_w", bench.clock.now() - timedelta(hours=1), bench.clock.now())
    assert got[0].value == 1500


async def test_a_stale_source_raises_an_alert_and_clears_it(bench, monkeypatch):
    texts = {"stale": ""}
    monkeypatch.setattr(bench.handlers.weather, "stale", lambda now: texts["stale"])
    await bench.run(20)
    assert bench.bus.entries("alert") == []
    texts["stale"] = "the weather forecast is 9 h old"
    await bench.run(40)
    (raised,) = bench.bus.entries("alert")
    assert raised.body["code"] == "weather_stale"
    assert await bench.bus.latest("alert", "home", "weather_stale") is not None
    texts["stale"] = ""
    await bench.run(20)
    assert len(bench.bus.entries("alert")) == 2
    assert await bench.bus.latest("alert", "home", "weather_stale") is None


async def test_a_history_that_is_away_is_told_and_catches_up(benches, home, tmp_path, monkeypatch):
    bench = benches(home, spool=Spool(tmp_path / "spool"))
    write = bench.store.write

    async def refuse(site, points):
        raise UnavailableError("away")

    await bench.run(20)
    monkeypatch.setattr(bench.store, "write", refuse)
    for i in range(20):
        await bench.say("loxone/temperature/obyvak", f"{21 + i / 10:.1f}")
        await bench.run(10)
    assert "history_away" in bench.handlers.alerts.open
    assert bench.metrics.value("ingest_spool_bytes") > 0
    monkeypatch.setattr(bench.store, "write", write)
    await bench.run(1200)
    assert bench.handlers.alerts.open == {}
    now = bench.clock.now()
    got = await bench.store.points("room.obyvak.temperature_c", now - timedelta(hours=2), now)
    assert [p.value for p in got] == [pytest.approx(21 + i / 10) for i in range(20)]


async def test_stop_stores_what_is_in_hand(bench):
    await bench.say("energy/solar", json.dumps({"InverterStatus": -1}))
    await bench.say("loxone/temperature/obyvak", "21.4")
    await bench.handlers.stop()
    assert bench.store.count == 1
