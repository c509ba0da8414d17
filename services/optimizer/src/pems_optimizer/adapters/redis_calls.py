"""A Redis client for the optimizer's own keys (`pems:work:*`, `pems:study:*`), whose troubles are all one error."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

from pems_common.bus.redis_wire import AWAY, RedisClient, make_client
from pems_common.cancellation import Cancellation
from pems_common.clock import Clock
from pems_common.errors import UnavailableError

__all__ = ["RedisCalls"]

T = TypeVar("T")


class RedisCalls:
    """Asks the server; each question has an end."""

    def __init__(self, url: str, clock: Clock, *, timeout_s: float = 2.0) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: The server, with password.
            clock: Gives wall time.
            timeout_s: Wall time after which a question is given up.
        """
        self._url, self._clock, self._timeout_s = url, clock, timeout_s
        self.client: RedisClient = make_client(url, timeout_s=timeout_s)

    async def ask(self, question: Callable[[RedisClient], Awaitable[T]]) -> T:
        """Ask the server.

        Raises:
            UnavailableError: It did not answer in time, or refused.
        """
        return await self._ask(self.client, question, self._timeout_s)

    async def wait(self, question: Callable[[RedisClient], Awaitable[T]], wait_s: float) -> T:
        """Ask something that the server itself may take `wait_s` wall seconds for, on a connection of its own.

        Raises:
            UnavailableError: It did not answer, or refused.
        """
        client = make_client(self._url, timeout_s=wait_s + self._timeout_s, single=True)
        try:
            return await self._ask(client, question, wait_s + self._timeout_s)
        finally:
            await client.aclose()

    async def _ask(self, client: RedisClient, question: Callable[[RedisClient], Awaitable[T]], wait_s: float) -> T:
        cancellation = Cancellation()
        try:
            answer = await self._clock.wait_for(question(client), wait_s)
        except AWAY as error:
            raise UnavailableError(f"the Redis server is away: {type(error).__name__}") from error
        except RedisError as error:
            raise UnavailableError(f"the Redis server refused: {error}") from error
        cancellation.check()
        return answer

    async def close(self) -> None:
        """Release the connections."""
        await self.client.aclose()
