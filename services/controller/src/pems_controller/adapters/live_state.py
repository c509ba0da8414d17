"""What the devices say over MQTT, how old it is, and when each output was switched last.

Ages count in house seconds on the monotonic clock. A retained message may be of any age: it fills a value, but never
makes it fresh. Readings survive a restart of the controller with the time they were really seen.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import Any

from pems_common.clock import Clock
from pems_common.dialects import growatt_oig, loxone
from pems_common.dialects.result import Rejected
from pems_common.home import Home
from pems_common.mqtt import Mqtt, MqttMessage
from pems_common.timegrid import parse_instant
from pems_controller.adapters.readings import EvMessage, WaterMessage, parse_ev, parse_water
from pems_controller.adapters.store import ControllerStore
from pems_controller.domain.state import BatteryState, EvState, HouseState, RelayState, RoomState, WaterState

__all__ = ["LiveState"]

OUTDOOR_SILENCE_S = 6 * 3600.0
_WALL_SILENCE_S = 4.0  # in a scaled run no device speaks more often than once a wall second
_ECHO_S = 60.0  # a relay state so soon after a command may be older than the command


class LiveState:
    """Subscribes to every device of the site and keeps the last reading of each."""

    def __init__(self, home: Home, clock: Clock, mqtt: Mqtt, store: ControllerStore, counters: Counter[str]) -> None:
        """Subscribe."""
        self._home, self._clock, self._store, self._counters = home, clock, store, counters
        self._values: dict[str, Any] = {}
        self._seen_s: dict[str, float] = {}
        self._switched: dict[str, tuple[bool, float]] = {}
        self._unwatched: set[str] = set()
        self._controlled_w: dict[str, float] = {}
        sensors, devices = home.devices.sensors, home.devices
        for room in home.rooms:
            again = sensors.republish_topic.replace("{site}", home.site.id).replace("{type}", "temperature")
            for topic in {sensors.temperature_topic, again}:
                self._scalar(mqtt, topic.replace("{room}", room), f"temperature:{room}", "temperature")
            mqtt.subscribe(sensors.relay_topic.replace("{room}", room), self._relay_handler(room))
        self._scalar(mqtt, sensors.outdoor_topic, "outdoor", "temperature")
        mqtt.subscribe(devices.inverter.state_topic, self._on_inverter)
        if home.ev is not None:
            mqtt.subscribe(devices.ev.state_topic, self._on_ev)
        if home.water is not None:
            mqtt.subscribe(devices.water.state_topic, self._on_water)

    def load(self) -> None:
        """Take over what a former process of this controller saw and switched."""
        now, now_s = self._clock.now(), self._clock.house_monotonic()
        for device, switch in self._store.switches().items():
            self._switched[device] = (switch.on, now_s - max(0.0, (now - switch.at).total_seconds()))
        for key, (value, seen_at) in self._store.kept("readings", {}).items():
            made = {"battery": growatt_oig.InverterReading, "ev": EvMessage, "water": WaterMessage}.get(key)
            age_s = (now - parse_instant(seen_at)).total_seconds()
            if key in self._values or age_s < 0:
                continue
            try:
                self._values[key] = value if made is None else made(**value)
            except TypeError:  # another version of this program wrote it; the device speaks again soon
                self._counters["kept_unreadable"] += 1
            else:
                self._seen_s[key] = now_s - age_s

    def save(self) -> None:
        """Keep the readings; called once a tick."""
        now, now_s = self._clock.now(), self._clock.house_monotonic()
        kept = {}
        for key, seen_s in self._seen_s.items():
            value = self._values[key]
            plain = value if isinstance(value, float) else vars(value)
            kept[key] = (plain, (now - timedelta(seconds=now_s - seen_s)).isoformat())
        self._store.keep("readings", kept)

    # --- messages ------------------------------------------------------------------------------

    def _take(self, key: str, value: object, message: MqttMessage, source: str) -> bool:
        """Keep a reading; False when it was rejected, or is a retained one beside a live one."""
        if isinstance(value, Rejected):
            self._counters[f"rejected:{source}:{value.reason}"] += 1
            return False
        if message.retained and key in self._seen_s:
            return False
        self._values[key] = value
        if not message.retained:
            self._seen_s[key] = self._clock.house_monotonic()
        return True

    def _scalar(self, mqtt: Mqtt, topic: str, key: str, kind: str) -> None:
        async def on_message(message: MqttMessage) -> None:
            value = loxone.parse_scalar(message.payload)
            if not isinstance(value, Rejected) and not loxone.in_range(kind, value):
                value = Rejected("impossible_value", f"{topic} = {value:g}")
            self._take(key, value, message, kind)

        mqtt.subscribe(topic, on_message)

    def _relay_handler(self, room: str) -> Callable[[MqttMessage], Any]:
        async def on_message(message: MqttMessage) -> None:
            value = loxone.parse_scalar(message.payload)
            if isinstance(value, Rejected) or value not in (0.0, 1.0):
                reason = value.reason if isinstance(value, Rejected) else "impossible_value"
                self._counters[f"rejected:relay:{reason}"] += 1
                return
            self._reported(f"room:{room}", value == 1.0, retained=message.retained)

        return on_message

    def _reported(self, device: str, on: bool, *, retained: bool) -> None:
        """A relay says what it is: if that is news, somebody else switched it, at the latest now."""
        if device in self._unwatched:
            self._unwatched.discard(device)
            self.switching(device, on)
            return
        known = self._switched.get(device)
        if known is None and retained:
            self._switched[device] = (on, -inf)
            return
        if known is not None and known[0] is on:
            return
        echo_s = max(_ECHO_S, _WALL_SILENCE_S * self._clock.speed)
        if known is not None and self._clock.house_monotonic() - known[1] < echo_s:
            return
        self.switching(device, on)

    async def _on_inverter(self, message: MqttMessage) -> None:
        value = growatt_oig.parse_state(message.payload)
        if self._take("battery", value, message, "inverter"):
            self._controlled_w = self._draws()

    async def _on_ev(self, message: MqttMessage) -> None:
        self._take("ev", parse_ev(message.payload), message, "ev")

    async def _on_water(self, message: MqttMessage) -> None:
        self._take("water", parse_water(message.payload), message, "water")

    # --- what the rest of the controller asks ---------------------------------------------------

    def alone(self) -> None:
        """Rooms run by themselves, unheard: what a relay says next may have been switched just now, whatever it is."""
        self._unwatched = {f"room:{room}" for room in self._home.rooms}

    def switching(self, device: str, on: bool) -> None:
        """Remember, in the store first, that an output is switched now."""
        self._store.switched(device, on, self._clock.now())
        self._switched[device] = (on, self._clock.house_monotonic())

    def relay(self, device: str) -> RelayState:
        """State of an output and how long it has been so."""
        if device not in self._switched:
            return RelayState()
        on, since_s = self._switched[device]
        return RelayState(on, self._clock.house_monotonic() - since_s)

    def age_s(self, key: str) -> float:
        """Age of a live reading [house s], infinite where there was none."""
        return self._clock.house_monotonic() - self._seen_s[key] if key in self._seen_s else inf

    def _fresh(self, key: str, silence_s: float) -> bool:
        return self.age_s(key) <= max(silence_s, _WALL_SILENCE_S * self._clock.speed)

    def _draws(self) -> dict[str, float]:
        """What the controlled loads draw at this moment."""
        draws = {
            f"room:{name}": room.heat_w if self.relay(f"room:{name}").on else 0.0
            for name, room in self._home.rooms.items()
        }
        for key in ("ev", "water"):
            if key in self._values:
                draws[key] = self._values[key].power_w
        return draws

    @property
    def soc_pct(self) -> float | None:
        """Last known SoC of the battery; None where unknown or the inverter is offline."""
        reading = self._values.get("battery")
        soc: float | None = None if reading is None else reading.soc_pct
        return soc

    def _battery(self) -> BatteryState:
        reading = self._values.get("battery")
        if reading is None or not reading.online:
            return BatteryState()
        return BatteryState(
            fresh=self._fresh("battery", self._home.control.battery_silence_s),
            soc_pct=reading.soc_pct,
            power_w=reading.battery_power_w or 0.0,
            grid_w=reading.grid_power_w or 0.0,
            pv_w=reading.pv_power_w or 0.0,
            load_w=reading.load_power_w or 0.0,
            temperature_c=reading.battery_temperature_c,
            heard_s_ago=self.age_s("battery"),
        )

    def house(self) -> HouseState:
        """Everything that is known at this moment."""
        silence_s = self._home.control.room_silence_s
        rooms = {
            name: RoomState(
                temperature_c=self._values.get(f"temperature:{name}"),
                fresh=self._fresh(f"temperature:{name}", silence_s),
                relay=self.relay(f"room:{name}"),
            )
            for name in self._home.rooms
        }
        ev, water = self._values.get("ev"), self._values.get("water")
        return HouseState(
            at=self._clock.now(),
            rooms=rooms,
            battery=self._battery(),
            ev=EvState() if ev is None else EvState(self._fresh("ev", silence_s), ev.connected, ev.soc_pct, ev.power_w),
            water=WaterState(relay=self.relay("water"))
            if water is None
            else WaterState(self._fresh("water", silence_s), water.temperature_c, water.power_w, self.relay("water")),
            outdoor_c=self._values.get("outdoor") if self._fresh("outdoor", OUTDOOR_SILENCE_S) else None,
            # relays as they were when the meter was read; car and water by their latest own word, which may come
            # just after the meter's: with the word before it, import was misjudged by a whole car each other tick
            controlled_w=self._controlled_w | {d: w for d, w in self._draws().items() if d in {"ev", "water"}},
        )
