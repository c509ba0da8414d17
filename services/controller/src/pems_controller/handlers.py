"""The controller: at each tick it looks at the house, decides, limits, acts, and tells.

Nothing here needs Redis, the optimizer, the forecaster or ingest to be alive: devices are read from and commanded by
MQTT, the plan comes from memory or the controller's own file, and without one the rules hold.
"""

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.messages import Envelope, Plan, Status
from pems_common.mqtt import Mqtt
from pems_common.timegrid import parse_instant
from pems_controller.account import Account
from pems_controller.adapters.claim import Claim
from pems_controller.adapters.growatt import GrowattInverter
from pems_controller.adapters.guarded_mqtt import GuardedMqtt, allowed_topics
from pems_controller.adapters.home_assistant import HomeAssistant
from pems_controller.adapters.live_state import LiveState
from pems_controller.adapters.loads import Charger, Heater
from pems_controller.adapters.loxone import OFF_DELAY_WALL_S, LoxoneRelay, pulse
from pems_controller.adapters.reporter import Reporter
from pems_controller.adapters.store import AuditRow, ControllerStore
from pems_controller.dispatch import Dispatcher
from pems_controller.domain.decide import Decided, HouseInputs, decide_house
from pems_controller.domain.plan_follow import plan_age_s
from pems_controller.domain.safety import room_limit_broken
from pems_controller.domain.state import HouseState
from pems_controller.knowledge import Knowledge
from pems_controller.override_desk import OverrideDesk
from pems_controller.ports import Actuator

__all__ = ["BEAT_WALL_S", "ControllerHandlers"]

BEAT_WALL_S = 10.0
_TICKS_OF_PULSE = 3
_BUS_WALL_S = 3.0
_LAST_WORDS_WALL_S = 1.5


class ControllerHandlers:
    """The controller of one site; implements `Service`."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        bus: Bus,
        mqtt: Mqtt,
        store: ControllerStore,
        *,
        armed_env: bool,
        instance: str,
        background: bool = False,
    ) -> None:
        """Wire the controller and subscribe to its devices.

        Args:
            home: The site.
            clock: House and wall time.
            bus: For plans, prices and models in, and reports out; may be dead.
            mqtt: The devices.
            store: What survives.
            armed_env: The second key (environment); the first stands in home.yaml.
            instance: Unique name of this process.
            background: True in a real process: commands and reports run beside the tick (see `beat_for_ever` and
                `report_for_ever`). False resolves everything inside each call (lockstep, tests).
        """
        self.counters: Counter[str] = Counter()
        self._home, self._clock, self._bus, self._store = home, clock, bus, store
        self._background = background
        self._mqtt = GuardedMqtt(mqtt, allowed_topics(home), self.counters)
        self._armed_keys = home.control.armed and armed_env
        self._live = LiveState(home, clock, self._mqtt, store, self.counters)
        self._knowledge = Knowledge(home, clock, store, self.counters)
        self._reporter = Reporter(home.site.id, f"controller@{instance}", clock, bus, self.counters)
        self._claim = Claim(home, instance, clock, self._mqtt)
        self._home_assistant = HomeAssistant(home, self._mqtt)
        self._actuators = self._make_actuators()
        self._dispatcher = Dispatcher(home, clock, store, self._reporter, self._actuators, background=background)
        self._desk = OverrideDesk(home, clock, store, self._reporter)
        self._account = Account(home, clock, store, self._reporter)
        self._broken: frozenset[str] = frozenset()
        self._floor_since_s: float | None = None
        self._was_outranked = self._stopping = self._pulse_failed = False
        self._last_tick_s: float | None = None
        self._pulsed_s: float | None = None
        self._tick_ms = 0.0
        self._turn = asyncio.Lock()

    def _make_actuators(self) -> dict[str, Actuator]:
        home, clock, mqtt, live = self._home, self._clock, self._mqtt, self._live
        made: dict[str, Actuator] = {f"room:{r}": LoxoneRelay(home, r, clock, mqtt, live) for r in home.rooms}
        if home.battery is not None and home.devices.inverter.writable:
            made["battery"] = GrowattInverter(home, home.battery, clock, mqtt, self._store, live, self.counters)
        if home.ev is not None:
            made["ev"] = Charger(home, clock, mqtt)
        if home.water is not None:
            made["water"] = Heater(home, clock, mqtt, live)
        return made

    # --- Service -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the service."""
        return "controller"

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return timedelta(seconds=self._home.control.tick_s)

    @property
    def watches(self) -> Collection[str]:
        """What comes by the bus."""
        return ("plan", "prices", "thermal")

    async def start(self) -> None:
        """Load what was kept, then what the bus has (it may be away)."""
        self._live.load()
        if self._was_silent():
            self._live.alone()
        self._knowledge.load()
        self._dispatcher.load()
        self._desk.load()
        for kind in self.watches:
            try:
                found = await self._clock.wait_for(self._bus.latest_all(kind, self._home.site.id), _BUS_WALL_S)
            except (UnavailableError, TimeoutError, OSError):
                self.counters["bus_reads_failed"] += 1
                break
            for envelope in found.values():
                self._knowledge.take(envelope)

    def _was_silent(self) -> bool:
        """Whether Loxone ran alone before this process began: its last pulse is too old, and is kept once a tick."""
        kept = self._store.kept("pulsed_at")
        if kept is None:
            return False
        silent_s = (self._clock.now() - parse_instant(kept)).total_seconds()
        return silent_s >= OFF_DELAY_WALL_S * self._clock.speed + self._home.control.tick_s

    async def on_state(self, poke: Envelope) -> None:
        """A plan, prices or a model came. The poke carries it; the key may be newer, and either may be refused."""
        if poke.type not in self.watches or poke.site != self._home.site.id:
            return
        try:
            latest = await self._clock.wait_for(
                self._bus.latest(poke.type, self._home.site.id, poke.subject), _BUS_WALL_S
            )
        except (UnavailableError, TimeoutError, OSError):
            self.counters["bus_reads_failed"] += 1
            latest = None
        self._knowledge.take(latest or poke)

    async def tick(self) -> None:
        """Look, decide, act, tell."""
        async with self._turn:
            began = self._clock.monotonic()
            self._desk.end_those_over()
            state = self._live.house()
            decided = self._decide(state)
            silent = self._claim.outranked
            if self._was_outranked and not silent:
                for actuator in self._actuators.values():
                    actuator.forget()
            self._was_outranked = silent
            await self._dispatcher.carry_out(decided, silent=silent)
            with self._store.together():  # before the pulse: a tick that cannot write does not complete
                self._live.save()
                self._keep_pulse()
            self._tick_ms = 1000 * (self._clock.monotonic() - began)
            self._account_for(state, decided)
            self._last_tick_s = self._clock.house_monotonic()
            await self.beat()
            await self._tell()

    async def stop(self) -> None:
        """Hand everything back, and say so."""
        self._stopping = True
        async with self._turn:
            if not self._claim.outranked:
                done = await self._dispatcher.hand_everything_back("stopping")
                self._store.audit(self._clock.now(), "stopped", "", {"handed_back": done})
            state = self._live.house()
            self._account_for(state, self._decide(state))
            await self._tell()
            try:
                await self._claim.withdraw()
                await self._home_assistant.gone()
            except UnavailableError:
                self.counters["mqtt_unsent"] += 1
            with suppress(TimeoutError):
                await self._clock.wait_for(self._reporter.drain(), _LAST_WORDS_WALL_S)

    # --- parts of a tick -----------------------------------------------------------------------

    @property
    def keys_turned(self) -> bool:
        """Whether home.yaml and the environment both arm."""
        return self._armed_keys

    @property
    def armed(self) -> bool:
        """Whether both keys are turned and nobody disarmed."""
        return self._armed_keys and not self._store.kept("disarmed", False)

    def _decide(self, state: HouseState) -> dict[str, Decided]:
        mono_s = self._clock.house_monotonic()
        decided = decide_house(
            self._home,
            HouseInputs(
                state=state,
                mono_s=mono_s,
                armed=self.armed,
                stopping=self._stopping,
                outranked=self._claim.outranked,
                overrides=self._desk.by_device(),
                plan=self._knowledge.plan(),
                config_hash=self._knowledge.config_hash,
                prices=self._knowledge.price_view(),
                thermal=self._knowledge.thermal,
                broken=self._broken,
                floor_held_s=None if self._floor_since_s is None else mono_s - self._floor_since_s,
            ),
        )
        self._broken = frozenset(
            f"room:{name}"
            for name, room in state.rooms.items()
            if room_limit_broken(self._home, room.temperature_c, was_broken=f"room:{name}" in self._broken)
        )
        battery = decided.get("battery")
        held = battery is not None and any(c.limit == "soc_min_pct" for c in battery.clamps)
        if not held:
            self._floor_since_s = None
        elif self._floor_since_s is None:
            self._floor_since_s = mono_s
        return decided

    def _account_for(self, state: HouseState, decided: dict[str, Decided]) -> None:
        held = self._knowledge.plan()
        self._account.update(
            state,
            decided,
            plan_id="" if held is None else held.plan.plan_id,
            plan_age_s=None if held is None else plan_age_s(held, state.at, self._clock.house_monotonic()),
            telemetry_age_s=self._live.age_s("battery"),
            overrides=self._desk.running(),
            last_actions=tuple(self._dispatcher.last_actions),
            armed=self.armed,
            tick_ms=self._tick_ms,
        )
        self._reporter.alert(
            "another_controller",
            self._claim.outranked,
            "a newer controller runs for this site: this one is silent",
            "stop one of them",
        )

    async def _tell(self) -> None:
        status = self._account.status
        if status is None:
            return
        self._reporter.post(status)
        try:
            if not self._claim.outranked:
                await self._home_assistant.tell(status)
        except UnavailableError:
            self.counters["mqtt_unsent"] += 1
        if not self._background:
            await self._reporter.drain()

    async def beat(self) -> None:
        """Claim the site, and pulse Loxone's watchdog while the last completed tick is recent (3 tick lengths)."""
        try:
            await self._claim.beat()
            recent_s = _TICKS_OF_PULSE * max(self._home.control.tick_s, self._clock.speed)
            late = self._last_tick_s is None or self._clock.house_monotonic() - self._last_tick_s >= recent_s
            if not late and self._dispatcher.live:
                await pulse(self._home, self._mqtt)
                self._pulsed_s = self._clock.monotonic()
                self._pulse_failed = False
        except UnavailableError:
            self.counters["mqtt_unsent"] += 1
            self._pulse_failed = True
            if self._pulsed_s is not None and self._clock.monotonic() - self._pulsed_s >= OFF_DELAY_WALL_S:
                self._live.alone()

    def _keep_pulse(self) -> None:
        """Keep that Loxone is about to be pulsed, for the next process (see `_was_silent`)."""
        if self._dispatcher.live and not self._claim.outranked and not self._pulse_failed:
            self._store.keep("pulsed_at", self._clock.now().isoformat())

    async def beat_for_ever(self) -> None:
        """Background task of a real process: a beat every 10 wall seconds."""
        while True:
            await self._clock.sleep_wall(BEAT_WALL_S)
            await self.beat()

    async def report_for_ever(self) -> None:
        """Background task of a real process: sends what is queued for the bus."""
        await self._reporter.drain_for_ever()

    async def on_mqtt_connect(self) -> None:
        """The broker is (again) there: nothing sent before is known to have held."""
        self._home_assistant.forget()
        for device in self._actuators:
            if device != "battery":
                self._actuators[device].forget()

    # --- what REST asks ------------------------------------------------------------------------

    @property
    def status(self) -> Status | None:
        """The last status; None before the first tick."""
        return self._account.status

    @property
    def newest_plan(self) -> Plan | None:
        """The newest plan that was accepted."""
        return self._knowledge.newest_plan()

    @property
    def desk(self) -> OverrideDesk:
        """Where overrides are given and ended."""
        return self._desk

    def set_armed(self, armed: bool, *, by: str) -> bool:
        """Arm or disarm; tells whether the controller is armed now (both keys are still needed)."""
        with self._store.together():
            self._store.keep("disarmed", not armed)
            self._store.audit(self._clock.now(), "arming", "", {"armed": armed, "by": by, "keys": self._armed_keys})
        return self.armed

    def audit(self, *, limit: int, before_id: int | None = None, device: str | None = None) -> list[AuditRow]:
        """Newest lines of the audit first."""
        return self._store.audit_rows(limit=limit, before_id=before_id, device=device)
