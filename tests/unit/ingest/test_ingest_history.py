"""The SQLite history and the buffer on disk: idempotent, all or nothing, nothing lost while the store is away."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pems_common.clock import FakeClock
from pems_common.errors import PemsError, UnavailableError
from pems_common.history import Point
from pems_common.messages import Alert, wrap
from pems_ingest.adapters.spool import Spool
from pems_ingest.adapters.spooled_history import SpooledHistory
from pems_ingest.adapters.sqlite_history import SqliteHistory

START = datetime(2026, 1, 15, tzinfo=UTC)


def points(count: int, series: str = "pv_power_w", first: int = 0) -> list[Point]:
    return [Point(series, START + timedelta(seconds=60 * (first + i)), float(first + i)) for i in range(count)]


@pytest.fixture(params=["file", "memory"])
async def store(request, tmp_path) -> AsyncIterator[SqliteHistory]:
    store = SqliteHistory(":memory:" if request.param == "memory" else tmp_path / "a dir%20?" / "h.sqlite3", "home")
    yield store
    await store.close()


async def test_points_come_back_in_order(store):
    await store.write("home", points(10)[::-1])
    got = await store.points("pv_power_w", START, START + timedelta(minutes=5))
    assert got == points(5)


async def test_writing_twice_keeps_one_and_the_later_value_stands(store):
    await store.write("home", points(10))
    await store.write("home", points(10))
    await store.write("home", [Point("pv_power_w", START, 99.0)])
    got = await store.points("pv_power_w", START, START + timedelta(hours=1))
    assert len(got) == 10
    assert got[0].value == 99.0
    assert store.count == 10


async def test_sites_are_apart(store):
    await store.write("other", points(3))
    assert await store.points("pv_power_w", START, START + timedelta(hours=1)) == []
    assert await store.info() == []


async def test_slots_are_time_weighted_and_aligned(store):
    await store.write(
        "home", [Point("room.a.relay_on", START, 1.0), Point("room.a.relay_on", START + timedelta(minutes=5), 0.0)]
    )
    got = await store.slots(["room.a.relay_on", "unknown"], START, START + timedelta(minutes=30))
    assert got["room.a.relay_on"] == [pytest.approx(1 / 3), pytest.approx(0.0)]
    assert got["unknown"] == [None, None]


async def test_info_and_nan(store):
    await store.write("home", [*points(3), Point("load_power_w", START, float("nan"))])
    (info,) = await store.info()
    assert (info.series, info.count, info.first_at) == ("pv_power_w", 3, START)


async def test_messages_are_kept_once_and_found_by_type_time_and_subject(store):
    clock = FakeClock(START)
    envelopes = []
    for code in ("a", "b", "a"):
        clock.advance(60)
        alert = Alert(code=code, severity="info", text="x", raised_at=clock.now())
        envelopes.append(wrap(alert, site="home", clock=clock, source="test"))
    for envelope in [*envelopes, envelopes[0]]:
        await store.write_message(envelope)
    end = START + timedelta(hours=1)
    assert await store.messages("alert", START, end) == envelopes
    assert await store.messages("alert", START, end, subject="a") == [envelopes[0], envelopes[2]]
    assert await store.messages("alert", START, end, limit=1) == envelopes[2:]
    assert await store.messages("plan", START, end) == []


async def test_a_failing_write_leaves_nothing_behind(store, monkeypatch):
    good = points(3)
    bad = Point("pv_power_w", START, 1.0)
    object.__setattr__(bad, "series", None)
    with pytest.raises(UnavailableError):
        await store.write("home", [*good, bad])
    assert await store.info() == []
    await store.write("home", good)
    assert len(await store.points("pv_power_w", START, START + timedelta(hours=1))) == 3


async def test_another_process_may_read_while_this_one_writes(tmp_path):
    path = tmp_path / "h.sqlite3"
    writer, reader = SqliteHistory(path, "home"), SqliteHistory(path, "home", read_only=True)
    await writer.write("home", points(3))
    assert len(await reader.points("pv_power_w", START, START + timedelta(hours=1))) == 3
    with pytest.raises(UnavailableError):
        await reader.write("home", points(1))
    await writer.close()
    await reader.close()


async def test_a_file_that_is_no_database_is_named_with_a_remedy(tmp_path):
    path = tmp_path / "h.sqlite3"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(PemsError, match="move the file away"):
        SqliteHistory(path, "home").open()
    newer = tmp_path / "newer.sqlite3"
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(PemsError, match="update PEMS"):
        SqliteHistory(newer, "home").open()


_WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pems_common.history import Point
from pems_ingest.adapters.sqlite_history import SqliteHistory
async def main():
    store = SqliteHistory(sys.argv[1], "home")
    start = datetime(2026, 1, 15, tzinfo=UTC)
    for batch in range(10_000):
        at = start + timedelta(seconds=batch)
        await store.write("home", [Point(f"s{i}", at, 1.0) for i in range(200)])
        print(batch, flush=True)
asyncio.run(main())
"""


async def test_a_kill_in_the_middle_of_writing_loses_no_finished_batch(tmp_path):
    path = tmp_path / "h.sqlite3"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    done = -1
    for line in writer.stdout:
        done = int(line)
        if done >= 30:
            break
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    store = SqliteHistory(path, "home")
    info = await store.info()
    counts = {i.count for i in info}
    assert len(info) == 200
    assert len(counts) == 1  # batches are whole
    assert counts.pop() >= done + 1
    await store.close()


class AwayStore(SqliteHistory):
    """A store that can be away."""

    away = False

    async def write(self, site, points):
        if self.away:
            raise UnavailableError("away")
        await super().write(site, points)

    async def write_message(self, envelope):
        if self.away:
            raise UnavailableError("away")
        await super().write_message(envelope)


@pytest.fixture(params=["file", "memory"])
def spool(request, tmp_path: Path) -> Spool:
    return Spool(tmp_path / "x" / "spool" if request.param == "file" else None)


@pytest.fixture
async def away_store() -> AsyncIterator[AwayStore]:
    store = AwayStore(":memory:", "home")
    yield store
    await store.close()


async def test_nothing_is_lost_while_the_store_is_away(spool, away_store):
    history = SpooledHistory(away_store, spool)
    clock = FakeClock(START)
    envelope = wrap(
        Alert(code="a", severity="info", text="x", raised_at=START), site="home", clock=clock, source="test"
    )
    await history.write("home", points(3), START)
    away_store.away = True
    await history.write("home", points(3, first=3), START)
    await history.write_message(envelope, START)
    assert history.away_since == START
    assert history.waiting_bytes > 0
    away_store.away = False
    await history.write("home", points(3, first=6), START + timedelta(minutes=1))
    assert history.away_since is None
    assert history.waiting_bytes == 0
    assert await away_store.points("pv_power_w", START, START + timedelta(hours=1)) == points(9)
    assert await away_store.messages("alert", START, START + timedelta(hours=1)) == [envelope]


async def test_what_an_earlier_run_left_is_written_first_and_a_torn_line_is_skipped(tmp_path, away_store):
    path = tmp_path / "spool"
    Spool(path).add("home", points(3))
    with path.open("ab") as file:
        file.write(b'["home","pv_power_w","2026-')  # killed here
    later = Spool(path)
    later.add("home", points(1, first=9))
    history = SpooledHistory(away_store, later)
    await history.write("home", points(1, first=5), START)
    got = await away_store.points("pv_power_w", START, START + timedelta(hours=1))
    assert got == [*points(3), *points(1, first=5), *points(1, first=9)]
    assert later.unreadable == 1


async def test_a_full_buffer_refuses_and_says_so(tmp_path, away_store):
    spool = Spool(tmp_path / "spool", max_bytes=500)
    history = SpooledHistory(away_store, spool)
    away_store.away = True
    await history.write("home", points(100), START)
    assert 0 < history.waiting_bytes <= 500
    assert history.lost > 80
    away_store.away = False
    await history.write("home", points(1, first=200), START)
    kept = await away_store.points("pv_power_w", START, START + timedelta(days=1))
    assert len(kept) == 101 - history.lost


async def test_a_buffer_that_cannot_be_written_counts_its_losses(tmp_path, away_store):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    history = SpooledHistory(away_store, Spool(blocked / "spool"))
    away_store.away = True
    await history.write("home", points(4), START)
    assert history.lost == 4
