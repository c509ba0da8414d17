"""The embedded Redis keeps its data over a crash, hangs when paused, and is set up as the bus needs it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pems_cli.embedded import RedisServer, ServerStartError
from pems_cli.embedded.redis_server import find_redis_binary


def _binaries() -> list[tuple[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEMS_EMBEDDED", "bundled")
        bundled = find_redis_binary()
        patch.delenv("PEMS_EMBEDDED")
        system = find_redis_binary()
    return [binary for binary in dict.fromkeys([bundled, system]) if binary is not None]


@pytest.fixture(params=_binaries(), ids=lambda binary: binary[0])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", binary=request.param) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(server.url, socket_timeout=1.0)
    yield connection
    connection.close()


def test_is_configured_for_an_unattended_house(client: redis.Redis) -> None:
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert client.config_get("appendonly")["appendonly"] == "yes"
    assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_data_survives_a_kill(server: RedisServer, client: redis.Redis) -> None:
    client.xadd("stream", {"n": "1"})
    time.sleep(1.3)  # the append-only file is written each second of wall time
    server.kill()
    assert server.pid is None
    assert not server.answers()
    server.start()
    assert client.xlen("stream") == 1


def test_a_clean_stop_keeps_the_last_write(server: RedisServer, client: redis.Redis) -> None:
    client.set("key", "value")
    server.stop()
    server.start()
    assert client.get("key") == b"value"


def test_a_paused_server_hangs_and_goes_on(server: RedisServer, client: redis.Redis) -> None:
    client.set("key", "value")
    server.pause()
    with pytest.raises(redis.TimeoutError):
        client.get("key")
    server.resume()
    assert client.get("key") == b"value"


def test_asks_for_the_password(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", password="s3cret") as server:
        with (
            redis.Redis(host=server.host, port=server.port) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        with redis.Redis.from_url(server.url) as friend:
            assert friend.ping()
    assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


def test_a_busy_port_is_told_with_the_servers_words(tmp_path: Path, redis_server: RedisServer) -> None:
    second = RedisServer(tmp_path / "redis", redis_server.port)
    second.answers = lambda: False  # type: ignore[method-assign]  # the first one would answer for it
    with pytest.raises(ServerStartError, match=f"redis on port {redis_server.port} did not start"):
        second.start()
