"""A history that is never away for its writers: what the store refuses waits on disk and is written later, in order."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from pems_common.errors import PemsError
from pems_common.history import HistoryStore, Point
from pems_common.logs import get_logger
from pems_common.messages import Envelope
from pems_ingest.adapters.spool import Spool

__all__ = ["SpooledHistory"]

_log = get_logger("history")


class SpooledHistory:
    """Writes to a store, or to its spool while the store is away.

    Attributes:
        away_since: House time since which the store has been away, None while it is there.
    """

    def __init__(self, store: HistoryStore, spool: Spool) -> None:
        """Guard `store` with `spool`; what an earlier run left in the spool is written first."""
        self._store, self._spool = store, spool
        self.away_since: datetime | None = None
        self._turn = asyncio.Lock()  # draining and appending must not meet

    @property
    def waiting_bytes(self) -> int:
        """Bytes in the spool."""
        return self._spool.size_bytes

    @property
    def lost(self) -> int:
        """Entries refused because the spool was full."""
        return self._spool.dropped

    async def write(self, site: str, points: Sequence[Point], now: datetime) -> None:
        """Store points; never raises for a store that is away."""
        if not points:
            return
        async with self._turn:
            try:
                await self._catch_up()
                await self._store.write(site, points)
                self._is_back(now)
            except PemsError as error:
                self._is_away(error, now)
                self._keep(site, points)

    async def write_message(self, envelope: Envelope, now: datetime) -> None:
        """Keep a message; never raises for a store that is away."""
        async with self._turn:
            try:
                await self._catch_up()
                await self._store.write_message(envelope)
                self._is_back(now)
            except PemsError as error:
                self._is_away(error, now)
                self._keep(envelope.site, [envelope])

    async def _catch_up(self) -> None:
        if not self._spool.is_empty:
            written = await self._spool.drain(self._store)
            _log.info("wrote what waited on disk", entries=written, unreadable=self._spool.unreadable)

    def _keep(self, site: str, entries: Sequence[Point | Envelope]) -> None:
        try:
            refused = self._spool.add(site, entries)
        except OSError as error:
            self._spool.dropped += len(entries)
            _log.error("the buffer on disk cannot be written: readings are lost", error=str(error), lost=len(entries))
            return
        if refused:
            _log.error("the buffer on disk is full: readings are lost", lost=refused, lost_in_all=self._spool.dropped)

    def _is_away(self, error: PemsError, now: datetime) -> None:
        if self.away_since is None:
            self.away_since = now
            _log.warning("the history is away: readings wait on disk", error=str(error))

    def _is_back(self, now: datetime) -> None:
        if self.away_since is not None:
            _log.info("the history is back", away_s=(now - self.away_since).total_seconds())
            self.away_since = None
