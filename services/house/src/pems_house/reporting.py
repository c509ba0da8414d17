"""What the house's devices say: which value is due on which MQTT topic, and the UDP lines of Loxone's logger."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pems_common.home import Home
from pems_house.domain.plant import Plant

__all__ = ["Due", "Reporter"]

_TEMPERATURE_S = 300.0
_RELAY_S = 600.0
_SLOW_S = 1_800.0
_DEVICE_S = 60.0
_UDP_S = 300.0


@dataclass(frozen=True)
class Due:
    """A retained message that is due."""

    topic: str
    payload: str


class Reporter:
    """Remembers what was said when, so that values are sent on change and now and then."""

    def __init__(self, home: Home, plant: Plant) -> None:
        """Prepare the topics of a home."""
        self._home = home
        self._plant = plant
        sensors, devices = home.devices.sensors, home.devices
        self._topics = {
            room: {
                "temperature": sensors.temperature_topic.format(room=room),
                "humidity": sensors.humidity_topic.format(room=room),
                "target": sensors.target_topic.format(room=room),
                "relay": sensors.relay_topic.format(room=room),
                "window": sensors.window_topic.format(room=room),
            }
            for room in home.rooms
        }
        self._outdoor, self._ev, self._water = sensors.outdoor_topic, devices.ev.state_topic, devices.water.state_topic
        self._said: dict[str, tuple[Any, float]] = {}
        self._logged: dict[str, tuple[float, float]] = {}

    def forget(self) -> None:
        """Say everything again (after a reconnect)."""
        self._said.clear()

    def _changed(self, topic: str, value: Any, now_s: float, every_s: float, slack: float = 0.0) -> bool:
        said = self._said.get(topic)
        if said is not None and now_s - said[1] < every_s - 0.5:
            same = abs(value - said[0]) <= slack if slack else value == said[0]
            if same:
                return False
        self._said[topic] = (value, now_s)
        return True

    def due(self) -> Iterator[Due]:
        """Messages that are due now, the inverter's state apart."""
        plant = self._plant
        now_s = plant.at.timestamp()
        silent = plant.faults.rooms("sensor_silent")
        readings = plant.sensors.reading_c.tolist()
        humidity = plant.rooms.humidity_pct().tolist()
        targets = plant.loxone.targets_c(plant.local).tolist()
        relays, windows = plant.loxone.relay_on.tolist(), plant.window_open.tolist()
        for i, (room, topics) in enumerate(self._topics.items()):
            if room not in silent:
                if self._changed(topics["temperature"], readings[i], now_s, _TEMPERATURE_S):
                    yield Due(topics["temperature"], f"{readings[i]:.1f}")
                if self._changed(topics["humidity"], round(humidity[i]), now_s, _SLOW_S, 1.5):
                    yield Due(topics["humidity"], f"{humidity[i]:.0f}")
            if self._changed(topics["target"], targets[i], now_s, _SLOW_S):
                yield Due(topics["target"], f"{targets[i]:.1f}")
            if self._changed(topics["relay"], relays[i], now_s, _RELAY_S):
                yield Due(topics["relay"], str(int(relays[i])))
            if self._changed(topics["window"], windows[i], now_s, _SLOW_S):
                yield Due(topics["window"], str(int(windows[i])))
        if self._changed(self._outdoor, plant.outdoor_reading_c, now_s, _TEMPERATURE_S, 0.15):
            yield Due(self._outdoor, f"{plant.outdoor_reading_c:.1f}")
        car, tank = plant.car, plant.tank
        if car is not None and self._changed(self._ev, (car.connected, round(car.power_w)), now_s, _DEVICE_S):
            yield Due(self._ev, json.dumps(self._ev_state()))
        if tank is not None and self._changed(self._water, tank.heating, now_s, _DEVICE_S):
            state = {"temperature_c": round(tank.temperature_c, 1), "power_w": round(tank.power_w)}
            yield Due(self._water, json.dumps(state))

    def _ev_state(self) -> dict[str, Any]:
        car = self._plant.car
        assert car is not None  # noqa: S101 - the caller has looked
        state: dict[str, Any] = {"connected": car.connected}
        if car.connected:  # a charger knows the car's charge only while it is there
            state["soc_pct"] = round(car.soc_pct, 1)
        return state | {"power_w": round(car.power_w), "session_wh": round(car.session_wh)}

    def udp_lines(self) -> Iterator[bytes]:
        """Lines of Loxone's logger that are due: `timestamp;name;value;room;measurement_type;tag1;tag2`, local time."""
        plant = self._plant
        now_s = plant.at.timestamp()
        stamp = plant.local.strftime("%Y-%m-%d %H:%M:%S")
        silent = plant.faults.rooms("sensor_silent")
        humidity = plant.rooms.humidity_pct()
        targets = plant.loxone.targets_c(plant.local)
        lines: list[tuple[str, float, str, str, str]] = []
        for i, room in enumerate(self._topics):
            if room not in silent:
                lines.append(("temperature", float(plant.sensors.reading_c[i]), room, "temperature", "_"))
                lines.append(("humidity", float(round(humidity[i])), room, "humidity", "_"))
            lines.append(("target_temp", float(targets[i]), room, "target_temp", "_"))
            lines.append(("relay", float(plant.loxone.relay_on[i]), room, "relay", "heating"))
        lines.append(("outdoor_temperature", plant.outdoor_reading_c, "_", "current_weather", "_"))
        for name, value, room, kind, tag in lines:
            key = f"{name}:{room}"
            known = self._logged.get(key)
            changed_relay = known is not None and name == "relay" and known[0] != value
            if known is None or changed_relay or now_s - known[1] >= _UDP_S - 0.5:
                self._logged[key] = (value, now_s)
                yield f"{stamp};{name};{value:g};{room};{kind};{tag};_".encode()
