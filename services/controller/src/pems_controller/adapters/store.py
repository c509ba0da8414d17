"""What must survive a crash: one SQLite file, written before anything is published.

A write that fails raises: the tick then does not complete, its watchdog pulse stays away, and the devices fall back
to themselves. Better than acting without remembering.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pems_common.errors import PemsError
from pems_common.timegrid import parse_instant
from pems_controller.domain.overrides import Override

__all__ = ["AuditRow", "ControllerStore", "Switch"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS overrides (
  device TEXT PRIMARY KEY, action TEXT NOT NULL, params TEXT NOT NULL, until TEXT NOT NULL,
  by TEXT NOT NULL, revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS switches (
  device TEXT PRIMARY KEY, is_on INTEGER NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, device TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""


@dataclass(frozen=True)
class Switch:
    """The last switching of an output: to what, and when (house time)."""

    on: bool
    at: datetime


@dataclass(frozen=True)
class AuditRow:
    """One line of the audit."""

    id: int
    at: datetime
    kind: str
    device: str
    data: dict[str, Any]


class ControllerStore:
    """Overrides, arming, last plans, switch times, register counter, audit. Not to be shared between threads."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; None keeps everything in memory (tests, lockstep runs).

        Raises:
            PemsError: The file cannot be opened, or is no database.
        """
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            name = ":memory:" if path is None else str(path)
            self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=2.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # holds over a power failure too
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise PemsError(
                f"the controller's store {path} cannot be opened: {error}",
                remedy="check the folder and its free space; if the file is damaged, move it away and start again",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write everything inside as one transaction; inside another one it is part of that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- single values -------------------------------------------------------------------------

    def keep(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        text = json.dumps(value, separators=(",", ":"))
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, text))

    def kept(self, name: str, default: Any = None) -> Any:
        """Return what was kept under a name."""
        row = self._db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    # --- overrides -----------------------------------------------------------------------------

    def next_revision(self) -> int:
        """Return the next revision of overrides; it never comes again."""
        revision = int(self.kept("revision", 0)) + 1
        self.keep("revision", revision)
        return revision

    def put_override(self, o: Override) -> None:
        """Keep an override in place of the device's former one."""
        row = (o.device, o.action, json.dumps(o.params), o.until.isoformat(), o.by, o.revision)
        self._db.execute("INSERT OR REPLACE INTO overrides VALUES (?, ?, ?, ?, ?, ?)", row)

    def remove_override(self, device: str) -> None:
        """Forget the device's override."""
        self._db.execute("DELETE FROM overrides WHERE device = ?", (device,))

    def overrides(self) -> dict[str, Override]:
        """Return every kept override by device, ended ones too."""
        rows = self._db.execute("SELECT device, action, params, until, by, revision FROM overrides")
        return {r[0]: Override(r[0], r[1], json.loads(r[2]), parse_instant(r[3]), r[4], r[5]) for r in rows}

    # --- switch times, registers ---------------------------------------------------------------

    def switched(self, device: str, on: bool, at: datetime) -> None:
        """Keep that an output is switched at a house time."""
        self._db.execute("INSERT OR REPLACE INTO switches VALUES (?, ?, ?)", (device, int(on), at.isoformat()))

    def switches(self) -> dict[str, Switch]:
        """Return the last switching of each output."""
        rows = self._db.execute("SELECT device, is_on, at FROM switches")
        return {r[0]: Switch(bool(r[1]), parse_instant(r[2])) for r in rows}

    def registers_written(self, day: date) -> int:
        """Return how many registers were written on a local day."""
        kept = self.kept("registers_written", {})
        return int(kept.get("count", 0)) if kept.get("day") == day.isoformat() else 0

    def count_register(self, day: date) -> int:
        """Count one register write on a local day, and return how many there were."""
        count = self.registers_written(day) + 1
        self.keep("registers_written", {"day": day.isoformat(), "count": count})
        return count

    # --- audit ---------------------------------------------------------------------------------

    def audit(self, at: datetime, kind: str, device: str, data: dict[str, Any]) -> None:
        """Append a line to the audit."""
        text = json.dumps(data, separators=(",", ":"), default=str)
        self._db.execute(
            "INSERT INTO audit (at, kind, device, data) VALUES (?, ?, ?, ?)", (at.isoformat(), kind, device, text)
        )

    def audit_rows(self, *, limit: int, before_id: int | None = None, device: str | None = None) -> list[AuditRow]:
        """Return the newest lines, newest first; only those before an id, only those of a device if given."""
        rows = self._db.execute(
            "SELECT id, at, kind, device, data FROM audit WHERE id < ? AND (? IS NULL OR device = ?) "
            "ORDER BY id DESC LIMIT ?",
            (before_id if before_id is not None else 2**62, device, device, limit),
        )
        return [AuditRow(r[0], parse_instant(r[1]), r[2], r[3], json.loads(r[4])) for r in rows]
