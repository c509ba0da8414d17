"""What services are given in place of the broker, the bus, the solver's queue and their own loop when faults are on."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from pems_common.bus.memory import MemoryBus
from pems_common.errors import UnavailableError
from pems_common.messages import Envelope
from pems_common.mqtt import Mqtt, MqttHandler, MqttMessage
from pems_common.service import Service
from pems_controller.handlers import ControllerHandlers
from pems_house.handlers import HouseHandlers
from pems_lab.faults.model import Passed, Sent
from pems_lab.faults.state import FaultState
from pems_optimizer.adapters.queues import InlineQueue
from pems_optimizer.requests import PlanRequest

__all__ = ["Fate", "FaultyBus", "FaultyMqtt", "FaultyQueue", "MortalService"]

_MINUTE = timedelta(minutes=1)


class FaultyMqtt:
    """A service's connection to the broker."""

    def __init__(self, service: str, client: Mqtt, state: FaultState) -> None:
        self._service, self._client, self._state = service, client, state

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        return self._client.connected and not self._state.without_broker(self._service)

    def subscribe(self, topic_filter: str, handler: MqttHandler) -> None:
        """Hear what gets through."""

        async def hear(message: MqttMessage) -> None:
            if self._can_hear():
                await self._through(message, arrive, arrives=True)

        async def arrive(message: MqttMessage) -> None:
            if self._can_hear():
                self._state.watch_heard(self._service, message)
                await handler(message)

        self._client.subscribe(topic_filter, hear)

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish what gets through.

        Raises:
            UnavailableError: The broker cannot be reached.
        """
        if not self.connected:
            raise UnavailableError("the MQTT broker cannot be reached (a fault)")
        data = payload.encode() if isinstance(payload, str) else payload
        message = MqttMessage(topic, data)
        self._state.watch_sent(self._service, message)

        async def leave(passed: MqttMessage) -> None:
            await self._client.publish(topic, passed.payload, retain=retain, qos=qos)

        await self._through(message, leave, arrives=False)

    def _can_hear(self) -> bool:
        deaf = self._state.without_broker(self._service) or self._state.dead(self._service)
        if deaf:
            self._state.lost[f"to {self._service}"] += 1
        return not deaf

    async def _through(self, message: MqttMessage, deliver: MqttHandler, *, arrives: bool) -> None:
        state, now = self._state, self._state.clock.now()
        ways = [Passed(message.payload)]
        for active in state.on():
            ways = [
                Passed(passed.payload, way.delay + passed.delay)
                for way in ways
                for passed in active.kind.mqtt(
                    active, Sent(self._service, arrives, replace(message, payload=way.payload), now), state.home
                )
            ]
        if not ways:
            state.lost[f"{'to' if arrives else 'from'} {self._service}"] += 1
        for way in ways:
            passed = replace(message, payload=way.payload)
            if way.delay > timedelta():
                state.later(way.delay, partial(deliver, passed))
            else:
                await deliver(passed)


class FaultyBus:
    """A service's connection to the bus."""

    def __init__(self, service: str, bus: MemoryBus, state: FaultState) -> None:
        self._service, self._bus, self._state = service, bus, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def _reach(self) -> None:
        if self._state.without_bus(self._service):
            raise UnavailableError("the bus cannot be reached (a fault)")

    async def publish(self, envelope: Envelope) -> bool:
        """Publish what gets through.

        Raises:
            UnavailableError: The bus cannot be reached.
        """
        self._reach()
        delay = timedelta()
        for active in self._state.on():
            changed = active.kind.published(active, self._service, envelope)
            if changed is None:
                self._state.lost[f"{envelope.type} of {self._service}"] += 1
                return True
            envelope, delay = changed[0], delay + changed[1]
        if delay > timedelta():
            self._state.later(delay, partial(self._bus.publish, envelope))
            return True
        return await self._bus.publish(envelope)

    async def latest(self, type: str, site: str, subject: str = "") -> Envelope | None:
        """Return the latest state of one subject.

        Raises:
            UnavailableError: The bus cannot be reached.
        """
        self._reach()
        return await self._bus.latest(type, site, subject)

    async def latest_all(self, type: str, site: str) -> dict[str, Envelope]:
        """Return the latest states of all subjects of a type.

        Raises:
            UnavailableError: The bus cannot be reached.
        """
        self._reach()
        return await self._bus.latest_all(type, site)

    async def forget(self, type: str, site: str, subject: str = "") -> None:
        """Delete a latest value.

        Raises:
            UnavailableError: The bus cannot be reached.
        """
        self._reach()
        await self._bus.forget(type, site, subject)


class FaultyQueue:
    """Requests for plans; a dead worker takes none, and nobody says so."""

    def __init__(self, queue: InlineQueue, state: FaultState) -> None:
        self._queue, self._state = queue, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def submit(self, request: PlanRequest) -> None:
        """Hand a request over.

        Raises:
            UnavailableError: The work failed.
        """
        if self._state.dead("worker"):
            self._state.lost["requests"] += 1
            return
        await self._queue.submit(request)


class Fate:
    """Acts first in each step: begins faults of the house's devices, and delivers what comes late."""

    name = "faults"
    tick_every = _MINUTE
    watches: Collection[str] = ()

    def __init__(self, state: FaultState, house: HouseHandlers) -> None:
        self._state, self._house = state, house
        self._at_house: dict[int, int] = {}  # place in `state.all` -> number of the house's fault

    async def start(self) -> None:
        """Nothing."""

    async def on_state(self, poke: Envelope) -> None:
        """Nothing."""

    async def tick(self) -> None:
        """Do what is due."""
        now = self._state.clock.now()
        for place, active in enumerate(self._state.all):
            wanted, begun = active.fault.holds(now), place in self._at_house
            if wanted and not begun and (fault := active.kind.at_house(active)) is not None:
                added = self._house.add_fault(fault.kind, room=fault.room, value=fault.value)
                self._at_house[place] = added.id
            elif begun and not wanted:
                self._house.truth()  # lives until now with the fault
                self._house.faults.remove(self._at_house.pop(place))
        await self._state.deliver_late()

    async def stop(self) -> None:
        """Nothing."""


class MortalService:
    """A service that may be dead or cut off, driven as the loop around a real process does (`service_loop`)."""

    def __init__(self, service: Service, state: FaultState) -> None:
        self._service, self._state = service, state
        self._away = self._offline = False

    @property
    def name(self) -> str:
        """Name of the service."""
        return self._service.name

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return self._service.tick_every

    @property
    def watches(self) -> Collection[str]:
        """State types it hears of."""
        return self._service.watches

    async def start(self) -> None:
        """Start it."""
        await self._service.start()

    async def on_state(self, poke: Envelope) -> None:
        """Pass a state on, unless it cannot hear it."""
        if self._deaf():
            self._away = True
            return
        try:
            await self._service.on_state(poke)
        except Exception as error:
            self._state.failed(self.name, "on_state", error)

    async def tick(self) -> None:
        """Tick unless it is dead; first what a process does that has its servers back."""
        await self._reconnect()
        if self._state.dead(self.name):
            self._away = True
            return
        if self._away and not self._deaf():
            self._away = False
            await self._catch_up()
        try:
            await self._service.tick()
        except Exception as error:
            self._state.failed(self.name, "tick", error)

    async def stop(self) -> None:
        """Stop it."""
        await self._service.stop()

    def _deaf(self) -> bool:
        return self._state.dead(self.name) or self._state.without_bus(self.name)

    async def _reconnect(self) -> None:
        """Hear the retained messages again once the broker, or the process itself, is back."""
        offline = self._state.without_broker(self.name) or self._state.dead(self.name)
        if self._offline and not offline:
            await self._state.broker_is_back(self.name)
            if isinstance(self._service, ControllerHandlers):
                await self._service.on_mqtt_connect()
            elif isinstance(self._service, HouseHandlers):
                await self._service.reconnected()
        self._offline = offline

    async def _catch_up(self) -> None:
        """Hear the latest states, as whoever begins to watch does."""
        bus = self._state.honest_bus
        for type in sorted(self.watches):
            for envelope in (await bus.latest_all(type, self._state.home.site.id)).values():
                await self.on_state(envelope)
