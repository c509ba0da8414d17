"""Keeps what models are trained on, for more than a year, in one SQLite file (about 20 MB a year)."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
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
_log = get_logger("forecaster.lessons")


class LessonStore:
    """Slot means and weather runs of one site."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; None keeps everything in memory. A damaged file is set aside."""
        self._path = path
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if path is None:
                raise
            _log.error("the lessons are damaged, they are set aside", file=str(path), error=repr(error))
            path.replace(path.with_suffix(".damaged"))
            self._open()

    def _open(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(":memory:" if self._path is None else self._path)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)

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
        try:
            with self._db:
                self._db.executemany(f"{verb} INTO measured VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise UnavailableError(f"lessons cannot be kept: {error}") from error

    def put_run(self, run: WeatherRun) -> None:
        """Keep a weather forecast.

        Raises:
            UnavailableError: The disk refuses.
        """
        data = np.array([run.columns[name] for name in RUN_COLUMNS], dtype="<f4").tobytes()
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (run.issued_s, run.first, data))
        except sqlite3.Error as error:
            raise UnavailableError(f"lessons cannot be kept: {error}") from error

    def prune(self, now_slot: int) -> None:
        """Drop what is older than `KEEP_DAYS`."""
        oldest = now_slot - KEEP_DAYS * SLOTS_PER_DAY
        with self._db:
            self._db.execute("DELETE FROM measured WHERE slot < ?", (oldest,))
            self._db.execute("DELETE FROM runs WHERE first < ?", (oldest,))

    def oldest(self) -> int | None:
        """Return the number of the oldest measured slot, None where there is none."""
        found = self._db.execute("SELECT MIN(slot) FROM measured").fetchone()[0]
        return None if found is None else int(found)

    def run_days(self) -> set[int]:
        """Return the days since 1970 (UTC) of which a weather forecast is kept."""
        rows = self._db.execute("SELECT DISTINCT first / ? FROM runs", (SLOTS_PER_DAY,)).fetchall()
        return {int(row[0]) for row in rows}

    def lessons(self, until: int, days: int = KEEP_DAYS) -> Lessons:
        """Return everything of the last days that was known when slot `until` began.

        Prices are kept when they are released, so those of coming slots may be there: they are not given.
        """
        oldest = until - days * SLOTS_PER_DAY
        found = self._db.execute("SELECT MIN(slot) FROM measured WHERE slot >= ?", (oldest,)).fetchone()[0]
        first = until if found is None else min(int(found), until)
        measured: dict[str, Floats] = {}
        for series, name in enumerate(MEASURED):
            values = np.full(until - first, np.nan)
            rows = self._db.execute(
                "SELECT slot, value FROM measured WHERE series = ? AND slot >= ? AND slot < ?", (series, first, until)
            ).fetchall()
            if rows:
                slots, kept = zip(*rows, strict=True)
                values[np.array(slots, dtype=np.int64) - first] = kept
            measured[name] = values
        runs = self._db.execute(
            "SELECT issued_s, first, data FROM runs WHERE first >= ? AND issued_s < ? ORDER BY issued_s",
            (first, until * SLOT_S),
        ).fetchall()
        return Lessons(first, measured, tuple(_run(*row) for row in runs))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _run(issued_s: int, first: int, data: bytes) -> WeatherRun:
    table = np.frombuffer(data, dtype="<f4").reshape(len(RUN_COLUMNS), -1).astype(np.float64)
    return WeatherRun(issued_s, first, dict(zip(RUN_COLUMNS, table, strict=True)))
