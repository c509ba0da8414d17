"""The planner's own store of plans' cases: one SQLite file (WAL), bounded by age and by bytes.

It is opened when it is first needed. Whatever goes wrong with it is one error that its callers survive: nothing that
makes or follows a plan waits for it. A file that is no database (any more) is put aside, and a new one begun.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TypeVar

from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_optimizer.domain.plan_case import PlanCase

__all__ = ["KeptCase", "SqliteCases", "cases_path"]

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS plan_case (
  plan_id TEXT PRIMARY KEY, plan_no INTEGER NOT NULL, issued_at TEXT NOT NULL, bytes INTEGER NOT NULL,
  packed BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON plan_case (issued_at, plan_no, plan_id, bytes);
"""
_INSERT = "INSERT OR REPLACE INTO plan_case VALUES (?, ?, ?, ?, ?)"
_LIST = (
    "SELECT plan_id, plan_no, issued_at, bytes FROM plan_case WHERE issued_at >= ? AND issued_at < ? "
    "ORDER BY issued_at DESC, plan_no DESC LIMIT ?"
)
_DROP_OLD = (
    "DELETE FROM plan_case WHERE plan_id IN "
    "(SELECT plan_id FROM plan_case WHERE issued_at < ? ORDER BY issued_at, plan_no LIMIT ?)"
)
_MOST_DROPPED = 10  # at a time
_OLDEST = "SELECT plan_id, bytes FROM plan_case ORDER BY issued_at, plan_no LIMIT 100"
_log = get_logger("planner")


def cases_path(data: Path) -> Path:
    """Where the file stands below the data directory."""
    return data / "optimizer" / "cases.sqlite3"


@dataclass(frozen=True)
class KeptCase:
    """A case in a list.

    Attributes:
        issued_at: House time of the plan.
        bytes: Packed.
    """

    plan_id: str
    plan_no: int
    issued_at: datetime
    bytes: int


class SqliteCases:
    """Cases by plan. Calls take some milliseconds; any thread may call."""

    def __init__(self, path: Path, *, most_days: int, most_bytes: int) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: The file.
            most_days: Plans issued so many days (house time) before the newest one are dropped.
            most_bytes: Of all cases together; the oldest are dropped first.
        """
        self._path, self._most_age, self._most_bytes = path, timedelta(days=most_days), most_bytes
        self._db: sqlite3.Connection | None = None
        self._lock = Lock()

    def keep(self, case: PlanCase, packed: bytes) -> None:
        """Keep a case, and drop what is too old or too much.

        Raises:
            UnavailableError: The file cannot be written, or the disk is full.
        """
        plan, issued_at = case.plan, _text(case.plan.issued_at)

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute(_INSERT, (plan.plan_id, plan.plan_no, issued_at, len(packed), packed))
                self._drop(db)

        self._with(write)

    def packed(self, plan_id: str) -> bytes | None:
        """Return a case as it was packed; None where there is none.

        Raises:
            UnavailableError: The file cannot be read.
        """
        statement = "SELECT packed FROM plan_case WHERE plan_id = ?"
        row = self._with(lambda db: db.execute(statement, (plan_id,)).fetchone())
        return None if row is None else bytes(row[0])

    def listed(self, start: datetime, end: datetime, *, most: int) -> list[KeptCase]:
        """Return the newest cases of plans issued in `[start, end)` (house time), the oldest of them first.

        Raises:
            UnavailableError: The file cannot be read.
        """
        rows = self._with(lambda db: db.execute(_LIST, (_text(start), _text(end), most)).fetchall())
        return [
            KeptCase(plan_id, plan_no, datetime.fromisoformat(at), size)
            for plan_id, plan_no, at, size in reversed(rows)
        ]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._forget()

    def _drop(self, db: sqlite3.Connection) -> None:
        (newest,) = db.execute("SELECT max(issued_at) FROM plan_case").fetchone()
        oldest_kept = datetime.fromisoformat(newest) - self._most_age
        # A few at a time: one plan of a clock that ran ahead must not take all others with it.
        db.execute(_DROP_OLD, (_text(oldest_kept), _MOST_DROPPED))
        (held,) = db.execute("SELECT total(bytes) FROM plan_case").fetchone()
        while held > self._most_bytes:
            for plan_id, size in db.execute(_OLDEST).fetchall():
                db.execute("DELETE FROM plan_case WHERE plan_id = ?", (plan_id,))
                held -= size
                if held <= self._most_bytes:
                    break

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._opened())
            except (OSError, sqlite3.OperationalError) as error:  # away, locked or full
                self._forget()
                raise UnavailableError(f"{self._path}: {error}", remedy="check its folder and free space") from error
            except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError):
                raise  # ours, not the file's
            except sqlite3.DatabaseError as error:
                self._forget()
                self._put_aside()
                raise UnavailableError(f"{self._path} is damaged: {error}; it is begun anew") from error

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(self._path, timeout=5.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._path.chmod(0o600)
        return self._db

    def _forget(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None

    def _put_aside(self) -> None:
        _log.error("the store of plans' cases is damaged and put aside", path=str(self._path))
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self._path}{suffix}").replace(f"{self._path}{suffix}.damaged")


def _text(at: datetime) -> str:
    """Write an instant so that texts sort as instants do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
