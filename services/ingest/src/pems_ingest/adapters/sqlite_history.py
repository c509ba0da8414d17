"""The embedded history: one SQLite file in WAL mode, written by ingest alone, read by anyone.

Points are keyed by (series, ms), so writing one twice keeps one. `:memory:` keeps all in this process and uses no
threads: for lockstep runs and tests.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np

from pems_common.errors import PemsError, UnavailableError
from pems_common.history import Point, SeriesInfo
from pems_common.messages import Envelope
from pems_common.timegrid import require_utc
from pems_ingest.domain.fields import CARRY_MAX_S, kind_of
from pems_ingest.domain.slot_means import slot_means

__all__ = ["SqliteHistory"]

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL,
  count INTEGER NOT NULL DEFAULT 0, first_ms INTEGER, last_ms INTEGER, UNIQUE (site, name));
CREATE TABLE IF NOT EXISTS points (
  series_id INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (series_id, at_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  id TEXT PRIMARY KEY, site TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
  at_ms INTEGER NOT NULL, envelope TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages (site, type, at_ms);
"""
_COUNT = (
    "UPDATE series SET count=count+?1, first_ms=min(coalesce(first_ms, ?2), ?2), "
    "last_ms=max(coalesce(last_ms, ?3), ?3) WHERE id=?4"
)
_VERSION = 1
_BUSY_S = 5.0


def _ms(at: datetime) -> int:
    return round(require_utc(at).timestamp() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


class SqliteHistory:
    """`HistoryStore` on SQLite. All of a process share one instance; other processes open their own."""

    def __init__(self, path: Path | str, site: str, *, read_only: bool = False) -> None:
        """Name the file and the site whose series are read; `open` does the work.

        Args:
            path: The file, or `:memory:`.
            site: Site whose series and messages are read.
            read_only: Refuse to write (other processes).
        """
        self._path, self._site = str(path), site
        self._in_memory = self._path == ":memory:"
        self._read_only = read_only
        self._lock = Lock()
        self._write_db: sqlite3.Connection | None = None
        self._ids: dict[tuple[str, str], int] = {}
        self._count = 0

    # --- opening ------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the file; called by the first use too.

        Raises:
            UnavailableError: The file cannot be opened now.
            PemsError: It was written by a newer PEMS, or is no database.
        """
        with self._lock:
            self._opened()

    def _opened(self) -> sqlite3.Connection:
        if self._write_db is not None:
            return self._write_db
        try:
            if not self._in_memory and not self._read_only:
                Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            db = self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            raise UnavailableError(f"history {self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise PemsError(
                f"history {self._path} is damaged or no database: {error}",
                remedy="move the file away (PEMS starts a new one) and restore it from a backup",
            ) from error
        self._write_db = db
        return db

    def _connect(self) -> sqlite3.Connection:
        target = self._read_only_uri() if self._read_only else self._path
        db = sqlite3.connect(
            target, uri=self._read_only, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            if not self._read_only:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")  # survives a killed process; a power cut costs seconds
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version > _VERSION:
                    raise PemsError(f"history {self._path} has version {version}", remedy="update PEMS")
                db.executescript(_SCHEMA)
                db.execute(f"PRAGMA user_version={_VERSION}")
            self._count = db.execute("SELECT coalesce(sum(count), 0) FROM series").fetchone()[0]
        except BaseException:
            db.close()
            raise
        return db

    def _reading(self) -> "closing[sqlite3.Connection] | _Borrowed":
        """Return a connection for one read: its own one, so that long reads never hold up writing."""
        if self._in_memory:
            return _Borrowed(self._opened(), self._lock)
        with self._lock:
            self._opened()  # makes sure the file and its tables are there
        db = sqlite3.connect(
            self._read_only_uri(), uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        return closing(db)

    def _read_only_uri(self) -> str:
        return f"{Path(self._path).absolute().as_uri()}?mode=ro"

    async def _run(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return work()
            except sqlite3.Error as error:
                raise UnavailableError(f"history {self._path}: {error}") from error

        return guarded() if self._in_memory else await asyncio.to_thread(guarded)

    async def close(self) -> None:
        """Close the file. It opens again when used."""

        def work() -> None:
            with self._lock:
                if self._write_db is not None:
                    self._write_db.close()
                self._write_db = None
                self._ids.clear()

        await self._run(work)

    # --- writing ------------------------------------------------------------------------------

    async def write(self, site: str, points: Sequence[Point]) -> None:
        """Store points in one transaction: all of them or, when it fails, none. Infinities and NaN are no points.

        Raises:
            UnavailableError: The store is away; the caller keeps the points.
        """
        if points:
            await self._run(lambda: self._transact(lambda db: self._write(db, site, points)))

    async def write_message(self, envelope: Envelope) -> None:
        """Keep a whole message; the same id twice keeps one.

        Raises:
            UnavailableError: The store is away.
        """
        row = (
            envelope.id,
            envelope.site,
            envelope.type,
            envelope.subject,
            _ms(envelope.at),
            json.dumps(envelope.to_fields(), separators=(",", ":")),
        )
        statement = "INSERT OR REPLACE INTO messages (id, site, type, subject, at_ms, envelope) VALUES (?,?,?,?,?,?)"
        await self._run(lambda: self._transact(lambda db: db.execute(statement, row)))

    def _transact(self, work: Callable[[sqlite3.Connection], object]) -> None:
        with self._lock:
            db = self._opened()
            try:
                db.execute("BEGIN IMMEDIATE")
                work(db)
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                self._ids.clear()  # ids made in this transaction are gone
                if not self._in_memory:
                    db.close()
                    self._write_db = None
                raise

    def _write(self, db: sqlite3.Connection, site: str, points: Sequence[Point]) -> None:
        rows: dict[int, list[tuple[int, float]]] = {}
        for point in points:
            if isfinite(point.value):
                series_id = self._series_id(db, site, point.series)
                rows.setdefault(series_id, []).append((_ms(point.at), float(point.value)))
        total = 0
        for series_id, values in rows.items():
            before = db.total_changes
            keyed = [(series_id, ms, value) for ms, value in values]
            db.executemany("INSERT OR IGNORE INTO points (series_id, at_ms, value) VALUES (?,?,?)", keyed)
            added = db.total_changes - before
            if added < len(keyed):  # some were there already: the later value stands
                db.executemany("UPDATE points SET value=?3 WHERE series_id=?1 AND at_ms=?2 AND value<>?3", keyed)
            first, last = min(values)[0], max(values)[0]
            db.execute(_COUNT, (added, first, last, series_id))
            total += added
        self._count += total

    def _series_id(self, db: sqlite3.Connection, site: str, name: str) -> int:
        key = (site, name)
        if key not in self._ids:
            row = db.execute("SELECT id FROM series WHERE site=? AND name=?", key).fetchone()
            if row is None:
                row = (db.execute("INSERT INTO series (site, name) VALUES (?,?)", key).lastrowid,)
            self._ids[key] = int(row[0])
        return self._ids[key]

    # --- reading ------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Points stored, of all sites."""
        return self._count

    async def slots(
        self, series: Sequence[str], start: datetime, end: datetime, *, step_s: int = 900
    ) -> Mapping[str, list[float | None]]:
        """Return the time-weighted mean of each slot; None where nothing was known (see `slot_means`)."""
        start, end = require_utc(start), require_utc(end)
        count = max(0, -(-round((end - start).total_seconds()) // step_s))

        def work() -> dict[str, list[float | None]]:
            result: dict[str, list[float | None]] = {}
            with self._reading() as db:
                for name in series:
                    kind = kind_of(name)
                    carry_s = kind.carry_s if kind else CARRY_MAX_S
                    rows = self._rows(db, name, _ms(start) - int(carry_s * 1000), _ms(end))
                    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
                    result[name] = slot_means(
                        table[:, 0] / 1000.0,
                        table[:, 1],
                        start_s=start.timestamp(),
                        count=count,
                        step_s=float(step_s),
                        carry_s=carry_s,
                    )
            return result

        return await self._run(work)

    async def points(self, series: str, start: datetime, end: datetime) -> list[Point]:
        """Return the raw points of `[start, end)`, oldest first."""

        def work() -> list[Point]:
            with self._reading() as db:
                rows = self._rows(db, series, _ms(start), _ms(end))
            return [Point(series, _at(ms), value) for ms, value in rows]

        return await self._run(work)

    def _rows(self, db: sqlite3.Connection, name: str, first_ms: int, end_ms: int) -> list[tuple[int, float]]:
        statement = (
            "SELECT at_ms, value FROM points WHERE series_id = (SELECT id FROM series WHERE site=? AND name=?) "
            "AND at_ms >= ? AND at_ms < ? ORDER BY at_ms"
        )
        return db.execute(statement, (self._site, name, first_ms, end_ms)).fetchall()

    async def info(self) -> list[SeriesInfo]:
        """Return what is stored of each series of the site."""
        statement = "SELECT name, count, first_ms, last_ms FROM series WHERE site=? AND count>0 ORDER BY name"

        def work() -> list[SeriesInfo]:
            with self._reading() as db:
                rows: Iterable[tuple[str, int, int, int]] = db.execute(statement, (self._site,)).fetchall()
            return [SeriesInfo(name, count, _at(first), _at(last)) for name, count, first, last in rows]

        return await self._run(work)

    async def messages(
        self, type: str, start: datetime, end: datetime, *, subject: str | None = None, limit: int = 1000
    ) -> list[Envelope]:
        """Return kept messages of `[start, end)` by house time, oldest first; the newest `limit` of them."""
        statement = (
            "SELECT envelope FROM messages WHERE site=?1 AND type=?2 AND at_ms>=?3 AND at_ms<?4 "
            "AND (?5 IS NULL OR subject=?5) ORDER BY at_ms DESC, id DESC LIMIT ?6"
        )

        def work() -> list[Envelope]:
            with self._reading() as db:
                rows = db.execute(statement, (self._site, type, _ms(start), _ms(end), subject, limit)).fetchall()
            return [Envelope.from_fields(json.loads(text)) for (text,) in reversed(rows)]

        return await self._run(work)


class _Borrowed:
    """The one connection of an in-memory history, for the time of a `with`."""

    def __init__(self, db: sqlite3.Connection, lock: Lock) -> None:
        self._db, self._lock = db, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        return self._db

    def __exit__(self, *_: object) -> None:
        self._lock.release()
