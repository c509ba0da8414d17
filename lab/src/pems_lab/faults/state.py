"""The faults of a run as time goes on: which are on, what is on its way late, and what services let out."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.mqtt import MemoryMqtt, MqttMessage
from pems_lab.faults.model import Active, Fault, FaultKind

__all__ = ["FaultState", "Mishap"]


@dataclass(frozen=True)
class Mishap:
    """An exception that left a service, as the loop around it would log it. `expected`: a server was away."""

    at: datetime
    service: str
    where: str
    error: str
    expected: bool


class FaultState:
    """What is broken now, what is on its way, and what went wrong.

    Attributes:
        all: The faults of the run.
        mishaps: Exceptions that services let out.
        lost: Messages that did not get through, by where.
        watch_sent: Is told of each message that a service has sent, before any fault.
        watch_heard: Is told of each message that has reached a service.
        home: The site.
        clock: Of the run.
        honest_bus: The bus without faults.
        clients: Connections to the broker without faults, by service.
    """

    home: Home
    clock: FakeClock
    honest_bus: MemoryBus

    def __init__(self, faults: Sequence[tuple[Fault, FaultKind]]) -> None:
        """Let these faults happen."""
        self.all = [Active(fault, kind) for fault, kind in faults]
        self.mishaps: list[Mishap] = []
        self.lost: Counter[str] = Counter()
        self.watch_sent: Callable[[str, MqttMessage], None] = lambda service, message: None
        self.watch_heard: Callable[[str, MqttMessage], None] = lambda service, message: None
        self.clients: dict[str, MemoryMqtt] = {}
        self._late: list[tuple[datetime, Callable[[], Awaitable[object]]]] = []

    def open(self, home: Home, clock: FakeClock) -> None:
        """Learn the site and the clock of the run."""
        self.home, self.clock = home, clock

    def on(self) -> list[Active]:
        """The faults that are on now."""
        now = self.clock.now()
        return [active for active in self.all if active.fault.holds(now)]

    def without_broker(self, service: str) -> bool:
        """Tell whether a service cannot reach the MQTT broker now."""
        return any(service in active.kind.without_broker(active) for active in self.on())

    def without_bus(self, service: str) -> bool:
        """Tell whether a service cannot reach the bus now."""
        return any(service in active.kind.without_bus(active) for active in self.on())

    def dead(self, service: str) -> bool:
        """Tell whether a service does nothing now."""
        return any(service in active.kind.dead(active) for active in self.on())

    def failed(self, service: str, where: str, error: Exception) -> None:
        """Take note of an exception that a service let out."""
        text = f"{type(error).__name__}: {error}"[:300]
        expected = isinstance(error, UnavailableError)
        self.mishaps.append(Mishap(self.clock.now(), service, where, text, expected))

    def later(self, delay: timedelta, deliver: Callable[[], Awaitable[object]]) -> None:
        """Have something delivered after a while."""
        self._late.append((self.clock.now() + delay, deliver))

    async def deliver_late(self) -> None:
        """Deliver what is due."""
        now = self.clock.now()
        due = [deliver for at, deliver in self._late if at <= now]
        self._late = [(at, deliver) for at, deliver in self._late if at > now]
        for deliver in due:
            await deliver()

    async def broker_is_back(self, service: str) -> None:
        """Give a service its retained messages, as a broker does when it subscribes again."""
        if service in self.clients:
            await self.clients[service].start()
