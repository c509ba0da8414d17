"""The history as others see it: numeric series by name, stored by ingest, read through its REST."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pems_common.messages import Envelope

__all__ = ["HistoryReader", "HistoryStore", "Point", "SeriesInfo"]


@dataclass(frozen=True)
class Point:
    """One stored value. Series are named like `pv_power_w` or `room.obyvak.temperature_c`."""

    series: str
    at: datetime
    value: float


@dataclass(frozen=True)
class SeriesInfo:
    """What is stored of one series."""

    series: str
    count: int
    first_at: datetime
    last_at: datetime


class HistoryReader(Protocol):
    """Read access."""

    async def slots(
        self, series: Sequence[str], start: datetime, end: datetime, *, step_s: int = 900
    ) -> Mapping[str, list[float | None]]:
        """Return the mean of each slot in `[start, end)` per series; None where nothing was stored."""

    async def messages(
        self, type: str, start: datetime, end: datetime, *, subject: str | None = None, limit: int = 1000
    ) -> list[Envelope]:
        """Return kept messages by house time, oldest first."""


class HistoryStore(HistoryReader, Protocol):
    """Read and write access; SQLite and InfluxDB pass the same tests. Writing a point twice keeps one."""

    async def write(self, site: str, points: Sequence[Point]) -> None:
        """Store points.

        Raises:
            UnavailableError: The store is away; the caller keeps the points.
        """

    async def points(self, series: str, start: datetime, end: datetime) -> list[Point]:
        """Return the raw points of `[start, end)`, oldest first."""

    async def info(self) -> list[SeriesInfo]:
        """Return what is stored."""

    async def write_message(self, envelope: Envelope) -> None:
        """Keep a whole message (plans, forecasts, commands, prices, weather)."""
