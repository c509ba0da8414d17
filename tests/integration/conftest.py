"""Real servers for integration tests: one pair a session, or a fresh one for tests that break theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pems_cli.embedded import MqttBroker, RedisServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for the whole session: leave it running, clean up your own keys."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def mqtt_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MqttBroker]:
    """An MQTT broker for the whole session: leave it running, use topics of your own."""
    with MqttBroker(tmp_path_factory.mktemp("mqtt")) as broker:
        yield broker


@pytest.fixture
def own_redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, which may stop, kill, pause or wipe it."""
    with RedisServer(tmp_path / "redis") as server:
        yield server
        server.resume()


@pytest.fixture
def own_mqtt_broker(tmp_path: Path) -> Iterator[MqttBroker]:
    """A broker for one test, which may stop, kill or pause it."""
    with MqttBroker(tmp_path / "mqtt") as broker:
        yield broker
        broker.resume()
