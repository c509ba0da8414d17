"""Days are counted once, kept, and answered for; the REST says what is wrong with a question."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import HTTPException
from tests.unit.monitor.performance_house import MadeHouse, envelope, status, two_rooms, utc

from pems_common.api import create_app
from pems_common.auth import Auth, KeyFile
from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PermanentError
from pems_common.health import Health
from pems_common.metrics import Metrics
from pems_monitor.adapters.gateway import Gateway
from pems_monitor.adapters.performance_store import PerformanceStore, performance_path
from pems_monitor.adapters.services import ServiceClients
from pems_monitor.adapters.store import MonitorStore, store_path
from pems_monitor.api_performance import performance_router
from pems_monitor.domain.performance_report import BaselineWish
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.main import install
from pems_monitor.performance_book import PerformanceBook

NOW = utc(2026, 1, 15, 9, 22)
BEGUN = utc(2026, 1, 12, 23)  # the 13th, local


class Bench:
    """A book over a made-up history."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = two_rooms()
        self.clock = FakeClock(NOW)
        self.house = MadeHouse(self.home, BEGUN)
        self.store = PerformanceStore(performance_path(tmp_path))
        self.book = PerformanceBook(self.home, self.clock, self.house, self.store)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    async def reader() -> None:
        if bench.house.home.site.id != "home":
            raise HTTPException(401)

    app = create_app("monitor", health=Health(bench.clock), metrics=Metrics())
    app.include_router(performance_router(bench.book, reader))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
        yield client


async def test_finished_days_are_counted_once_and_the_running_one_is_not_kept(bench: Bench) -> None:
    assert await bench.book.catch_up() == 2  # the 13th and 14th
    bench.house.asked.clear()
    assert await bench.book.catch_up() == 0
    assert bench.house.asked == []
    period = await bench.book.period(date(2026, 1, 10), date(2026, 2, 1), hours=True)
    assert [(record.day.day, record.complete) for record in period.records] == [(13, True), (14, True), (15, False)]
    assert [len(record.hours) for record in period.records] == [24, 24, 11]
    assert period.pending == 0
    assert set(bench.store.days(date.min, date.max)) == {date(2026, 1, 13), date(2026, 1, 14)}
    asked = len(bench.house.asked)
    await bench.book.period(date(2026, 1, 15), date(2026, 1, 15))
    assert bench.house.asked[asked:] == ["first_at"]  # counted a moment ago
    bench.clock.advance(3600)
    (today,) = (await bench.book.period(date(2026, 1, 15), date(2026, 1, 15))).records
    assert len(today.hours) == 12


async def test_a_day_is_kept_only_when_its_last_readings_are_in(bench: Bench) -> None:
    await bench.book.catch_up()
    bench.clock.advance((utc(2026, 1, 15, 23, 10) - NOW).total_seconds())
    assert await bench.book.catch_up() == 0
    bench.clock.advance(1200)
    assert await bench.book.catch_up() == 1
    assert date(2026, 1, 15) in bench.store.kept(date.min, date.max)


async def test_a_long_period_is_counted_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pems_monitor.performance_book._DAYS_PER_CALL", 2)
    bench.house.begun = utc(2026, 1, 10, 23)
    period = await bench.book.period(date(2026, 1, 1), date(2026, 1, 15))
    assert ([record.day.day for record in period.records], period.pending) == ([14, 15], 3)  # the newest first
    again = await bench.book.period(date(2026, 1, 1), date(2026, 1, 14))
    assert ([record.day.day for record in again.records], again.pending) == ([12, 13, 14], 1)


async def test_watching_outlives_an_absence_of_ingest(bench: Bench) -> None:
    bench.house.away = True
    watch = asyncio.create_task(bench.book.watch())
    for _ in range(3):
        await asyncio.sleep(0)
    bench.house.away = False
    for _ in range(6000):
        bench.clock.advance(30)
        await asyncio.sleep(0.005)
        if len(bench.store.kept(date.min, date.max)) >= 2:
            break
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    assert {date(2026, 1, 13), date(2026, 1, 14)} <= bench.store.kept(date.min, date.max)


async def test_statuses_become_uptime_once(bench: Bench) -> None:
    begun = utc(2026, 1, 15, 8)
    for minute in [*range(60), *range(30, 60)]:  # some are delivered twice
        at = begun + timedelta(minutes=minute)
        await bench.book.on_status(envelope("status", status(at, {"battery": "mpc"}), at))
    other = envelope("status", status(NOW, {}), NOW).model_copy(update={"site": "elsewhere"})
    await bench.book.on_status(other)
    (today,) = (await bench.book.period(date(2026, 1, 15), date(2026, 1, 15))).records
    assert today.tally.get("up_s") == 59 * 60
    assert today.tally.get("watched_s") == 82 * 60  # silent since: down until now
    assert today.tally.get("mpc_s") == today.tally.get("live_s") == 59 * 60
    with pytest.raises(PermanentError):
        await bench.book.on_status(envelope("status", status(NOW, {}), NOW).model_copy(update={"body": {}}))


async def test_what_is_kept_survives_a_restart(bench: Bench, tmp_path: Path) -> None:
    for minute in range(10):
        at = NOW - timedelta(minutes=30 - minute)
        await bench.book.on_status(envelope("status", status(at, {"battery": "mpc"}, ("x",)), at))
    await bench.book.catch_up()
    again = PerformanceStore(performance_path(tmp_path))
    assert again.last_status() == bench.store.last_status()
    assert again.control_since() == NOW - timedelta(minutes=30)
    assert again.control(NOW - timedelta(hours=1), NOW) == bench.store.control(NOW - timedelta(hours=1), NOW)
    kept = again.days(date.min, date.max, hours=True)
    assert kept[date(2026, 1, 14)].tally.sums == pytest.approx(
        dict(bench.store.days(date.min, date.max)[date(2026, 1, 14)].tally.sums)
    )
    assert len(kept[date(2026, 1, 14)].hours) == 24
    again.close()


async def test_report_in_the_specifications_form(bench: Bench) -> None:
    report = await bench.book.report(date(2026, 1, 13), date(2026, 1, 15), BaselineWish())
    assert report["report_period"] == {"start": "2026-01-13", "end": "2026-01-15"}
    summary = report["summary"]
    assert summary["average_pv_prediction_mae"] == pytest.approx(120, abs=0.1)
    assert summary["average_thermal_prediction_mae"] == pytest.approx(0.3)
    assert summary["average_optimization_time"] == 1.5
    assert summary["days_with_known_savings"] == 2
    days = report["detailed_metrics"]["days"]
    assert summary["total_cost_savings"] == pytest.approx(sum(150 - day["total_energy_cost_czk"] for day in days[:2]))
    assert days[2]["cost_savings_vs_baseline_czk"] is None  # not over yet
    assert days[0]["peak_reduction_w"] == 8000.0 - days[0]["peak_import_w"]
    assert report["detailed_metrics"]["baseline"]["source"] == "assumed"
    assert report["detailed_metrics"]["before_and_after"]["error"] == "no_baseline_data"
    assert report["pending_days"] == 0
    compared = await bench.book.report(
        date(2026, 1, 14), date(2026, 1, 15), BaselineWish(date(2026, 1, 13), date(2026, 1, 13))
    )
    before = compared["detailed_metrics"]["before_and_after"]
    assert before["daily_savings_czk"] == pytest.approx(0.0)
    assert before["recent_days"] == 1
    whole = await bench.book.report(
        date(2026, 1, 13), date(2026, 1, 15), BaselineWish(date(2026, 1, 13), date(2026, 1, 13))
    )
    rows = whole["detailed_metrics"]["days"]
    assert rows[0]["cost_savings_vs_baseline_czk"] is None  # the baseline's own day
    assert rows[1]["cost_savings_vs_baseline_czk"] == pytest.approx(0.0)
    assert whole["summary"]["self_consumption_above_baseline"] == pytest.approx(0.0, abs=0.1)
    nothing = await bench.book.report(date(2025, 1, 1), date(2025, 1, 3), BaselineWish())
    assert nothing["summary"] == {"error": "No data available for specified period"}
    assert nothing["recommendations"] == []


async def test_rows_by_day_and_hour(client: httpx.AsyncClient) -> None:
    days = (await client.get("/v1/performance?from=2026-01-13&to=2026-01-14")).json()
    assert [row["day"] for row in days["rows"]] == ["2026-01-13", "2026-01-14"]
    assert days["rows"][1]["pv_prediction"]["24h"]["mae"] == pytest.approx(120, abs=0.1)
    assert days["baseline"]["source"] == "assumed"
    hours = (await client.get("/v1/performance?from=2026-01-14&to=2026-01-14&by=hour")).json()
    assert len(hours["rows"]) == 24
    total = sum(row["total_energy_cost_czk"] for row in hours["rows"])
    assert total == pytest.approx(days["rows"][1]["total_energy_cost_czk"])
    assert (await client.get("/v1/performance/report")).json()["report_period"]["start"] == "2025-12-17"


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("from=yesterday", "from='yesterday' is no day"),
        ("to=2026-02-30", "to='2026-02-30' is no day"),
        ("from=2026-01-14&to=2026-01-13", "is after"),
        ("from=2026-01-16&to=2026-01-17", "in the future"),
        ("from=2024-01-01&to=2026-01-01", "at most 400 days"),
        ("baseline_from=2026-01-01", "both"),
        ("baseline_from=2026-01-02&baseline_to=2026-01-01", "is after"),
        ("baseline_from=2020-01-02&baseline_to=2026-01-01", "at most 400"),
    ],
)
async def test_wrong_questions_are_answered_clearly(client: httpx.AsyncClient, question: str, says: str) -> None:
    for path in ("/v1/performance", "/v1/performance/report"):
        reply = await client.get(f"{path}?{question}")
        assert reply.status_code == 422
        assert says in reply.json()["detail"]


async def test_wrong_steps_and_an_absent_ingest(client: httpx.AsyncClient, bench: Bench) -> None:
    assert "hour and day" in (await client.get("/v1/performance?by=week")).json()["detail"]
    reply = await client.get("/v1/performance?by=hour&from=2025-12-01&to=2026-01-15")
    assert "at most 31 days" in reply.json()["detail"]
    bench.house.away = True
    reply = await client.get("/v1/performance?from=2026-01-14&to=2026-01-14")
    assert reply.status_code == 503
    assert "ingest is away" in reply.json()["detail"]


async def test_the_gate_asks_for_a_key(bench: Bench, tmp_path: Path) -> None:
    outward = httpx.AsyncClient()
    store, keys = MonitorStore(store_path(tmp_path), bench.clock), KeyFile(tmp_path / "keys.json")
    app = create_app("monitor", health=Health(bench.clock), metrics=Metrics())
    install(
        app,
        handlers=MonitorHandlers(bench.home, bench.clock, MemoryBus(bench.clock), store),
        clients=ServiceClients(outward, {}, internal_key="inside", home=bench.home),
        gateway=Gateway(outward, {}, internal_key="inside"),
        store=store,
        auth=Auth(bench.clock, internal_key="inside", keys=keys),
        keys=keys,
        clock=bench.clock,
        book=bench.book,
        page=False,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        for path in ("/v1/performance?from=2026-01-14&to=2026-01-14", "/v1/performance/report?from=2026-01-14"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers={"X-API-Key": "wrong"})).status_code == 401
            assert (await client.get(path, headers={"X-API-Key": "inside"})).status_code == 200
    await outward.aclose()
