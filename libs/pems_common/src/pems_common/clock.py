"""The only place that knows what time it is.

Two times are told apart. *House time* rules slots, plan and sensor age, minimum on/off times, comfort,
schedules and the inverter's slot clock; it may run scaled. *Wall time* rules acks, heartbeats, the Loxone
off-delay, Redis, HTTP and solver limits. docs/nomenclature.md lists every constant with its kind.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from pems_common.errors import PemsError
from pems_common.timegrid import require_utc

__all__ = ["Clock", "ClockFile", "FakeClock", "SystemClock", "open_clock", "write_clock_file"]

T = TypeVar("T")


class Clock(Protocol):
    """House time and wall time. Instants are aware UTC; durations of waiting say which time they mean."""

    @property
    def speed(self) -> float:
        """House seconds per wall second."""

    def now(self) -> datetime:
        """House time, aware UTC."""

    def house_monotonic(self) -> float:
        """House seconds on a clock that never steps; only differences mean anything."""

    def wall_now(self) -> datetime:
        """Wall time, aware UTC."""

    def monotonic(self) -> float:
        """Wall seconds on a clock that never steps; only differences mean anything."""

    async def sleep_wall(self, seconds: float) -> None:
        """Wait for so many wall seconds."""

    async def sleep_until(self, at: datetime) -> None:
        """Wait until house time has reached `at`; returns at once when it has."""

    async def wait_for(self, awaitable: Awaitable[T], wall_s: float) -> T:
        """Wait for a result at most `wall_s` wall seconds.

        Raises:
            TimeoutError: It did not come in time.
        """


@dataclass(frozen=True)
class ClockFile:
    """Contents of the clock file that the launcher writes and every process of a run reads.

    Attributes:
        run_id: Names the run; scaled runs keep their data apart by it.
        boot_id: Kernel boot id when written: monotonic readings are comparable only within one boot.
        mono_start: Monotonic clock reading [s] at `sim_start`.
        sim_start: House time at `mono_start`, ISO UTC; empty means house time is wall time.
        speed: House seconds per wall second.
    """

    run_id: str
    boot_id: str
    mono_start: float
    sim_start: str
    speed: float


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"


def write_clock_file(path: Path, *, run_id: str, sim_start: datetime | None, speed: float) -> ClockFile:
    """Write the clock file so that house time is `sim_start` at this moment.

    Args:
        path: Where; replaced atomically.
        run_id: Name of the run.
        sim_start: First house time, or None for real time (then `speed` must be 1).
        speed: House seconds per wall second, > 0.

    Raises:
        PemsError: Real time cannot run at another speed than 1.
    """
    if speed <= 0 or (sim_start is None and speed != 1.0):
        raise PemsError(f"speed {speed} without a start", remedy="give --start, or use speed 1")
    content = ClockFile(
        run_id=run_id,
        boot_id=_boot_id(),
        mono_start=time.monotonic(),
        sim_start="" if sim_start is None else require_utc(sim_start).isoformat(),
        speed=speed,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(asdict(content)))
    scratch.replace(path)
    return content


class SystemClock:
    """House time as real time, or scaled from the anchor of a clock file."""

    def __init__(self, anchor: ClockFile | None = None) -> None:
        """Use `anchor` for scaled house time; None or an empty `sim_start` means real time.

        Raises:
            PemsError: The anchor was written before this boot, so its monotonic start means nothing now.
        """
        self._sim_start: datetime | None = None
        self._mono_start = 0.0
        self._speed = 1.0
        if anchor is not None and anchor.sim_start:
            if anchor.boot_id != _boot_id():
                raise PemsError(
                    f"clock file of run {anchor.run_id} was written before this boot",
                    remedy="start a new run: scaled time cannot continue over a reboot",
                )
            self._sim_start = require_utc(datetime.fromisoformat(anchor.sim_start))
            self._mono_start = anchor.mono_start
            self._speed = anchor.speed

    @property
    def speed(self) -> float:
        """House seconds per wall second."""
        return self._speed

    def now(self) -> datetime:
        """House time, aware UTC."""
        if self._sim_start is None:
            return datetime.now(UTC)
        return self._sim_start + timedelta(seconds=(time.monotonic() - self._mono_start) * self._speed)

    def house_monotonic(self) -> float:
        """House seconds that never step."""
        return (time.monotonic() - self._mono_start) * self._speed

    def wall_now(self) -> datetime:
        """Wall time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Wall seconds that never step."""
        return time.monotonic()

    async def sleep_wall(self, seconds: float) -> None:
        """Wait for so many wall seconds."""
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, at: datetime) -> None:
        """Wait until house time has reached `at`."""
        while (left_s := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - a clock, not an event
            await asyncio.sleep(min(left_s / self._speed, 3600.0))

    async def wait_for(self, awaitable: Awaitable[T], wall_s: float) -> T:
        """Wait for a result at most `wall_s` wall seconds."""
        # Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation.
        async with asyncio.timeout(wall_s):
            return await awaitable


class FakeClock:
    """A clock that stands still until told: for tests and for lockstep runs.

    Time waits for the work: `wait_for` lets everything runnable run and then times out at once,
    `sleep_wall` and `sleep_until` move the clock themselves only when `auto_advance` is set.
    """

    def __init__(self, start: datetime, *, auto_advance: bool = False) -> None:
        """Start at `start` (aware)."""
        self._now = require_utc(start)
        self._start = self._now
        self._auto = auto_advance
        self._moved = asyncio.Event()

    @property
    def speed(self) -> float:
        """Always 1: house and wall time move together."""
        return 1.0

    def now(self) -> datetime:
        """House time."""
        return self._now

    def wall_now(self) -> datetime:
        """Wall time, the same as house time here."""
        return self._now

    def house_monotonic(self) -> float:
        """House seconds since the start."""
        return (self._now - self._start).total_seconds()

    def monotonic(self) -> float:
        """Wall seconds since the start."""
        return (self._now - self._start).total_seconds()

    def advance(self, by: timedelta | float) -> None:
        """Move time on by a duration (or seconds) and wake the sleepers."""
        self.set(self._now + (by if isinstance(by, timedelta) else timedelta(seconds=by)))

    def set(self, at: datetime) -> None:
        """Move time to `at`; it never goes back."""
        at = require_utc(at)
        if at < self._now:
            raise ValueError(f"time cannot go back from {self._now} to {at}")
        self._now = at
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep_wall(self, seconds: float) -> None:
        """Wait for the clock to be moved by so many seconds."""
        await self.sleep_until(self._now + timedelta(seconds=seconds))

    async def sleep_until(self, at: datetime) -> None:
        """Wait until somebody moves the clock to `at`, or move it there when `auto_advance` is set."""
        if self._auto and at > self._now:
            self.set(at)
        while self._now < at:
            await self._moved.wait()
        await asyncio.sleep(0)

    async def wait_for(self, awaitable: Awaitable[T], wall_s: float) -> T:
        """Give everything that can run now its chance, then time out at once (and move on if auto)."""
        future = asyncio.ensure_future(awaitable)
        for _ in range(50):
            if future.done():
                return future.result()
            await asyncio.sleep(0)
        future.cancel()
        if self._auto:
            self.advance(wall_s)
        raise TimeoutError


def open_clock(path: Path | None) -> SystemClock:
    """Return the clock of the run whose clock file is at `path`; real time when None or absent.

    Raises:
        PemsError: The file cannot be read as a clock file.
    """
    if path is None or not path.exists():
        return SystemClock()
    try:
        anchor = ClockFile(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise PemsError(f"{path}: not a clock file", remedy="delete it and start again") from error
    return SystemClock(anchor)
