"""The bus inside one process: for unit tests and for lockstep runs, where nothing may depend on wall time.

Publishing never waits. Work is handled by running `work` loops, or all at once by `pump`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from pems_common.bus.port import WorkHandler
from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_common.messages import CATALOG, Envelope

__all__ = ["DeadLetter", "MemoryBus"]

_MAX_POKES = 100_000
_log = get_logger("bus")


@dataclass(frozen=True)
class DeadLetter:
    """An entry that could not be handled.

    Attributes:
        reason: Why.
        deliveries: How often it was tried.
        group: Whose handler it was.
        fields: The entry as it stood in the stream.
    """

    reason: str
    deliveries: int
    group: str
    fields: dict[str, str]


@dataclass
class _Entry:
    number: int
    content: Envelope | dict[str, str]
    deliveries: dict[str, int] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        return dict(self.content) if isinstance(self.content, dict) else self.content.to_fields()


@dataclass
class _Group:
    name: str
    next_number: int = 0
    again: deque[_Entry] = field(default_factory=deque)
    handlers: list[WorkHandler] = field(default_factory=list)


class _Stream:
    def __init__(self, type: str, retention: int) -> None:
        self.type = type
        self.entries: deque[_Entry] = deque(maxlen=retention)
        self.groups: dict[str, _Group] = {}
        self.dead: list[DeadLetter] = []
        self.added = asyncio.Event()
        self._number = 0

    def add(self, content: Envelope | dict[str, str]) -> None:
        self.entries.append(_Entry(self._number, content))
        self._number += 1
        self.wake()

    def wake(self) -> None:
        added, self.added = self.added, asyncio.Event()
        added.set()

    def group(self, name: str) -> _Group:
        return self.groups.setdefault(name, _Group(name))

    def take(self, group: _Group) -> _Entry | None:
        """Return the next entry for a group: new ones first, then those that failed."""
        if self.entries and self.entries[-1].number >= group.next_number:
            first = self.entries[0].number
            entry = self.entries[max(0, group.next_number - first)]
            group.next_number = entry.number + 1
            return entry
        return group.again.popleft() if group.again else None


class MemoryBus:
    """Implements the `Bus` port, and shows what passed."""

    def __init__(self, clock: Clock, *, max_deliveries: int = 5) -> None:
        """Start empty; an entry is tried `max_deliveries` times."""
        self._clock = clock
        self._max_deliveries = max_deliveries
        self._latest: dict[tuple[str, str], dict[str, Envelope]] = {}
        self._streams: dict[str, _Stream] = {}
        self._watchers: list[tuple[frozenset[str], str, asyncio.Queue[Envelope]]] = []
        self._busy = 0
        self._pokes: deque[Envelope] = deque(maxlen=_MAX_POKES)

    @property
    def connected(self) -> bool:
        """Always true."""
        return True

    async def publish(self, envelope: Envelope) -> bool:
        """Publish a message; False when a newer state was there."""
        kind = CATALOG[envelope.type]
        states = self._latest.setdefault((envelope.type, envelope.site), {})
        known = states.get(envelope.subject)
        newer = known is None or envelope.seq >= known.seq
        if kind.kind == "state":
            if not newer:
                return False
            if known is not None and known.id == envelope.id and known.seq == envelope.seq:
                return True
            self._pokes.append(envelope)
        if newer:
            states[envelope.subject] = envelope
        if envelope.type == "alert" and envelope.body.get("cleared_at") is not None:
            states.pop(envelope.subject, None)
        self._stream(envelope.type).add(envelope)
        for types, site, queue in self._watchers:
            if envelope.type in types and envelope.site == site:
                queue.put_nowait(envelope)
        return True

    async def latest(self, type: str, site: str, subject: str = "") -> Envelope | None:
        """Return the latest state of one subject."""
        return self._latest.get((type, site), {}).get(subject)

    async def latest_all(self, type: str, site: str) -> dict[str, Envelope]:
        """Return the latest states of all subjects of a type, by subject."""
        return dict(sorted(self._latest.get((type, site), {}).items()))

    async def forget(self, type: str, site: str, subject: str = "") -> None:
        """Delete a latest value."""
        self._latest.get((type, site), {}).pop(subject, None)

    async def watch(self, types: Collection[str], site: str) -> AsyncIterator[Envelope]:
        """Yield the latest states, then each new one."""
        queue: asyncio.Queue[Envelope] = asyncio.Queue()
        watcher = (frozenset(types), site, queue)
        self._watchers.append(watcher)
        try:
            for type in sorted(types):
                for envelope in (await self.latest_all(type, site)).values():
                    yield envelope
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(watcher)

    async def work(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Handle each entry once per group, for ever; failed ones come again after the others."""
        stream = self._stream(type)
        own = stream.group(group)
        own.handlers.append(handler)
        try:
            while True:
                entry = stream.take(own)
                if entry is None:
                    await stream.added.wait()
                    continue
                await self._handle(stream, own, entry, handler)
                await asyncio.sleep(0)
        finally:
            own.handlers.remove(handler)

    async def copy_stream(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Like `work`, for a state stream."""
        await self.work(type, group=group, consumer=consumer, handler=handler)

    async def pump(self) -> int:
        """Handle everything that waits, in the order of stream and group names, and return how much it was.

        Entries published meanwhile are handled too. Needs running `work` loops (or ones that were started):
        the handlers are theirs.
        """
        handled = 0
        await asyncio.sleep(0)  # loops that were just created register their handlers
        again = True
        while again:
            again = self._busy > 0  # a loop is at work on an entry it took itself
            if again:
                await asyncio.sleep(0)
            for _, stream in sorted(self._streams.items()):
                for _, group in sorted(stream.groups.items()):
                    while group.handlers and (entry := stream.take(group)) is not None:
                        await self._handle(stream, group, entry, group.handlers[0])
                        handled += 1
                        again = True
        return handled

    async def close(self) -> None:
        """Nothing to release."""

    def drain_pokes(self) -> list[Envelope]:
        """Return the state messages published since the last call, oldest first."""
        pokes = list(self._pokes)
        self._pokes.clear()
        return pokes

    def entries(self, type: str) -> list[Envelope]:
        """Return the readable entries of a stream, oldest first."""
        return [e.content for e in self._stream(type).entries if isinstance(e.content, Envelope)]

    def dead_letters(self, type: str) -> list[DeadLetter]:
        """Return the dead letters of a stream, oldest first."""
        return list(self._stream(type).dead)

    def inject(self, type: str, fields: dict[str, str]) -> None:
        """Put raw fields into a stream, as a broken writer would."""
        self._stream(type).add(fields)

    def delete_stream(self, type: str) -> None:
        """Delete a stream's entries and what its groups remember."""
        stream = self._stream(type)
        stream.entries.clear()
        for group in stream.groups.values():
            group.again.clear()

    def wipe(self) -> None:
        """Forget everything, as FLUSHALL does."""
        self._latest.clear()
        for type in self._streams:
            self.delete_stream(type)

    def _stream(self, type: str) -> _Stream:
        if type not in self._streams:
            self._streams[type] = _Stream(type, CATALOG[type].retention)
        return self._streams[type]

    async def _handle(self, stream: _Stream, group: _Group, entry: _Entry, handler: WorkHandler) -> None:
        self._busy += 1
        try:
            await self._try(stream, group, entry, handler)
        finally:
            self._busy -= 1

    async def _try(self, stream: _Stream, group: _Group, entry: _Entry, handler: WorkHandler) -> None:
        deliveries = entry.deliveries[group.name] = entry.deliveries.get(group.name, 0) + 1
        try:
            envelope = Envelope.from_fields(entry.content) if isinstance(entry.content, dict) else entry.content
        except ValueError as error:
            self._bury(stream, group, entry, f"undecodable: {error}")
            return
        try:
            await handler(envelope)
        except asyncio.CancelledError:
            group.again.append(entry)
            stream.wake()
            raise
        except PermanentError as error:
            self._bury(stream, group, entry, f"permanent: {error}")
        except Exception as error:
            if deliveries >= self._max_deliveries:
                self._bury(stream, group, entry, f"failed: {type(error).__name__}: {error}")
            else:
                group.again.append(entry)

    def _bury(self, stream: _Stream, group: _Group, entry: _Entry, reason: str) -> None:
        _log.error("dead letter", stream=stream.type, group=group.name, reason=reason)
        stream.dead.append(DeadLetter(reason, entry.deliveries.get(group.name, 0), group.name, entry.fields()))
