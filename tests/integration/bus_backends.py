"""The servers that the bus is tried on, and small messages to try it with."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from pems_cli.embedded import RedisServer
from pems_cli.embedded.redis_server import find_redis_binary
from pems_common.bus import Bus, MemoryBus
from pems_common.bus.redis_streams import RedisBus
from pems_common.bus.redis_work import WorkLimits
from pems_common.clock import SystemClock
from pems_common.ids import new_id
from pems_common.messages import Envelope
from pems_common.metrics import Metrics

CLOCK = SystemClock()
FAST = WorkLimits(handler_s=0.6, idle_margin_s=0.3, retry_s=0.05, block_s=0.2, answer_s=0.5, stats_s=0.2)


def binaries() -> dict[str, tuple[str, str]]:
    """The server binaries of this machine: the bundled one, and the system's where there is one."""
    before = os.environ.pop("PEMS_EMBEDDED", None)
    try:
        system = find_redis_binary()
        os.environ["PEMS_EMBEDDED"] = "bundled"
        bundled = find_redis_binary()
    finally:
        os.environ.pop("PEMS_EMBEDDED", None)
        if before is not None:
            os.environ["PEMS_EMBEDDED"] = before
    return {found[0]: found for found in (bundled, system) if found is not None}


def message(
    type: str = "score", seq: int = 1, *, subject: str = "", site: str = "home", body: dict[str, Any] | None = None
) -> Envelope:
    """An envelope; the bus never looks into bodies."""
    now = CLOCK.wall_now()
    return Envelope(
        type=type,
        v=1,
        id=new_id(now),
        site=site,
        subject=subject,
        seq=seq,
        at=now,
        wall_at=now,
        source="test@1",
        body=body or {"seq": seq},
    )


async def eventually(condition: Callable[[], bool], wall_s: float = 30.0) -> None:
    """Wait for a condition; how fast it comes is the machine's matter (pauses between reconnects grow to seconds)."""
    deadline = CLOCK.monotonic() + wall_s
    while not condition():
        assert CLOCK.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


class Tasks:
    """Background tasks of one test."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Any) -> asyncio.Task[None]:
        self._tasks.append(asyncio.ensure_future(work))
        return self._tasks[-1]

    def watch(self, bus: Bus, *types: str, site: str = "home") -> list[Envelope]:
        """Watch in the background; the list grows."""
        seen: list[Envelope] = []

        async def collect() -> None:
            async for envelope in bus.watch(types, site):
                seen.append(envelope)

        self.run(collect())
        return seen

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if not self._tasks:
            return
        _, stuck = await asyncio.wait(self._tasks, timeout=5)
        for task in stuck:
            task.print_stack()
        assert not stuck, "a task did not end when it was cancelled"
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


class MemoryBackend:
    """The bus in memory."""

    def __init__(self) -> None:
        self._bus = MemoryBus(CLOCK)

    def bus(self) -> Bus:
        return self._bus

    async def inject(self, type: str, fields: dict[str, str]) -> None:
        self._bus.inject(type, fields)

    async def delete_stream(self, type: str) -> None:
        self._bus.delete_stream(type)

    async def wipe(self) -> None:
        self._bus.wipe()

    async def dead_letters(self, type: str) -> list[dict[str, str]]:
        return [
            {**letter.fields, "reason": letter.reason, "deliveries": str(letter.deliveries)}
            for letter in self._bus.dead_letters(type)
        ]

    async def length(self, type: str) -> int:
        return len(self._bus.entries(type))

    async def close(self) -> None:
        await self._bus.close()


class RedisBackend:
    """The bus on a server of its own, which the test may break."""

    def __init__(self, directory: Path, binary: tuple[str, str]) -> None:
        self.server = RedisServer(directory, binary=binary).start()
        self.metrics = Metrics()
        self._buses: list[RedisBus] = []
        self.raw: Any = redis.asyncio.Redis.from_url(self.server.url, protocol=2)

    def bus(self, limits: WorkLimits = FAST) -> RedisBus:
        bus = RedisBus(
            self.server.url,
            CLOCK,
            metrics=self.metrics,
            limits=limits,
            publish_timeout_s=0.6,
            probe_timeout_s=0.2,
            probe_every_s=0.2,
        )
        self._buses.append(bus)
        return bus

    async def inject(self, type: str, fields: dict[Any, Any]) -> None:
        await self.raw.xadd(f"pems.{type}", fields)

    async def delete_stream(self, type: str) -> None:
        await self.raw.delete(f"pems.{type}")

    async def wipe(self) -> None:
        await self.raw.flushall()

    async def dead_letters(self, type: str) -> list[dict[str, str]]:
        entries = await self.raw.xrange(f"pems.{type}.dlq")
        return [
            {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
            for _, fields in entries
        ]

    async def length(self, type: str) -> int:
        return int(await self.raw.xlen(f"pems.{type}"))

    async def pending(self, type: str, group: str) -> int:
        """Entries given out and not acknowledged."""
        return int((await self.raw.xpending(f"pems.{type}", group))["pending"])

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()
        with suppress(redis.RedisError):
            await self.raw.aclose()
        self.server.resume()
        self.server.kill()
