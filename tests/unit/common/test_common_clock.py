"""House time and wall time; the clock file; the fake clock that waits for the work."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from pems_common.clock import FakeClock, SystemClock, open_clock, write_clock_file
from pems_common.errors import PemsError

START = datetime(2026, 1, 12, tzinfo=UTC)


def test_every_process_reads_the_same_scaled_time(tmp_path):
    path = tmp_path / "clock.json"
    write_clock_file(path, run_id="r1", sim_start=START, speed=60.0)
    one, two = open_clock(path), open_clock(path)
    assert one.speed == 60.0
    assert abs((one.now() - two.now()).total_seconds()) < 60.0
    assert timedelta(0) <= one.now() - START < timedelta(minutes=10)
    assert one.wall_now().year >= 2025


def test_without_a_file_house_time_is_wall_time(tmp_path):
    clock = open_clock(tmp_path / "absent.json")
    assert abs((clock.now() - clock.wall_now()).total_seconds()) < 1.0


def test_a_clock_file_of_an_earlier_boot_is_refused(tmp_path):
    path = tmp_path / "clock.json"
    write_clock_file(path, run_id="r1", sim_start=START, speed=60.0)
    content = json.loads(path.read_text())
    content["boot_id"] = "another"
    path.write_text(json.dumps(content))
    with pytest.raises(PemsError, match="start a new run"):
        open_clock(path)


def test_a_damaged_clock_file_says_what_to_do(tmp_path):
    path = tmp_path / "clock.json"
    path.write_text("{}")
    with pytest.raises(PemsError, match="delete it"):
        open_clock(path)


def test_real_time_cannot_run_faster(tmp_path):
    with pytest.raises(PemsError, match="--start"):
        write_clock_file(tmp_path / "c.json", run_id="r", sim_start=None, speed=60.0)


async def test_system_clock_waits_in_house_time(tmp_path):
    write_clock_file(tmp_path / "c.json", run_id="r", sim_start=START, speed=600.0)
    clock = open_clock(tmp_path / "c.json")
    before = clock.monotonic()
    await clock.sleep_until(clock.now() + timedelta(seconds=12))
    assert clock.monotonic() - before >= 0.015
    assert await clock.wait_for(asyncio.sleep(0, result=3), 1.0) == 3
    assert isinstance(clock, SystemClock)


async def test_fake_clock_wakes_sleepers_only_when_moved():
    clock = FakeClock(START)
    sleeper = asyncio.create_task(clock.sleep_until(START + timedelta(minutes=1)))
    await asyncio.sleep(0)
    clock.advance(59.0)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1.0)
    await sleeper
    assert clock.house_monotonic() == clock.monotonic() == 60.0
    with pytest.raises(ValueError, match="go back"):
        clock.set(START)


async def test_fake_clock_times_out_at_once_but_lets_ready_work_finish():
    clock = FakeClock(START)

    async def quick():
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    assert await clock.wait_for(quick(), 10.0) == "done"
    with pytest.raises(TimeoutError):
        await clock.wait_for(asyncio.Event().wait(), 10.0)


async def test_fake_clock_can_move_itself():
    clock = FakeClock(START, auto_advance=True)
    await clock.sleep_wall(5.0)
    assert clock.now() == START + timedelta(seconds=5)
    with pytest.raises(TimeoutError):
        await clock.wait_for(asyncio.Event().wait(), 10.0)
    assert clock.monotonic() == 15.0
