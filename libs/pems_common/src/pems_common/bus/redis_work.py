"""Handling work on Redis: a consumer of a group that retries, takes over from the dead, and buries poison.

An entry is acknowledged only after its handler has returned, so each is handled at least once.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pems_common.bus.port import WorkHandler
from pems_common.bus.redis_wire import AWAY, RawEntry, RedisClient, ResponseError, decode, group_is_gone
from pems_common.cancellation import Cancellation
from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_common.messages import CATALOG
from pems_common.metrics import Metrics

__all__ = ["WorkLimits", "Worker"]

_DEAD_LETTERS_KEPT = 1000
_BATCH = 16
_LONGEST_WAIT_S = 5.0
_FORGOTTEN_CONSUMER_MS = 24 * 3600 * 1000
_log = get_logger("bus")


@dataclass(frozen=True)
class WorkLimits:
    """Limits of handling work; all durations are wall time.

    Attributes:
        handler_s: A handler that takes longer is cancelled and counts as failed.
        idle_margin_s: An entry is taken over from a consumer that has not come back to it for
            `handler_s + idle_margin_s`.
        max_deliveries: After so many failures an entry goes to the dead letters.
        retry_s: Wait before the second try; doubled with each further one.
        block_s: Length of one blocking read.
        answer_s: A server that is silent for so long beyond a blocking read counts as away.
        stats_s: Time between two looks at lag and pending entries.
    """

    handler_s: float = 30.0
    idle_margin_s: float = 15.0
    max_deliveries: int = 5
    retry_s: float = 1.0
    block_s: float = 2.0
    answer_s: float = 3.0
    stats_s: float = 10.0

    @property
    def idle_ms(self) -> int:
        """Idle time after which an entry is taken over [ms]."""
        return int((self.handler_s + self.idle_margin_s) * 1000)


class Worker:
    """One consumer of one group of one stream."""

    def __init__(
        self,
        type: str,
        group: str,
        consumer: str,
        handler: WorkHandler,
        clock: Clock,
        metrics: Metrics,
        *,
        connect: Callable[[], RedisClient],
        limits: WorkLimits,
        retention: int,
        report_lag: Callable[[str, int, int], None],
    ) -> None:
        """Prepare.

        Args:
            type: Message type.
            group: Each group sees every entry once.
            consumer: Name within the group, unique among live consumers.
            handler: Called with one message at a time.
            clock: Gives wall time.
            metrics: Where lag, retries and dead letters are shown.
            connect: Makes a client with one connection.
            limits: Limits of handling.
            retention: MAXLEN of the stream.
            report_lag: Called with (group, lag, MAXLEN) at each look.
        """
        self._type = type
        self._stream = CATALOG[type].stream
        self._graves = CATALOG[type].dead_letters
        self._group, self._consumer, self._handler = group, consumer, handler
        self._clock, self._limits, self._retention = clock, limits, retention
        self._connect, self._report_lag = connect, report_lag
        self._again: dict[bytes, tuple[float, float]] = {}
        self._next_claim = self._next_stats = 0.0
        names = ["stream", "group"]
        self._lag = metrics.gauge("bus_lag", "Entries not yet given to the group", names).labels(self._stream, group)
        self._pending = metrics.gauge("bus_pending", "Entries given out and not acknowledged", names).labels(
            self._stream, group
        )
        self._kept = metrics.gauge("bus_dead_letters_kept", "Entries in the dead-letter stream", ["stream"]).labels(
            self._stream
        )
        self._handled = metrics.counter("bus_handled", "Entries handled", names).labels(self._stream, group)
        self._retries = metrics.counter("bus_retries", "Entries whose handler failed", names).labels(
            self._stream, group
        )
        self._buried = metrics.counter("bus_dead_letters", "Entries sent to the dead letters", names).labels(
            self._stream, group
        )
        self._heals = metrics.counter("bus_heals", "Times a reader of the bus began anew", ["kind"]).labels("work")

    async def run(self) -> None:
        """Handle entries for ever."""
        wait_s, told = 0.1, False
        cancellation = Cancellation()
        while True:
            cancellation.check()
            client = self._connect()
            try:
                await self._ensure_group(client)
                await self._own_pending(client)
                if told:
                    _log.info("handling goes on", stream=self._stream, group=self._group)
                wait_s, told = 0.1, False
                while True:
                    await self._step(client, cancellation)
            except (*AWAY, ResponseError) as error:
                self._heals.inc()
                self._again.clear()
                if isinstance(error, ResponseError) and group_is_gone(error):
                    _log.warning("the group vanished, making it again", stream=self._stream, group=self._group)
                elif not told:
                    told = True
                    reason = f"{type(error).__name__}: {error}"
                    _log.warning("handling is interrupted, trying on", stream=self._stream, reason=reason)
            finally:
                await client.aclose()
            await self._clock.sleep_wall(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _step(self, client: RedisClient, cancellation: Cancellation) -> None:
        await self._try_again(client)
        await self._take_over(client)
        await self._look(client)
        cancellation.check()
        answer = await client.xreadgroup(
            self._group, self._consumer, {self._stream: ">"}, count=_BATCH, block=self._block_ms()
        )
        for _, entries in answer or ():
            await self._handle_all(client, [(entry, 1) for entry in entries])
        cancellation.check()

    def _block_ms(self) -> int:
        now = self._clock.monotonic()
        dues = [self._next_claim, self._next_stats, *(due for due, _ in self._again.values())]
        return max(1, int(min(self._limits.block_s, *(due - now for due in dues)) * 1000))

    async def _ensure_group(self, client: RedisClient) -> None:
        try:
            await client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        for known in await client.xinfo_consumers(self._stream, self._group):
            if known["pending"] == 0 and known["idle"] > _FORGOTTEN_CONSUMER_MS:
                await client.xgroup_delconsumer(self._stream, self._group, known["name"])

    async def _own_pending(self, client: RedisClient) -> None:
        """Handle what this consumer was given before it lost its connection or was started anew."""
        after = "0"
        while True:
            answer = await client.xreadgroup(self._group, self._consumer, {self._stream: after}, count=_BATCH)
            entries: list[RawEntry] = answer[0][1] if answer else []
            if not entries:
                return
            after = entries[-1][0].decode()
            await self._handle_all(client, await self._with_deliveries(client, entries))

    async def _try_again(self, client: RedisClient) -> None:
        """Handle entries whose handler failed here, when their wait is over."""
        now = self._clock.monotonic()
        for identifier, (due, wait_s) in list(self._again.items()):
            if due > now:
                continue
            del self._again[identifier]
            # Not if another consumer took it meanwhile: then its idle time is shorter than the wait was.
            idle_ms = int(wait_s * 900)
            entries = await client.xclaim(self._stream, self._group, self._consumer, idle_ms, [identifier])
            await self._handle_all(client, await self._with_deliveries(client, entries))

    async def _take_over(self, client: RedisClient) -> None:
        """Take entries over from consumers that died or hang."""
        now = self._clock.monotonic()
        if now < self._next_claim:
            return
        self._next_claim = now + self._limits.idle_ms / 4000
        start = "0-0"
        while True:
            answer = await client.xautoclaim(
                self._stream, self._group, self._consumer, self._limits.idle_ms, start_id=start, count=_BATCH
            )
            entries: list[RawEntry] = answer[1]
            for identifier, _ in entries:
                self._again.pop(identifier, None)
            await self._handle_all(client, await self._with_deliveries(client, entries))
            start = answer[0].decode()
            if start == "0-0":
                return

    async def _with_deliveries(self, client: RedisClient, entries: Sequence[RawEntry]) -> list[tuple[RawEntry, int]]:
        counted = []
        for entry in entries:
            rows = await client.xpending_range(self._stream, self._group, entry[0], entry[0], 1)
            counted.append((entry, int(rows[0]["times_delivered"]) if rows else 1))
        return counted

    async def _handle_all(self, client: RedisClient, entries: Sequence[tuple[RawEntry, int]]) -> None:
        touched = self._clock.monotonic()
        for i, (entry, deliveries) in enumerate(entries):
            if self._clock.monotonic() - touched > self._limits.idle_margin_s / 2:
                # Those that wait their turn must not look abandoned.
                waiting = [other[0] for other, _ in entries[i:]]
                await client.xclaim(self._stream, self._group, self._consumer, 0, waiting, justid=True)
                touched = self._clock.monotonic()
            await self._handle(client, entry, deliveries)

    async def _handle(self, client: RedisClient, entry: RawEntry, deliveries: int) -> None:
        identifier, fields = entry
        if not fields:  # trimmed away or deleted while it was pending
            await client.xack(self._stream, self._group, identifier)
            return
        if deliveries > self._limits.max_deliveries:
            await self._bury(client, entry, deliveries, "its consumer died each time it was handled")
            return
        try:
            envelope = decode(fields, self._type)
        except ValueError as error:
            await self._bury(client, entry, deliveries, f"undecodable: {error}")
            return
        try:
            await self._clock.wait_for(self._handler(envelope), self._limits.handler_s)
        except PermanentError as error:
            await self._bury(client, entry, deliveries, f"permanent: {error}")
        except Exception as error:
            reason = str(error) or ("took too long" if isinstance(error, TimeoutError) else "")
            reason = f"failed: {type(error).__name__}: {reason}"
            self._retries.inc()
            if deliveries >= self._limits.max_deliveries:
                await self._bury(client, entry, deliveries, reason)
                return
            wait_s = min(self._limits.retry_s * 2.0 ** (deliveries - 1), self._limits.idle_ms / 2000)
            self._again[identifier] = (self._clock.monotonic() + wait_s, wait_s)
            _log.warning(
                "a handler failed", stream=self._stream, group=self._group, id=envelope.id, reason=reason[:500]
            )
        else:
            await client.xack(self._stream, self._group, identifier)
            self._handled.inc()

    async def _bury(self, client: RedisClient, entry: RawEntry, deliveries: int, reason: str) -> None:
        identifier, fields = entry
        letter: dict[Any, Any] = dict(fields or {})
        letter |= {
            "reason": reason[:1000],
            "deliveries": str(deliveries),
            "group": self._group,
            "entry": identifier.decode(),
            "buried_at": self._clock.wall_now().isoformat(),
        }
        async with client.pipeline(transaction=True) as pipe:
            pipe.xadd(self._graves, letter, maxlen=_DEAD_LETTERS_KEPT, approximate=True)
            pipe.xack(self._stream, self._group, identifier)
            await pipe.execute()
        self._buried.inc()
        _log.error("dead letter", stream=self._stream, group=self._group, entry=identifier.decode(), reason=reason)

    async def _look(self, client: RedisClient) -> None:
        """Show lag, pending entries and dead letters."""
        now = self._clock.monotonic()
        if now < self._next_stats:
            return
        self._next_stats = now + self._limits.stats_s
        for known in await client.xinfo_groups(self._stream):
            if known["name"] == self._group.encode():
                self._pending.set(known["pending"])
                lag = known.get("lag")
                if lag is not None:
                    self._lag.set(lag)
                    self._report_lag(self._group, int(lag), self._retention)
        self._kept.set(await client.xlen(self._graves))
