"""Faults at the borders of a run: weather, prices, MQTT, the bus, the solver's queue and the services themselves.

A fault never reaches into a handler: it changes what passes between the parts, as a broken sensor, a bad network or a
dead process does.
"""

from datetime import datetime
from typing import cast

from pems_common.bus.memory import MemoryBus
from pems_common.messages import Weather
from pems_common.mqtt import MemoryMqtt, Mqtt
from pems_common.service import Service
from pems_common.world import WeatherSample, World
from pems_house.handlers import HouseHandlers
from pems_lab.faults.state import FaultState
from pems_lab.faults.wires import Fate, FaultyBus, FaultyMqtt, FaultyQueue, MortalService
from pems_lab.house_run import Borders
from pems_optimizer.adapters.queues import InlineQueue

__all__ = ["FaultBorders"]


class FaultBorders(FaultState, Borders):
    """The borders of a run with faults."""

    def truth(self, world: World) -> World:
        """Return the world with the weather and prices that really come."""
        return _TrueWorld(world, self)

    def told(self, world: World) -> World:
        """Return the world as ingest is told of it: it knows the true prices, and nothing of a cold snap."""
        return _ToldWorld(world, self)

    def mqtt(self, service: str, client: Mqtt) -> Mqtt:
        """Return a service's connection to the broker."""
        self.clients[service] = cast(MemoryMqtt, client)
        return FaultyMqtt(service, client, self)

    def bus(self, service: str, bus: MemoryBus) -> MemoryBus:
        """Return a service's connection to the bus."""
        self.honest_bus = bus
        return cast(MemoryBus, FaultyBus(service, bus, self))

    def queue(self, queue: InlineQueue) -> InlineQueue:
        """Return where requests for plans go."""
        return cast(InlineQueue, FaultyQueue(queue, self))

    def services(self, services: list[Service]) -> list[Service]:
        """Return what the lockstep drives: the faults themselves first."""
        house = next(service for service in services if isinstance(service, HouseHandlers))
        return [Fate(self, house), *(MortalService(service, self) for service in services)]


class _TrueWorld:
    """A world with true weather and prices changed."""

    def __init__(self, world: World, state: FaultState) -> None:
        self._world, self._state = world, state

    @property
    def label(self) -> str:
        """Where the data come from."""
        return self._world.label

    def weather(self, at: datetime) -> WeatherSample:
        """Return the true weather at an instant."""
        true = self._world.weather(at)
        for active in self._state.all:
            true = active.kind.weather(active, at, true)
        return true

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return the honest forecast of the unchanged weather."""
        return self._world.weather_forecast(issued_at, hours)

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of a slot."""
        price = self._world.spot_eur_mwh(slot_start)
        if price is None:
            return None
        for active in self._state.all:
            price = active.kind.spot_eur_mwh(active, slot_start, price)
        return price

    def eur_czk(self, at: datetime) -> float | None:
        """Return the exchange rate of the day."""
        return self._world.eur_czk(at)

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the prices that are public."""
        return self._world.published_until(at)


class _ToldWorld(_TrueWorld):
    """A world whose weather service and publication of prices are spoiled while faults are on."""

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return what the weather service says."""

        def honest(at: datetime) -> Weather:
            return self._world.weather_forecast(at, hours)

        for active in self._state.on():
            told = active.kind.told_weather(active, honest)
            if told is not None:
                return told
        return honest(issued_at)

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the prices that are public."""
        until = self._world.published_until(at)
        for active in self._state.on():
            until = active.kind.published_until(active, until, self._world.published_until)
        return until
