"""Keeps what models are trained on, for more than a year, in one SQLite file (about 20 MB a year)."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import numpy as np

from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_forecaster.adapters.state_file import set_aside
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats
from pems_forecaster.domain.lessons import MEASURED, RUN_COLUMNS, Lessons, WeatherRun

__all__ = ["KEEP_DAYS", "LessonStore"]

KEEP_DAYS = 400
_TABLES = """
CREATE TABLE IF NOT EXISTS measured (series INTEGER, slot INTEGER, value REAL, PRIMARY KEY (series, slot))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (issued_s INTEGER PRIMARY KEY, first INTEGER, data BLOB);
PRAGMA user_version = 1;
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = get_logger("forecaster.lessons")


class LessonStore:
    """Slot means and weather runs of one site. Safe to use from several threads.

    Nothing that happens to the file stops the forecaster: a damaged one is set aside, and where it cannot be opened
    (a full or read-only disk) lessons are kept in memory until the next start.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; None keeps everything in memory."""
        self._path, self._lock = path, Lock()
        self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        if self._path is None:
            return _connect(None)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return _connect(self._path)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) in _DAMAGED and self._set_aside(error):
                with suppress(sqlite3.Error, OSError):
                    return _connect(self._path)
            _log.error("lessons are kept in memory only", file=str(self._path), error=repr(error))
        return _connect(None)

    def _set_aside(self, error: Exception) -> bool:
        """Move the damaged file out of the way, beside older ones; tells whether that went well."""
        assert self._path is not None  # noqa: S101
        with suppress(OSError):
            aside = set_aside(self._path)
            _log.error("the lessons are damaged, they are set aside", as_=str(aside), error=repr(error))
            return True
        return False

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection; what goes wrong is an `UnavailableError`, and a damaged file begins anew."""
        with self._lock:
            try:
                with self._db:
                    yield self._db
            except sqlite3.Error as error:
                if self._path is not None and getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                    with suppress(sqlite3.Error):
                        self._db.close()
                    self._set_aside(error)
                    self._db = self._opened()
                raise UnavailableError(f"the lessons cannot be used: {error}") from error

    def put(self, slot: int, means: Mapping[str, float]) -> None:
        """Keep the means of a slot; series that no model learns from are passed over.

        Raises:
            UnavailableError: The disk refuses.
        """
        self._write_measured(
            (MEASURED.index(name), slot, float(value))
            for name, value in means.items()
            if name in MEASURED and np.isfinite(value)
        )

    def put_series(self, name: str, first: int, values: Iterable[float | None]) -> None:
        """Keep a series where nothing is kept yet: a backfill never overrides.

        Raises:
            UnavailableError: The disk refuses.
        """
        series = MEASURED.index(name)
        self._write_measured(
            (
                (series, slot, float(value))
                for slot, value in enumerate(values, first)
                if value is not None and np.isfinite(value)
            ),
            verb="INSERT OR IGNORE",
        )

    def _write_measured(self, rows: Iterable[tuple[int, int, float]], verb: str = "INSERT OR REPLACE") -> None:
        with self._using() as db:
            db.executemany(f"{verb} INTO measured VALUES (?, ?, ?)", rows)

    def put_run(self, run: WeatherRun) -> None:
        """Keep a weather forecast.

        Raises:
            UnavailableError: The disk refuses.
        """
        data = np.array([run.columns[name] for name in RUN_COLUMNS], dtype="<f4").tobytes()
        with self._using() as db:
            db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (run.issued_s, run.first, data))

    def prune(self, now_slot: int) -> None:
        """Drop what is older than `KEEP_DAYS`.

        Raises:
            UnavailableError: The file cannot be used; so do the others below.
        """
        oldest = now_slot - KEEP_DAYS * SLOTS_PER_DAY
        with self._using() as db:
            db.execute("DELETE FROM measured WHERE slot < ?", (oldest,))
            db.execute("DELETE FROM runs WHERE first < ?", (oldest,))

    def oldest(self) -> int | None:
        """Return the number of the oldest measured slot, None where there is none."""
        with self._using() as db:
            found = db.execute("SELECT MIN(slot) FROM measured").fetchone()[0]
        return None if found is None else int(found)

    def run_days(self) -> set[int]:
        """Return the days since 1970 (UTC) of which a weather forecast is kept."""
        with self._using() as db:
            rows = db.execute("SELECT DISTINCT first / ? FROM runs", (SLOTS_PER_DAY,)).fetchall()
        return {int(row[0]) for row in rows}

    def lessons(self, until: int, days: int = KEEP_DAYS) -> Lessons:
        """Return everything of the last days that was known when slot `until` began.

        Prices are kept when they are released, so those of coming slots may be there: they are not given.
        """
        oldest = until - days * SLOTS_PER_DAY
        with self._using() as db:
            measured = db.execute(
                "SELECT series, slot, value FROM measured WHERE slot >= ? AND slot < ?", (oldest, until)
            ).fetchall()
            table = np.array(measured, dtype=np.float64).reshape(-1, 3)
            first = int(table[:, 1].min()) if len(table) else until
            runs = db.execute(
                "SELECT issued_s, first, data FROM runs WHERE first >= ? AND issued_s < ? ORDER BY issued_s",
                (first, until * SLOT_S),
            ).fetchall()
        columns: dict[str, Floats] = {}
        for series, name in enumerate(MEASURED):
            mine = table[table[:, 0] == series]
            columns[name] = np.full(until - first, np.nan)
            columns[name][mine[:, 1].astype(np.int64) - first] = mine[:, 2]
        return Lessons(first, columns, tuple(_run(*row) for row in runs))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _connect(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _run(issued_s: int, first: int, data: bytes) -> WeatherRun:
    table = np.frombuffer(data, dtype="<f4").reshape(len(RUN_COLUMNS), -1).astype(np.float64)
    return WeatherRun(issued_s, first, dict(zip(RUN_COLUMNS, table, strict=True)))
