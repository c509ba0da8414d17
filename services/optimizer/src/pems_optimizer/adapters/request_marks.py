"""What a worker says of a request while it works on it: begun, ended, died. So the planner knows why no plan came.

The first worker to begin a request has it; a message that comes a second time is not worked on again.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, Protocol

from pems_common.bus.redis_wire import RedisClient
from pems_common.errors import UnavailableError
from pems_optimizer.adapters.redis_calls import RedisCalls

__all__ = ["InMemoryMarks", "RedisMarks", "RequestMark", "RequestMarks"]

KEPT_S = 900  # wall time, far above any deadline
_MOST = 1000
State = Literal["begun", "ended", "died"]
_STATES: dict[str, State] = {"begun": "begun", "ended": "ended", "died": "died"}

# KEYS: the mark. ARGV: state, detail. A mark that was closed stays as it is.
_CLOSE = """
if redis.call('HGET', KEYS[1], 'state') ~= 'begun' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'detail', ARGV[2])
return 1
"""


@dataclass(frozen=True)
class RequestMark:
    """How far a worker got with a request.

    Attributes:
        worker: Its name, as Flower shows it.
        state: `begun` and never closed: it is still at it, or the whole worker died.
        detail: Why there is no plan, empty where there is one.
    """

    worker: str
    state: State = "begun"
    detail: str = ""


class RequestMarks(Protocol):
    """Marks of the requests of the last minutes."""

    async def begin(self, request_id: str, worker: str) -> bool:
        """Mark a request as begun; False where another had begun it.

        Raises:
            UnavailableError: The store is away.
        """

    async def end(self, request_id: str, detail: str = "") -> None:
        """Mark a begun request as ended; nobody needs it to succeed."""

    async def died(self, request_id: str, detail: str) -> None:
        """Mark a begun request as lost with its worker; nobody needs it to succeed."""

    async def read(self, request_id: str) -> RequestMark | None:
        """Return the mark of a request; None where no worker has begun it, or the store is away."""


class InMemoryMarks:
    """Marks in this process."""

    def __init__(self) -> None:
        self._marks: OrderedDict[str, RequestMark] = OrderedDict()

    async def begin(self, request_id: str, worker: str) -> bool:
        """Mark a request as begun."""
        if request_id in self._marks:
            return False
        self._marks[request_id] = RequestMark(worker)
        while len(self._marks) > _MOST:
            self._marks.popitem(last=False)
        return True

    async def end(self, request_id: str, detail: str = "") -> None:
        """Mark a begun request as ended."""
        self._close(request_id, "ended", detail)

    async def died(self, request_id: str, detail: str) -> None:
        """Mark a begun request as lost."""
        self._close(request_id, "died", detail)

    async def read(self, request_id: str) -> RequestMark | None:
        """Return the mark of a request."""
        return self._marks.get(request_id)

    def _close(self, request_id: str, state: State, detail: str) -> None:
        mark = self._marks.get(request_id)
        if mark is not None and mark.state == "begun":
            self._marks[request_id] = RequestMark(mark.worker, state, detail)


class RedisMarks:
    """Marks in Redis: `pems:work:request:<id>`."""

    def __init__(self, redis: RedisCalls) -> None:
        """Use this server."""
        self._redis = redis
        self._close = redis.client.register_script(_CLOSE)

    async def begin(self, request_id: str, worker: str) -> bool:
        """Mark a request as begun."""

        async def mark(client: RedisClient) -> bool:
            async with client.pipeline(transaction=True) as pipe:
                pipe.hsetnx(_key(request_id), "worker", worker)
                pipe.hsetnx(_key(request_id), "state", "begun")
                pipe.expire(_key(request_id), KEPT_S)
                first, *_ = await pipe.execute()
            return bool(first)

        return await self._redis.ask(mark)

    async def end(self, request_id: str, detail: str = "") -> None:
        """Mark a begun request as ended."""
        await self._set(request_id, "ended", detail)

    async def died(self, request_id: str, detail: str) -> None:
        """Mark a begun request as lost."""
        await self._set(request_id, "died", detail)

    async def read(self, request_id: str) -> RequestMark | None:
        """Return the mark of a request."""

        async def ask(client: RedisClient) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = await client.hgetall(_key(request_id))
            return found

        try:
            fields = {name.decode(): value.decode() for name, value in (await self._redis.ask(ask)).items()}
        except UnavailableError:
            return None
        state = _STATES.get(fields.get("state", ""))
        if state is None:
            return None
        return RequestMark(fields.get("worker", ""), state, fields.get("detail", ""))

    async def _set(self, request_id: str, state: State, detail: str) -> None:
        try:
            await self._redis.ask(lambda _: self._close(keys=[_key(request_id)], args=[state, detail[:300]]))
        except UnavailableError:
            return  # the planner has its deadline


def _key(request_id: str) -> str:
    return f"pems:work:request:{request_id}"
