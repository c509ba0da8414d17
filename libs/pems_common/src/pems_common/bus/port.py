"""The bus as the services see it: state that can be read at any time, and work that is handled entry by entry."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Protocol

from pems_common.messages import Envelope

__all__ = ["Bus", "WorkHandler"]

WorkHandler = Callable[[Envelope], Awaitable[None]]


class Bus(Protocol):
    """One port, two adapters (memory and Redis streams), one behaviour suite for both."""

    async def publish(self, envelope: Envelope) -> bool:
        """Publish a message by its type's kind (see the catalogue).

        State: writes latest-value key and stream in one step, only if `seq` is not lower than the key's
        (equal seq with the same id is a no-op, equal seq with another id replaces).
        Work: appends to the stream.

        Returns:
            False when a newer state was already there and nothing was written.

        Raises:
            UnavailableError: The server did not take it.
        """

    async def latest(self, type: str, site: str, subject: str = "") -> Envelope | None:
        """Return the latest state of one subject, None when there is none (or it is unreadable)."""

    async def latest_all(self, type: str, site: str) -> dict[str, Envelope]:
        """Return the latest states of all subjects of a type."""

    async def forget(self, type: str, site: str, subject: str = "") -> None:
        """Delete a latest-value key (a cleared alert)."""

    def watch(self, types: Collection[str], site: str) -> AsyncIterator[Envelope]:
        """Yield each new state of these types from now on, for ever; first the latest ones already there.

        A poke: read keys for the truth. Survives a server that goes away and comes back (wiped or not);
        after a reconnect the latest ones come again.
        """

    async def work(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Handle each entry of a work stream once per group, for ever (at-least-once).

        Entries whose handler raised, or whose consumer died, come again; after 5 deliveries, when
        undecodable, or on PermanentError they go to `<stream>.dlq` with the reason.
        """

    async def copy_stream(self, type: str, *, group: str, consumer: str, handler: WorkHandler) -> None:
        """Like `work`, for a state stream: every entry of it, as history keepers need."""

    async def close(self) -> None:
        """Release connections."""
