"""The house as its devices are seen on MQTT and UDP; read back with the dialects that the services use."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.house.house_fakes import HouseRig, StillWorld

from pems_common.dialects import growatt_oig, loxone
from pems_common.errors import PemsError
from pems_common.mqtt import MqttMessage
from pems_house.domain.plant import StartState

COMMAND = "energy/solar/command"
COLD = {"obyvak": 18.0, "loznice": 18.0, "hosti": 24.0}


async def ask(rig: HouseRig, command: growatt_oig.Command, correlation_id: str = "q1") -> growatt_oig.CommandResult:
    await rig.pems.publish(command.topic(COMMAND), command.payload(correlation_id))
    result = growatt_oig.parse_result(rig.retained("energy/solar/result"))
    assert isinstance(result, growatt_oig.CommandResult)
    return result


async def test_first_tick_tells_everything_retained() -> None:
    rig = HouseRig()
    await rig.house.start()
    await rig.house.tick()
    reading = growatt_oig.parse_state(rig.retained("energy/solar"))
    assert isinstance(reading, growatt_oig.InverterReading)
    assert reading.online
    assert reading.soc_pct == 50
    for room in rig.home.rooms:
        temperature = loxone.parse_scalar(rig.retained(f"loxone/temperature/{room}"))
        assert isinstance(temperature, float)
        assert loxone.in_range("temperature", temperature)
        assert rig.retained(f"loxone/relay/{room}") in {b"0", b"1"}
    assert json.loads(rig.retained("ev/state"))["connected"] is True
    assert json.loads(rig.retained("water/state"))["temperature_c"] > 40
    assert float(rig.retained("loxone/outdoor/temperature")) == pytest.approx(0.0, abs=1.0)


async def test_the_balance_of_the_readings_closes() -> None:
    rig = HouseRig()
    await rig.go(3600)
    r = growatt_oig.parse_state(rig.retained("energy/solar"))
    assert isinstance(r, growatt_oig.InverterReading)
    assert None not in (r.grid_power_w, r.battery_power_w, r.load_power_w)
    assert r.grid_power_w + r.battery_power_w == pytest.approx(r.load_power_w, abs=0.5)  # type: ignore[operator]


async def test_temperatures_come_at_least_every_five_minutes() -> None:
    rig = HouseRig()
    await rig.house.tick()
    rig.broker.log.clear()
    await rig.go(3600)
    for room in rig.home.rooms:
        assert sum(topic == f"loxone/temperature/{room}" for topic, _, _ in rig.broker.log) >= 12
    assert all(retain for _, _, retain in rig.broker.log)


async def test_a_command_is_answered_and_acts() -> None:
    rig = HouseRig()
    await ask(rig, growatt_oig.stop_soc("batteryfirst", 90))
    await ask(rig, growatt_oig.power_rate("batteryfirst", 50))
    result = await ask(rig, growatt_oig.timeslot("batteryfirst", "00:00", "03:00", enabled=True), "q7")
    assert (result.correlation_id, result.command, result.success) == ("q7", "batteryfirst/set/timeslot", True)
    settings = growatt_oig.parse_settings(await ask(rig, growatt_oig.get_settings("batteryfirst")))
    assert isinstance(settings, growatt_oig.ModeSettings)
    assert (settings.power_rate_pct, settings.stop_soc_pct, settings.ac_charge) == (50, 90, False)
    assert settings.slots[0] == growatt_oig.SlotSettings("00:00", "03:00", True)
    await rig.go(120)
    reading = growatt_oig.parse_state(rig.retained("energy/solar"))
    assert isinstance(reading, growatt_oig.InverterReading)
    assert reading.battery_power_w == pytest.approx(-4900, abs=1)
    assert rig.house.truth()["register_writes"] == 3


async def test_the_timeslot_ends_by_the_inverters_own_clock_without_pems() -> None:
    rig = HouseRig()
    await ask(rig, growatt_oig.timeslot("batteryfirst", "00:00", "00:30", enabled=True))
    await rig.go(1700)
    assert rig.house.state()["inverter"]["priority"] == "batteryfirst"
    await rig.go(300)
    assert rig.house.state()["inverter"]["priority"] == "loadfirst"


async def test_a_live_pems_with_the_rooms_enable_has_the_relay() -> None:
    rig = HouseRig(start_state=StartState(rooms_c=COLD))
    await rig.pems.publish("pems/relay/hosti/enable", "1")
    await rig.pems.publish("pems/relay/hosti/set", "1")
    await rig.pems.publish("pems/relay/loznice/set", "0")  # not enabled: its own thermostat goes on
    await rig.go(600, step_s=10, each=rig.pulse)
    assert rig.retained("loxone/relay/hosti") == b"1"
    assert rig.retained("loxone/relay/loznice") == b"1"


async def test_a_silent_pems_gives_all_rooms_back_after_the_off_delay() -> None:
    rig = HouseRig(start_state=StartState(rooms_c=COLD))
    for room in ("obyvak", "hosti"):
        await rig.pems.publish(f"pems/relay/{room}/enable", "1")
        await rig.pems.publish(f"pems/relay/{room}/set", "1" if room == "hosti" else "0")
    await rig.go(600, step_s=10, each=rig.pulse)
    assert (rig.retained("loxone/relay/obyvak"), rig.retained("loxone/relay/hosti")) == (b"0", b"1")
    await rig.go(50, step_s=10)
    assert rig.retained("loxone/relay/hosti") == b"0"
    await rig.go(300, step_s=10)
    assert rig.retained("loxone/relay/obyvak") == b"1"
    assert not rig.house.state()["pems_alive"]


async def test_the_off_delay_is_wall_time() -> None:
    class Fast(type(HouseRig().clock)):  # type: ignore[misc]
        speed = 60.0

    rig = HouseRig()
    rig.house._clock = fast = Fast(rig.clock.now())
    await rig.pulse()
    fast.advance(29 * 60)
    assert rig.house.state()["pems_alive"]
    fast.advance(2 * 60)
    assert not rig.house.state()["pems_alive"]


async def test_ticks_are_at_most_a_few_a_wall_second() -> None:
    assert HouseRig().house.tick_every == timedelta(seconds=10)
    assert HouseRig(tick_every=timedelta(seconds=60)).house.tick_every == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("pems/relay/cellar/set", "1"),
        ("pems/relay/hosti/set", "maybe"),
        ("pems/relay/hosti/enable", ""),
        ("ev/set", "7000"),
        ("ev/set", '{"power": 1}'),
        ("ev/set", "[" * 3000),
        ("water/set", "warm"),
    ],
)
async def test_nonsense_is_counted_and_changes_nothing(topic: str, payload: str) -> None:
    rig = HouseRig()
    await rig.pems.publish(topic, payload)
    assert sum(rig.house.ignored.values()) == 1
    assert not rig.plant.loxone.requested.any()


async def test_a_stray_retained_command_is_ignored() -> None:
    rig = HouseRig()
    for topic_filter, handler in list(rig.broker.handlers):
        if topic_filter == "pems/relay/+/set":
            await handler(MqttMessage("pems/relay/hosti/set", b"1", retained=True))
    assert not rig.plant.loxone.requested.any()
    assert rig.house.ignored == {"retained command": 1}


async def test_car_and_water_obey_a_live_pems() -> None:
    rig = HouseRig(start_state=StartState(ev_soc_pct=50.0, water_c=50.0))
    await rig.pems.publish("ev/set", '{"power_w": 7000}')
    await rig.pems.publish("water/set", "1")
    await rig.go(1200, step_s=20, each=rig.pulse)
    state = json.loads(rig.retained("ev/state"))
    assert state["power_w"] == 7000
    assert state["session_wh"] == pytest.approx(7000 / 3, rel=0.05)
    assert json.loads(rig.retained("water/state"))["power_w"] == pytest.approx(800, abs=1)
    await rig.pems.publish("ev/set", '{"power_w": 900}')  # below the least of the charger
    await rig.pems.publish("water/set", "0")
    await rig.go(60, step_s=20, each=rig.pulse)
    assert json.loads(rig.retained("ev/state"))["power_w"] == 0
    assert json.loads(rig.retained("water/state"))["power_w"] == 0
    await rig.go(60, step_s=20)  # silence: the charger's own night timer
    assert json.loads(rig.retained("ev/state"))["power_w"] == 3700


async def test_a_cold_tank_is_heated_whatever_pems_says() -> None:
    rig = HouseRig(start_state=StartState(water_c=30.0))
    await rig.pems.publish("water/set", "0")
    await rig.go(120, step_s=20, each=rig.pulse)
    assert json.loads(rig.retained("water/state"))["power_w"] > 0


async def test_udp_lines_are_loxones() -> None:
    lines: list[bytes] = []
    rig = HouseRig(udp=lines.append)
    await rig.house.tick()
    read = [loxone.parse_udp_line(line.decode(), rig.home.site.zone) for line in lines]
    assert all(isinstance(r, loxone.LoxoneReading) for r in read)
    kinds = {(r.room, r.measurement_type, r.tag1) for r in read if isinstance(r, loxone.LoxoneReading)}
    assert {("obyvak", "temperature", ""), ("obyvak", "relay", "heating"), ("", "current_weather", "")} <= kinds
    assert all(abs((r.at - rig.clock.now()).total_seconds()) < 1 for r in read if isinstance(r, loxone.LoxoneReading))
    lines.clear()
    await rig.go(600)
    assert 2 * 17 <= sum(b";temperature;" in line and b"outdoor" not in line for line in lines) <= 3 * 17


# --- faults -------------------------------------------------------------------------------------


async def said(rig: HouseRig, topic: str, seconds: float) -> list[bytes]:
    rig.broker.log.clear()
    await rig.go(seconds)
    return [payload for t, payload, _ in rig.broker.log if t == topic]


async def test_a_silent_sensor_and_a_stuck_one() -> None:
    rig = HouseRig(start_state=StartState(rooms_c={"hosti": 15.0, "loznice": 15.0}))
    await rig.house.tick()
    rig.house.add_fault("sensor_silent", room="loznice")
    rig.house.add_fault("sensor_stuck", room="hosti", minutes=180)
    assert await said(rig, "loxone/temperature/loznice", 3 * 3600 - 60) == []
    assert len({*await said(rig, "loxone/temperature/hosti", 60)}) <= 1
    assert len({*await said(rig, "loxone/temperature/hosti", 3600)}) >= 1
    assert rig.plant.rooms.air_c[rig.plant.building.names.index("hosti")] > 15.3
    assert [fault.kind for fault in rig.house.faults.on] == ["sensor_silent"]


async def test_a_lost_ack_is_carried_out_and_a_nak_is_not() -> None:
    rig = HouseRig()
    await ask(rig, growatt_oig.stop_soc("batteryfirst", 77), "first")
    fault = rig.house.add_fault("ack_lost")
    result = await ask(rig, growatt_oig.stop_soc("batteryfirst", 66), "second")
    assert result.correlation_id == "first"
    assert rig.plant.inverter.registers.batteryfirst.stop_soc_pct == 66
    rig.house.faults.remove(fault.id)
    rig.house.add_fault("nak", minutes=10)
    result = await ask(rig, growatt_oig.stop_soc("batteryfirst", 55), "third")
    assert (result.correlation_id, result.success) == ("third", False)
    assert rig.plant.inverter.registers.batteryfirst.stop_soc_pct == 66
    await rig.go(660)
    assert (await ask(rig, growatt_oig.stop_soc("batteryfirst", 55), "fourth")).success


async def test_an_inverter_offline_says_so_and_runs_on() -> None:
    rig = HouseRig(faults=[{"kind": "inverter_offline", "minutes": 5}])
    await rig.go(240)
    reading = growatt_oig.parse_state(rig.retained("energy/solar"))
    assert isinstance(reading, growatt_oig.InverterReading)
    assert not reading.online
    assert "energy/solar/result" not in rig.broker.retained
    await rig.pems.publish(f"{COMMAND}/gridfirst/get", '{"correlationId": "x"}')
    assert "energy/solar/result" not in rig.broker.retained
    assert rig.house.truth()["load_wh"] > 0
    await rig.go(120)
    reading = growatt_oig.parse_state(rig.retained("energy/solar"))
    assert isinstance(reading, growatt_oig.InverterReading)
    assert reading.online


async def test_a_broker_drop_is_silence_both_ways_with_the_last_will() -> None:
    drops: list[bool] = []

    async def drop(gone: bool) -> None:
        drops.append(gone)

    rig = HouseRig(drop=drop)
    await rig.house.tick()
    rig.house.add_fault("broker_drop", minutes=10)
    await rig.house.tick()
    assert json.loads(rig.retained("energy/solar")) == {"InverterStatus": -1}
    assert await said(rig, "energy/solar", 500) == []
    await rig.pems.publish("pems/relay/hosti/set", "1")
    assert not rig.plant.loxone.requested.any()
    assert len(await said(rig, "loxone/window/hosti", 300)) == 1  # everything is said again
    assert drops == [True, False]


async def test_a_stuck_relay_does_what_it_likes() -> None:
    rig = HouseRig()
    rig.house.add_fault("relay_stuck", room="spajz")
    rig.house.add_fault("relay_stuck", room="zachod", value=0)
    await rig.pems.publish("pems/relay/spajz/enable", "1")
    await rig.pems.publish("pems/relay/spajz/set", "0")
    await rig.go(120, step_s=20, each=rig.pulse)
    assert (rig.retained("loxone/relay/spajz"), rig.retained("loxone/relay/zachod")) == (b"1", b"0")


async def test_a_wrong_clock_moves_the_timeslots_until_it_is_set() -> None:
    rig = HouseRig()
    rig.house.add_fault("inverter_clock", value=-3600.0)
    await ask(rig, growatt_oig.timeslot("batteryfirst", "00:00", "00:59", enabled=True))
    await rig.go(300)
    assert rig.house.state()["inverter"]["priority"] == "loadfirst"
    await ask(rig, growatt_oig.set_clock(rig.plant.local))
    await rig.go(60)
    assert rig.house.state()["inverter"]["priority"] == "batteryfirst"


@pytest.mark.parametrize("wrong", [{"kind": "earthquake"}, {"kind": "sensor_stuck", "room": "cellar"}])
def test_an_unknown_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PemsError):
        HouseRig(faults=[wrong])


# --- ends ---------------------------------------------------------------------------------------


async def test_a_broker_that_is_down_stops_nothing() -> None:
    rig = HouseRig()
    rig.broker.down = True
    await rig.go(300)
    rig.broker.down = False
    await rig.go(60)
    assert b"InputPower" in rig.retained("energy/solar")


async def test_a_clean_stop_leaves_the_last_word() -> None:
    rig = HouseRig()
    await rig.house.tick()
    await rig.house.stop()
    assert json.loads(rig.retained("energy/solar")) == {"InverterStatus": -1}


async def test_truth_needs_no_prices_to_go_on() -> None:
    rig = HouseRig(StillWorld(spot=None))
    await rig.go(600)
    assert rig.house.truth()["energy_cost_czk"] >= 0
