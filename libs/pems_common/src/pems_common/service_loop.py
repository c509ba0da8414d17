"""The loops around a service: ticks on the house clock, reactions to state, background tasks that come back.

A tick and a reaction never run at the same time, so a service needs no locks of its own between them.
"""

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.health import Health
from pems_common.logs import get_logger
from pems_common.messages import Envelope
from pems_common.metrics import Metrics
from pems_common.service import Service
from pems_common.timegrid import slot_start

__all__ = ["MIN_TICK_WALL_S", "ServiceLoop", "next_tick", "stacks"]

MIN_TICK_WALL_S = 0.2
_MIN_SILENCE_S = 60.0
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 60.0


def next_tick(now: datetime, every: timedelta, speed: float, last: datetime) -> datetime:
    """Return the house time of the next tick.

    Ticks stand on multiples of `every`; where these come faster than `MIN_TICK_WALL_S`, on every second one,
    every third one, and so on. What was missed is not made up for.

    Args:
        now: House time.
        every: House time between ticks.
        speed: House seconds per wall second.
        last: The boundary of the tick before this one, so that none is taken twice.
    """
    thinned = max(1, -int(-(MIN_TICK_WALL_S * speed) // every.total_seconds()))
    step = every * thinned
    due = slot_start(now, step) + step
    return due + step if due == last else due


class ServiceLoop:
    """Drives one service."""

    def __init__(
        self,
        name: str,
        service: Service,
        site: str,
        clock: Clock,
        bus: Bus,
        health: Health,
        metrics: Metrics,
    ) -> None:
        """Prepare to drive `service` of the site."""
        self._service = service
        self._site = site
        self._clock = clock
        self._bus = bus
        self._health = health
        self._turn = asyncio.Lock()
        self._log = get_logger("loop")
        self._seconds = metrics.histogram("tick_seconds", "Duration of ticks [wall s]")
        self._errors = metrics.counter("loop_errors", "Exceptions that reached the loop", ["where"])
        self._skipped = metrics.counter("ticks_skipped", "Ticks left out because one before took too long")

    async def tick_for_ever(self, stop: asyncio.Event) -> None:
        """Tick at once and then on the schedule until `stop` is set."""
        every = self._service.tick_every
        period_s = max(every.total_seconds() / self._clock.speed, MIN_TICK_WALL_S)
        self._health.watchdog("tick", max(_MIN_SILENCE_S, 5 * period_s))
        self._health.declare("tick", required=True)
        last = datetime.fromtimestamp(0, UTC)
        while not stop.is_set():
            began = self._clock.monotonic()
            await self.tick_once()
            now = self._clock.now()
            due = next_tick(now, every, self._clock.speed, last)
            if self._clock.monotonic() - began > period_s:
                self._skipped.inc(int((self._clock.monotonic() - began) / period_s))
            last = due
            # The wait is bounded by one period of wall time, so a stepped clock cannot silence the service.
            wait_s = min((due - now).total_seconds() / self._clock.speed, period_s * 2)
            soonest_s = began + MIN_TICK_WALL_S - self._clock.monotonic()
            # A touch late rather than early: a tick at a slot's start must see the new slot.
            await self._wait(stop, max(wait_s, soonest_s) + 0.002)

    async def tick_once(self) -> bool:
        """Run one tick and tell whether it went well."""
        began = self._clock.monotonic()
        ok = True
        async with self._turn:
            try:
                await self._service.tick()
            except Exception as error:
                ok = False
                self._failed("tick", error)
        self._seconds.observe(self._clock.monotonic() - began)
        self._health.beat("tick")
        self._health.set("tick", ok, "" if ok else "the last tick failed; the log tells more")
        return ok

    async def watch_for_ever(self) -> None:
        """Pass every new state to the service."""
        if not self._service.watches:
            return
        wait_s = _FIRST_BACKOFF_S
        while True:
            try:
                async for poke in self._bus.watch(self._service.watches, self._site):
                    await self.react(poke)
                    wait_s = _FIRST_BACKOFF_S
            except Exception as error:
                self._failed("watch", error)
            await self._clock.sleep_wall(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_BACKOFF_S)

    async def react(self, poke: Envelope) -> None:
        """Pass one state to the service."""
        async with self._turn:
            try:
                await self._service.on_state(poke)
            except Exception as error:
                self._failed("on_state", error, type=poke.type, id=poke.id)

    async def keep_running(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a background task; when it crashes, run it again after a growing wait."""
        name = getattr(work, "__qualname__", repr(work)).rpartition(".")[2]
        check = f"background:{name}"
        wait_s = _FIRST_BACKOFF_S
        while True:
            began = self._clock.monotonic()
            self._health.set(check, True, required=False)
            try:
                await work()
            except Exception as error:
                if self._clock.monotonic() - began > _LONGEST_BACKOFF_S:
                    wait_s = _FIRST_BACKOFF_S
                self._failed(check, error, again_in_s=wait_s)
                self._health.set(check, False, "crashed, starts again soon; the log tells more")
            else:
                return
            await self._clock.sleep_wall(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_BACKOFF_S)

    def _failed(self, where: str, error: Exception, **facts: Any) -> None:
        self._errors.labels(where).inc()
        self._log.error("exception in the service", where=where, exc_info=error, **facts)

    async def _wait(self, stop: asyncio.Event, wall_s: float) -> None:
        """Sleep, but wake when `stop` is set."""
        sleeping = asyncio.ensure_future(self._clock.sleep_wall(max(0.0, wall_s)))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()


def stacks() -> str:
    """Return where every task of the loop stands: for the log of a service that hangs."""
    lines = []
    for task in asyncio.all_tasks():
        lines.append(f"task {task.get_name()}")
        for frame in task.get_stack(limit=4):
            lines += [line.rstrip() for line in traceback.format_stack(frame, limit=1)]
    return "\n".join(lines)
