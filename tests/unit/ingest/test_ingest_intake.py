"""Device messages and UDP lines: what is taken, what is stored, what is counted as rejected."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from pems_common.dialects.generic import FieldMapping
from pems_common.home.devices import Devices, Inverter, Sensors

STATE = {
    "InverterStatus": 1,
    "InputPower": 2000,
    "SOC": 55,
    "ChargePower": 500,
    "DischargePower": 0,
    "ACPowerToUser": 0,
    "ACPowerToGrid": 300,
    "INVPowerToLocalLoad": 1200,
    "BatteryTemperature": 21.5,
    "TodayGenerateEnergy": 4.2,
}


async def body(bench):
    await bench.run(10)
    return bench.handlers.latest["telemetry"].body


async def test_inverter_state_reaches_telemetry_with_its_signs(bench):
    await bench.say("energy/solar", json.dumps(STATE))
    got = await body(bench)
    assert (got["pv_power_w"], got["grid_power_w"], got["battery_power_w"]) == (2000, -300, -500)
    assert got["load_power_w"] == 1200
    assert got["inverter_online"]


async def test_the_last_will_ends_it(bench):
    await bench.say("energy/solar", json.dumps(STATE))
    await bench.say("energy/solar", '{"InverterStatus": -1}', retain=True)
    got = await body(bench)
    assert not got["inverter_online"]
    assert got["pv_power_w"] is None


async def test_room_scalars(bench):
    await bench.say("loxone/temperature/obyvak", "21.4", retain=True)
    await bench.say("loxone/relay/obyvak", "1", retain=True)
    await bench.say("loxone/humidity/obyvak", "44")
    await bench.say("loxone/target_temp/obyvak", "22.5")
    await bench.say("loxone/window/obyvak", "0")
    await bench.say("loxone/outdoor/temperature", "-3.5")
    got = await body(bench)
    assert got["rooms"]["obyvak"] == {
        "temperature_c": 21.4,
        "humidity_pct": 44,
        "target_c": 22.5,
        "relay_on": True,
        "window_open": False,
    }
    assert got["outdoor_temperature_c"] == -3.5


async def test_a_retained_reading_at_the_start_is_not_fresh_and_not_stored(benches, home):
    bench = benches(home)
    bench.broker.retained["loxone/temperature/obyvak"] = b"19.5"
    await bench.mqtt.start()
    got = await body(bench)
    assert got["rooms"]["obyvak"]["temperature_c"] == 19.5
    assert got["quality"]["room.obyvak.temperature_c"]["flag"] == "stale"
    assert (
        await bench.store.points("room.obyvak.temperature_c", datetime(2026, 1, 1, tzinfo=UTC), bench.clock.now()) == []
    )


async def test_car_and_water_heater(bench):
    await bench.say("ev/state", '{"connected": true, "soc_pct": 40, "power_w": 7000, "session_wh": 1200}')
    await bench.say("water/state", '{"temperature_c": 48.5, "power_w": 800}')
    got = await body(bench)
    assert got["ev"] == {"connected": True, "soc_pct": 40, "power_w": 7000, "session_wh": 1200}
    assert got["water"] == {"temperature_c": 48.5, "power_w": 800}


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("energy/solar", b"", "empty"),
        ("energy/solar", b"{", "not_json"),
        ("energy/solar", b"[1]", "not_object"),
        ("energy/solar", b'{"InverterStatus": 1}', "missing_field"),
        ("energy/solar", json.dumps({**STATE, "SOC": 130}).encode(), "impossible_value"),
        ("loxone/temperature/obyvak", b"warm", "not_number"),
        ("loxone/temperature/obyvak", b"400", "impossible_value"),
        ("loxone/temperature/attic", b"20", "unknown_room"),
        ("loxone/relay/obyvak", b"2", "impossible_value"),
        ("ev/state", b'{"connected": "yes"}', "wrong_type"),
        ("ev/state", b'{"connected": true, "power_w": 9e9}', "impossible_value"),
        ("water/state", b"null", "not_object"),
    ],
)
async def test_bad_payloads_are_counted_with_their_reason(bench, topic, payload, reason):
    await bench.say(topic, payload)
    assert bench.handlers.rejections.counts == {reason: 1}
    assert bench.handlers.rejections.recent[0].origin == topic
    assert bench.metrics.value("ingest_rejected_total", {"reason": reason}) == 1
    await bench.run(10)


async def test_every_change_is_stored(bench):
    for i in range(10):
        bench.clock.advance(1)
        await bench.say("loxone/temperature/obyvak", f"{21 + i / 10:.1f}")
    await bench.run(10)
    got = await bench.store.points("room.obyvak.temperature_c", datetime(2026, 1, 1, tzinfo=UTC), bench.clock.now())
    assert [p.value for p in got] == [pytest.approx(21 + i / 10) for i in range(10)]


def udp(bench, rest: str, at: datetime | None = None) -> str:
    local = (at or bench.clock.now()).astimezone(bench.home.site.zone)
    return f"{local:%Y-%m-%d %H:%M:%S};{rest}"


async def test_udp_lines_are_taken_and_republished_retained(bench):
    await bench.handlers.intake.udp_line(udp(bench, "temperature;21.4;obyvak;temperature;_;_"))
    await bench.handlers.intake.udp_line(udp(bench, "obyvak;1;obyvak;relay;heating;_"))
    await bench.handlers.intake.udp_line(udp(bench, "temperature_kuchyne;20.5"))
    await bench.handlers.intake.udp_line(udp(bench, "temperature;-4;_;current_weather;_;_"))
    got = await body(bench)
    assert got["rooms"]["obyvak"]["temperature_c"] == 21.4
    assert got["rooms"]["obyvak"]["relay_on"]
    assert got["rooms"]["kuchyne"]["temperature_c"] == 20.5
    assert got["outdoor_temperature_c"] == -4
    assert bench.broker.retained == {
        "pems/home/sensor/temperature/obyvak": b"21.4",
        "pems/home/sensor/relay/obyvak": b"1",
        "pems/home/sensor/temperature/kuchyne": b"20.5",
    }


async def test_udp_republication_survives_a_broker_that_is_down(bench):
    bench.broker.down = True
    await bench.handlers.intake.udp_line(udp(bench, "temperature;21.4;obyvak;temperature;_;_"))
    assert bench.handlers.rejections.counts == {"republish_failed": 1}
    assert (await body(bench))["rooms"]["obyvak"]["temperature_c"] == 21.4


async def test_late_udp_lines_are_history_and_future_ones_are_refused(bench):
    late = bench.clock.now() - timedelta(hours=5)
    await bench.handlers.intake.udp_line(udp(bench, "temperature;18;obyvak;temperature;_;_", late))
    await bench.handlers.intake.udp_line(
        udp(bench, "temperature;18;obyvak;temperature;_;_", bench.clock.now() + timedelta(hours=2))
    )
    got = await body(bench)
    assert got["rooms"]["obyvak"]["temperature_c"] is None
    stored = await bench.store.points("room.obyvak.temperature_c", late, late + timedelta(seconds=1))
    assert [p.value for p in stored] == [18]
    assert bench.handlers.rejections.counts == {"bad_time": 1}


async def test_the_second_hour_of_the_autumn_change_is_not_late(benches, home):
    bench = benches(home, start=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))  # 02:30 for the second time
    await bench.handlers.intake.udp_line("2026-10-25 02:30:00;temperature;21.4;obyvak;temperature;_;_")
    assert (await body(bench))["rooms"]["obyvak"]["temperature_c"] == 21.4


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("temperature;21.4;attic;temperature;_;_", "unknown_field"),
        ("temperature;x;obyvak;temperature;_;_", "not_number"),
        ("nothing", "wrong_format"),
        ("temperature;500;obyvak;temperature;_;_", "impossible_value"),
    ],
)
async def test_bad_udp_lines_are_counted(bench, rest, reason):
    await bench.handlers.intake.udp_line(udp(bench, rest))
    assert bench.handlers.rejections.counts == {reason: 1}


def grott_home(home):
    inverter = Inverter(dialect="grott", writable=False, state_topic="energy/growatt")
    return home.model_copy(update={"devices": Devices(inverter=inverter)})


async def test_grott_records(benches, home):
    bench = benches(grott_home(home))
    values = {"pvstatus": 6, "pvpowerin": 10000, "pactouserr": 5000, "pactogridr": 0, "plocaloadr": 20000}
    values |= {"pdischarge1": 5000, "p1charge1": 0, "SOC": 33, "elocalload_tot": 4294898079}
    record = {"device": "X", "time": "2026-01-15T10:00:00", "buffered": "no", "values": values}
    await bench.say("energy/growatt", json.dumps(record))
    got = await body(bench)
    assert (got["pv_power_w"], got["grid_power_w"], got["battery_power_w"]) == (1000, 500, 500)
    assert bench.handlers.rejections.counts == {"counter_underflow": 1}


async def test_grott_history_never_becomes_the_present(benches, home):
    bench = benches(grott_home(home))
    record = {"time": "2026-01-14T10:00:00", "buffered": "yes", "values": {"pvstatus": 1, "pvpowerin": 5000}}
    await bench.say("energy/growatt", json.dumps(record))
    await bench.say("energy/growatt", json.dumps({**record, "time": "1999-01-01T00:00:00"}))
    got = await body(bench)
    assert got["pv_power_w"] is None
    at = datetime(2026, 1, 14, 9, tzinfo=UTC)
    assert [p.value for p in await bench.store.points("pv_power_w", at, at + timedelta(seconds=1))] == [500]
    assert bench.handlers.rejections.counts == {"bad_time": 1}


async def test_mapped_devices(benches, home):
    bench = benches(
        home,
        mappings=[
            FieldMapping("ev.power_w", "tele/+/SENSOR", "ENERGY.Power[*]"),
            FieldMapping("grid_power_w", "shellyemg3/status/em1:0", "act_power"),
            FieldMapping("battery_soc_pct", "solar_assistant/total/battery_state_of_charge/state"),
        ],
    )
    await bench.say("tele/tasmota/SENSOR", '{"ENERGY": {"Power": [52, 5]}}')
    await bench.say("shellyemg3/status/em1:0", '{"act_power": -1899.8}')
    await bench.say("shellyemg3/status/em1:0", '{"voltage": 230}')
    await bench.say("solar_assistant/total/battery_state_of_charge/state", "77")
    await bench.say("solar_assistant/total/battery_state_of_charge/state", "Solar/Battery")
    got = await body(bench)
    assert got["grid_power_w"] == -1899.8
    assert got["battery_soc_pct"] == 77
    assert bench.handlers.rejections.counts == {"not_number": 1}


async def test_topics_with_the_room_inside_a_level(benches, home):
    sensors = Sensors(temperature_topic="house/sensor_{room}_t/value")
    bench = benches(home.model_copy(update={"devices": Devices(sensors=sensors)}))
    await bench.say("house/sensor_obyvak_t/value", "20.5")
    assert (await body(bench))["rooms"]["obyvak"]["temperature_c"] == 20.5
