"""The owner's thermostats as he had set them: the house's own kind, with night targets of his, over MQTT.

The simulated house has thermostats at the comfort targets. The owner's kept some rooms warmer at night, and so his
house switched and peaked at other hours (`OldHabits` says how this was calibrated). PEMS has no part in it: relays are
asked for through the same topics that PEMS uses, because the house's own thermostats know no other targets.
"""

from collections.abc import Collection
from datetime import timedelta

import numpy as np

from pems_common.clock import Clock
from pems_common.dialects import growatt_oig as oig
from pems_common.dialects.result import Rejected
from pems_common.home import Home
from pems_common.messages import Envelope
from pems_common.mqtt import Mqtt, MqttHandler, MqttMessage
from pems_house.domain.loxone import Loxone

__all__ = ["OwnerThermostats", "night_targets"]


def night_targets(home: Home, night_share: float, boosted: Collection[str], boost_k: float) -> Home:
    """Return the house with the owner's night targets.

    Args:
        home: The site, with the targets of comfort.
        night_share: By how much of the way from the night to the day target the night is kept warmer, 0..1.
        boosted: Rooms that are heated above the day target at night.
        boost_k: By how much.
    """
    rooms = {
        name: room.model_copy(
            update={
                "night_c": room.day_c + boost_k
                if name in boosted
                else room.night_c + night_share * (room.day_c - room.night_c)
            }
        )
        for name, room in home.rooms.items()
    }
    return home.model_copy(update={"rooms": rooms})


class OwnerThermostats:
    """Implements `Service`: thermostats with hysteresis and load management, as the house's own."""

    name = "thermostats"
    tick_every = timedelta(minutes=1)
    watches: Collection[str] = ()

    def __init__(self, home: Home, clock: Clock, mqtt: Mqtt) -> None:
        """Listen to the house; `home` holds the owner's targets."""
        self._home, self._clock, self._mqtt = home, clock, mqtt
        self._rules = Loxone(home)
        self._index = {name: k for k, name in enumerate(home.rooms)}
        self._heat_w = np.array([room.heat_w for room in home.rooms.values()])
        self._reading_c = np.full(len(home.rooms), np.nan)
        self._outdoor_c = np.nan
        self._drawn_w = 0.0
        self._on = np.zeros(len(home.rooms), dtype=np.bool_)
        sensors = home.devices.sensors
        for room in home.rooms:
            mqtt.subscribe(sensors.temperature_topic.format(room=room), self._listener(room))
        mqtt.subscribe(sensors.outdoor_topic, self._on_outdoor)
        mqtt.subscribe(home.devices.inverter.state_topic, self._on_inverter)

    async def start(self) -> None:
        """Take the rooms over."""
        for room in self._home.rooms:
            await self._mqtt.publish(self._home.devices.relays.enable_topic.format(room=room), "1")

    async def on_state(self, poke: Envelope) -> None:
        """Nothing: thermostats know no bus."""

    async def tick(self) -> None:
        """Look at all rooms, switch what has changed, and pulse."""
        if np.isnan(self._reading_c).any() or np.isnan(self._outdoor_c):
            return
        now = self._clock.now()
        other_w = max(0.0, self._drawn_w - float(self._heat_w @ self._on))
        local = now.astimezone(self._home.site.zone)
        wanted = self._rules.step(now.timestamp(), local, self._reading_c, self._outdoor_c, other_w)
        topics = self._home.devices.relays
        for room, k in self._index.items():
            if wanted[k] != self._on[k]:
                await self._mqtt.publish(topics.set_topic.format(room=room), str(int(wanted[k])))
        self._on = wanted.copy()
        await self._mqtt.publish(topics.watchdog_topic, "1")

    async def stop(self) -> None:
        """Leave the rooms to the house: without pulses it takes them back."""

    def _listener(self, room: str) -> MqttHandler:
        async def listen(message: MqttMessage) -> None:
            self._reading_c[self._index[room]] = float(message.payload)

        return listen

    async def _on_outdoor(self, message: MqttMessage) -> None:
        self._outdoor_c = float(message.payload)

    async def _on_inverter(self, message: MqttMessage) -> None:
        reading = oig.parse_state(message.payload)
        if isinstance(reading, Rejected) or reading.load_power_w is None or reading.grid_power_w is None:
            return
        # What charges the battery goes through the breaker too, though it is no load.
        self._drawn_w = max(reading.load_power_w, reading.grid_power_w)
