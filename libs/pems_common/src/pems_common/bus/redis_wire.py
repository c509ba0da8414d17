"""How the bus talks to a Redis server: clients that never retry in secret, and how entries are read."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pems_common.messages import Envelope

__all__ = ["AWAY", "RawEntry", "RedisClient", "ResponseError", "decode", "group_is_gone", "make_client", "stream_tails"]

RedisClient: TypeAlias = Any
"""redis-py's client as made by `make_client`: answers are those of RESP2, in bytes.

Its own annotations are unions over both protocols and both ways of decoding, which tell nothing here.
"""

RawEntry = tuple[bytes, dict[bytes, bytes] | None]
"""Id and fields of a stream entry; None where the entry itself is gone."""

AWAY = (RedisConnectionError, RedisTimeoutError, OSError, asyncio.IncompleteReadError)
"""What is raised when the server is away, loading, or hangs."""


def make_client(url: str, *, timeout_s: float, single: bool = False) -> RedisClient:
    """Return a client whose waits end after `timeout_s` wall seconds.

    Args:
        url: The server.
        timeout_s: For connecting at most 2 s of it; must be above any BLOCK.
        single: One connection only, so that its loss is noticed.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(2.0, timeout_s),
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
        protocol=2,
        single_connection_client=single,
        client_name="pems",
    )


def decode(fields: Mapping[bytes, bytes], type: str) -> Envelope:
    """Read an entry of the stream of a message type.

    Raises:
        ValueError: It is malformed (bytes that are no UTF-8 too), or of another type.
    """
    envelope = Envelope.from_fields({name.decode(): value.decode() for name, value in fields.items()})
    if envelope.type != type:
        raise ValueError(f"an entry of type {envelope.type} in the stream of {type}")
    return envelope


def group_is_gone(error: ResponseError) -> bool:
    """Tell whether a consumer group vanished (with its stream, or because the server was wiped)."""
    return str(error).startswith(("NOGROUP", "UNBLOCKED", "no such key"))


async def stream_tails(client: RedisClient, streams: list[str]) -> dict[str, str | None]:
    """Return the id of the last entry each stream ever had, None where there is no stream."""
    pipe = client.pipeline(transaction=False)
    for stream in streams:
        pipe.xinfo_stream(stream)
    tails: dict[str, str | None] = {}
    for stream, answer in zip(streams, await pipe.execute(raise_on_error=False), strict=True):
        if isinstance(answer, ResponseError):
            tails[stream] = None
        elif isinstance(answer, BaseException):
            raise answer
        else:
            tail: Any = answer["last-generated-id"]
            tails[stream] = tail.decode() if isinstance(tail, bytes) else str(tail)
    return tails
