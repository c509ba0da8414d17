"""Where a shadow run finds its days: a running PEMS by REST, or files (plans' cases, and a SQLite history)."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx

from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.timegrid import local_midnight
from pems_forecaster.adapters.history_http import HistoryHttp
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_lab.measured.span import read_span
from pems_lab.shadow.days import ShadowDay
from pems_lab.shadow.sources import NEEDED_BEFORE, Skipped, measured_days
from pems_optimizer.adapters.case_memory import FolderCases
from pems_optimizer.domain.plan_case import PlanCase, read_case
from pems_optimizer.domain.problem_store import StoreError

__all__ = ["Cases", "FileCases", "RestCases", "day_of", "open_history"]

_TIMEOUT_S = 15.0
_MOST = 5_000
_BETWEEN = "SELECT packed FROM plan_case WHERE issued_at >= ? AND issued_at < ? ORDER BY issued_at, plan_no"


class Cases(Protocol):
    """The kept cases of plans."""

    damaged: int

    def between(self, start: datetime, end: datetime) -> list[PlanCase]:
        """Return those of plans issued in `[start, end)`, the oldest first; what cannot be read is counted, and left.

        Raises:
            PemsError: They cannot be reached.
        """

    def newest_at(self) -> datetime | None:
        """Return when the newest plan was issued (house time); None where there is none.

        Raises:
            PemsError: They cannot be reached.
        """


class FileCases:
    """Cases in a file of the planner (`cases.sqlite3`), which is only read, or in a folder of single ones."""

    def __init__(self, path: Path) -> None:
        """Look there.

        Raises:
            PermanentError: Nothing is there, or something else.
        """
        remedy = "name the planner's cases.sqlite3, or a folder of cases"
        if not path.exists():
            raise PermanentError(f"{path} does not exist", remedy=remedy)
        self.damaged = 0
        self._path, self._times = path, dict[Path, datetime | None]()
        self._db: sqlite3.Connection | None = None
        if not path.is_dir():
            try:
                self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_TIMEOUT_S)
                self._db.execute("SELECT plan_id, issued_at, packed FROM plan_case LIMIT 0")
            except sqlite3.Error as error:
                self.close()
                raise PermanentError(f"{path} holds no cases of plans: {error}", remedy=remedy) from error

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()

    def _case(self, packed: bytes) -> PlanCase | None:
        try:
            return read_case(packed)
        except StoreError:
            self.damaged += 1
            return None

    def between(self, start: datetime, end: datetime) -> list[PlanCase]:
        """Return those of plans issued in `[start, end)`."""
        if self._db is not None:
            rows = self._ask(
                _BETWEEN, tuple(at.astimezone(UTC).isoformat(timespec="microseconds") for at in (start, end))
            )
            found = [self._case(bytes(packed)) for (packed,) in rows]
        else:
            found = [self._read(file) for file, at in self._issued().items() if at is not None and start <= at < end]
        return [case for case in found if case is not None]

    def newest_at(self) -> datetime | None:
        """Return when the newest plan was issued."""
        if self._db is not None:
            ((newest,),) = self._ask("SELECT max(issued_at) FROM plan_case", ())
            return None if newest is None else datetime.fromisoformat(newest)
        return max((at for at in self._issued().values() if at is not None), default=None)

    def _ask(self, statement: str, values: tuple[str, ...]) -> list[Any]:
        if self._db is None:
            return []
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise UnavailableError(f"{self._path} cannot be read: {error}") from error

    def _read(self, file: Path) -> PlanCase | None:
        try:
            return self._case(file.read_bytes())
        except OSError as error:
            raise UnavailableError(f"{file} cannot be read: {error}") from error

    def _issued(self) -> dict[Path, datetime | None]:
        """When each file's plan was issued; each file is looked into once."""
        for file in FolderCases(self._path).files():
            if file not in self._times:
                case = self._read(file)
                self._times[file] = None if case is None else case.plan.issued_at
        return self._times


class RestCases:
    """Cases of a running planner."""

    def __init__(self, url: str, key: str = "", client: httpx.Client | None = None) -> None:
        """Ask the optimizer at `url`; `client` is for tests."""
        self.damaged = 0
        headers = {"X-API-Key": key} if key else {}
        self._client = client or httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=_TIMEOUT_S)

    def _get(self, path: str, params: dict[str, str | int] | None = None) -> httpx.Response:
        try:
            reply = self._client.get(path, params=params)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"no answer from the optimizer: {error}", remedy="start PEMS, or name --url"
            ) from error
        if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise PermanentError("the optimizer gives its cases only to who has a key", remedy="give --key")
        return reply

    def _rows(self, start: datetime, end: datetime) -> Sequence[dict[str, str]]:
        reply = self._get("/v1/plans/cases", {"from": start.isoformat(), "to": end.isoformat(), "limit": _MOST})
        if reply.status_code != httpx.codes.OK:
            raise UnavailableError(f"the optimizer answers {reply.status_code} to GET /v1/plans/cases")
        rows: list[dict[str, str]] = reply.json()
        return rows

    def between(self, start: datetime, end: datetime) -> list[PlanCase]:
        """Return those of plans issued in `[start, end)`."""
        found = []
        for row in self._rows(start, end):
            reply = self._get(f"/v1/plans/{row['plan_id']}/case")
            try:
                if reply.status_code != httpx.codes.OK:
                    raise StoreError(f"{reply.status_code}")
                found.append(read_case(reply.content))
            except StoreError:
                self.damaged += 1
        return found

    def newest_at(self) -> datetime | None:
        """Return when the newest plan was issued."""
        reply = self._get("/v1/plan")
        return datetime.fromisoformat(reply.json()["issued_at"]) if reply.status_code == httpx.codes.OK else None


def open_history(home: Home, *, sqlite: Path | None, url: str, key: str) -> HistoryReader:
    """Open the history: a SQLite file of ingest, else ingest's REST.

    Raises:
        PemsError: The file does not exist, or is no database.
    """
    if sqlite is None:
        return HistoryHttp(url, api_key=key)
    if not sqlite.is_file():
        raise PermanentError(f"{sqlite} does not exist", remedy="name ingest's history.sqlite3")
    history = SqliteHistory(sqlite, home.site.id, read_only=True)
    history.open()
    return history


async def day_of(home: Home, history: HistoryReader, cases: Cases, day: date) -> ShadowDay | Skipped:
    """Return a local day, or why it cannot be lived again.

    Raises:
        UnavailableError: History or cases cannot be reached.
        PermanentError: The optimizer wants a key.
    """
    start, end = (local_midnight(day + timedelta(days=k), home.site.zone) for k in (0, 1))
    kept = cases.between(start - NEEDED_BEFORE, end)
    try:
        span = await read_span(home, history, start, end)
    except UnavailableError:
        raise
    except PemsError as error:
        return Skipped(day.isoformat(), error.message)
    found, skipped = measured_days(span, kept)
    if found:
        return found[0]
    return skipped[0] if skipped else Skipped(day.isoformat(), "the history holds no whole day of it")
