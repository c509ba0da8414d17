"""The local copy of a user's InfluxDB: whole weeks once, goes on where it was, tells what is missing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.ingest.influx_kit import TOKEN, FakeInflux, a_house

from pems_common.clock import FakeClock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.home import Home
from pems_common.messages import Prices, read_body
from pems_ingest.adapters.influx_copy import InfluxCopy
from pems_ingest.adapters.influx_history import InfluxBuckets
from pems_ingest.adapters.sqlite_history import SqliteHistory

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
NOW = datetime(2026, 2, 20, tzinfo=UTC)
DAY = timedelta(days=1)
TWO_WEEKS = 3 * 4 + 2 * 2 + 4 + 4
"""Questions: of rooms, prices and weather the weeks before and after too, of the inverter only these."""
SILENT = (BEGIN + 9 * DAY, BEGIN + 11 * DAY)


@pytest.fixture(scope="module")
def influx() -> Iterator[FakeInflux]:
    with FakeInflux() as server:
        a_house(server, BEGIN, 14, SILENT)
        yield server


@pytest.fixture
def small(home: Home) -> Home:
    room = home.rooms["spajz"].model_copy(update={"neighbours": ()})
    return home.model_copy(update={"rooms": {"spajz": room}, "ev": None, "water": None})


class Copying:
    """A copy, and what was asked and said while it was made."""

    def __init__(self, influx: FakeInflux, home: Home, folder: Path, now: datetime = NOW) -> None:
        self.influx, self.said = influx, list[str]()
        self.buckets = InfluxBuckets(influx.url, "loxone", TOKEN, FakeClock(now), attempts=1)
        self.copy = InfluxCopy(self.buckets, home, folder, FakeClock(now))

    async def fill(self, start: datetime, end: datetime) -> tuple[list[str], int]:
        """Copy; returns what is missing and how many questions it took."""
        before = len(self.influx.asked)
        self.said.clear()
        try:
            missing = await self.copy.fill(start, end, self.said.append)
        finally:
            self.buckets.close()
        return missing, len(self.influx.asked) - before


def reading(copying: Copying, home: Home) -> SqliteHistory:
    return SqliteHistory(copying.copy.path, home.site.id, read_only=True)


async def test_the_copy_reads_like_a_history_of_ingest(influx: FakeInflux, small: Home, tmp_path: Path) -> None:
    copying = Copying(influx, small, tmp_path)
    assert await copying.fill(BEGIN, BEGIN + 14 * DAY) == ([], TWO_WEEKS)
    assert len(copying.said) == 2
    assert "InfluxDB: week 1 of 2 (2026-01-05)" in copying.said[0]
    store = reading(copying, small)
    powers = ["pv_power_w", "load_power_w", "grid_power_w", "battery_power_w", "battery_soc_pct"]
    sensors = ["outdoor_temperature_c", "room.spajz.temperature_c", "room.spajz.relay_on"]
    names = [*powers, *sensors, "price.spot_eur_mwh", "weather.ghi_w_m2"]
    slots = await store.slots(names, BEGIN, BEGIN + 14 * DAY)
    hours = await store.slots(names, BEGIN, BEGIN + DAY, step_s=43_200)
    prices = [read_body(e, Prices) for e in await store.messages("prices", BEGIN, BEGIN + 14 * DAY)]
    await store.close()
    flat = {name: slots[name][100] for name in names[:6]}
    assert flat == dict(zip(names, (600.0, 900.0, -200.0, 500.0, 60.0, -2.0), strict=False))
    assert hours["room.spajz.relay_on"] == pytest.approx([1 / 6, 1 / 6])
    for name in names[:8]:
        known = [value is not None for value in slots[name]]
        assert known.count(False) == 192
        assert not any(known[9 * 96 : 11 * 96])
    assert all(value is not None for value in slots["price.spot_eur_mwh"])
    assert {p.eur_czk for p in prices} == {24.5}
    assert prices[1].spot_eur_mwh.start == datetime(2026, 1, 6, 23, tzinfo=UTC)


async def test_what_is_there_is_not_asked_for_again_and_a_span_may_grow(
    influx: FakeInflux, small: Home, tmp_path: Path
) -> None:
    _, first = await Copying(influx, small, tmp_path).fill(BEGIN + DAY, BEGIN + 2 * DAY)
    assert first > 0
    _, again = await Copying(influx, small, tmp_path).fill(BEGIN, BEGIN + 7 * DAY)
    assert again == 0
    grown = Copying(influx, small, tmp_path)
    _, more = await grown.fill(BEGIN, BEGIN + 14 * DAY)
    assert 0 < more <= first
    at_once = Copying(influx, small, tmp_path / "other")
    await at_once.fill(BEGIN, BEGIN + 14 * DAY)
    stores = reading(grown, small), reading(at_once, small)
    infos = [await store.info() for store in stores]
    for store in stores:
        await store.close()
    assert infos[0] == infos[1]


async def test_a_copy_that_was_interrupted_goes_on(influx: FakeInflux, small: Home, tmp_path: Path) -> None:
    broken = Copying(influx, small, tmp_path)
    influx.replies = [None] * (TWO_WEEKS - 4) + [lambda: (503, {}, b"")]
    with pytest.raises(UnavailableError, match="HTTP 503"):
        await broken.fill(BEGIN, BEGIN + 14 * DAY)
    assert len(broken.said) == 1
    resumed = Copying(influx, small, tmp_path)
    _, rest = await resumed.fill(BEGIN, BEGIN + 14 * DAY)
    assert 0 < rest < TWO_WEEKS / 2
    assert len(resumed.said) == 1
    assert "week 2 of 2" in resumed.said[0]


async def test_a_week_that_is_not_over_is_completed_later(influx: FakeInflux, small: Home, tmp_path: Path) -> None:
    early = Copying(influx, small, tmp_path, BEGIN + 3 * DAY)
    await early.fill(BEGIN, BEGIN + 14 * DAY)
    store = reading(early, small)
    last = max(one.last_at for one in await store.info())
    await store.close()
    assert last < BEGIN + 3 * DAY
    later = Copying(influx, small, tmp_path)
    _, asked = await later.fill(BEGIN, BEGIN + 7 * DAY)
    assert asked > 0
    store = reading(later, small)
    relay = (await store.slots(["room.spajz.relay_on"], BEGIN, BEGIN + 7 * DAY))["room.spajz.relay_on"]
    await store.close()
    assert None not in relay
    assert sum(value or 0.0 for value in relay) == pytest.approx(14 * 8)


async def test_what_is_missing_is_told_and_what_is_needed_refused(
    influx: FakeInflux, small: Home, tmp_path: Path
) -> None:
    poor = FakeInflux({name: influx.buckets[name] for name in ("loxone", "solar")})
    with poor:
        missing, _ = await Copying(poor, small, tmp_path).fill(BEGIN, BEGIN + 7 * DAY)
        assert len(missing) == 2
        assert "no bucket ote_prices" in missing[0]
        assert "ote_cz/" in missing[0]
        assert "no bucket weather_forecast" in missing[1]
        poor.buckets["weather_forecast"] = influx.buckets["weather_forecast"]
        missing, asked = await Copying(poor, small, tmp_path).fill(BEGIN, BEGIN + 7 * DAY)
        assert len(missing) == 1
        assert asked == 4  # of weather three weeks, of prices the refusal
        del poor.buckets["solar"]
        with pytest.raises(PermanentError, match="no bucket solar"):
            await Copying(poor, small, tmp_path).fill(BEGIN, BEGIN + 14 * DAY)


async def test_another_house_has_another_copy(influx: FakeInflux, small: Home, home: Home, tmp_path: Path) -> None:
    copies = [Copying(influx, one, tmp_path) for one in (small, home)]
    for one in copies:
        one.buckets.close()
    assert copies[0].copy.path != copies[1].copy.path
    assert TOKEN not in str(copies[0].copy.path)


def test_the_first_day_of_the_tests_is_a_monday() -> None:
    assert date(2026, 1, 5).weekday() == 0
