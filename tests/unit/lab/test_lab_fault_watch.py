"""What is sent beyond a limit is seen, and what a limit itself makes necessary is not held against the controller."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pems_common.home import load_home
from pems_common.mqtt import MqttMessage
from pems_controller.adapters.store import AuditRow
from pems_controller.handlers import ControllerHandlers
from pems_lab.faults.watch import SentWatch

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
NOW = datetime(2026, 1, 13, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Audited:
    """A controller of which only the audit is asked."""

    clamps: dict[str, list[str]] = field(default_factory=dict)

    def audit(self, *, limit: int, before_id: int | None = None, device: str | None = None) -> list[AuditRow]:
        limits: list[dict[str, Any]] = [{"limit": name} for name in self.clamps.get(device or "", [])]
        return [AuditRow(1, NOW, "command", device or "", {"clamp": limits})]


class Wire:
    """Says what the controller sends and hears."""

    def __init__(self) -> None:
        self.watch, self.now, self.audited = SentWatch(HOME, NOW), NOW, Audited()

    def room(self, room: str, on: bool) -> None:
        relays = HOME.devices.relays
        for topic, value in ((relays.enable_topic, True), (relays.set_topic, on)):
            self.say(topic.format(room=room), b"1" if value else b"0")

    def say(self, topic: str, payload: bytes) -> None:
        self.watch.sent("controller", MqttMessage(topic, payload), self.now)

    def hear(self, room: str, temperature_c: float) -> None:
        topic = HOME.devices.sensors.temperature_topic.format(room=room)
        self.watch.heard("controller", MqttMessage(topic, f"{temperature_c:.1f}".encode()), self.now)

    def minutes(self, count: int) -> Counter[str]:
        for _ in range(count):
            self.now += MINUTE
            self.watch.look(self.now, cast(ControllerHandlers, self.audited))
        return self.watch.beyond


def test_a_room_heated_above_its_limit_counts_each_minute_as_long_as_the_reading_is_fresh() -> None:
    wire = Wire()
    wire.hear("hosti", 25.4)
    wire.room("hosti", True)
    assert wire.minutes(3) == {"room_max_c": 3}
    assert "hosti on at 25.4 C" in wire.watch.offences[0].text
    assert wire.minutes(30) == {"room_max_c": 15}, "a silent sensor is no reading"


def test_a_cold_room_that_is_off_counts_once_its_relay_has_rested() -> None:
    wire = Wire()
    wire.room("hosti", False)
    wire.hear("hosti", 15.0)
    assert not wire.minutes(9)
    wire.hear("hosti", 15.0)
    assert wire.minutes(5)["room_min_c"] == 4
    other = Wire()
    other.room("hosti", True)
    other.hear("hosti", 15.0)
    assert not other.minutes(14)


def test_a_cold_room_may_be_off_where_the_house_draws_too_much() -> None:
    wire = Wire()
    state = '{"InverterStatus": 5, "InputPower": 0, "INVPowerToLocalLoad": 16000, "ACPowerToUser": 16000,'
    state += ' "ACPowerToGrid": 0, "ChargePower": 0, "DischargePower": 0, "SOC": 50}'
    wire.watch.heard("controller", MqttMessage(HOME.devices.inverter.state_topic, state.encode()), wire.now)
    wire.room("hosti", False)
    wire.hear("hosti", 15.0)
    assert not wire.minutes(14)


def test_too_much_heating_at_once_counts() -> None:
    wire = Wire()
    tight = HOME.control.model_copy(update={"limits": HOME.control.limits.model_copy(update={"heating_max_w": 4_000})})
    wire.watch = SentWatch(HOME.model_copy(update={"control": tight}), NOW)
    wire.room("obyvak", True)
    assert not wire.minutes(1)
    wire.room("kuchyne", True)
    assert wire.minutes(2) == {"heating_max_w": 2}


@pytest.mark.parametrize(
    ("command", "value", "rule"),
    [
        ("batteryfirst/set/powerrate", 60, "battery_max_w"),
        ("gridfirst/set/powerrate", 51, ""),
        ("gridfirst/set/stopsoc", 15, "soc_min_pct"),
        ("gridfirst/set/stopsoc", 20, ""),
        ("batteryfirst/set/stopsoc", 100, ""),
    ],
)
def test_the_inverters_commands(command: str, value: int, rule: str) -> None:
    wire = Wire()
    wire.say(f"{HOME.devices.inverter.command_topic}/{command}", f'{{"value": {value}}}'.encode())
    assert list(wire.watch.beyond) == ([rule] if rule else [])


@pytest.mark.parametrize(("power", "counts"), [("12000", True), ("700", True), ("0", False), ("null", False)])
def test_the_cars_power(power: str, counts: bool) -> None:
    wire = Wire()
    wire.say(HOME.devices.ev.set_topic, f'{{"power_w": {power}}}'.encode())
    assert bool(wire.watch.beyond["ev_power_w"]) is counts


def test_a_relay_switched_too_soon_counts_unless_a_limit_asked_for_it() -> None:
    wire = Wire()
    wire.room("hosti", False)
    wire.minutes(20)
    wire.room("hosti", True)
    wire.minutes(4)
    wire.room("hosti", False)
    assert wire.minutes(1) == {"least_times": 1}
    assert wire.watch.offences[-1].text == "hosti off after 4 min"
    wire.minutes(15)
    wire.room("hosti", True)
    wire.minutes(4)
    wire.audited.clamps["room:hosti"] = ["import_max_w"]
    wire.room("hosti", False)
    assert wire.minutes(1) == {"least_times": 1}
    wire.room("hosti", True)
    assert wire.minutes(1) == {"least_times": 2}, "nothing asks for switching on too soon"


def test_what_a_room_does_without_pems_does_not_count_and_others_are_not_watched() -> None:
    wire = Wire()
    wire.hear("hosti", 25.5)
    wire.room("hosti", True)
    wire.say(HOME.devices.relays.enable_topic.format(room="hosti"), b"0")
    wire.watch.sent("house", MqttMessage(HOME.devices.ev.set_topic, b'{"power_w": 99999}'), wire.now)
    assert not wire.minutes(3)


def test_beginning_anew_forgets_offences_and_keeps_what_is_commanded() -> None:
    wire = Wire()
    wire.hear("hosti", 25.5)
    wire.room("hosti", True)
    wire.minutes(2)
    wire.watch.begin(wire.now)
    assert not wire.watch.beyond
    assert not wire.watch.offences
    assert wire.minutes(1) == {"room_max_c": 1}


def test_a_relay_that_somebody_else_switched_is_held_to_what_it_said() -> None:
    """The room went off by itself: telling it so is no switching, and its rest counts from what it said."""
    wire = Wire()
    wire.room("hosti", False)
    wire.minutes(20)
    wire.room("hosti", True)
    wire.minutes(2)
    topic = HOME.devices.sensors.relay_topic.format(room="hosti")
    wire.watch.heard("controller", MqttMessage(topic, b"0"), wire.now)
    wire.room("hosti", False)
    assert not wire.minutes(3)
    wire.room("hosti", True)
    assert wire.minutes(1) == {"least_times": 1}
