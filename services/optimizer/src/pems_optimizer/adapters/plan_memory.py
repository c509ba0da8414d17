"""Where the making of the last plans is kept for some hours: in Redis, or in this process.

Bounded three ways: by time, by bytes of a plan, and by plans of a site.
"""

import asyncio
from typing import Protocol

from pems_common.bus.redis_wire import RedisClient
from pems_common.logs import get_logger
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.domain.plan_record import PlanRecord, read_record, record_bytes
from pems_optimizer.domain.problem_store import StoreError

__all__ = ["KEEP_NEWEST", "InMemoryPlans", "PlanMemory", "RedisPlans"]

KEPT_S = 3 * 3600  # wall time
KEPT_PLANS = 30  # of a site: with MOST_BYTES at most 45 MB of it
_log = get_logger("plan")

# KEYS: index of a site's entries (by plan_no), this one. ARGV: packed, plan_no, plan id, seconds, entries, prefix.
KEEP_NEWEST = """
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
local last = -1 - tonumber(ARGV[5])
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, last)) do redis.call('DEL', ARGV[6] .. id) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, last)
return 1
"""


class PlanMemory(Protocol):
    """Keeps what a plan was made from. A plan that is not there was never kept, or is too old."""

    async def keep(self, record: PlanRecord) -> None:
        """Keep a plan's making; an older `plan_no` never becomes the newest again.

        Raises:
            StoreError: It is too large.
            UnavailableError: The store is away.
        """

    async def load(self, site: str, plan_id: str) -> PlanRecord | None:
        """Return a plan's making.

        Raises:
            UnavailableError: The store is away.
        """

    async def newest(self, site: str) -> PlanRecord | None:
        """Return the making of the plan with the highest `plan_no`.

        Raises:
            UnavailableError: The store is away.
        """

    async def newest_no(self, site: str) -> int:
        """Return the highest `plan_no` that is kept, 0 where there is none.

        Raises:
            UnavailableError: The store is away.
        """


def _unpacked(packed: bytes | None) -> PlanRecord | None:
    """Read a record; one that cannot be read (another version wrote it) counts as absent."""
    if packed is None:
        return None
    try:
        return read_record(packed)
    except StoreError as error:
        _log.warning("a kept plan cannot be read", error=str(error))
        return None


class InMemoryPlans:
    """Keeps plans as long as the process lives, packed as in Redis."""

    def __init__(self, *, kept: int = KEPT_PLANS) -> None:
        """Keep so many plans of a site."""
        self._kept = kept
        self._plans: dict[str, dict[str, tuple[int, bytes]]] = {}

    async def keep(self, record: PlanRecord) -> None:
        """Keep a plan's making."""
        plans = self._plans.setdefault(record.site, {})
        plans[record.plan_id] = (record.plan_no, record_bytes(record))
        for plan_id, _ in sorted(plans.items(), key=lambda item: item[1][0])[: -self._kept]:
            del plans[plan_id]

    async def load(self, site: str, plan_id: str) -> PlanRecord | None:
        """Return a plan's making."""
        found = self._plans.get(site, {}).get(plan_id)
        return None if found is None else _unpacked(found[1])

    async def newest(self, site: str) -> PlanRecord | None:
        """Return the making of the plan with the highest `plan_no`."""
        plans = self._plans.get(site, {}).values()
        return _unpacked(max(plans, key=lambda entry: entry[0])[1]) if plans else None

    async def newest_no(self, site: str) -> int:
        """Return the highest `plan_no` that is kept."""
        return max((plan_no for plan_no, _ in self._plans.get(site, {}).values()), default=0)


class RedisPlans:
    """Keeps plans in Redis: `pems:work:<site>:plan:<id>`, and `pems:work:<site>:plans` by their numbers."""

    def __init__(self, redis: RedisCalls, *, kept: int = KEPT_PLANS, kept_s: int = KEPT_S) -> None:
        """Keep so many plans of a site for so many wall seconds."""
        self._redis, self._kept, self._kept_s = redis, kept, kept_s
        self._keep = redis.client.register_script(KEEP_NEWEST)

    async def keep(self, record: PlanRecord) -> None:
        """Keep a plan's making."""
        packed = await asyncio.to_thread(record_bytes, record)
        prefix = _prefix(record.site)
        keys = [_index(record.site), f"{prefix}{record.plan_id}"]
        arguments = [packed, record.plan_no, record.plan_id, self._kept_s, self._kept, prefix]
        await self._redis.ask(lambda _: self._keep(keys=keys, args=arguments))

    async def load(self, site: str, plan_id: str) -> PlanRecord | None:
        """Return a plan's making."""

        async def read(client: RedisClient) -> bytes | None:
            found: bytes | None = await client.get(f"{_prefix(site)}{plan_id}")
            return found

        return _unpacked(await self._redis.ask(read))

    async def newest(self, site: str) -> PlanRecord | None:
        """Return the making of the plan with the highest `plan_no`."""
        found = await self._last(site)
        return None if found is None else await self.load(site, found[0])

    async def newest_no(self, site: str) -> int:
        """Return the highest `plan_no` that is kept."""
        found = await self._last(site)
        return 0 if found is None else found[1]

    async def _last(self, site: str) -> tuple[str, int] | None:
        async def read(client: RedisClient) -> tuple[str, int] | None:
            entries = await client.zrange(_index(site), -1, -1, withscores=True)
            return (entries[0][0].decode(), int(entries[0][1])) if entries else None

        return await self._redis.ask(read)


def _index(site: str) -> str:
    return f"pems:work:{site}:plans"


def _prefix(site: str) -> str:
    return f"pems:work:{site}:plan:"
