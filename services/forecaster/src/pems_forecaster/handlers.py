"""The forecaster's use cases: listen to the house, learn from each slot, issue forecasts, watch the rooms.

All durations are house time but for `LEAST_WALL_S`, which spares the machine in fast runs.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.health import Health
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.messages import (
    Body,
    Envelope,
    Prices,
    Score,
    Telemetry,
    Thermal,
    Weather,
    read_body,
    wrap,
)
from pems_common.standing_alerts import StandingAlerts
from pems_forecaster.adapters.lesson_store import LessonStore
from pems_forecaster.adapters.model_registry import ModelRegistry
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.backfill import backfill
from pems_forecaster.domain.forecast import (
    KINDS,
    Inputs,
    Made,
    horizon_slots,
    make_forecast,
    remember,
)
from pems_forecaster.domain.grid import Grid, LocalCalendar, slot_no
from pems_forecaster.domain.learning import day_scores, learn_prices, learn_slot
from pems_forecaster.domain.lessons import MEASURED
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.rooms import prior_models
from pems_forecaster.domain.sampler import SlotSampler
from pems_forecaster.lesson_reader import LessonReader
from pems_forecaster.memory import Memory
from pems_forecaster.model_life import ModelLife
from pems_forecaster.ports import Trainer
from pems_forecaster.room_life import RoomLife
from pems_forecaster.room_reader import warm_up
from pems_forecaster.room_watch import RoomWatch, describe_prior, sun_ratio

__all__ = ["ForecasterHandlers"]

LEAST_WALL_S = 5.0
TICK = timedelta(seconds=60)
SAVE_EVERY = timedelta(hours=1)
TELEMETRY_SILENT = timedelta(minutes=5)
BACKFILL_RETRY_WALL_S = 30.0
BACKFILL_TRIES = 20
KEPT_FORECASTS = 20
KEPT_REQUESTS = 100


class ForecasterHandlers:
    """Implements `Service` for the forecaster."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        bus: Bus,
        history: HistoryReader | None = None,
        *,
        state_dir: Path | None = None,
        trainer: Trainer | None = None,
        background: bool = False,
        source: str = "forecaster",
        health: Health | None = None,
    ) -> None:
        """Wire the forecaster.

        Args:
            home: The site.
            clock: House and wall time.
            bus: Where telemetry, weather and prices come from, and forecasts go to.
            history: Stored history to begin with, None where there is none.
            state_dir: Where own memory, lessons and models are kept over restarts; None keeps none.
            trainer: Who trains models; None (or no `state_dir`) leaves it at the simple methods.
            background: True trains beside everything else, False within a tick (lockstep, tests).
            source: `source` of the messages.
            health: Where to report.
        """
        self._home, self._clock, self._bus, self._reader = home, clock, bus, history
        self._site = home.site.id
        self._source, self._health = source, health
        self._log = get_logger("forecaster")
        self._calendar = LocalCalendar(home.site.zone, home.site.country)
        file = None if state_dir is None else StateFile(state_dir / f"forecaster-{self._site}.json")
        self.life: ModelLife | None = None
        self.rooms: RoomLife | None = None
        self._memory = Memory(self._new_observer, file)
        if state_dir is not None and trainer is not None:
            lessons = LessonStore(state_dir / f"lessons-{self._site}.sqlite")
            alerts = StandingAlerts(self._site, clock, bus, source)
            if history is not None and home.rooms:
                self.rooms = RoomLife(
                    home,
                    clock,
                    self._calendar,
                    trainer,
                    alerts,
                    history,
                    lessons,
                    StateFile(state_dir / f"rooms-{self._site}.json"),
                    background=background,
                )
            self.life = ModelLife(
                home,
                clock,
                self._memory,
                lessons,
                ModelRegistry(state_dir / "models" / self._site),
                trainer,
                alerts,
                None if history is None else LessonReader(home, clock, lessons, history),
                self._save,
                background=background,
            )
        describe = describe_prior if self.rooms is None else self.rooms.thermal
        self._slot, self._watch = SlotSampler(), RoomWatch(home, self._calendar, describe)
        self._telemetry: Envelope | None = None
        self._weathers: dict[str, tuple[int, str, Weather]] = {}
        self._prices: tuple[str, Prices] | None = None
        self._dirty = False
        self._issued_slot = -1
        self._issued_wall: float | None = None
        self._made: Made | None = None
        self._forecasts: OrderedDict[str, Envelope] = OrderedDict()
        self._requests: OrderedDict[str, str | None] = OrderedDict()
        self._pending_scores: list[Score] = []
        self._score_day: int | None = None
        self._judge = False
        self._saved_at: datetime | None = None
        self._backfill_tries = 0 if history is None else BACKFILL_TRIES
        self._backfill_wall: float | None = None
        self._turn = asyncio.Lock()

    # --- Service ---------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the service."""
        return "forecaster"

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return TICK

    @property
    def watches(self) -> Collection[str]:
        """New weather or prices call for a new forecast at once."""
        return ("weather", "prices")

    async def start(self) -> None:
        """Load what was learnt before."""
        if self._health is not None:
            self._health.declare("forecast", required=False, detail="no forecast yet")
        if self.rooms is not None:
            await self.rooms.start()
            self._memory.observer = self._new_observer()
        self._memory.load(self._clock.now())
        if self.life is not None:
            await self.life.start()

    async def on_state(self, poke: Envelope) -> None:
        """New weather or prices: forecast anew, unless the last forecast already knew them."""
        if self._made is not None and poke.id in self._made.body.inputs:
            return
        self._dirty = True
        await self._issue_now()

    async def tick(self) -> None:
        """Sample, learn, watch the rooms, and issue what is due."""
        async with self._turn:
            await self._tick()

    async def _tick(self) -> None:
        await self._guarded(self._sample)
        self._close_slots(slot_no(self._clock.now()))
        await self._backfill_if_due()
        self._observe()
        await self._guarded(self._issue_if_due)
        await self._guarded(self._publish_thermal_if_due)
        await self._guarded(self._publish_scores_if_due)
        if self.life is not None:
            await self.life.tick()
        if self.rooms is not None:
            await self.rooms.tick()
        self._save_if_due()

    async def _issue_now(self) -> None:
        async with self._turn:
            await self._guarded(self._issue_if_due)

    async def stop(self) -> None:
        """Save what was learnt."""
        if self.rooms is not None:
            await self.rooms.stop()
        if self.life is not None:
            await self.life.stop()
        self._save()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a step that needs the bus; without it the step is tried again at the next tick."""
        try:
            await work()
        except UnavailableError as error:
            self._log.warning("the bus is away", error=str(error))

    # --- listening and learning ------------------------------------------------------------------

    async def _sample(self) -> None:
        """Take the newest telemetry, once."""
        envelope = await self._bus.latest("telemetry", self._site)
        if envelope is None or (self._telemetry is not None and envelope.id == self._telemetry.id):
            return
        if self._clock.now() - envelope.at > TELEMETRY_SILENT:
            return
        try:
            telemetry = read_body(envelope, Telemetry)
        except PermanentError as error:
            self._log.warning("telemetry cannot be read", error=str(error))
            return
        self._telemetry = envelope
        self._close_slots(slot_no(envelope.at))
        sell = None if self._prices is None else self._prices[1].sell_czk_kwh.at(envelope.at)
        self._slot.add(self._home, telemetry, sell)
        self._watch.add(telemetry)

    def _close_slots(self, now_slot: int) -> None:
        """Learn from the running slot when it is over."""
        if self._slot.slot < 0:
            self._slot.slot = now_slot
        if now_slot <= self._slot.slot:
            return
        self._learn(self._slot.slot, self._slot.finish())
        for missed in range(max(self._slot.slot + 1, now_slot - 96), now_slot):
            self._learn(missed, {})
        self._slot.slot = now_slot
        self._memory.history.prune(now_slot)
        day = self._calendar.place(now_slot)[0]
        if self._score_day is not None and day != self._score_day:
            self._pending_scores += day_scores(self._memory.history, self._memory.contests)
            self._judge = True
        self._score_day = day

    def _learn(self, slot: int, means: Mapping[str, float]) -> None:
        history = self._memory.history
        learn_slot(self._home, history, self._memory.contests, slot, means)
        if self.life is not None:
            kept = {name: history.get(name, slot, before=slot + 1) for name in MEASURED}
            self.life.learn(slot, {name: value for name, value in kept.items() if value is not None})

    async def _backfill_if_due(self) -> None:
        """Read the stored history once; try again for a while where ingest is not there yet."""
        if self._reader is None or self._backfill_tries <= 0:
            return
        wall = self._clock.monotonic()
        if self._backfill_wall is not None and wall - self._backfill_wall < BACKFILL_RETRY_WALL_S:
            return
        self._backfill_wall = wall
        self._backfill_tries -= 1
        now = self._clock.now()
        try:
            filled = await backfill(self._home, self._reader, self._memory.history, now)
            if not self._memory.restored or self._memory.observer.at is None:
                observer = self._new_observer()
                seen = await warm_up(self._home, self._reader, observer, self._calendar, slot_no(now))
                if seen:
                    self._memory.observer = observer
            self._backfill_tries = 0
            self._dirty = self._dirty or filled > 0
            self._log.info("memory filled from the stored history", load_slots=filled)
        except UnavailableError as error:
            self._log.info("the stored history is away", tries_left=self._backfill_tries, error=str(error))

    # --- rooms -----------------------------------------------------------------------------------

    def _observe(self) -> None:
        """Advance the observer of the rooms."""
        if not self._home.rooms:
            return
        now = self._clock.now()
        forecast = None if self._made is None else self._made.body
        expected = None if forecast is None else forecast.pv_power_w.p50.at(now)
        limit = self._home.pv.inverter_ac_limit_w
        ratio = sun_ratio(expected, self._slot.mean("pv_w"), self._slot.mean("pv_limited"), limit)
        observer = self._memory.observer
        inputs = self._watch.observe(observer, now, forecast, ratio)
        if inputs is not None and self.rooms is not None and self.rooms.follow(observer, now, inputs, forecast):
            self._memory.observer = self.rooms.exchanged(observer)
            self._save()

    def _new_observer(self) -> HouseObserver:
        """An observer of the published models that knows nothing yet."""
        return HouseObserver(prior_models(self._home)) if self.rooms is None else self.rooms.observer()

    @property
    def observer(self) -> HouseObserver:
        """Estimated states of the rooms."""
        return self._memory.observer

    async def _publish_thermal_if_due(self) -> None:
        now = self._clock.now()
        thermals = self._watch.due(self._memory.observer, now)
        for thermal in thermals:
            await self._publish(thermal)
        if thermals:
            self._watch.told(self._memory.observer, now, thermals)

    # --- forecasts -------------------------------------------------------------------------------

    def request(self) -> str:
        """Ask for a new forecast at the next occasion; returns the request's id."""
        request_id = new_id(self._clock.wall_now())
        self._requests[request_id] = None
        while len(self._requests) > KEPT_REQUESTS:
            self._requests.popitem(last=False)
        self._dirty = True
        return request_id

    async def serve_request(self) -> None:
        """Issue what was asked for, if the last forecast is old enough; else the next tick does."""
        await self._issue_now()

    async def _issue_if_due(self) -> None:
        now, wall = self._clock.now(), self._clock.monotonic()
        if slot_no(now) == self._issued_slot and not self._dirty:
            return
        if self._issued_wall is not None and wall - self._issued_wall < LEAST_WALL_S:
            return
        self._close_slots(slot_no(now))
        await self._read_inputs(now)
        if self._telemetry is None and not self._weathers:
            return
        await self._issue(now)
        self._issued_slot, self._issued_wall, self._dirty = slot_no(now), wall, False

    async def _read_inputs(self, now: datetime) -> None:
        """Read the latest weather of all providers, and prices; what was there before stays if it is gone."""
        for envelope in (await self._bus.latest_all("weather", self._site)).values():
            try:
                weather = read_body(envelope, Weather)
            except PermanentError as error:
                self._log.warning("weather cannot be read", error=str(error))
                continue
            if weather.available_at <= now:
                self._weathers[weather.provider] = (envelope.seq, envelope.id, weather)
        newest = await self._bus.latest("prices", self._site)
        if newest is not None and (self._prices is None or newest.id != self._prices[0]):
            try:
                self._prices = (newest.id, read_body(newest, Prices))
                learn_prices(self._memory.history, self._prices[1])
            except PermanentError as error:
                self._log.warning("prices cannot be read", error=str(error))

    async def _issue(self, now: datetime) -> None:
        """Make, publish and remember a forecast."""
        began, contests = self._clock.monotonic(), self._memory.contests
        silent = self._telemetry is None or now - self._telemetry.at > TELEMETRY_SILENT
        # The provider that leads is published last.
        by_turn = sorted(self._weathers.values(), key=lambda item: item[:2], reverse=True)
        ids = [envelope_id for _, envelope_id, _ in by_turn]
        ids += [] if self._prices is None else [self._prices[0]]
        ids += [] if self._telemetry is None else [self._telemetry.id]
        inputs = Inputs(
            weather=by_turn[0][2] if by_turn else None,
            prices=None if self._prices is None else self._prices[1],
            history=self._memory.history,
            load_now_w=self._slot.mean("load_w"),
            outdoor_now_c=None if silent else self._watch.outdoor_c,
            ids=tuple(ids),
            telemetry_silent=silent,
            others=tuple(weather for _, _, weather in by_turn[1:]),
        )
        models = {} if self.life is None else self.life.models
        grid = Grid(now, horizon_slots(self._home))
        made = make_forecast(self._home, self._calendar, grid, inputs, contests, models)
        envelope = await self._publish(made.body)
        remember(made, contests, self._memory.history)
        if self.life is not None:
            self.life.listen(made)
        self._made = made
        self._forecasts[envelope.id] = envelope
        while len(self._forecasts) > KEPT_FORECASTS:
            self._forecasts.popitem(last=False)
        for request_id, answer in self._requests.items():
            if answer is None:
                self._requests[request_id] = envelope.id
        self._report(made, took_s=self._clock.monotonic() - began)

    def _report(self, made: Made, *, took_s: float) -> None:
        degraded = list(made.body.degraded)
        self._log.info(
            "forecast issued",
            slots=made.grid.count,
            degraded=degraded,
            experience_days={kind: round(self._memory.contests.of(kind).book.days, 1) for kind in KINDS},
            took_ms=round(1000 * took_s, 1),
        )
        if self._health is not None:
            self._health.set("forecast", not degraded, ", ".join(degraded), required=False)

    async def _publish(self, body: Body) -> Envelope:
        envelope = wrap(body, site=self._site, clock=self._clock, source=self._source)
        await self._bus.publish(envelope)
        return envelope

    async def _publish_scores_if_due(self) -> None:
        """Publish the scores of the day that ended."""
        while self._pending_scores:
            await self._publish(self._pending_scores[0])
            score = self._pending_scores.pop(0)
            self._memory.scores[score.kind] = score
        if self._judge:
            self._judge = False
            if self.life is not None:
                await self.life.on_day()

    # --- what the API shows ----------------------------------------------------------------------

    def latest_forecast(self) -> Envelope | None:
        """The forecast issued last."""
        return next(reversed(self._forecasts.values()), None)

    def forecast(self, wanted: str) -> Envelope | None:
        """Find a forecast by its own id or by that of the request it answered.

        Raises:
            KeyError: Neither is known. (None: the request waits.)
        """
        if wanted in self._forecasts:
            return self._forecasts[wanted]
        answer = self._requests[wanted]
        return None if answer is None else self._forecasts[answer]

    def thermals(self) -> dict[str, Thermal]:
        """Model and state of each room as published last."""
        return dict(self._watch.published)

    def scores(self) -> dict[str, Score]:
        """Scores of the last finished day by kind."""
        return dict(self._memory.scores)

    # --- memory over restarts --------------------------------------------------------------------

    def _save_if_due(self) -> None:
        now = self._clock.now()
        if self._saved_at is None:
            self._saved_at = now
        elif now - self._saved_at >= SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        self._saved_at = self._clock.now()
        self._memory.save(self._saved_at)
        if self.rooms is not None:
            self.rooms.save()
