"""Prices and weather: when sources are asked, what stands in for them, what people are told."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pems_common.clock import FakeClock
from pems_common.errors import PemsError
from pems_common.messages import Series, Weather
from pems_common.settings import ServiceSettings
from pems_common.timegrid import SLOT, local_day_slots, local_midnight
from pems_common.world import WorldFile, write_world_file
from pems_ingest.domain.prices import contiguous_until, fill_gaps, persisted
from pems_ingest.feeds import choose_feeds
from pems_ingest.price_feed import PriceFeed
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.day_prices import MARKET_ZONE, days_between, days_of_periods
from pems_ingest.sources.port import SourceError, SpotDays
from pems_ingest.weather_feed import WeatherFeed, stretched

NOON = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)  # 11:00 local


class Spot:
    """A source of prices that knows days up to one."""

    def __init__(self, name: str = "first", last: date = date(2026, 1, 15)):
        self.name, self.last, self.error = name, last, None
        self.asked: list[tuple[date, date]] = []
        self.leave_out: set[datetime] = set()

    async def spot(self, first, last):
        self.asked.append((first, last))
        if self.error is not None:
            raise self.error
        slots = [s for d in days_between(first, last) if d <= self.last for s in local_day_slots(d, MARKET_ZONE)]
        return SpotDays(self.name, {s: 100.0 + s.timestamp() / 900 % 1000 for s in slots if s not in self.leave_out})


class Rate:
    name = "bank"

    def __init__(self):
        self.error, self.asked, self.rate = None, 0, 25.0

    async def eur_czk(self, day):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.rate


@pytest.fixture
def first():
    return Spot()


@pytest.fixture
def second():
    return Spot("second")


@pytest.fixture
def rate():
    return Rate()


@pytest.fixture
def feed(home, first, second, rate):
    return PriceFeed(home, FakeClock(NOON), [first, second], rate, poll=timedelta(minutes=5))


async def test_yesterday_and_today_are_asked_at_the_start(feed, first, second):
    assert feed.due(NOON)
    await feed.refresh(NOON)
    assert first.asked == [(date(2026, 1, 14), date(2026, 1, 15))]
    assert second.asked == []
    got = feed.message(NOON)
    assert got.source == "first"
    assert got.spot_eur_mwh.start == local_midnight(date(2026, 1, 14), MARKET_ZONE)
    assert got.known_until == local_midnight(date(2026, 1, 16), MARKET_ZONE)
    assert got.eur_czk == 25
    assert got.tariff_version == "D57d@2024-01-01"
    assert feed.stale(NOON) == ""
    assert not feed.due(NOON + timedelta(minutes=30))


async def test_tariff_windows_are_local(feed):
    await feed.refresh(NOON)
    got = feed.message(NOON)
    for local_hour, addition in ((9, 0.281), (10, 0.919), (11, 0.281), (12, 0.919), (17, 0.919), (18, 0.281)):
        at = local_midnight(date(2026, 1, 15), MARKET_ZONE) + timedelta(hours=local_hour)
        spot_czk = got.spot_eur_mwh.at(at) * 25 / 1000
        assert got.buy_czk_kwh.at(at) == pytest.approx(spot_czk + addition, abs=1e-4)
        assert got.sell_czk_kwh.at(at) == pytest.approx(spot_czk - 0.5, abs=1e-4)


async def test_tomorrow_is_asked_from_a_quarter_to_one_until_it_comes(feed, first, second):
    await feed.refresh(NOON)
    before, after = NOON + timedelta(hours=1, minutes=40), NOON + timedelta(hours=1, minutes=46)
    assert not feed.due(before)
    assert feed.due(after)
    await feed.refresh(after)
    assert first.asked[-1] == (date(2026, 1, 16), date(2026, 1, 16))
    assert second.asked == []  # not published is no failure
    assert not feed.due(after + timedelta(minutes=4))
    first.last = date(2026, 1, 16)
    await feed.refresh(after + timedelta(minutes=5))
    assert feed.message(after).known_until == local_midnight(date(2026, 1, 17), MARKET_ZONE)
    assert not feed.due(after + timedelta(hours=6))


async def test_when_the_first_is_late_the_others_are_asked(feed, first, second):
    await feed.refresh(NOON)
    second.last = date(2026, 1, 16)
    late = NOON + timedelta(hours=3, minutes=20)
    await feed.refresh(late)
    assert second.asked == [(date(2026, 1, 16), date(2026, 1, 16))]
    assert feed.message(late).known_until == local_midnight(date(2026, 1, 17), MARKET_ZONE)


async def test_a_failing_source_gives_way_to_the_next(feed, first, second):
    first.error = SourceError("http_500", "broken")
    await feed.refresh(NOON)
    assert feed.message(NOON).source == "second"
    assert feed.health[0].failures == 1
    assert "http_500" in feed.health[0].last_error
    assert feed.health[1].last_ok_at == NOON


async def test_retry_after_is_obeyed(feed, first, second):
    first.error = SourceError("http_429", "slow down", retry_after_s=3600)
    second.error = SourceError("timeout", "x")
    await feed.refresh(NOON)
    assert not feed.due(NOON + timedelta(minutes=59))
    assert feed.due(NOON + timedelta(minutes=60))


async def test_pauses_grow_while_all_fail(feed, first, second):
    first.error = second.error = SourceError("timeout", "x")
    at, pauses = NOON, []
    for _ in range(5):
        await feed.refresh(at)
        begin = at
        while not feed.due(at):
            at += timedelta(seconds=30)
        pauses.append((at - begin) / timedelta(minutes=1))
    assert pauses == [1, 2, 5, 10, 10] or pauses == [1, 2, 5, 15, 15] or pauses == sorted(pauses)
    assert feed.message(at) is None


async def test_yesterdays_prices_stand_in_and_say_so(feed, first, second):
    first.last = second.last = date(2026, 1, 14)
    await feed.refresh(NOON)
    got = feed.message(NOON)
    assert got.source.endswith("+persistence")
    assert got.known_until == local_midnight(date(2026, 1, 16), MARKET_ZONE)
    yesterday = NOON - timedelta(days=1)
    assert got.spot_eur_mwh.at(NOON) == got.spot_eur_mwh.at(yesterday)
    assert "stand in" in feed.stale(NOON)


async def test_guesses_are_not_taken_over_by_the_next_run(feed, first, second, home, rate):
    first.last = second.last = date(2026, 1, 14)
    await feed.refresh(NOON)
    guessed = feed.message(NOON)
    other = PriceFeed(home, FakeClock(NOON), [Spot()], rate, poll=timedelta(minutes=5))
    other.seed(guessed)
    assert other.message(NOON) is None


async def test_a_restart_takes_over_what_was_known(feed, home, rate):
    await feed.refresh(NOON)
    source = Spot()
    other = PriceFeed(home, FakeClock(NOON), [source], rate, poll=timedelta(minutes=5))
    other.seed(feed.message(NOON))
    assert other.message(NOON) == feed.message(NOON)
    await other.refresh(NOON)
    assert source.asked == []


async def test_generated_prices_stand_in_only_until_real_ones_come(home, rate):
    real, generated = Spot("real"), Spot("generated")
    real.error = SourceError("unreachable", "x")
    feed = PriceFeed(
        home, FakeClock(NOON), [real, generated], rate, poll=timedelta(minutes=5), provisional=["generated"]
    )
    await feed.refresh(NOON)
    assert feed.message(NOON).source == "generated"
    assert "generated" in feed.stale(NOON)
    revision = feed.revision
    later = NOON + timedelta(minutes=20)
    assert feed.due(later)
    await feed.refresh(later)
    assert feed.revision == revision
    real.error = None
    await feed.refresh(later)
    assert feed.message(later).source == "real"
    assert feed.stale(later) == ""
    assert not feed.due(later + timedelta(minutes=30))


async def test_tomorrow_overdue_is_stale(feed):
    await feed.refresh(NOON)
    assert feed.stale(NOON + timedelta(hours=4)) == ""
    assert "tomorrow" in feed.stale(NOON + timedelta(hours=5, minutes=5))


async def test_an_hour_missing_is_filled_and_said(feed, first):
    midnight = local_midnight(date(2026, 1, 15), MARKET_ZONE)
    first.leave_out = {midnight + i * SLOT for i in range(8, 12)}
    await feed.refresh(NOON)
    got = feed.message(NOON)
    assert got.source == "first+4 slots filled"
    assert got.spot_eur_mwh.at(midnight + 9 * SLOT) == got.spot_eur_mwh.at(midnight + 7 * SLOT)


async def test_the_rate_is_asked_once_a_day_and_a_fallback_only_for_minutes(feed, rate, home):
    rate.error = SourceError("timeout", "x")
    await feed.refresh(NOON)
    assert feed.eur_czk == home.tariff.fallback_eur_czk
    assert not feed.due(NOON + timedelta(minutes=9))
    assert feed.due(NOON + timedelta(minutes=10))
    rate.error = None
    await feed.refresh(NOON + timedelta(minutes=10))
    assert feed.eur_czk == 25
    asked = rate.asked
    await feed.refresh(NOON + timedelta(hours=5))
    assert rate.asked == asked
    await feed.refresh(NOON + timedelta(hours=20))
    assert rate.asked == asked + 1


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 92), (date(2026, 1, 15), 96), (date(2026, 10, 25), 100)]
)
async def test_days_of_92_96_and_100_slots(home, rate, day, count):
    now = local_midnight(day, MARKET_ZONE) + timedelta(hours=5)
    feed = PriceFeed(home, FakeClock(now), [Spot(last=day)], rate, poll=timedelta(minutes=5))
    await feed.refresh(now)
    got = feed.message(now)
    assert got.known_until == local_midnight(day + timedelta(days=1), MARKET_ZONE)
    midnight = local_midnight(day, MARKET_ZONE)
    window = got.spot_eur_mwh.window(midnight, count)
    assert None not in window
    assert len(set(window)) == count
    assert midnight + count * SLOT == got.known_until


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_hourly_days_fill_their_quarters(day, hours):
    got = days_of_periods("x", {day: {h: float(h) for h in range(1, hours + 1)}}, hourly=True)
    assert len(got.prices) == 4 * hours
    assert got.missing == ()
    midnight = local_midnight(day, MARKET_ZONE)
    assert [got.prices[midnight + i * SLOT] for i in range(8)] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_missing_and_impossible_periods():
    day = date(2026, 3, 29)
    got = days_of_periods("x", {day: {i: 1.0 for i in range(1, 93) if i != 9}})
    assert got.missing == (local_midnight(day, MARKET_ZONE) + 8 * SLOT,)
    with pytest.raises(SourceError, match="period 93"):
        days_of_periods("x", {day: {93: 1.0}})
    with pytest.raises(SourceError, match="impossible"):
        days_of_periods("x", {day: {1: 1e6}})
    with pytest.raises(ValueError, match="days"):
        days_between(day, day - timedelta(days=1))


def test_small_parts():
    spot = {NOON: 1.0, NOON + SLOT: 2.0, NOON + 3 * SLOT: 4.0}
    assert contiguous_until(spot, NOON) == NOON + 2 * SLOT
    assert fill_gaps(spot, [NOON + i * SLOT for i in range(5)]) == {NOON + 2 * SLOT: 2.0}
    assert persisted({NOON - timedelta(days=3): 7.0}, [NOON]) == {NOON: 7.0}
    assert persisted({}, [NOON]) == {}


# --- weather ----------------------------------------------------------------------------------


def weather(at: datetime, hours: int = 72) -> Weather:
    series = Series.of(at, 3600, [float(i % 24) for i in range(hours)])
    return Weather(
        provider="test",
        run_at=at,
        available_at=at,
        temperature_c=series,
        cloud_cover_pct=Series.of(at, 3600, [50.0] * hours),
        ghi_w_m2=Series.of(at, 3600, [0.0] * hours),
    )


class Sky:
    def __init__(self, name="sky"):
        self.name, self.error, self.asked = name, None, 0

    async def forecast(self, now):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return weather(now)


async def test_weather_is_asked_on_schedule():
    sky = Sky()
    feed = WeatherFeed([sky], every=timedelta(hours=1))
    assert feed.due(NOON)
    await feed.refresh(NOON)
    assert not feed.due(NOON + timedelta(minutes=59))
    assert feed.due(NOON + timedelta(hours=1))
    assert feed.message() == weather(NOON)


async def test_the_next_provider_answers_for_one_that_fails():
    broken, sky = Sky("broken"), Sky()
    broken.error = SourceError("timeout", "x")
    feed = WeatherFeed([broken, sky], every=timedelta(hours=1))
    await feed.refresh(NOON)
    assert feed.message() is not None
    assert feed.health[0].failures == 1


async def test_an_old_forecast_is_stretched_and_alarmed():
    sky = Sky()
    feed = WeatherFeed([sky], every=timedelta(hours=1))
    await feed.refresh(NOON)
    sky.error = SourceError("timeout", "x")
    later = NOON + timedelta(hours=30)
    await feed.refresh(later)
    got = feed.message()
    assert got.temperature_c.end == later + timedelta(hours=72)
    assert got.temperature_c.at(NOON + timedelta(hours=80)) == got.temperature_c.at(NOON + timedelta(hours=56))
    assert any("persistence" in w for w in got.warnings)
    assert "30 h old" in feed.stale(later)
    assert not feed.due(later + timedelta(minutes=1))
    assert feed.due(later + timedelta(minutes=2))
    twice = stretched(got, later + timedelta(hours=5))
    assert sum("persistence" in w for w in twice.warnings) == 1


async def test_no_weather_at_all_is_told_after_three_rounds():
    sky = Sky()
    sky.error = SourceError("http_429", "x", retry_after_s=7200)
    feed = WeatherFeed([sky], every=timedelta(hours=1))
    for i in range(3):
        assert feed.stale(NOON) == ""
        await feed.refresh(NOON + i * timedelta(hours=2))
    assert feed.stale(NOON) != ""
    assert not feed.due(NOON + timedelta(minutes=4 * 60 + 119))


# --- choice -----------------------------------------------------------------------------------


def choose(home, clock, tmp_path, **env):
    settings = ServiceSettings(data=tmp_path, **env)
    return choose_feeds(settings, IngestSettings(), home, clock, fetcher=None)


class Scaled(FakeClock):
    @property
    def speed(self):
        return 60.0


def test_a_world_file_is_always_used(home, tmp_path):
    path = tmp_path / "world.json"
    write_world_file(path, WorldFile(kind="generated", seed=3))
    for sources in ("auto", "live", "replay", "generated"):
        assert choose(home, FakeClock(NOON), tmp_path, world_file=path, sources=sources).inline
        assert choose(home, Scaled(NOON), tmp_path, world_file=path, sources=sources).inline


def test_live_sources_only_at_real_time(home, tmp_path):
    live = choose(home, FakeClock(NOON), tmp_path, sources="live")
    assert not live.inline
    assert len(live.prices.health) == 3
    auto = choose(home, FakeClock(NOON), tmp_path)
    assert not auto.inline
    assert len(auto.prices.health) == 4  # a simulated house may fall back on generated days
    real = home.model_copy(update={"devices": home.devices.model_copy(update={"simulated": False})})
    assert len(choose(real, FakeClock(NOON), tmp_path).prices.health) == 3
    assert choose(home, Scaled(NOON), tmp_path).inline
    with pytest.raises(PemsError, match="scaled"):
        choose(home, Scaled(NOON), tmp_path, sources="live")
    with pytest.raises(PemsError, match="world file"):
        choose(home, FakeClock(NOON), tmp_path, sources="replay")
    with pytest.raises(PemsError, match="use one of"):
        choose(home, FakeClock(NOON), tmp_path, sources="crystal ball")
