"""Where studies and their chunks stand: the port, and the adapter within one process.

A chunk is claimed by a lease that its worker renews while it works, so that a dead worker's chunk is free again
seconds later, however long a chunk takes. Its result is set once; the second one changes nothing.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pems_common.clock import Clock
from pems_optimizer.study import Row, Study, StudyProgress

__all__ = ["GIVEN_UP", "LEASE_S", "MOST_TRIES", "Claim", "InMemoryStudies", "StudyStore"]

LEASE_S = 10.0  # wall time
MOST_TRIES = 3
GIVEN_UP = f"begun {MOST_TRIES} times, and each time its worker died or hung"


@dataclass(frozen=True)
class Claim:
    """What came of claiming a chunk.

    Attributes:
        state: `mine`; `held` by another; `over`: it has a result, was given up, or there is no such study.
        holder: Who holds it.
    """

    state: Literal["mine", "held", "over"]
    holder: str = ""


class StudyStore(Protocol):
    """Keeps studies for a day. Every call raises `UnavailableError` where the store is away."""

    async def create(self, study: Study, data: bytes) -> None:
        """Keep a new study and what its items need."""

    async def study(self, study_id: str) -> Study | None:
        """Return a study; None where there is none (any more)."""

    async def data(self, study_id: str) -> bytes | None:
        """Return what the items of a study need."""

    async def claim(self, study_id: str, chunk: int, owner: str) -> Claim:
        """Claim a chunk for a while; one that was claimed too often is given up."""

    async def renew(self, study_id: str, chunk: int, owner: str) -> None:
        """Hold on to a claimed chunk."""

    async def release(self, study_id: str, chunk: int, owner: str) -> None:
        """Take the lease of an owner away."""

    async def finish(self, study_id: str, chunk: int, owner: str, rows: list[Row]) -> bool:
        """Set the result of a chunk, the numbers of each of its items; False where it had one."""

    async def fail(self, study_id: str, chunk: int, reason: str) -> None:
        """Give a chunk up."""

    async def progress(self, study: Study) -> StudyProgress:
        """Return how far a study is."""

    async def rows(self, study: Study) -> list[Row]:
        """Return the numbers of all items whose chunks are done, in the order of the items."""

    async def open_ids(self) -> list[str]:
        """Return the studies that are not closed."""

    async def close(self, study_id: str) -> None:
        """Stop looking after a study; what is known of it stays."""


@dataclass
class _Kept:
    study: Study
    data: bytes
    done: dict[int, list[Row]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    leases: dict[int, tuple[str, float]] = field(default_factory=dict)


class InMemoryStudies:
    """Keeps studies in this process: for lockstep runs and tests."""

    def __init__(self, clock: Clock) -> None:
        """Leases end by the wall time of `clock`."""
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._open: set[str] = set()

    async def create(self, study: Study, data: bytes) -> None:
        """Keep a new study."""
        self._kept[study.study_id] = _Kept(study, data)
        self._open.add(study.study_id)

    async def study(self, study_id: str) -> Study | None:
        """Return a study."""
        kept = self._kept.get(study_id)
        return None if kept is None else kept.study

    async def data(self, study_id: str) -> bytes | None:
        """Return what the items of a study need."""
        kept = self._kept.get(study_id)
        return None if kept is None else kept.data

    async def claim(self, study_id: str, chunk: int, owner: str) -> Claim:
        """Claim a chunk."""
        kept = self._kept.get(study_id)
        if kept is None or chunk in kept.done or chunk in kept.failed:
            return Claim("over")
        holder = self._holder(kept, chunk)
        if holder not in ("", owner):
            return Claim("held", holder)
        if kept.tries.get(chunk, 0) >= MOST_TRIES:
            kept.failed[chunk] = GIVEN_UP
            return Claim("over")
        kept.tries[chunk] = kept.tries.get(chunk, 0) + 1
        kept.leases[chunk] = (owner, self._clock.monotonic() + LEASE_S)
        return Claim("mine", owner)

    async def renew(self, study_id: str, chunk: int, owner: str) -> None:
        """Hold on to a claimed chunk."""
        kept = self._kept[study_id]
        if self._holder(kept, chunk) == owner:
            kept.leases[chunk] = (owner, self._clock.monotonic() + LEASE_S)

    async def release(self, study_id: str, chunk: int, owner: str) -> None:
        """Take the lease of an owner away."""
        kept = self._kept[study_id]
        if self._holder(kept, chunk) == owner:
            del kept.leases[chunk]

    async def finish(self, study_id: str, chunk: int, owner: str, rows: list[Row]) -> bool:
        """Set the result of a chunk."""
        kept = self._kept[study_id]
        first = chunk not in kept.done
        kept.done.setdefault(chunk, list(rows))
        await self.release(study_id, chunk, owner)
        return first

    async def fail(self, study_id: str, chunk: int, reason: str) -> None:
        """Give a chunk up."""
        kept = self._kept[study_id]
        if chunk not in kept.done:
            kept.failed.setdefault(chunk, reason)
        kept.leases.pop(chunk, None)

    async def progress(self, study: Study) -> StudyProgress:
        """Return how far a study is."""
        kept = self._kept[study.study_id]
        held = frozenset(chunk for chunk in kept.leases if self._holder(kept, chunk))
        return StudyProgress(frozenset(kept.done), dict(kept.failed), held, dict(kept.tries))

    async def rows(self, study: Study) -> list[Row]:
        """Return the numbers of all items whose chunks are done."""
        done = self._kept[study.study_id].done
        return [row for chunk in sorted(done) for row in done[chunk]]

    async def open_ids(self) -> list[str]:
        """Return the studies that are not closed."""
        return sorted(self._open)

    async def close(self, study_id: str) -> None:
        """Stop looking after a study."""
        self._open.discard(study_id)

    def _holder(self, kept: _Kept, chunk: int) -> str:
        owner, until = kept.leases.get(chunk, ("", 0.0))
        return owner if self._clock.monotonic() < until else ""
