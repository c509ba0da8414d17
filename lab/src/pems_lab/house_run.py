"""The simulated house under PEMS in lockstep: wiring, faults, and an account of what happened."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.history import HistoryStore
from pems_common.home import Home
from pems_common.messages import Envelope, Plan, Thermal, read_body
from pems_common.mqtt import MemoryBroker, Mqtt
from pems_common.service import Service
from pems_common.timegrid import slot_start
from pems_common.world import World
from pems_controller.adapters.store import ControllerStore
from pems_controller.handlers import ControllerHandlers
from pems_forecaster.adapters.trainers import InlineTrainer
from pems_forecaster.handlers import ForecasterHandlers
from pems_house.domain.plant import Parts, StartState
from pems_house.handlers import HouseHandlers
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.feeds import world_feeds
from pems_ingest.handlers import IngestHandlers
from pems_lab.foresight import ForeseenWorld, Foresight, ForesightBus
from pems_lab.lockstep import Lockstep
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.queues import InlineQueue
from pems_optimizer.handlers import PlannerHandlers
from pems_optimizer.plan_work import Worker

__all__ = ["OFF_DELAY_S", "Borders", "HouseRun", "RunAccount"]

OFF_DELAY_S = 150.0
"""A lockstep minute is a minute of wall time too: pulses come each tick, not each 10 s between ticks."""

ThermalChange = Callable[[Thermal], Thermal]


@dataclass
class RunAccount:
    """What a run did.

    Attributes:
        mode_ticks: Ticks per device and mode.
        plans: (house time, plan) of every plan published, without those of the rules.
        rule_plans: Number of plans marked as fallback.
        rooms_c: True air temperature of each room at each slot boundary.
        truth: The house's own account at the end.
    """

    mode_ticks: dict[str, Counter[str]] = field(default_factory=dict)
    plans: list[tuple[datetime, Plan]] = field(default_factory=list)
    rule_plans: int = 0
    rooms_c: dict[datetime, dict[str, float]] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew, so that a long run keeps no more than a caller has yet to look at."""
        self.mode_ticks.clear()
        self.plans.clear()
        self.rule_plans = 0
        self.rooms_c.clear()

    def share(self, mode: str, prefix: str = "") -> float:
        """Share of ticks in a mode over all devices whose name begins with `prefix`."""
        chosen = [ticks for name, ticks in self.mode_ticks.items() if name.startswith(prefix)]
        total = sum(sum(ticks.values()) for ticks in chosen)
        return sum(ticks[mode] for ticks in chosen) / total if total else 0.0


class _SpoiledBus:
    """The bus as the planner sees it when the room models it is told are wrong (a fault)."""

    def __init__(self, bus: MemoryBus, change: ThermalChange) -> None:
        self._bus, self._change = bus, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def latest_all(self, type: str, site: str) -> dict[str, Envelope]:
        found = await self._bus.latest_all(type, site)
        if type != "thermal":
            return found
        spoiled = {}
        for subject, envelope in found.items():
            body = self._change(read_body(envelope, Thermal))
            spoiled[subject] = envelope.model_copy(update={"body": body.model_dump(mode="json")})
        return spoiled


class Borders:
    """Where a run's parts meet each other and the outside; here everything passes as it is.

    A run asks once for each thing that a part is given. What injects faults gives something else instead.
    """

    def open(self, home: Home, clock: FakeClock) -> None:
        """Learn the site and the clock of the run; called before anything is asked for."""

    def truth(self, world: World) -> World:
        """Return the world that the house lives in."""
        return world

    def told(self, world: World) -> World:
        """Return the world that ingest is told of."""
        return world

    def mqtt(self, service: str, client: Mqtt) -> Mqtt:
        """Return a service's connection to the broker."""
        return client

    def bus(self, service: str, bus: MemoryBus) -> MemoryBus:
        """Return a service's connection to the bus."""
        return bus

    def queue(self, queue: InlineQueue) -> InlineQueue:
        """Return where requests for plans go."""
        return queue

    def services(self, services: list[Service]) -> list[Service]:
        """Return what the lockstep drives, in the order of acting."""
        return services


class HouseRun:
    """One house, one world, one run.

    Args:
        home: The site; armed by the run.
        world: Weather and prices.
        start: First house time.
        seed: Of the simulated house.
        planner: `on`, or `mute`: no plan is ever made, so the controller stays on its rules.
        thermal: Changes the room models that the planner is told (a fault), None for the honest ones.
        built: The house as it really is, where that differs from what PEMS is told; None where it does not.
        models: Where forecast models are kept and trained (within the tick), and the history; None keeps the history in
            memory, and leaves it at the simple methods.
        worker: Who works on requests for plans; None for one that begins each search where the last one ended.
        foreseen: Whether forecasts of weather, load and price come true (see `foresight`).
        borders: What the parts are given of each other; None gives everything as it is.
        state: How the house begins.
        parts: What is known of the house instead of drawn.
    """

    def __init__(
        self,
        home: Home,
        world: World,
        start: datetime,
        *,
        seed: int = 0,
        planner: Literal["on", "mute"] = "on",
        thermal: ThermalChange | None = None,
        built: Home | None = None,
        models: Path | None = None,
        worker: Worker | None = None,
        foreseen: bool = False,
        borders: Borders | None = None,
        state: StartState | None = None,
        parts: Parts | None = None,
    ) -> None:
        """Wire everything; nothing runs yet."""
        self.home = home
        self.clock = FakeClock(start)
        self.bus = MemoryBus(self.clock)
        self.broker = MemoryBroker()
        self.account = RunAccount()
        borders = borders or Borders()
        borders.open(home, self.clock)
        self._mqtt = {name: borders.mqtt(name, self.broker.client()) for name in ("house", "ingest", "controller")}
        self.store = SqliteHistory(":memory:" if models is None else str(models / "history.sqlite"), home.site.id)
        self.house = HouseHandlers(
            home if built is None else built,
            self.clock,
            self._mqtt["house"],
            borders.truth(world),
            seed=seed,
            start_state=state,
            parts=parts,
            tick_every=timedelta(minutes=1),
            off_delay_s=OFF_DELAY_S,
        )
        feeds = world_feeds(home, self.clock, ForeseenWorld(home, world) if foreseen else borders.told(world))
        self.ingest = IngestHandlers(
            home,
            self.clock,
            borders.bus("ingest", self.bus),
            self._mqtt["ingest"],
            cast(HistoryStore, self.store),
            feeds.prices,
            feeds.weather,
            inline=True,
            label=feeds.label,
        )
        told = borders.bus("forecaster", self.bus)
        if foreseen:
            told = cast(MemoryBus, ForesightBus(told, Foresight(self.house.plant.home, world, seed)))
        self.forecaster = ForecasterHandlers(
            home,
            self.clock,
            told,
            cast(HistoryStore, self.store),
            state_dir=models,
            trainer=InlineTrainer(),
        )
        self.controller = ControllerHandlers(
            home,
            self.clock,
            borders.bus("controller", self.bus),
            self._mqtt["controller"],
            ControllerStore(None),
            armed_env=True,
            instance="lockstep",
        )
        services: list[Service] = [self.house, self.ingest, self.forecaster]
        if planner == "on":
            seen = borders.bus("optimizer", self.bus)
            if thermal is not None:
                seen = cast(MemoryBus, _SpoiledBus(seen, thermal))
            queue = borders.queue(InlineQueue(home, self.clock, seen, worker=worker or Worker(plans=InMemoryPlans())))
            self.planner = PlannerHandlers(home, self.clock, seen, queue, inline=True)
            services.append(self.planner)
        services.append(self.controller)
        self.lockstep = Lockstep(self.clock, self.bus, borders.services(services))
        self._last_plan = ""

    async def run(self, duration: timedelta, each: Callable[[datetime], None] | None = None) -> RunAccount:
        """Run for a while and return the account so far."""
        if self.clock.monotonic() == 0.0:
            await self.lockstep.start()

        async def after_step(now: datetime) -> None:
            await self._note(now)
            if each is not None:
                each(now)

        await self.lockstep.run(self.clock.now() + duration, after_step)
        self.account.truth = self.house.truth()
        return self.account

    async def _note(self, now: datetime) -> None:
        site = self.home.site.id
        if now == slot_start(now):
            self.account.rooms_c[now] = dict(self.house.truth()["temperature_c"])
        status = await self.bus.latest("status", site)
        if status is not None:
            for name, device in status.body["devices"].items():  # counted each minute: not validated again
                self.account.mode_ticks.setdefault(name, Counter())[device["mode"]] += 1
        plan = await self.bus.latest("plan", site)
        if plan is not None and plan.id != self._last_plan:
            self._last_plan = plan.id
            body = read_body(plan, Plan)
            if body.fallback_mode:
                self.account.rule_plans += 1
            else:
                self.account.plans.append((now, body))

    async def stop(self) -> None:
        """Stop all services (the controller hands back)."""
        await self.lockstep.stop()
