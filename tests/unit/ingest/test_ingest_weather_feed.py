"""Several providers of weather, what is added to the one that leads, what is published, and the year before."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from pems_common.clock import FakeClock
from pems_common.errors import PemsError
from pems_common.messages import Band, ExpectedPv, Series, Weather, WeatherQuantiles, read_body
from pems_ingest.adapters.spool import Spool
from pems_ingest.adapters.spooled_history import SpooledHistory
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.feeds import live_feeds
from pems_ingest.past_weather import PastWeather, spans
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.port import SourceError
from pems_ingest.weather_feed import WeatherFeed

NOON = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def series(at: datetime, value: float, hours: int = 72) -> Series:
    return Series.of(at, 3600, [value] * hours)


def weather(at: datetime, provider: str, temperature_c: float = 5.0, cloud_pct: float = 50.0, **more) -> Weather:
    return Weather(
        provider=provider,
        run_at=at,
        available_at=at,
        temperature_c=series(at, temperature_c),
        cloud_cover_pct=series(at, cloud_pct),
        ghi_w_m2=series(at, 0.0),
        **more,
    )


def quantiles(at: datetime, value: float = 1.0) -> WeatherQuantiles:
    band = Band(p10=series(at, value), p50=series(at, value), p90=series(at, value))
    return WeatherQuantiles(temperature_c=band, ghi_w_m2=band)


class Source:
    """Any kind of source: answers with the instant it was asked at."""

    def __init__(self, name: str, every: timedelta = HOUR):
        self.name, self.every = name, every
        self.error: SourceError | None = None
        self.asked: list[datetime] = []
        self.cloud_pct = 50.0

    def ask(self, now):
        self.asked.append(now)
        if self.error is not None:
            raise self.error

    async def forecast(self, now):
        self.ask(now)
        return weather(now, self.name, cloud_pct=self.cloud_pct)

    async def spread(self, now):
        self.ask(now)
        return quantiles(now)

    async def power(self, now):
        self.ask(now)
        return ExpectedPv(available_at=now, p50=series(now, 500.0))


@pytest.fixture
def first():
    return Source("first")


@pytest.fixture
def second():
    return Source("second")


@pytest.fixture
def feed(first, second):
    return WeatherFeed([first, second], every=HOUR)


DOWN = SourceError("timeout", "x")


async def until(feed: WeatherFeed, now: datetime, end: datetime) -> None:
    """Look each minute, as the service does."""
    while now <= end:
        if feed.due(now):
            await feed.refresh(now)
        now += timedelta(minutes=1)


def providers(feed: WeatherFeed) -> list[str]:
    return [w.provider for w in feed.messages()]


# --- several providers ------------------------------------------------------------------------


async def test_each_provider_has_its_message_and_the_first_leads(feed):
    await feed.refresh(NOON)
    assert providers(feed) == ["first", "second"]
    assert feed.message().provider == "first"


async def test_a_failing_provider_goes_quiet_and_is_asked_again_later_and_later(feed, first, second):
    await feed.refresh(NOON)
    first.error = DOWN
    await until(feed, NOON, NOON + 2 * HOUR)
    assert [(at - NOON) // timedelta(minutes=1) for at in first.asked] == [0, 60, 62, 67, 82, 97, 112]
    assert feed.message().available_at == NOON  # two hours old at most: still the better one
    assert len(second.asked) == 3
    await until(feed, NOON + 2 * HOUR, NOON + 2.5 * HOUR)
    assert providers(feed) == ["second", "first"]
    assert feed.messages()[1] == weather(NOON, "first")
    assert feed.stale(NOON + 2.5 * HOUR) == ""
    first.error = None
    await until(feed, NOON + 2.5 * HOUR, NOON + 3 * HOUR)
    assert feed.message().provider == "first"


async def test_what_is_impossible_counts_as_a_failure_and_what_is_odd_is_said(first, second, feed):
    first.cloud_pct = 150.0
    await feed.refresh(NOON)
    assert providers(feed) == ["second"]
    assert "cloud_cover_pct" in feed.health[0].last_error

    class Cold(Source):
        async def forecast(self, now):
            return weather(now, self.name, temperature_c=-25.0)

    cold = WeatherFeed([Cold("cold")], every=HOUR)
    await cold.refresh(NOON)
    assert "-25.0" in cold.message().warnings[0]
    assert "-25.0" in cold.health[0].note


async def test_retry_after_holds_for_the_one_that_asked_for_it(feed, first, second):
    first.error = SourceError("http_429", "slow down", retry_after_s=7200)
    await until(feed, NOON, NOON + 2 * HOUR)
    assert first.asked == [NOON, NOON + 2 * HOUR]
    assert len(second.asked) == 3


async def test_the_spare_is_asked_only_while_all_others_are_silent(first, second):
    spare = Source("generated")
    feed = WeatherFeed([first, second], every=HOUR, spare=spare)
    await feed.refresh(NOON)
    assert spare.asked == []
    first.error = second.error = DOWN
    await until(feed, NOON, NOON + 2 * HOUR)
    assert spare.asked == []
    await until(feed, NOON + 2 * HOUR, NOON + 4 * HOUR)
    assert len(spare.asked) == 2
    assert providers(feed) == ["generated", "first", "second"]
    second.error = None
    await until(feed, NOON + 4 * HOUR, NOON + 5 * HOUR)
    assert providers(feed) == ["second", "first"]


async def test_all_silent_for_long_stretches_the_last_one(feed, first, second):
    await feed.refresh(NOON)
    first.error = second.error = DOWN
    await until(feed, NOON, NOON + 25 * HOUR)
    leading = feed.message()
    assert leading.temperature_c.end >= NOON + (25 + 49) * HOUR
    assert sum("persistence" in w for w in leading.warnings) == 1
    assert "25 h old" in feed.stale(NOON + 25 * HOUR)


# --- what is added ----------------------------------------------------------------------------


async def test_the_one_that_leads_carries_spread_and_pv_power(first, second):
    spread, pv = Source("ensemble", every=3 * HOUR), Source("solcast", every=2.5 * HOUR)
    feed = WeatherFeed([first, second], every=HOUR, spread=spread, pv=[pv])
    await feed.refresh(NOON)
    leading, other = feed.messages()
    assert leading.quantiles == quantiles(NOON)
    assert leading.pv_power_w == {"solcast": ExpectedPv(available_at=NOON, p50=series(NOON, 500.0))}
    assert other.quantiles is None
    assert other.pv_power_w == {}
    await until(feed, NOON, NOON + 6 * HOUR)
    assert spread.asked == [NOON, NOON + 3 * HOUR, NOON + 6 * HOUR]
    assert pv.asked == [NOON, NOON + 2.5 * HOUR, NOON + 5 * HOUR]
    assert feed.message().quantiles == quantiles(NOON + 6 * HOUR)
    assert [h.name for h in feed.health] == ["first", "second", "ensemble", "solcast"]


async def test_a_failing_ensemble_or_pv_service_costs_nothing_else(first):
    spread, pv = Source("ensemble"), Source("solcast", every=2.5 * HOUR)
    spread.error = pv.error = DOWN
    feed = WeatherFeed([first], every=HOUR, spread=spread, pv=[pv])
    await until(feed, NOON, NOON + 2 * HOUR)
    assert feed.message() == weather(NOON + 2 * HOUR, "first")
    assert feed.stale(NOON + 2 * HOUR) == ""
    assert len(first.asked) == 3
    assert pv.asked == [NOON]  # questions are counted: a failure makes none come sooner


async def test_a_slow_ensemble_holds_nothing_up(first):
    come = asyncio.Event()

    class Slow(Source):
        async def spread(self, now):
            await come.wait()
            return quantiles(now)

    feed = WeatherFeed([first], every=HOUR, spread=Slow("ensemble"))
    asking = asyncio.create_task(feed.refresh(NOON))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert feed.message() == weather(NOON, "first")
    come.set()
    await asking
    assert feed.message().quantiles == quantiles(NOON)


async def test_added_things_are_dropped_after_a_day(first):
    spread, pv = Source("ensemble"), Source("solcast")
    feed = WeatherFeed([first], every=HOUR, spread=spread, pv=[pv])
    await feed.refresh(NOON)
    spread.error = pv.error = DOWN
    await until(feed, NOON, NOON + 23 * HOUR)
    assert feed.message().quantiles is not None
    assert feed.message().pv_power_w
    await until(feed, NOON + 23 * HOUR, NOON + 25 * HOUR)
    assert feed.message().quantiles is None
    assert feed.message().pv_power_w == {}


async def test_pv_services_are_not_asked_at_night(first):
    pv = Source("solcast")
    feed = WeatherFeed([first], every=HOUR, pv=[pv], daylight=lambda now: now < NOON + 3 * HOUR)
    await until(feed, NOON, NOON + 10 * HOUR)
    assert len(pv.asked) == 3
    assert len(first.asked) == 11


async def test_a_restart_knows_what_was_told_and_asks_nothing_twice_that_is_counted(first, second):
    def make():
        made = [Source("ensemble", every=3 * HOUR), Source("solcast", every=2.5 * HOUR)]
        return WeatherFeed([first, second], every=HOUR, spread=made[0], pv=[made[1]]), made[1]

    feed, _ = make()
    await feed.refresh(NOON)
    told = feed.messages()
    again, pv = make()
    for message in (*reversed(told), weather(NOON + HOUR, "open_meteo_previous_runs")):
        again.seed(message)
    assert again.messages() == told
    await until(again, NOON + 0.5 * HOUR, NOON + 3 * HOUR)
    assert pv.asked == [NOON + 2.5 * HOUR]
    third, _ = make()
    for message in (told[0], weather(NOON, "second", quantiles=quantiles(NOON - DAY))):
        third.seed(message)  # the second led before
    assert third.messages() == told
    again.seed(told[0])  # older than what is known by now
    assert again.message().available_at > NOON


# --- what is published ------------------------------------------------------------------------


async def test_each_provider_is_published_under_its_name_and_only_when_it_changed(bench, first, second):
    second.every = 3 * HOUR
    feed = bench.handlers.weather = WeatherFeed([first, second], every=HOUR)
    await bench.run(60)
    assert [e.subject for e in bench.bus.entries("weather")] == ["second", "first"]
    latest = await bench.bus.latest_all("weather", "home")
    assert {subject: read_body(e, Weather).provider for subject, e in latest.items()} == {
        "first": "first",
        "second": "second",
    }
    first.error = DOWN
    await bench.run(3660, step_s=60)
    assert [e.subject for e in bench.bus.entries("weather")] == ["second", "first"] * 2  # who leads is told last
    assert bench.handlers.latest["weather"].subject == "first"  # still leads
    await bench.run(2 * 3600, step_s=60)
    assert feed.message().provider == "second"
    assert bench.handlers.latest["weather"].subject == "second"
    count = [e.subject for e in bench.bus.entries("weather")].count
    assert count("first") == 2  # as it came, and as the leader of news
    assert count("second") >= 3
    bench.bus.wipe()
    await bench.run(30)
    assert set(await bench.bus.latest_all("weather", "home")) == {"first", "second"}


# --- the year before --------------------------------------------------------------------------

TODAY = date(2026, 1, 15)


class Archive:
    """Knows each day but one."""

    name, days_max = "open_meteo_previous_runs", 90

    def __init__(self):
        self.asked: list[tuple[date, date]] = []
        self.fails = 0

    async def history(self, first, last):
        self.asked.append((first, last))
        if self.fails:
            self.fails -= 1
            raise DOWN
        days = [first + i * DAY for i in range((last - first).days + 1)]
        midnights = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days if d != date(2025, 7, 1)]
        return [weather(at, self.name) for at in midnights]


@pytest.fixture
async def store():
    one = SqliteHistory(":memory:", "home")
    yield one
    await one.close()


def past(archive: Archive, store: SqliteHistory, clock: FakeClock) -> PastWeather:
    return PastWeather(archive, store, SpooledHistory(store, Spool(None)), clock, site="home", source="ingest@1")


async def kept(store: SqliteHistory) -> list:
    return await store.messages("weather", NOON - 400 * DAY, NOON, limit=1000)


def patient(clock: FakeClock, monkeypatch) -> list[float]:
    """Make pauses pass at once; returns them."""
    pauses: list[float] = []

    async def sleep(seconds):
        pauses.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(clock, "sleep_wall", sleep)
    return pauses


async def test_a_year_is_kept_under_the_times_at_which_it_was_known(store, monkeypatch):
    archive, clock = Archive(), FakeClock(NOON)
    patient(clock, monkeypatch)
    await past(archive, store, clock).run()
    assert [(last - first).days + 1 for first, last in archive.asked] == [90, 90, 90, 90, 5]
    assert archive.asked[0][1] == TODAY - DAY
    assert archive.asked[-1][0] == TODAY - 365 * DAY
    messages = await kept(store)
    assert len(messages) == 364
    assert {e.subject for e in messages} == {"open_meteo_previous_runs"}
    for envelope in messages[::60]:
        body = read_body(envelope, Weather)
        assert envelope.at == body.available_at
        assert envelope.seq == body.available_at.timestamp() * 1000
        assert envelope.wall_at >= NOON


async def test_the_next_start_asks_only_for_what_is_missing(store, monkeypatch):
    archive, clock = Archive(), FakeClock(NOON)
    patient(clock, monkeypatch)
    await past(archive, store, clock).run()
    again = Archive()
    await past(again, store, clock).run()
    assert again.asked == [(date(2025, 7, 1), date(2025, 7, 1))]  # the archive lacks it: one small question
    assert len(await kept(store)) == 364


async def test_a_failing_archive_is_tried_again_each_hour_and_given_up_after_a_day(store, monkeypatch):
    archive, clock = Archive(), FakeClock(NOON)
    pauses = patient(clock, monkeypatch)
    archive.fails = 2
    await past(archive, store, clock).run()
    assert len(archive.asked) == 7
    assert pauses.count(3600.0) == 1
    assert len(await kept(store)) == 364
    hopeless = Archive()
    hopeless.fails = 1000
    store_too = SqliteHistory(":memory:", "home")
    await past(hopeless, store_too, clock).run()
    assert len(hopeless.asked) == 24 * 5
    await store_too.close()


def test_spans_cover_all_days_newest_first():
    days = [TODAY - i * DAY for i in (1, 2, 3, 7, 40)]
    assert spans(days, 7) == [(TODAY - 7 * DAY, TODAY - DAY), (TODAY - 40 * DAY, TODAY - 40 * DAY)]
    assert spans(days, 2) == [
        (TODAY - 2 * DAY, TODAY - DAY),
        (TODAY - 3 * DAY, TODAY - 3 * DAY),
        (TODAY - 7 * DAY, TODAY - 7 * DAY),
        (TODAY - 40 * DAY, TODAY - 40 * DAY),
    ]
    assert spans([], 7) == []


# --- choice -----------------------------------------------------------------------------------


def live(home, **env):
    return live_feeds(home, FakeClock(NOON), None, IngestSettings(**env))


def test_pv_services_are_asked_only_where_the_user_wants_it(home, tmp_path):
    plain = live(home)
    assert [h.name for h in plain.weather.health] == ["open_meteo", "bright_sky", "open_meteo_ensemble"]
    assert plain.past is not None
    key = tmp_path / "key"
    key.write_text("hush\n")
    wanted = live(home, solcast_sites="aa-11, bb-22", solcast_key_file=key, forecast_solar=True)
    assert [h.name for h in wanted.weather.health][3:] == ["solcast", "forecast_solar"]
    assert "hush" not in repr(IngestSettings(solcast_key="hush"))
    with pytest.raises(PemsError, match="without a key"):
        live(home, solcast_sites="aa-11")
    with pytest.raises(PemsError, match="cannot be read"):
        live(home, solcast_sites="aa-11", solcast_key_file=tmp_path / "none")
    with pytest.raises(ValueError, match="solcast_sites"):
        IngestSettings(solcast_sites="../../secret")


def test_pv_services_sleep_from_an_hour_before_sunset_to_an_hour_before_sunrise(home):
    daylight = live(home).weather._daylight
    hours = [h for h in range(24) if daylight(datetime(2026, 1, 15, h, 30, tzinfo=UTC))]
    assert hours == list(range(6, 14))  # the sun is up from 06:45 to 15:20 UTC
