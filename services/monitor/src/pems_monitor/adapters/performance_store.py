"""What performance needs over a restart: finished days, and the controller's slots, in one SQLite file (WAL).

Days could be counted again from ingest's history; the slots could not, for ingest keeps only statuses that change a
mode. Both belong to the monitor; a day takes about 40 kB, nearly all of it for its hours.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from datetime import date, datetime
from pathlib import Path
from threading import Lock

from pems_common.errors import PemsError
from pems_monitor.domain.performance import DayRecord
from pems_monitor.domain.performance_control import ControlSlot, LastStatus

__all__ = ["PerformanceStore", "performance_path"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS day (
  day TEXT PRIMARY KEY, version INTEGER NOT NULL, record TEXT NOT NULL, hours TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS control (
  slot_start TEXT PRIMARY KEY, up_s REAL NOT NULL, mpc_s REAL NOT NULL, live_s REAL NOT NULL,
  switches INTEGER NOT NULL, violations INTEGER NOT NULL, violated_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS last_status (
  one INTEGER PRIMARY KEY CHECK (one = 1), first_at TEXT NOT NULL, content TEXT NOT NULL);
"""
_ADD = (
    "INSERT INTO control VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT (slot_start) DO UPDATE SET up_s=up_s+?2, "
    "mpc_s=mpc_s+?3, live_s=live_s+?4, switches=switches+?5, violations=violations+?6, violated_s=violated_s+?7"
)
_REMEMBER = "INSERT INTO last_status VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET content=excluded.content"
_VERSION = 1  # of the records; days of another one are counted again


def performance_path(data: Path) -> Path:
    """Where the file stands below the data directory."""
    return data / "monitor" / "performance.sqlite3"


class PerformanceStore:
    """Finished days and the controller's slots. Calls are short; any thread may call."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            PemsError: It cannot be opened.
        """
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise PemsError(f"{path} cannot be opened: {error}", remedy="check its folder and owner") from error

    def days(self, first: date, last: date, *, hours: bool = False) -> dict[date, DayRecord]:
        """Return the kept days of `[first, last]`, with their hours if wanted; unreadable ones are left out."""
        column = "hours" if hours else "'[]'"
        statement = f"SELECT record, {column} FROM day WHERE day BETWEEN ? AND ? AND version = ? ORDER BY day"  # noqa: S608
        with self._lock:
            rows = self._db.execute(statement, (first.isoformat(), last.isoformat(), _VERSION)).fetchall()
        found: dict[date, DayRecord] = {}
        for text, parts in rows:
            with suppress(ValueError):
                record = DayRecord.from_json(json.loads(text), json.loads(parts))
                found[record.day] = record
        return found

    def kept(self, first: date, last: date) -> set[date]:
        """Return which days of `[first, last]` are kept."""
        statement = "SELECT day FROM day WHERE day BETWEEN ? AND ? AND version = ?"
        with self._lock:
            rows = self._db.execute(statement, (first.isoformat(), last.isoformat(), _VERSION)).fetchall()
        return {date.fromisoformat(day) for (day,) in rows}

    def keep_day(self, record: DayRecord) -> None:
        """Keep a finished day."""
        texts = [
            json.dumps(part, separators=(",", ":")) for part in (record.to_json(), [h.to_json() for h in record.hours])
        ]
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO day VALUES (?, ?, ?, ?)", (record.day.isoformat(), _VERSION, *texts))

    def last_status(self) -> LastStatus | None:
        """Return the status that was added last; None before the first."""
        with self._lock:
            row = self._db.execute("SELECT content FROM last_status").fetchone()
        try:
            return LastStatus.from_json(json.loads(row[0])) if row else None
        except ValueError:
            return None

    def add_control(self, slots: Mapping[datetime, ControlSlot], last: LastStatus) -> None:
        """Add what a status brought, and remember it, in one transaction."""
        with self._write() as db:
            db.executemany(_ADD, [(start.isoformat(), *astuple(slot)) for start, slot in slots.items()])
            db.execute(_REMEMBER, (last.at.isoformat(), json.dumps(last.to_json())))

    def control(self, start: datetime, end: datetime) -> dict[datetime, ControlSlot]:
        """Return the controller's slots of `[start, end)`."""
        statement = "SELECT * FROM control WHERE slot_start >= ? AND slot_start < ?"
        with self._lock:
            rows = self._db.execute(statement, (start.isoformat(), end.isoformat())).fetchall()
        return {datetime.fromisoformat(row[0]): ControlSlot(*row[1:]) for row in rows}

    def control_since(self) -> datetime | None:
        """Return when the first status of all was told; None before any."""
        with self._lock:
            row = self._db.execute("SELECT first_at FROM last_status").fetchone()
        return datetime.fromisoformat(row[0]) if row else None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db
