"""What the controller sent, held against its own hard limits by somebody who reads the wire.

A fault may break a limit of the house without PEMS being able to prevent it; what PEMS itself commands beyond a limit
is its own doing. A command counts against what the controller had heard when it gave it, right or wrong.
"""

import json
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor

from pems_common.dialects import growatt_oig, loxone
from pems_common.home import Home
from pems_common.mqtt import MqttMessage
from pems_controller.handlers import ControllerHandlers

__all__ = ["Offence", "SentWatch"]

_ROOMS_TO_LESS = frozenset({"room_max_c", "heating_max_w", "import_max_w"})  # where a least on time gives way
_ECHO = timedelta(seconds=60)  # a relay's word so soon after a command may be older than the command
_IMPORT_MARGIN_W = 2_000.0  # the controller keeps so much of the main breaker free (`limits.IMPORT_MARGIN_W`)
_KEPT_OFFENCES = 50
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Offence:
    """A command beyond a limit: when, which rule, and what was sent."""

    at: datetime
    rule: str
    text: str


@dataclass
class _Relay:
    on: bool = False
    since: datetime | None = None  # of the last change that was sent, or heard
    held: bool = False  # whether PEMS has the room


class SentWatch:
    """Reads the controller's messages, and looks once a minute at what they add up to.

    Attributes:
        beyond: Ticks (commands, for the battery, the car and least on and off times) beyond a limit, by rule.
        offences: The first of them.
    """

    def __init__(self, home: Home, now: datetime) -> None:
        """Watch the controller of a site from now on."""
        relays, devices = home.devices.relays, home.devices
        self._home = home
        self._set = {relays.set_topic.format(room=room): room for room in home.rooms}
        self._enable = {relays.enable_topic.format(room=room): room for room in home.rooms}
        self._temperature = {devices.sensors.temperature_topic.format(room=room): room for room in home.rooms}
        self._relay = {devices.sensors.relay_topic.format(room=room): room for room in home.rooms}
        self._relays = {room: _Relay() for room in home.rooms}
        self._heard: dict[str, tuple[float, datetime]] = {}
        self._import_w = 0.0
        self._soon: list[tuple[str, float]] = []
        self._now = now
        self.beyond: Counter[str] = Counter()
        self.offences: deque[Offence] = deque(maxlen=_KEPT_OFFENCES)

    def begin(self, now: datetime) -> None:
        """Forget what was counted; what was commanded and heard stays known."""
        self._now = now
        self.beyond.clear()
        self.offences.clear()

    # --- messages ------------------------------------------------------------------------------

    def heard(self, service: str, message: MqttMessage, now: datetime) -> None:
        """A message has reached a service."""
        if service != "controller" or message.retained:
            return
        room = self._temperature.get(message.topic)
        if room is not None:
            value = loxone.parse_scalar(message.payload)
            if isinstance(value, float) and loxone.in_range("temperature", value):
                self._heard[room] = (value, now)
        elif message.topic in self._relay:
            self._reported(self._relay[message.topic], message.payload == b"1", now)
        elif message.topic == self._home.devices.inverter.state_topic:
            reading = growatt_oig.parse_state(message.payload)
            if isinstance(reading, growatt_oig.InverterReading):
                self._import_w = reading.grid_power_w or 0.0

    def sent(self, service: str, message: MqttMessage, now: datetime) -> None:
        """A service has sent a message."""
        if service != "controller":
            return
        self._now = now
        topic, devices = message.topic, self._home.devices
        if topic in self._enable:
            self._relays[self._enable[topic]].held = message.payload == b"1"
        elif topic in self._set:
            self._switched(self._set[topic], message.payload == b"1")
        elif topic == devices.ev.set_topic and self._home.ev is not None:
            power_w = json.loads(message.payload)["power_w"]
            if power_w and not self._home.ev.power_min_w <= power_w <= self._home.ev.power_max_w:
                self._count("ev_power_w", f"{power_w:g} W")
        elif topic.startswith(f"{devices.inverter.command_topic}/"):
            self._inverter(topic.removeprefix(f"{devices.inverter.command_topic}/"), message.payload)

    def _reported(self, room: str, on: bool, now: datetime) -> None:
        """A relay says that somebody else has switched it: what is sent from now on is held against that."""
        relay = self._relays[room]
        if relay.since is not None and relay.on is not on and now - relay.since >= _ECHO:
            relay.on, relay.since = on, now

    def _switched(self, room: str, on: bool) -> None:
        relay, limits = self._relays[room], self._home.control.limits
        if relay.since is not None and relay.on is on:
            return
        if relay.since is not None and relay.held:
            least = timedelta(minutes=limits.relay_min_off_minutes if on else limits.relay_min_on_minutes)
            if self._now - relay.since < least - timedelta(seconds=1):
                self._soon.append((room, (self._now - relay.since) / _MINUTE))
        relay.on, relay.since = on, self._now

    def _inverter(self, command: str, payload: bytes) -> None:
        battery, limits = self._home.battery, self._home.control.limits
        if battery is None:
            return
        value = json.loads(payload).get("value")
        if command.endswith("set/powerrate"):
            power_w = value / 100.0 * battery.device_scale_w
            if power_w > min(limits.battery_max_w, battery.power_max_w) + 1.0:
                self._count("battery_max_w", f"{command} {value} %")
        elif command == "gridfirst/set/stopsoc" and value < floor(battery.soc_min_pct):
            self._count("soc_min_pct", f"{command} {value} %")
        elif command == "batteryfirst/set/stopsoc" and value > battery.soc_max_pct:
            self._count("soc_max_pct", f"{command} {value} %")

    # --- minutes -------------------------------------------------------------------------------

    def look(self, now: datetime, controller: ControllerHandlers) -> None:
        """Judge what is commanded at the end of a minute in which the controller was alive and could send."""
        self._now = now
        limits = self._home.control.limits
        on = [room for room, relay in self._relays.items() if relay.held and relay.on]
        heating_w = sum(self._home.rooms[room].heat_w for room in on)
        if heating_w > limits.heating_max_w + 1.0:
            self._count("heating_max_w", f"{heating_w:g} W")
        for room, relay in self._relays.items():
            reading = self._fresh(room, now)
            if reading is None or not relay.held:
                continue
            if relay.on and reading > limits.room_max_c:
                self._count("room_max_c", f"{room} on at {reading:g} C")
            elif not relay.on and reading < limits.room_min_c and not self._may_be_off(room, relay, heating_w, now):
                self._count("room_min_c", f"{room} off at {reading:g} C")
        for room, minutes in self._soon:
            if not (self._last_clamps(controller, room) & _ROOMS_TO_LESS and not self._relays[room].on):
                state = "on" if self._relays[room].on else "off"
                self._count("least_times", f"{room} {state} after {minutes:.0f} min")
        self._soon.clear()

    def _fresh(self, room: str, now: datetime) -> float | None:
        reading = self._heard.get(room)
        if reading is None or (now - reading[1]).total_seconds() > self._home.control.room_silence_s:
            return None
        return reading[0]

    def _may_be_off(self, room: str, relay: _Relay, heating_w: float, now: datetime) -> bool:
        """Whether a cold room is off for its relay's sake, or because the house draws too much."""
        home, heat_w = self._home, self._home.rooms[room].heat_w
        least = timedelta(minutes=home.control.limits.relay_min_off_minutes)
        resting = relay.since is not None and now - relay.since <= least
        no_room = heating_w + heat_w > home.control.limits.heating_max_w
        return resting or no_room or self._import_w + heat_w > home.grid.import_max_w - _IMPORT_MARGIN_W

    @staticmethod
    def _last_clamps(controller: ControllerHandlers, room: str) -> set[str]:
        rows = controller.audit(limit=3, device=f"room:{room}")
        newest = next((row for row in rows if row.kind == "command"), None)
        return set() if newest is None else {clamp["limit"] for clamp in newest.data["clamp"]}

    def _count(self, rule: str, text: str) -> None:
        self.beyond[rule] += 1
        if len(self.offences) < _KEPT_OFFENCES:
            self.offences.append(Offence(self._now, rule, text))
