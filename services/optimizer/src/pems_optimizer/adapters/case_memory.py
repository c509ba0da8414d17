"""Where a worker leaves the cases of its plans: in Redis until the planner takes them, or in a folder.

Workers may run on hosts without a disk in common; the planner alone keeps cases for long (`case_store`). What waits in
Redis is bounded by time and by plans of a site.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from pems_common.bus.redis_wire import RedisClient
from pems_common.errors import UnavailableError
from pems_optimizer.adapters.plan_memory import KEEP_NEWEST
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.domain.plan_case import PlanCase, case_bytes

__all__ = ["KEPT_CASES", "CaseMemory", "FolderCases", "RedisCases", "WaitingCases"]

KEPT_S = 24 * 3600  # wall time
KEPT_CASES = 60  # of a site: with MOST_BYTES at most 60 MB of it, 3 MB as they are


class CaseMemory(Protocol):
    """Takes the cases of plans."""

    async def keep(self, case: PlanCase) -> None:
        """Keep a case.

        Raises:
            StoreError: It is too large.
            UnavailableError: The store is away, or full.
        """


class WaitingCases(Protocol):
    """Cases that wait to be taken away. Every call raises `UnavailableError` where the store is away."""

    async def waiting(self, site: str) -> list[str]:
        """Return the plans whose cases wait, the oldest first."""

    async def packed(self, site: str, plan_id: str) -> bytes | None:
        """Return a case as it was packed; None where it is gone."""

    async def forget(self, site: str, plan_id: str) -> None:
        """Drop a case."""


class RedisCases:
    """Cases in Redis: `pems:work:<site>:case:<id>`, and `pems:work:<site>:cases` by plan numbers."""

    def __init__(self, redis: RedisCalls, *, kept: int = KEPT_CASES, kept_s: int = KEPT_S) -> None:
        """Keep so many cases of a site for so many wall seconds."""
        self._redis, self._kept, self._kept_s = redis, kept, kept_s
        self._keep = redis.client.register_script(KEEP_NEWEST)

    async def keep(self, case: PlanCase) -> None:
        """Keep a case until it is taken."""
        packed = await asyncio.to_thread(case_bytes, case)
        site = case.home.site.id
        keys = [_index(site), f"{_prefix(site)}{case.plan.plan_id}"]
        arguments = [packed, case.plan.plan_no, case.plan.plan_id, self._kept_s, self._kept, _prefix(site)]
        await self._redis.ask(lambda _: self._keep(keys=keys, args=arguments))

    async def waiting(self, site: str) -> list[str]:
        """Return the plans whose cases wait."""

        async def read(client: RedisClient) -> list[str]:
            return [plan_id.decode() for plan_id in await client.zrange(_index(site), 0, -1)]

        return await self._redis.ask(read)

    async def packed(self, site: str, plan_id: str) -> bytes | None:
        """Return a case as it was packed."""

        async def read(client: RedisClient) -> bytes | None:
            found: bytes | None = await client.get(f"{_prefix(site)}{plan_id}")
            return found

        return await self._redis.ask(read)

    async def forget(self, site: str, plan_id: str) -> None:
        """Drop a case."""

        async def drop(client: RedisClient) -> None:
            await client.zrem(_index(site), plan_id)
            await client.delete(f"{_prefix(site)}{plan_id}")

        await self._redis.ask(drop)


class FolderCases:
    """Cases as files `<plan_no>-<plan_id>.case` in a folder: for runs of the laboratory."""

    def __init__(self, folder: Path) -> None:
        """Write to `folder`, which is made."""
        self._folder = folder

    async def keep(self, case: PlanCase) -> None:
        """Write a case, whole or not at all."""
        packed = case_bytes(case)
        path = self._folder / f"{case.plan.plan_no}-{case.plan.plan_id}.case"
        scratch = path.with_suffix(".tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(packed)
            scratch.replace(path)
        except OSError as error:
            raise UnavailableError(f"{path} cannot be written: {error}") from error

    def files(self) -> list[Path]:
        """Return the files there are, in the order of plan numbers."""
        return sorted(self._folder.glob("*.case"), key=lambda file: int(file.name.partition("-")[0]))


def _index(site: str) -> str:
    return f"pems:work:{site}:cases"


def _prefix(site: str) -> str:
    return f"pems:work:{site}:case:"
