"""Answers that somebody waits for: a worker puts one under the question's id, the asker takes it, once.

Used for "why?": Celery has no result backend here, and an answer nobody takes is gone after a minute.
"""

import asyncio
import json
from typing import Any, Protocol

from pems_common.bus.redis_wire import RedisClient
from pems_common.clock import Clock
from pems_optimizer.adapters.redis_calls import RedisCalls

__all__ = ["AnswerBox", "InMemoryAnswers", "RedisAnswers"]

KEPT_S = 60  # wall time
_LEAST_WAIT_S = 0.01  # 0 would mean for ever


class AnswerBox(Protocol):
    """Carries answers between processes."""

    async def put(self, question_id: str, answer: dict[str, Any]) -> None:
        """Put an answer (JSON data).

        Raises:
            UnavailableError: The store is away.
        """

    async def take(self, question_id: str, wait_s: float) -> dict[str, Any] | None:
        """Take the answer, waiting at most `wait_s` wall seconds for it; None where none came.

        Raises:
            UnavailableError: The store is away.
        """


class InMemoryAnswers:
    """Answers within this process."""

    def __init__(self, clock: Clock) -> None:
        """Wait in the wall time of `clock`."""
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def put(self, question_id: str, answer: dict[str, Any]) -> None:
        """Put an answer."""
        future = self._future(question_id)
        if not future.done():
            future.set_result(json.loads(json.dumps(answer)))

    async def take(self, question_id: str, wait_s: float) -> dict[str, Any] | None:
        """Take the answer."""
        try:
            return await self._clock.wait_for(asyncio.shield(self._future(question_id)), wait_s)
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(question_id, None)

    def _future(self, question_id: str) -> asyncio.Future[dict[str, Any]]:
        if question_id not in self._waiting:
            self._waiting[question_id] = asyncio.get_running_loop().create_future()
        return self._waiting[question_id]


class RedisAnswers:
    """Answers in Redis: a list of one at `pems:work:why:<id>`, so that taking it can wait."""

    def __init__(self, redis: RedisCalls) -> None:
        """Use this server."""
        self._redis = redis

    async def put(self, question_id: str, answer: dict[str, Any]) -> None:
        """Put an answer."""
        text = json.dumps(answer)

        async def push(client: RedisClient) -> None:
            async with client.pipeline(transaction=True) as pipe:
                pipe.rpush(_key(question_id), text)
                pipe.expire(_key(question_id), KEPT_S)
                await pipe.execute()

        await self._redis.ask(push)

    async def take(self, question_id: str, wait_s: float) -> dict[str, Any] | None:
        """Take the answer."""
        wait_s = max(wait_s, _LEAST_WAIT_S)

        async def pop(client: RedisClient) -> dict[str, Any] | None:
            found = await client.blpop([_key(question_id)], timeout=wait_s)
            return None if found is None else dict(json.loads(found[1]))

        return await self._redis.wait(pop, wait_s)


def _key(question_id: str) -> str:
    return f"pems:work:why:{question_id}"
