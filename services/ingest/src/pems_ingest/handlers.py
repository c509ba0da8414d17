"""Ingest's use cases: devices, prices and weather come in, are checked, stored and published.

Works with any clock, bus, broker and store, in lockstep too: with feeds that are `inline` nothing runs outside `tick`.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.dialects.generic import FieldMapping
from pems_common.errors import UnavailableError
from pems_common.history import HistoryStore, Point
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Body, Envelope, Prices, Telemetry, Weather, read_body, wrap
from pems_common.metrics import Metrics
from pems_common.mqtt import Mqtt
from pems_common.timegrid import slot_start
from pems_ingest.adapters.spool import Spool
from pems_ingest.adapters.spooled_history import SpooledHistory
from pems_ingest.alerts import AlertBook
from pems_ingest.device_intake import DeviceIntake
from pems_ingest.domain.recording import Recorder
from pems_ingest.domain.telemetry import TelemetryAssembler
from pems_ingest.history_keeper import HistoryKeeper
from pems_ingest.price_feed import PriceFeed
from pems_ingest.rejections import Rejections
from pems_ingest.weather_feed import WeatherFeed

__all__ = ["IngestHandlers"]

_log = get_logger("ingest")
_PUBLISH_WALL_S = 1.0
_FLUSH_WALL_S = 1.0
_LOOK_AFTER_BUS_WALL_S = 15.0
_FEED_LOOK_WALL_S = 5.0
_LOST_REMEDY = "make room on the disk of the data directory; look at the log of ingest"


class IngestHandlers:
    """The service. Reading the device topics begins in the constructor."""

    name = "ingest"
    watches: Collection[str] = ()

    def __init__(
        self,
        home: Home,
        clock: Clock,
        bus: Bus,
        mqtt: Mqtt,
        store: HistoryStore,
        prices: PriceFeed,
        weather: WeatherFeed,
        *,
        inline: bool,
        spool: Spool | None = None,
        metrics: Metrics | None = None,
        instance: str = "1",
        label: str = "",
        mappings: Sequence[FieldMapping] = (),
        tick_every: timedelta = timedelta(seconds=10),
    ) -> None:
        """Wire the service.

        Args:
            home: The site.
            clock: House and wall time.
            bus: Where telemetry, prices and weather go.
            mqtt: Where devices speak.
            store: The history.
            prices: Feed of prices.
            weather: Feed of weather.
            inline: Feeds answer at once (a world): they are asked inside `tick`. Otherwise run `background()`.
            spool: Buffer while the store is away; in memory when None.
            metrics: Where to count.
            instance: Name of this process in messages and consumer groups.
            label: Where prices and weather come from, for people.
            mappings: Fields of devices of other dialects.
            tick_every: House time between publications of telemetry.
        """
        self._home, self._clock, self._bus, self.store = home, clock, bus, store
        self.prices, self.weather, self._inline, self.label = prices, weather, inline, label
        self._source = f"ingest@{instance}"
        self._tick_every = tick_every
        metrics = metrics or Metrics()
        self.rejections = Rejections(metrics)
        self._assembler = TelemetryAssembler(
            tuple(home.rooms), has_ev=home.ev is not None, has_water=home.water is not None
        )
        self._recorder = Recorder()
        self._pending: list[Point] = []
        self.intake = DeviceIntake(
            home, clock, mqtt, self._assembler, self._recorder, self.rejections, metrics, mappings
        )
        self.history = SpooledHistory(store, spool or Spool(None))
        self._keeper = HistoryKeeper(self.history, bus, clock, site=home.site.id, consumer=instance)
        self.alerts = AlertBook(bus, clock, site=home.site.id, source=self._source)
        self.latest: dict[str, Envelope] = {}
        self._published: dict[str, object] = {}
        self._told_weather: dict[str, Weather] = {}
        self._leading_told: Weather | None = None
        self._next_publish_s = clock.monotonic()
        self._next_look_s = clock.monotonic()
        self._slot: datetime | None = None
        self._prices: Prices | None = None
        self._points = metrics.counter("ingest_points", "Points given to the history")
        self._waiting = metrics.gauge("ingest_spool_bytes", "Bytes waiting on disk while the history is away")
        self._lost = metrics.gauge("ingest_points_lost", "Readings lost because the buffer on disk was full")
        self._unpublished = metrics.counter("ingest_publish_errors", "Messages the bus did not take", ["type"])

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return self._tick_every

    def background(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Return what runs beside the ticks in a process: copying streams, storing, asking sources that take time."""
        tasks = [*self._keeper.copiers(), self._flush_for_ever]
        if not self._inline:
            tasks.append(self._feed_for_ever)
        return tasks

    async def start(self) -> None:
        """Take over the last prices and weather from the bus or the history; both may be away."""
        for type in ("prices", "weather"):
            for envelope in await self._known(type):
                try:
                    if type == "prices":
                        self.prices.seed(read_body(envelope, Prices))
                    elif not self._inline:
                        self.weather.seed(read_body(envelope, Weather))
                except Exception as error:  # of an older version, or damaged: a new one comes soon
                    _log.warning("a kept message cannot be used", type=type, id=envelope.id, error=str(error))

    async def _known(self, type: str) -> list[Envelope]:
        """Return what is kept of the last days, newest first."""
        found: list[Envelope] = []
        now = self._clock.now()
        try:
            found += (await self._bus.latest_all(type, self._home.site.id)).values()
        except UnavailableError as error:
            _log.warning("the bus is away", error=str(error))
        try:
            found += await self.store.messages(type, now - timedelta(days=8), now + timedelta(seconds=1), limit=16)
        except UnavailableError as error:
            _log.warning("the history is away", error=str(error))
        return sorted((e for e in found if e.at <= now), key=lambda e: e.seq, reverse=True)

    async def on_state(self, poke: Envelope) -> None:
        """Nothing is watched."""

    async def tick(self) -> None:
        """Ask inline feeds, store what came, publish what is due."""
        now = self._clock.now()
        if self._inline:
            await self._ask_feeds(now)
        wall_s = self._clock.monotonic()
        telemetry: Telemetry | None = None
        if wall_s >= self._next_publish_s - 1e-6:
            self._next_publish_s = wall_s + _PUBLISH_WALL_S
            telemetry = self._assembler.telemetry(now)
            self._record(telemetry, now)
        await self._flush()
        if telemetry is not None:
            await self._publish(telemetry)
        await self._publish_feeds(now)
        self._look_for_trouble(now)
        await self.alerts.publish()

    async def stop(self) -> None:
        """Store what is in hand."""
        await self._flush()

    # --- parts of a tick ----------------------------------------------------------------------

    async def _ask_feeds(self, now: datetime) -> None:
        due = [feed.refresh(now) for feed in (self.prices, self.weather) if feed.due(now)]
        if self._inline:
            for refresh in due:
                await refresh
        elif due:
            await asyncio.gather(*due)

    async def _flush_for_ever(self) -> None:
        """Store what came between ticks: a killed process loses a second of readings, not ten."""
        while True:
            await self._clock.sleep_wall(_FLUSH_WALL_S)
            await self._flush()

    async def _feed_for_ever(self) -> None:
        while True:
            await self._ask_feeds(self._clock.now())
            await self._clock.sleep_wall(_FEED_LOOK_WALL_S)

    def _record(self, telemetry: Telemetry, now: datetime) -> None:
        """Record what is computed rather than measured, and at each new slot its weather and prices."""
        values: dict[str, float | None] = {}
        if not self._assembler.measures("load_power_w"):
            values["load_power_w"] = telemetry.load_power_w
        slot = slot_start(now)
        if slot != self._slot:
            self._slot = slot
            values |= self._slot_values(slot, now)
        for series, value in values.items():
            if value is not None and (point := self._recorder.point(series, now, value)) is not None:
                self._pending.append(point)

    def _slot_values(self, slot: datetime, now: datetime) -> dict[str, float | None]:
        values: dict[str, float | None] = {}
        weather, prices = self.weather.message(), self._prices or self.prices.message(now)
        if weather is not None:
            for name in ("temperature_c", "cloud_cover_pct", "ghi_w_m2", "dni_w_m2", "dhi_w_m2", "wind_m_s"):
                series = getattr(weather, name)
                values[f"weather.{name}"] = None if series is None else series.at(slot)
        if prices is not None:
            for name in ("spot_eur_mwh", "buy_czk_kwh", "sell_czk_kwh"):
                values[f"price.{name}"] = getattr(prices, name).at(slot)
        return values

    async def _flush(self) -> None:
        points = self.intake.take_points()
        points += self._pending
        self._pending = []
        await self._keeper.write(points)
        self._points.inc(len(points))
        self._waiting.set(self.history.waiting_bytes)
        self._lost.set(self.history.lost)

    async def _publish_feeds(self, now: datetime) -> None:
        """Publish prices and weather that changed; and again when the bus has lost them (a wiped server)."""
        wall_s = self._clock.monotonic()
        if wall_s >= self._next_look_s:
            self._next_look_s = wall_s + _LOOK_AFTER_BUS_WALL_S
            await self._forget_what_the_bus_lost()
        day = now.astimezone(self._home.site.zone).date()
        state: object = (self.prices.revision, day, self.prices.stale(now))
        if self._published.get("prices") != state:
            prices = self._prices = self.prices.message(now)
            if prices is None or await self._publish(prices):
                self._published["prices"] = state
        revision = self.weather.revision
        if self._published.get("weather") != revision and await self._publish_weather():
            self._published["weather"] = revision

    async def _publish_weather(self) -> bool:
        """Publish each provider's forecast that changed, and then the one that leads: who reads last knows who does.

        Returns whether the bus took them.
        """
        messages = self.weather.messages()
        news = [weather for weather in messages[1:] if self._told_weather.get(weather.provider) != weather]
        if messages and (news or self._leading_told != messages[0]):
            news.append(messages[0])
        for weather in news:
            leads = weather is messages[0]
            if not await self._publish(weather, leads):
                return False
            self._told_weather[weather.provider] = weather
            if leads:
                self._leading_told = weather
        return True

    async def _forget_what_the_bus_lost(self) -> None:
        for type in ("prices", "weather"):
            envelope = self.latest.get(type)
            if envelope is None:
                continue
            try:
                if await self._bus.latest(type, envelope.site, envelope.subject) is None:
                    self._published.pop(type, None)
                    if type == "weather":
                        self._told_weather.clear()
                        self._leading_told = None
            except UnavailableError:
                return

    async def _publish(self, body: Body, leads: bool = True) -> bool:
        """Publish; what `leads` is what the API shows of its type. Returns whether the bus took it."""
        envelope = wrap(body, site=self._home.site.id, clock=self._clock, source=self._source)
        if leads:
            self.latest[envelope.type] = envelope
        try:
            await self._bus.publish(envelope)
        except UnavailableError as error:
            self._unpublished.labels(type=envelope.type).inc()
            _log.debug("the bus did not take a message", type=envelope.type, error=str(error))
            return False
        return True

    def _look_for_trouble(self, now: datetime) -> None:
        self.alerts.set("prices_stale", self.prices.stale(now) if self.prices.asked else "")
        self.alerts.set("weather_stale", self.weather.stale(now))
        away = self.history.away_since
        away_s = 0.0 if away is None else (now - away).total_seconds()
        self.alerts.set(
            "history_away",
            "the history cannot be written: readings wait on disk" if away_s > 60 else "",
            remedy=_LOST_REMEDY,
        )
        lost = self.history.lost
        text = f"{lost} readings were lost: the buffer on disk was full or could not be written" if lost else ""
        self.alerts.set("history_lost", text, severity="critical", remedy=_LOST_REMEDY)
