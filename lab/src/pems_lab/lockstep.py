"""Lockstep: the real handlers of all services in one process on a clock that waits for the work.

Each step moves house time on, lets every service tick that is due, and delivers new state until all is quiet. No
threads, no sleeping, no wall time: the same inputs give the same run.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PemsError
from pems_common.service import Service
from pems_common.timegrid import slot_start

__all__ = ["Lockstep"]

_MAX_ROUNDS = 50


class Lockstep:
    """Drives services step by step.

    Args:
        clock: The one clock of all of them.
        bus: The one bus of all of them.
        services: In the order of acting within a step: house, ingest, forecaster, planner, controller.
        step: House time per step.
    """

    def __init__(
        self,
        clock: FakeClock,
        bus: MemoryBus,
        services: Sequence[Service],
        *,
        step: timedelta = timedelta(minutes=1),
    ) -> None:
        """Prepare; `start` begins."""
        self._clock = clock
        self._bus = bus
        self._services = list(services)
        self._step = step
        self._due: dict[int, datetime] = {}
        self.muted: set[str] = set()
        """Names of services that neither tick nor hear (a fault)."""

    async def start(self) -> None:
        """Start every service and deliver what they say."""
        for service in self._services:
            await service.start()
            await self._deliver()

    async def run(self, until: datetime, each: Callable[[datetime], Awaitable[None]] | None = None) -> None:
        """Run until house time `until`; `each` is called after every step."""
        while self._clock.now() < until:
            self._clock.advance(self._step)
            for service in self._services:
                if service.name in self.muted:
                    continue
                now = self._clock.now()
                if self._due.get(id(service), now) <= now:
                    self._due[id(service)] = slot_start(now, service.tick_every) + service.tick_every
                    await service.tick()
                    await self._deliver()
            if each is not None:
                await each(self._clock.now())

    async def stop(self) -> None:
        """Stop every service, the last one first."""
        for service in reversed(self._services):
            await service.stop()
            await self._deliver()

    async def _deliver(self) -> None:
        for _ in range(_MAX_ROUNDS):
            pokes = self._bus.drain_pokes()
            if not pokes:
                return
            for poke in pokes:
                for service in self._services:
                    if poke.type in service.watches and service.name not in self.muted:
                        await service.on_state(poke)
        raise PemsError(f"services still poke each other after {_MAX_ROUNDS} rounds")
