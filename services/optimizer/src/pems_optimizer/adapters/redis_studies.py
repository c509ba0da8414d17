"""Studies in Redis, for a day after the last progress: `pems:study:<id>`, its data, results, leases and tries."""

import json
from typing import Any

from pems_common.bus.redis_wire import RedisClient
from pems_common.logs import get_logger
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.study_store import GIVEN_UP, LEASE_S, MOST_TRIES, Claim
from pems_optimizer.study import Row, Study, StudyError, StudyProgress

__all__ = ["RedisStudies"]

KEPT_S = 86_400  # wall time
_OPEN = "pems:studies:open"
_log = get_logger("study")

# KEYS: study, done, failed, tries, lease, data. ARGV: chunk, owner, lease ms, most tries, seconds to keep, words.
_CLAIM = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {'over', ''} end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) + redis.call('HEXISTS', KEYS[3], ARGV[1]) > 0 then return {'over', ''} end
local holder = redis.call('GET', KEYS[5])
if holder and holder ~= ARGV[2] then return {'held', holder} end
if redis.call('HINCRBY', KEYS[4], ARGV[1], 1) > tonumber(ARGV[4]) then
  redis.call('HINCRBY', KEYS[4], ARGV[1], -1)
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[6])
  redis.call('EXPIRE', KEYS[3], ARGV[5])
  return {'over', ''}
end
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]}) do redis.call('EXPIRE', key, ARGV[5]) end
redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3])
return {'mine', ARGV[2]}
"""
# KEYS: lease. ARGV: owner, lease ms (0: take it away).
_HOLD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS: study, where it is set, what must not have it, lease. ARGV: chunk, value, seconds to keep, owner (empty: any).
_SET_ONCE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local holder = redis.call('GET', KEYS[4])
if holder and (ARGV[4] == '' or holder == ARGV[4]) then redis.call('DEL', KEYS[4]) end
if KEYS[3] ~= '' and redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then return 0 end
local first = redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return first
"""


class RedisStudies:
    """Implements `StudyStore`."""

    def __init__(self, redis: RedisCalls) -> None:
        """Use this server."""
        self._redis = redis
        self._claim = redis.client.register_script(_CLAIM)
        self._hold = redis.client.register_script(_HOLD)
        self._set_once = redis.client.register_script(_SET_ONCE)

    async def create(self, study: Study, data: bytes) -> None:
        """Keep a new study."""

        async def write(client: RedisClient) -> None:
            async with client.pipeline(transaction=True) as pipe:
                pipe.set(_key(study.study_id, "data"), data, ex=KEPT_S)
                pipe.set(_key(study.study_id), study.to_json(), ex=KEPT_S)
                pipe.sadd(_OPEN, study.study_id)
                await pipe.execute()

        await self._redis.ask(write)

    async def study(self, study_id: str) -> Study | None:
        """Return a study."""
        text = await self._get(_key(study_id))
        if text is None:
            return None
        try:
            return Study.from_json(text)
        except StudyError as error:
            _log.warning("a study cannot be read", study=study_id, error=str(error))
            return None

    async def data(self, study_id: str) -> bytes | None:
        """Return what the items of a study need."""
        return await self._get(_key(study_id, "data"))

    async def claim(self, study_id: str, chunk: int, owner: str) -> Claim:
        """Claim a chunk."""
        parts = ("done", "failed", "tries", f"lease:{chunk}", "data")
        keys = [_key(study_id), *(_key(study_id, part) for part in parts)]
        arguments = [chunk, owner, int(LEASE_S * 1000), MOST_TRIES, KEPT_S, GIVEN_UP]
        state, holder = await self._redis.ask(lambda _: self._claim(keys=keys, args=arguments))
        if state == b"mine":
            return Claim("mine", owner)
        return Claim("held", holder.decode()) if state == b"held" else Claim("over")

    async def renew(self, study_id: str, chunk: int, owner: str) -> None:
        """Hold on to a claimed chunk."""
        await self._lease(study_id, chunk, owner, int(LEASE_S * 1000))

    async def release(self, study_id: str, chunk: int, owner: str) -> None:
        """Take the lease of an owner away."""
        await self._lease(study_id, chunk, owner, 0)

    async def finish(self, study_id: str, chunk: int, owner: str, rows: list[Row]) -> bool:
        """Set the result of a chunk."""
        keys = [_key(study_id), _key(study_id, "done"), "", _key(study_id, f"lease:{chunk}")]
        arguments = [chunk, json.dumps(rows), KEPT_S, owner]
        return bool(await self._redis.ask(lambda _: self._set_once(keys=keys, args=arguments)))

    async def fail(self, study_id: str, chunk: int, reason: str) -> None:
        """Give a chunk up."""
        parts = ("failed", "done", f"lease:{chunk}")
        keys = [_key(study_id), *(_key(study_id, part) for part in parts)]
        await self._redis.ask(lambda _: self._set_once(keys=keys, args=[chunk, reason[:300], KEPT_S, ""]))

    async def progress(self, study: Study) -> StudyProgress:
        """Return how far a study is."""

        async def read(client: RedisClient) -> StudyProgress:
            async with client.pipeline(transaction=False) as pipe:
                pipe.hkeys(_key(study.study_id, "done"))
                pipe.hgetall(_key(study.study_id, "failed"))
                pipe.hgetall(_key(study.study_id, "tries"))
                pipe.mget([_key(study.study_id, f"lease:{chunk}") for chunk in range(study.chunks)])
                done, failed, tries, leases = await pipe.execute()
            return StudyProgress(
                frozenset(int(chunk) for chunk in done),
                {int(chunk): reason.decode() for chunk, reason in failed.items()},
                frozenset(chunk for chunk, lease in enumerate(leases) if lease is not None),
                {int(chunk): int(count) for chunk, count in tries.items()},
            )

        return await self._redis.ask(read)

    async def rows(self, study: Study) -> list[Row]:
        """Return the numbers of all items whose chunks are done."""

        async def read(client: RedisClient) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = await client.hgetall(_key(study.study_id, "done"))
            return found

        done = {int(chunk): text for chunk, text in (await self._redis.ask(read)).items()}
        return [tuple(row) for chunk in sorted(done) for row in json.loads(done[chunk])]

    async def open_ids(self) -> list[str]:
        """Return the studies that are not closed."""

        async def read(client: RedisClient) -> list[str]:
            return sorted(raw.decode() for raw in await client.smembers(_OPEN))

        return await self._redis.ask(read)

    async def close(self, study_id: str) -> None:
        """Stop looking after a study."""

        async def remove(client: RedisClient) -> Any:
            return await client.srem(_OPEN, study_id)

        await self._redis.ask(remove)

    async def _get(self, key: str) -> bytes | None:
        async def read(client: RedisClient) -> bytes | None:
            found: bytes | None = await client.get(key)
            return found

        return await self._redis.ask(read)

    async def _lease(self, study_id: str, chunk: int, owner: str, lease_ms: int) -> None:
        keys = [_key(study_id, f"lease:{chunk}")]
        await self._redis.ask(lambda _: self._hold(keys=keys, args=[owner, lease_ms]))


def _key(study_id: str, part: str = "") -> str:
    return f"pems:study:{study_id}:{part}" if part else f"pems:study:{study_id}"
