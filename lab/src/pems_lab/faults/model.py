"""What a fault is, and what a kind of fault may change. The kinds stand in `fault_kinds`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

import numpy as np

from pems_common.home import Home
from pems_common.messages import Envelope, Weather
from pems_common.mqtt import MqttMessage
from pems_common.timegrid import parse_instant
from pems_common.world import WeatherSample
from pems_common.world.noise import uniform

__all__ = [
    "BATTERY_LIMITS",
    "ROOM_LIMITS",
    "Active",
    "Fault",
    "FaultKind",
    "HouseFault",
    "Passed",
    "RoomFault",
    "Sent",
    "a_room",
    "either_way",
]

ROOM_LIMITS = frozenset({"room_below_min", "heated_above_max"})
BATTERY_LIMITS = frozenset({"soc_below_min", "soc_above_max", "battery_above_max"})

_NOBODY: frozenset[str] = frozenset()


def a_room(rng: np.random.Generator, home: Home) -> str:
    """Draw a room."""
    return str(rng.choice(list(home.rooms)))


def either_way(rng: np.random.Generator, least: float, most: float) -> float:
    """Draw a size between both, of either sign."""
    return float(rng.choice((-1.0, 1.0)) * rng.uniform(least, most))


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: One of `fault_kinds.KINDS`.
        begins: House time.
        ends: House time, exclusive.
        target: What is hit: a room, a service, a direction; empty where the kind has only one.
        strength: How hard, in the kind's own unit.
    """

    kind: str
    begins: datetime
    ends: datetime
    target: str = ""
    strength: float = 0.0

    def holds(self, at: datetime) -> bool:
        """Tell whether it is on at an instant."""
        return self.begins <= at < self.ends

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "begins": self.begins.isoformat(), "ends": self.ends.isoformat()}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """Read what `told` wrote."""
        return cls(**{**told, "begins": parse_instant(told["begins"]), "ends": parse_instant(told["ends"])})


@dataclass(frozen=True)
class Passed:
    """A payload that gets through, so much later."""

    payload: bytes
    delay: timedelta = timedelta()


@dataclass(frozen=True)
class Sent:
    """A message on its way.

    Attributes:
        service: Who sends it (`arrives` False) or is to hear it.
        arrives: Whether it arrives at the service or leaves it.
        message: Topic and payload.
        at: House time.
    """

    service: str
    arrives: bool
    message: MqttMessage
    at: datetime


@dataclass(frozen=True)
class HouseFault:
    """A fault of the simulated house's own devices: arguments of `HouseHandlers.add_fault`."""

    kind: str
    room: str | None = None
    value: float | None = None


class FaultKind:
    """A kind of fault. A new one overrides what it changes; everything else passes as it is.

    Attributes:
        name: Its name.
        family: `sensor`, `network`, `price`, `cold`, `forecast`, `worker` or `device`.
        hours: Shortest and longest duration [h]; in between the logarithm is uniform.
        explains: Limits of the house that it can break with PEMS having no way to prevent it (names of
            `comparison.limit_seconds`), while it is on and for a while after (`blame`).
        of_a_room: Whether its target is a room, and what it explains of rooms is of this one alone.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    hours: ClassVar[tuple[float, float]] = (0.25, 6.0)
    explains: ClassVar[frozenset[str]] = frozenset()
    of_a_room: ClassVar[bool] = False

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw target and strength."""
        return "", 0.0

    def explained(self, fault: Fault) -> frozenset[str]:
        """Name the limits that this very fault explains."""
        return self.explains

    def weather(self, active: "Active", at: datetime, true: WeatherSample) -> WeatherSample:
        """Change the true weather; asked at all times, for what goes on after the fault too."""
        return true

    def told_weather(self, active: "Active", ask: Callable[[datetime], Weather]) -> Weather | None:
        """Return what the weather service says while the fault is on, None for what it honestly knows.

        `ask` gives the honest forecast of an instant. Raises `SourceError` where the service does not answer.
        """
        return None

    def spot_eur_mwh(self, active: "Active", slot: datetime, price: float) -> float:
        """Change the true price of a slot; asked at all times."""
        return price

    def published_until(self, active: "Active", until: datetime, ask: Callable[[datetime], datetime]) -> datetime:
        """Change the end of public prices while the fault is on; `ask` gives the honest one of an instant."""
        return until

    def mqtt(self, active: "Active", sent: Sent, home: Home) -> Sequence[Passed]:
        """Change, lose, delay or double a message while the fault is on."""
        return (Passed(sent.message.payload),)

    def published(self, active: "Active", service: str, envelope: Envelope) -> tuple[Envelope, timedelta] | None:
        """Change, delay or lose what a service publishes on the bus while the fault is on; None loses it."""
        return envelope, timedelta()

    def without_broker(self, active: "Active") -> frozenset[str]:
        """Name the services that cannot reach the MQTT broker."""
        return _NOBODY

    def without_bus(self, active: "Active") -> frozenset[str]:
        """Name the services that cannot reach the bus."""
        return _NOBODY

    def dead(self, active: "Active") -> frozenset[str]:
        """Name the services that do nothing and hear nothing; `worker` is who solves."""
        return _NOBODY

    def at_house(self, active: "Active") -> HouseFault | None:
        """Return the fault of the house's own devices that this is."""
        return None


class RoomFault(FaultKind):
    """Hits one room."""

    explains = ROOM_LIMITS
    of_a_room = True

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the room."""
        return a_room(rng, home), 0.0


@dataclass
class Active:
    """A fault with its kind, and what the kind has to remember while it is on."""

    fault: Fault
    kind: FaultKind
    memory: dict[str, Any] = field(default_factory=dict)

    def chance(self, what: str) -> float:
        """Return a number in (0, 1) that depends on the fault and on what it is for."""
        return uniform(f"fault:{self.fault.kind}:{self.fault.begins.isoformat()}:{self.fault.target}:{what}")
