"""A local copy of what a backtest needs of the user's InfluxDB: week by week into a SQLite history of its own.

Weeks that were copied whole are not asked for again, so a run that was interrupted goes on where it was, and a span
that grew is completed. What arrives in InfluxDB for a finished week later is not seen: remove the file to copy anew.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.history import Point
from pems_common.home import Home
from pems_common.messages import Envelope, wrap
from pems_common.timegrid import local_midnight, require_utc
from pems_ingest.adapters.influx_history import Found, InfluxBuckets, MissingBucketError
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.domain.influx_map import Feed, Rows, exchange_rates, house_feeds
from pems_ingest.domain.prices import build_prices

__all__ = ["InfluxCopy"]

_WEEK_S, _DAY, _SETTLED_S = 7 * 86_400, timedelta(days=1), 2 * 3_600
"""A week is finished once its end is two hours past: values on change need to be seen to go on."""
_MONDAY_S = 4 * 86_400
"""The first Monday after 1970-01-01."""
_RULES = 1
"""Grows when points are made in another way, so that old copies are not taken for new ones."""
_FINISHED = "CREATE TABLE IF NOT EXISTS finished (feed TEXT, week_s INTEGER, PRIMARY KEY (feed, week_s)) WITHOUT ROWID"


class InfluxCopy:
    """Copies spans of a user's InfluxDB.

    Attributes:
        path: The file; a `SqliteHistory` of the home's site. Another server or other rooms have another one.
    """

    def __init__(self, buckets: InfluxBuckets, home: Home, folder: Path, clock: Clock) -> None:
        """Copy from these buckets what `home` needs into a file in `folder`."""
        self._buckets, self._home, self._clock = buckets, home, clock
        self._feeds = house_feeds(home.rooms)
        asked = [(feed.bucket, feed.questions) for feed in self._feeds]
        mark = hashlib.sha256(repr((_RULES, buckets.place, buckets.org, home.site.id, asked)).encode()).hexdigest()
        self.path = folder / f"influx-{mark[:12]}.sqlite3"
        self._read: dict[tuple[str, int], Found] = {}

    async def fill(self, start: datetime, end: datetime, say: Callable[[str], None]) -> list[str]:
        """Copy the weeks that touch `[start, end)`, as far as they have come, and are not there yet.

        Args:
            start: Aware.
            end: Aware.
            say: Is told how far it is.

        Returns:
            What could not be had, with what to do about it.

        Raises:
            UnavailableError: The server or the disk is away; the weeks that were copied stay.
            PermanentError: The server refuses, or a bucket without which there is nothing to do is missing.
        """
        now_s = self._clock.wall_now().timestamp()
        first, last_s = _week(require_utc(start).timestamp()), min(require_utc(end).timestamp(), now_s)
        weeks = range(first, max(first, int(-(-last_s // 1))), _WEEK_S)
        store = SqliteHistory(self.path, self._home.site.id)
        missing: dict[str, str] = {}
        try:
            await asyncio.to_thread(store.open)
            finished = await asyncio.to_thread(self._finished)
            for number, week_s in enumerate(weeks, start=1):
                todo = [f for f in self._feeds if (f.name, week_s) not in finished and f.name not in missing]
                count = 0
                for feed in todo:
                    try:
                        count += await self._copy(store, feed, week_s, now_s)
                    except MissingBucketError as error:
                        if feed.needed:
                            raise
                        missing[feed.name] = f"{error.message}: {feed.without}"
                if todo:
                    monday = datetime.fromtimestamp(week_s, UTC).date()
                    say(f"InfluxDB: week {number} of {len(weeks)} ({monday}), {count} points")
        finally:
            self._read.clear()
            await store.close()
        return list(missing.values())

    async def _copy(self, store: SqliteHistory, feed: Feed, week_s: int, now_s: float) -> int:
        """Copy one week of a bucket; returns how many points came."""
        around = (week_s - _WEEK_S, week_s, week_s + _WEEK_S) if feed.around else (week_s,)
        rows: Found = {}
        for one in around:
            for key, values in (await self._rows(feed, one, now_s)).items():
                rows.setdefault(key, []).extend(values)
        for past in [known for known in self._read if known[0] == feed.name and known[1] < week_s]:
            del self._read[past]
        points = feed.points(rows, float(week_s), min(float(week_s + _WEEK_S), now_s))
        await store.write(self._home.site.id, points)
        if feed.name == "prices":
            for message in self._messages(rows, points, week_s):
                await store.write_message(message)
        if week_s + _WEEK_S + _SETTLED_S <= now_s:
            await asyncio.to_thread(self._finish, feed.name, week_s)
        return len(points)

    async def _rows(self, feed: Feed, week_s: int, now_s: float) -> Found:
        """Return what a bucket holds of a week; the neighbours of a week are asked for once."""
        if (feed.name, week_s) not in self._read:
            found: Found = {}
            if week_s < now_s:
                begin = datetime.fromtimestamp(week_s, UTC)
                for question in feed.questions:
                    found |= await self._buckets.rows(feed.bucket, question, begin, begin + timedelta(seconds=_WEEK_S))
            self._read[feed.name, week_s] = found
        return self._read[feed.name, week_s]

    def _messages(self, rows: Rows, points: list[Point], week_s: int) -> list[Envelope]:
        """Return a message with the prices of each local day that begins in the week and whose rate is known."""
        zone, site = self._home.site.zone, self._home.site.id
        spot = {point.at: point.value for point in points}
        found = []
        for day, eur_czk in exchange_rates(rows, zone).items():
            begin, over = local_midnight(day, zone), local_midnight(day + _DAY, zone)
            if not week_s <= begin.timestamp() < week_s + _WEEK_S:
                continue
            prices = build_prices(
                spot,
                start=begin,
                known_until=over,
                eur_czk=eur_czk,
                tariff=self._home.tariff,
                zone=zone,
                source="influx",
            )
            then = {"id": _id(site, day), "at": begin, "seq": int(begin.timestamp() * 1000)}
            envelope = wrap(prices, site=site, clock=self._clock, source="ingest@influx")
            found.append(envelope.model_copy(update=then))
        return found

    # --- which weeks are there ----------------------------------------------------------------

    def _finished(self) -> set[tuple[str, int]]:
        try:
            with closing(sqlite3.connect(self.path)) as db, db:
                db.execute(_FINISHED)
                return {(str(feed), int(week_s)) for feed, week_s in db.execute("SELECT feed, week_s FROM finished")}
        except sqlite3.Error as error:
            raise UnavailableError(f"{self.path}: {error}") from error

    def _finish(self, feed: str, week_s: int) -> None:
        try:
            with closing(sqlite3.connect(self.path)) as db, db:
                db.execute("INSERT OR REPLACE INTO finished VALUES (?, ?)", (feed, week_s))
        except sqlite3.Error as error:
            raise UnavailableError(f"{self.path}: {error}") from error


def _week(at_s: float) -> int:
    """Return the beginning of the week, Monday 00:00 UTC, that holds an instant."""
    return int((at_s - _MONDAY_S) // _WEEK_S) * _WEEK_S + _MONDAY_S


def _id(site: str, day: date) -> str:
    """Return the same id for the same day each time: copying it twice keeps one message."""
    return str(uuid5(NAMESPACE_URL, f"{site}/prices/{day}"))
