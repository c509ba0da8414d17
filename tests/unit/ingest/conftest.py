"""A whole ingest in one process: fake clock, memory bus, memory broker, history in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.home import Home, load_home
from pems_common.metrics import Metrics
from pems_common.mqtt import MemoryBroker, MemoryMqtt
from pems_common.world import open_world
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.feeds import world_feeds
from pems_ingest.handlers import IngestHandlers

ROOT = Path(__file__).parents[3]
START = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


@dataclass
class Bench:
    """Everything around the handlers."""

    home: Home
    clock: FakeClock
    bus: MemoryBus
    broker: MemoryBroker
    mqtt: MemoryMqtt
    store: SqliteHistory
    metrics: Metrics
    handlers: IngestHandlers

    async def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        await self.mqtt.publish(topic, payload, retain=retain)

    async def run(self, seconds: float, step_s: float = 10.0) -> None:
        """Tick for so long."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await self.handlers.tick()


@pytest.fixture(scope="session")
def home() -> Home:
    return load_home(ROOT / "config" / "home.yaml")


@pytest.fixture
def bench(home: Home) -> Iterator[Bench]:
    made = make_bench(home)
    yield made
    _close(made)


@pytest.fixture
def benches() -> Iterator[Callable[..., Bench]]:
    """Make benches of other homes or starts."""
    made: list[Bench] = []

    def make(home: Home, **more: Any) -> Bench:
        made.append(make_bench(home, **more))
        return made[-1]

    yield make
    for one in made:
        _close(one)


def _close(bench: Bench) -> None:
    if bench.store._write_db is not None:
        bench.store._write_db.close()


def make_bench(home: Home, start: datetime = START, **more: Any) -> Bench:
    clock, broker, metrics = FakeClock(start), MemoryBroker(), Metrics()
    bus, mqtt, store = MemoryBus(clock), broker.client(), SqliteHistory(":memory:", home.site.id)
    world = open_world(None, latitude=home.site.latitude, longitude=home.site.longitude, seed=7)
    feeds = world_feeds(home, clock, world)
    handlers = IngestHandlers(
        home, clock, bus, mqtt, store, feeds.prices, feeds.weather, inline=True, metrics=metrics, **more
    )
    return Bench(home, clock, bus, broker, mqtt, store, metrics, handlers)
