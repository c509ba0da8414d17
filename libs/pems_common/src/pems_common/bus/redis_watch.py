"""Watching state on Redis: the keys first, then the streams as pokes, and the keys again after any trouble."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from pems_common.bus.redis_wire import AWAY, RedisClient, ResponseError, decode, stream_tails
from pems_common.cancellation import Cancellation
from pems_common.clock import Clock
from pems_common.logs import get_logger
from pems_common.messages import CATALOG, Envelope
from pems_common.metrics import Metrics

__all__ = ["Watcher"]

_LONGEST_WAIT_S = 5.0
_log = get_logger("bus")

ReadKeys = Callable[[RedisClient, str, str], Awaitable[dict[str, Envelope]]]


class _VanishedError(Exception):
    """A stream is not what it was: deleted, or the server was wiped."""


class Watcher:
    """Yields the states of some types of one site, for ever."""

    def __init__(
        self,
        types: Sequence[str],
        site: str,
        clock: Clock,
        metrics: Metrics,
        *,
        connect: Callable[[], RedisClient],
        read_keys: ReadKeys,
        block_s: float,
    ) -> None:
        """Prepare.

        Args:
            types: Message types.
            site: Only this site's states are yielded.
            clock: Gives wall time.
            metrics: Where reconnects and unreadable entries are counted.
            connect: Makes a client with one connection.
            read_keys: Reads the latest values of a type and site.
            block_s: Wall time of one blocking read.
        """
        self._types = {CATALOG[type].stream: type for type in sorted(types)}
        self._site = site
        self._clock = clock
        self._connect = connect
        self._read_keys = read_keys
        self._block_ms = max(1, int(block_s * 1000))
        self._heals = metrics.counter("bus_heals", "Times a reader of the bus began anew", ["kind"])
        self._unreadable = metrics.counter("bus_unreadable", "Entries and keys that could not be read", ["stream"])

    async def states(self) -> AsyncIterator[Envelope]:
        """Yield the latest states, then each new one; after a reconnect the latest ones again."""
        wait_s = 0.1
        told = False
        cancellation = Cancellation()
        while True:
            cancellation.check()
            client = self._connect()
            try:
                async for envelope in self._connection(client, cancellation):
                    yield envelope
                    wait_s, told = 0.1, False
            except _VanishedError as gone:
                self._heals.labels("watch").inc()
                _log.warning("a stream vanished, reading the latest values again", stream=str(gone))
                continue
            except (*AWAY, ResponseError) as error:
                self._heals.labels("watch").inc()
                if not told:
                    _log.warning("watching is interrupted, trying on", reason=f"{type(error).__name__}: {error}")
                    told = True
            finally:
                await client.aclose()
            await self._clock.sleep_wall(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _connection(self, client: RedisClient, cancellation: Cancellation) -> AsyncIterator[Envelope]:
        streams = list(self._types)
        # The tails come before the keys: what is written in between is in both, never in none.
        last = {stream: tail or "0-0" for stream, tail in (await stream_tails(client, streams)).items()}
        present: list[Envelope] = []
        for type in self._types.values():
            present += (await self._read_keys(client, type, self._site)).values()
        shown = {envelope.id for envelope in present}
        for envelope in sorted(present, key=lambda state: state.at):
            yield envelope
        while True:
            cancellation.check()
            answer = await client.xread(last, count=100, block=self._block_ms)
            if not answer:
                await self._check(client, last)
                continue
            for name, entries in answer:
                stream = name.decode()
                for identifier, fields in entries:
                    last[stream] = identifier.decode()
                    state = self._decode(stream, fields)
                    if state is not None and state.site == self._site and state.id not in shown:
                        yield state

    def _decode(self, stream: str, fields: dict[bytes, bytes]) -> Envelope | None:
        try:
            return decode(fields, self._types[stream])
        except ValueError as error:
            self._unreadable.labels(stream).inc()
            _log.error("unreadable entry", stream=stream, error=str(error)[:200])
            return None

    async def _check(self, client: RedisClient, last: dict[str, str]) -> None:
        """Notice in a quiet moment that a stream was deleted or the server wiped."""
        for stream, tail in (await stream_tails(client, list(last))).items():
            seen = last[stream]
            if seen != "0-0" and (tail is None or _number(tail) < _number(seen)):
                raise _VanishedError(stream)


def _number(identifier: str) -> tuple[int, int]:
    milliseconds, _, sequence = identifier.partition("-")
    return int(milliseconds), int(sequence or 0)
