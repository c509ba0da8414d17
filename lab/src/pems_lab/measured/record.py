"""Records what the devices of a simulated house say into a history, by the real ingest: a made past, known truth."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.history import HistoryStore
from pems_common.home import Home
from pems_common.mqtt import MemoryBroker
from pems_common.service import Service
from pems_common.world import World
from pems_house.handlers import HouseHandlers
from pems_ingest.feeds import world_feeds
from pems_ingest.handlers import IngestHandlers
from pems_lab.arms.owner_rules import OldHabits, OwnerRules
from pems_lab.arms.owner_thermostats import OwnerThermostats, night_targets
from pems_lab.house_run import OFF_DELAY_S
from pems_lab.lockstep import Lockstep

__all__ = ["record_house"]

_MINUTE = timedelta(minutes=1)
_KEPT = ("weather", "prices")


async def record_house(
    home: Home,
    world: World,
    store: HistoryStore,
    start: datetime,
    until: datetime,
    *,
    seed: int = 0,
    habits: OldHabits | None = None,
    each: Callable[[datetime], None] = lambda now: None,
) -> HouseHandlers:
    """Let the house live without PEMS from `start` to `until`, and keep what a real installation would have of it.

    Args:
        home: The site.
        world: Weather and prices.
        store: Where points and messages go.
        start: First house time.
        until: Last one.
        seed: Of the simulated house.
        habits: The owner's old rules (arm `b1`); None leaves the house to itself (arm `b0`).
        each: Called after each minute.

    Returns:
        The house: its truth.
    """
    clock, broker = FakeClock(start), MemoryBroker()
    bus = MemoryBus(clock)
    house = HouseHandlers(home, clock, broker.client(), world, seed=seed, tick_every=_MINUTE, off_delay_s=OFF_DELAY_S)
    feeds = world_feeds(home, clock, world)
    ingest = IngestHandlers(
        home, clock, bus, broker.client(), store, feeds.prices, feeds.weather, inline=True, label=feeds.label
    )
    services: list[Service] = [house, ingest]
    if habits is not None:
        targets = night_targets(home, habits.night_share, habits.boosted, habits.boost_k)
        services.append(OwnerRules(home, clock, broker.client(), world, habits))
        services.append(OwnerThermostats(targets, clock, broker.client()))
    lockstep = Lockstep(clock, bus, services)
    told: set[str] = set()

    async def after_step(now: datetime) -> None:
        for type in _KEPT:
            for envelope in (await bus.latest_all(type, home.site.id)).values():
                if envelope.id not in told:
                    told.add(envelope.id)
                    await store.write_message(envelope)
        each(now)

    await lockstep.start()
    await lockstep.run(until, after_step)
    await lockstep.stop()
    return house
