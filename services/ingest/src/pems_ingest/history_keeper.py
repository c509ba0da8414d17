"""Keeps history: points of this process each tick, and copies of what others publish on the bus."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.history import Point
from pems_common.messages import CATALOG, Envelope, Status, read_body
from pems_ingest.adapters.spooled_history import SpooledHistory

__all__ = ["HistoryKeeper"]

_KEPT = ("prices", "weather", "forecast", "plan", "status", "command", "alert", "score")
_GROUP = "history"


class HistoryKeeper:
    """Writes through `history`, which never raises for a store that is away."""

    def __init__(self, history: SpooledHistory, bus: Bus, clock: Clock, *, site: str, consumer: str) -> None:
        """Keep the history of a site."""
        self._history, self._bus, self._clock = history, bus, clock
        self._site, self._consumer = site, consumer
        self._modes: tuple[object, ...] | None = None
        self.points_written = 0
        self.messages_kept = 0

    async def write(self, points: Sequence[Point]) -> None:
        """Store points."""
        await self._history.write(self._site, points, self._clock.now())
        self.points_written += len(points)

    async def keep(self, envelope: Envelope) -> None:
        """Keep a message; of status messages only those in which a mode changed.

        Raises:
            PermanentError: A malformed status.
        """
        if envelope.type == "status":
            status = read_body(envelope, Status)
            devices = tuple((name, mode.mode) for name, mode in sorted(status.devices.items()))
            modes = (status.house_mode, status.armed, status.shadow, devices)
            if modes == self._modes:
                return
            self._modes = modes
        await self._history.write_message(envelope, self._clock.now())
        self.messages_kept += 1

    def copiers(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Return one function per kept message type, whose coroutine copies its stream for ever."""
        return [self._copier(type) for type in _KEPT]

    def _copier(self, type: str) -> Callable[[], Coroutine[Any, Any, None]]:
        copy = self._bus.copy_stream if CATALOG[type].kind == "state" else self._bus.work

        async def run() -> None:
            await copy(type, group=_GROUP, consumer=self._consumer, handler=self.keep)

        return run
