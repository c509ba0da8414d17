"""The simulated house as a service: it lives in house time, and speaks and obeys as Growatt and Loxone do."""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Envelope
from pems_common.mqtt import Mqtt, MqttHandler, MqttMessage
from pems_common.world import World
from pems_house.domain.faults import Fault, Faults
from pems_house.domain.plant import Parts, Plant, StartState
from pems_house.domain.prices import true_prices
from pems_house.reporting import Reporter

__all__ = ["OFF_DELAY_S", "HouseHandlers"]

OFF_DELAY_S = 30.0
_TICK_S, _TICK_WALL_S = 10.0, 0.5
_ON, _OFF = {"1", "1.0", "on", "true"}, {"0", "0.0", "off", "false"}
_OFFLINE = json.dumps({"InverterStatus": -1})


class HouseHandlers:
    """Implements `Service`."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        mqtt: Mqtt,
        world: World,
        *,
        seed: int = 0,
        udp: Callable[[bytes], None] | None = None,
        start_state: StartState | None = None,
        parts: Parts | None = None,
        faults: Collection[Mapping[str, Any]] = (),
        tick_every: timedelta | None = None,
        off_delay_s: float = OFF_DELAY_S,
        drop: Callable[[bool], Awaitable[None]] | None = None,
    ) -> None:
        """Build the house at the clock's time and subscribe its devices.

        Args:
            home: The site.
            clock: House and wall time.
            mqtt: The broker.
            world: True weather and prices.
            seed: Of everything random.
            udp: Sends a line to ingest; None where nobody listens.
            start_state: How the house begins.
            parts: What is known of the house instead of drawn.
            faults: Faults that are on from the beginning: arguments of `Faults.add` beside the time.
            tick_every: House time between ticks; None for 10 s, or half a wall second where that is longer.
            off_delay_s: How long a pulse on the watchdog topic lasts [wall s]. In lockstep, where the controller
                pulses only once a tick, more than its tick.
            drop: Really disconnects (True) and connects (False) the client of `mqtt`.
        """
        self._home = home
        self._clock = clock
        self._mqtt = mqtt
        self._udp = udp
        self._drop = drop
        self._tick_every = tick_every or timedelta(seconds=max(_TICK_S, _TICK_WALL_S * clock.speed))
        self._off_delay_s = off_delay_s
        self.world = world
        self.plant = Plant(
            home, world.weather, true_prices(home, world), clock.now(), seed=seed, state=start_state, parts=parts
        )
        self._reporter = Reporter(home, self.plant)
        self._dropped = False
        self._log = get_logger("house")
        self.ignored: dict[str, int] = {}
        for fault in faults:
            self.faults.add(now=clock.now(), **fault)
        self._subscribe()

    @property
    def name(self) -> str:
        """Name of the service."""
        return "house"

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return self._tick_every

    @property
    def watches(self) -> Collection[str]:
        """The house knows no bus."""
        return ()

    @property
    def faults(self) -> Faults:
        """The faults that are on."""
        return self.plant.faults

    def truth(self) -> dict[str, Any]:
        """Return what really happened since the start, at this moment."""
        self._advance()
        return self.plant.tell()

    def state(self) -> dict[str, Any]:
        """Return the state of everything, at this moment."""
        self._advance()
        plant, registers, flows = self.plant, self.plant.inverter.registers, self.plant.inverter.flows
        by_pems = plant.loxone.by_pems(plant.at.timestamp())
        targets = plant.loxone.targets_c(plant.local)
        rooms = {
            room: {
                "temperature_c": round(float(plant.rooms.air_c[i]), 3),
                "reading_c": float(plant.sensors.reading_c[i]),
                "target_c": float(targets[i]),
                "relay_on": bool(plant.loxone.relay_on[i]),
                "by_pems": bool(by_pems[i]),
                "window_open": bool(plant.window_open[i]),
            }
            for i, room in enumerate(plant.building.names)
        }
        shown_clock = registers.clock(plant.local)
        return {
            "at": plant.at.isoformat(),
            "local": plant.local.isoformat(),
            "world": self.world.label,
            "outdoor_c": round(plant.outdoor_c, 2),
            "pems_alive": plant.at.timestamp() < plant.loxone.alive_until_s,
            "rooms": rooms,
            "inverter": {
                "priority": flows.priority,
                "clock": shown_clock.isoformat(timespec="seconds"),
                "on": registers.inverter_on,
                "export_enabled": registers.export_enabled,
                "state": plant.inverter.state(),
            },
            "ev": None if plant.car is None else {"connected": plant.car.connected, "soc_pct": plant.car.soc_pct},
            "faults": [fault.shown() for fault in self.faults.on],
            "ignored": dict(self.ignored),
        }

    async def start(self) -> None:
        """Compute the first day's sky, which is what takes time."""
        self.plant.sky.day(self.plant.at.date())

    async def on_state(self, poke: Envelope) -> None:
        """Nothing: the house knows no bus."""

    async def tick(self) -> None:
        """Live until now, and say what is due."""
        self._advance()
        await self._mind_drop()
        await self._publish_due()
        if self._udp is not None and not self._dropped:
            for line in self._reporter.udp_lines():
                self._udp(line)

    async def stop(self) -> None:
        """Leave the inverter's last word."""
        await self._say(self._home.devices.inverter.state_topic, _OFFLINE)

    async def reconnected(self) -> None:
        """Say everything again."""
        self._reporter.forget()

    def add_fault(
        self, kind: str, *, room: str | None = None, value: float | None = None, minutes: float | None = None
    ) -> Fault:
        """Switch a fault on from now.

        Raises:
            PemsError: There is no such kind or room.
        """
        self._advance()
        fault = self.faults.add(kind, self.plant.at, room=room, value=value, minutes=minutes)
        self._log.info("fault on", **fault.shown())
        return fault

    def _advance(self) -> None:
        self.plant.advance(self._clock.now())
        self.faults.expire(self.plant.at)

    async def _mind_drop(self) -> None:
        wanted = self.faults.has("broker_drop")
        if wanted == self._dropped:
            return
        if wanted:  # the broker publishes the last will when a client vanishes
            await self._say(self._home.devices.inverter.state_topic, _OFFLINE)
        self._dropped = wanted
        if self._drop is not None:
            await self._drop(wanted)
        self._reporter.forget()

    async def _publish_due(self) -> None:
        if self._dropped or not self._mqtt.connected:
            return
        offline = self.faults.has("inverter_offline")
        payload = _OFFLINE if offline else json.dumps(self.plant.inverter.state())
        await self._say(self._home.devices.inverter.state_topic, payload)
        for due in self._reporter.due():
            await self._say(due.topic, due.payload)

    async def _say(self, topic: str, payload: str) -> None:
        if self._dropped:
            return
        try:
            await self._mqtt.publish(topic, payload, retain=True, qos=0)
        except UnavailableError:
            self._reporter.forget()

    def _ignore(self, reason: str, message: MqttMessage) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1
        self._log.warning("ignored", reason=reason, topic=message.topic[:200], payload=message.payload[:80])

    def _subscribe(self) -> None:
        devices = self._home.devices
        self._listen(f"{devices.inverter.command_topic}/#", self._on_inverter_command)
        self._listen(devices.relays.watchdog_topic, self._on_pulse)
        self._listen_rooms(devices.relays.set_topic, self.plant.loxone.request)
        self._listen_rooms(devices.relays.enable_topic, self.plant.loxone.enable)
        if self.plant.car is not None:
            self._listen(devices.ev.set_topic, self._on_ev)
        if self.plant.tank is not None:
            self._listen(devices.water.set_topic, self._on_water)

    def _listen(self, topic_filter: str, handler: MqttHandler) -> None:
        """Subscribe; commands are never retained, so a retained one is a stray and is ignored."""

        async def live(message: MqttMessage) -> None:
            if self._dropped:
                return
            if message.retained:
                self._ignore("retained command", message)
                return
            self._advance()
            await handler(message)

        self._mqtt.subscribe(topic_filter, live)

    def _listen_rooms(self, template: str, act: Callable[[str, bool], None]) -> None:
        rooms = {template.format(room=room): room for room in self._home.rooms}

        async def handle(message: MqttMessage) -> None:
            on = _bit(message.payload)
            if on is None or message.topic not in rooms:
                self._ignore("not 0 or 1" if on is None else "unknown room", message)
            else:
                act(rooms[message.topic], on)

        if "{room}" in template.split("/"):
            self._listen(template.format(room="+"), handle)
        else:  # a wildcard stands for a whole level
            for topic in rooms:
                self._listen(topic, handle)

    async def _on_pulse(self, message: MqttMessage) -> None:
        if _bit(message.payload):
            self.plant.loxone.pulse(self.plant.at.timestamp(), self._off_delay_s * self._clock.speed)

    async def _on_inverter_command(self, message: MqttMessage) -> None:
        inverter = self._home.devices.inverter
        if self.faults.has("inverter_offline"):
            return
        command = message.topic.removeprefix(f"{inverter.command_topic}/")
        answer = self.plant.inverter.registers.handle(
            command, message.payload, self.plant.local, refuse=self.faults.has("nak")
        )
        self._log.info("inverter command", command=command[:100], ok=answer.success, message=answer.message)
        if not self.faults.has("ack_lost"):
            await self._say(inverter.result_topic, answer.payload())

    async def _on_ev(self, message: MqttMessage) -> None:
        car = self.plant.car
        try:
            power = json.loads(message.payload)["power_w"]
            power_w = None if power is None else float(power)  # null gives the charger back to its own timer
        except (ValueError, TypeError, KeyError, RecursionError):
            self._ignore("not an EV command", message)
            return
        if car is not None:
            car.commanded_w = power_w

    async def _on_water(self, message: MqttMessage) -> None:
        on, tank = _bit(message.payload), self.plant.tank
        if on is None:
            self._ignore("not 0 or 1", message)
        elif tank is not None:
            tank.commanded = on


def _bit(payload: bytes) -> bool | None:
    """Read 0 or 1, None for anything else."""
    text = payload[:16].decode("ascii", "replace").strip().lower()
    return True if text in _ON else False if text in _OFF else None
