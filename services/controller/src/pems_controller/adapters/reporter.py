"""Tells the bus what happened. The bus may be dead: then messages are dropped and counted, nothing else suffers."""

import asyncio
from collections import Counter, deque

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.messages import Alert, Body, Status, wrap

__all__ = ["Reporter"]

_KEPT = 500
_SEND_WALL_S = 3.0


class Reporter:
    """A queue of messages for the bus, and the alerts that stand."""

    def __init__(self, site: str, source: str, clock: Clock, bus: Bus, counters: Counter[str]) -> None:
        """Prepare; nothing is sent before `drain`."""
        self._site, self._source, self._clock, self._bus, self._counters = site, source, clock, bus, counters
        self._queue: deque[Body] = deque()
        self._alerts: dict[str, Alert] = {}
        self._more = asyncio.Event()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that stand."""
        return tuple(self._alerts.values())

    def post(self, body: Body) -> None:
        """Queue a message; of status only the newest waits."""
        if isinstance(body, Status):
            self._queue = deque(b for b in self._queue if not isinstance(b, Status))
        self._queue.append(body)
        while len(self._queue) > _KEPT:
            self._queue.popleft()
            self._counters["bus_dropped"] += 1
        self._more.set()

    def alert(self, code: str, raised: bool, text: str, remedy: str = "", device: str | None = None) -> None:
        """Raise or clear an alert; only a change is told."""
        if raised == (code in self._alerts):
            return
        now = self._clock.now()
        if raised:
            severity = "critical" if code in {"inverter_silent", "inverter_clock"} else "warning"
            body = Alert(
                code=code,
                severity=severity,
                text=text,
                remedy=remedy,
                device=device,
                raised_at=now,
            )
            self._alerts[code] = body
        else:
            body = self._alerts.pop(code).model_copy(update={"cleared_at": now})
        self.post(body)

    async def drain(self) -> None:
        """Send what is queued; what cannot be sent is dropped."""
        while self._queue:
            body = self._queue.popleft()
            envelope = wrap(body, site=self._site, clock=self._clock, source=self._source)
            try:
                await self._clock.wait_for(self._bus.publish(envelope), _SEND_WALL_S)
                if isinstance(body, Alert) and body.cleared_at is not None:
                    await self._clock.wait_for(self._bus.forget("alert", self._site, body.code), _SEND_WALL_S)
            except (UnavailableError, TimeoutError, OSError):
                self._counters["bus_dropped"] += 1

    async def drain_for_ever(self) -> None:
        """Send whatever is queued, as it comes."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.drain()
