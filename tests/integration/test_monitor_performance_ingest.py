"""Performance counted from a real ingest: its SQLite history behind its own REST, read as the monitor reads it."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from tests.unit.ingest.conftest import Bench as Ingest
from tests.unit.ingest.conftest import make_bench
from tests.unit.monitor.performance_house import PV_ERROR_W, MadeHouse, two_rooms, utc

from pems_common.api import create_app
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.health import Health
from pems_common.history import Point
from pems_common.timegrid import local_day_slots
from pems_ingest.api import make_router
from pems_monitor.adapters.ingest_history import IngestHistory
from pems_monitor.adapters.performance_store import PerformanceStore
from pems_monitor.domain.performance import metrics_of
from pems_monitor.domain.performance_slots import series_of
from pems_monitor.performance_book import PerformanceBook

pytestmark = pytest.mark.integration

DAY = date(2026, 1, 14)
BEGUN = utc(2026, 1, 12, 23)
NOW = utc(2026, 1, 15, 9)


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    bench = make_bench(two_rooms())
    yield bench
    await bench.store.close()


@pytest.fixture
async def history(ingest: Ingest) -> AsyncIterator[IngestHistory]:
    app = create_app("ingest", health=Health(ingest.clock), metrics=ingest.metrics)
    app.include_router(make_router(ingest.handlers, ingest.store, ingest.home, ingest.clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        yield IngestHistory(client, "http://ingest", internal_key="k")


async def test_a_day_from_ingests_rest_is_the_day_that_was_stored(
    ingest: Ingest, history: IngestHistory, tmp_path: Path
) -> None:
    made = MadeHouse(ingest.home, BEGUN)
    slots = local_day_slots(DAY, ingest.home.site.zone)
    points = []
    for slot in slots:
        for name in series_of(ingest.home):
            value = made.value(name, slot)
            if value is not None:
                points += [Point(name, slot + timedelta(minutes=n), value) for n in (0, 5, 10)]
    await ingest.store.write(ingest.home.site.id, points)
    for kind in ("forecast", "plan"):
        for envelope in await made.messages(kind, BEGUN, slots[-1]):
            await ingest.store.write_message(envelope)
    store = PerformanceStore(tmp_path / "performance.sqlite3")
    truth = PerformanceStore(tmp_path / "truth.sqlite3")
    book = PerformanceBook(ingest.home, FakeClock(NOW), history, store)
    sure = PerformanceBook(ingest.home, FakeClock(NOW), made, truth)
    (read,) = (await book.period(DAY, DAY)).records
    (known,) = (await sure.period(DAY, DAY)).records
    assert read.complete
    metrics = metrics_of(read.tally, ingest.home)
    assert metrics.known == metrics.priced == 1.0
    assert metrics.pv_prediction["6h"].mae == pytest.approx(PV_ERROR_W, abs=0.1)
    assert metrics.plans == metrics_of(known.tally, ingest.home).plans
    expected = metrics_of(known.tally, ingest.home)
    assert metrics.total_energy_cost_czk == pytest.approx(expected.total_energy_cost_czk, rel=1e-6)
    assert metrics.peak_import_w == pytest.approx(expected.peak_import_w, rel=1e-6)
    assert metrics.thermal_prediction["6h"].mae == pytest.approx(expected.thermal_prediction["6h"].mae, abs=1e-6)
    store.close()
    truth.close()


async def test_before_anything_is_stored_there_are_no_days(
    history: IngestHistory, ingest: Ingest, tmp_path: Path
) -> None:
    store = PerformanceStore(tmp_path / "performance.sqlite3")
    book = PerformanceBook(ingest.home, FakeClock(NOW), history, store)
    assert (await book.period(DAY, DAY)).records == ()
    store.close()


@pytest.mark.parametrize("body", ["[]", "no json", '{"series": 3}'])
async def test_an_answer_of_another_shape_is_an_absence(body: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    async with httpx.AsyncClient(transport=transport) as client:
        history = IngestHistory(client, "http://ingest", internal_key="k")
        with pytest.raises(UnavailableError):
            await history.slots(["pv_power_w"], BEGUN, NOW)
        with pytest.raises(UnavailableError):
            await history.first_at()
