"""Cases are kept within their bounds, given out by REST to who has a key, and never in the way of planning."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.plan_case_cases import a_case

from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.problems import install_problems
from pems_optimizer.adapters.case_memory import FolderCases
from pems_optimizer.adapters.case_store import SqliteCases
from pems_optimizer.api_cases import make_case_router
from pems_optimizer.domain.plan_case import case_bytes, read_case
from pems_optimizer.domain.problem_store import StoreError
from pems_optimizer.plan_case_keeper import CaseKeeper
from pems_optimizer.plan_case_settings import CaseSettings

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def case():
    return a_case()


@pytest.fixture(scope="module")
def packed(case):
    return case_bytes(case)


def numbered(case, no, at=START):
    plan = case.plan.model_copy(update={"plan_id": f"plan-{no}", "plan_no": no, "issued_at": at})
    return SimpleNamespace(plan=plan)


@pytest.fixture
def store(tmp_path):
    store = SqliteCases(tmp_path / "deep" / "cases.sqlite3", most_days=30, most_bytes=1_000_000)
    yield store
    store.close()


def ids(store, start=START - 100 * DAY, end=START + 100 * DAY, most=100):
    return [kept.plan_id for kept in store.listed(start, end, most=most)]


def test_a_case_comes_back_as_it_was_and_again_after_a_restart(tmp_path, case, packed):
    path = tmp_path / "cases.sqlite3"
    store = SqliteCases(path, most_days=30, most_bytes=1_000_000)
    assert store.packed("plan-1") is None
    store.keep(case, packed)
    store.keep(case, packed)
    store.close()
    again = SqliteCases(path, most_days=30, most_bytes=1_000_000)
    assert again.packed("plan-1") == packed
    (row,) = again.listed(START, START + DAY, most=5)
    assert (row.plan_id, row.plan_no, row.issued_at, row.bytes) == ("plan-1", 1, START, len(packed))
    again.close()


def test_lists_are_by_house_time_oldest_first_and_of_half_open_spans(store, case):
    for no, hours in ((3, 2), (1, 0), (2, 1)):
        store.keep(numbered(case, no, START + timedelta(hours=hours)), b"x")
    assert ids(store) == ["plan-1", "plan-2", "plan-3"]
    assert ids(store, START, START + timedelta(hours=2)) == ["plan-1", "plan-2"]
    assert ids(store, most=2) == ["plan-2", "plan-3"], "the newest, where not all are wanted"


def test_what_is_older_than_the_newest_by_too_much_is_dropped(store, case):
    for no, at in ((1, START), (2, START + 15 * DAY), (3, START + 30 * DAY), (4, START + 31 * DAY)):
        store.keep(numbered(case, no, at), b"x")
    assert ids(store) == ["plan-2", "plan-3", "plan-4"]


def test_one_plan_of_a_clock_that_ran_ahead_does_not_take_all_others_with_it(store, case):
    for no in range(1, 31):
        store.keep(numbered(case, no, START + timedelta(hours=no)), b"x")
    store.keep(numbered(case, 99, START + 90 * DAY), b"x")
    assert len(ids(store)) == 21, "ten at a time"


def test_the_file_is_its_owners_alone(store, case, tmp_path):
    store.keep(numbered(case, 1, START), b"x")
    assert (tmp_path / "deep" / "cases.sqlite3").stat().st_mode & 0o077 == 0


def test_the_oldest_give_way_to_bytes(tmp_path, case):
    store = SqliteCases(tmp_path / "cases.sqlite3", most_days=30, most_bytes=1000)
    for no in range(1, 8):
        store.keep(numbered(case, no, START + timedelta(hours=no)), bytes(300))
    assert ids(store) == ["plan-5", "plan-6", "plan-7"]
    store.keep(numbered(case, 8, START + timedelta(hours=8)), bytes(2000))
    assert ids(store) == [], "one that is larger than all may be is not kept either"
    store.close()


def test_a_full_disk_and_a_missing_folder_are_one_error_and_pass(tmp_path, case, packed):
    store = SqliteCases(tmp_path / "cases.sqlite3", most_days=30, most_bytes=10_000_000)
    store.keep(case, packed)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UnavailableError, match="full"):
        store.keep(numbered(case, 2), bytes(200_000))
    store.keep(numbered(case, 2), b"there is room again")
    assert ids(store) == ["plan-1", "plan-2"]
    store.close()
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(UnavailableError, match="check its folder"):
        SqliteCases(blocked / "cases.sqlite3", most_days=30, most_bytes=1).packed("plan-1")


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path, case):
    path = tmp_path / "cases.sqlite3"
    path.write_bytes(b"this was a database once" * 100)
    store = SqliteCases(path, most_days=30, most_bytes=1000)
    with pytest.raises(UnavailableError, match="begun anew"):
        store.keep(numbered(case, 1), b"x")
    store.keep(numbered(case, 1), b"x")
    assert ids(store) == ["plan-1"]
    assert (tmp_path / "cases.sqlite3.damaged").read_bytes().startswith(b"this was")
    store.close()


class Waiting:
    """Redis as a keeper sees it."""

    def __init__(self, **cases):
        self.cases = cases

    async def waiting(self, site):
        assert site == "home"
        return list(self.cases)

    async def packed(self, site, plan_id):
        return self.cases[plan_id]

    async def forget(self, site, plan_id):
        del self.cases[plan_id]


async def test_the_keeper_takes_what_waits_and_drops_what_it_cannot_read(store, packed, capsys):
    waiting = Waiting(gone=None, broken=packed[:-1], good=packed)
    await CaseKeeper("home", FakeClock(START), waiting, store).look()
    assert waiting.cases == {}
    assert ids(store) == ["plan-1"]


async def test_what_cannot_be_kept_now_waits(tmp_path, packed):
    (tmp_path / "file").write_text("no folder")
    store = SqliteCases(tmp_path / "file" / "cases.sqlite3", most_days=30, most_bytes=1_000_000)
    waiting = Waiting(good=packed)
    with pytest.raises(UnavailableError):
        await CaseKeeper("home", FakeClock(START), waiting, store).look()
    assert list(waiting.cases) == ["good"]


async def test_a_folder_keeps_cases_in_the_order_of_their_numbers(tmp_path, case):
    folder = FolderCases(tmp_path / "cases")
    for no in (10, 9):
        await folder.keep(a_case_numbered(case, no))
    assert [read_case(file.read_bytes()).plan.plan_no for file in folder.files()] == [9, 10]
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnavailableError):
        await FolderCases(tmp_path / "file" / "x").keep(case)


def a_case_numbered(case, no):
    return replace(case, plan=numbered(case, no).plan)


async def needs_key(x_api_key: Annotated[str, Header()] = "") -> None:
    if x_api_key != "right":
        raise HTTPException(401, "a valid API key is needed")


@pytest.fixture
def web(store):
    app = FastAPI()
    install_problems(app)
    app.include_router(make_case_router(store, needs_key))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://testserver", headers={"X-API-Key": "right"}
    )


async def test_rest_gives_the_bytes_and_the_list(store, web, case, packed):
    store.keep(case, packed)
    store.keep(numbered(case, 2, START + DAY), packed[:-1])
    reply = await web.get("/v1/plans/plan-1/case")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/octet-stream"
    assert read_case(reply.content).plan == case.plan
    rows = (await web.get("/v1/plans/cases")).json()
    assert [row["plan_id"] for row in rows] == ["plan-1", "plan-2"]
    assert set(rows[0]) == {"plan_id", "plan_no", "issued_at", "bytes"}
    span = {"from": (START + DAY).isoformat(), "to": (START + 2 * DAY).isoformat()}
    assert [row["plan_id"] for row in (await web.get("/v1/plans/cases", params=span)).json()] == ["plan-2"]
    assert (await web.get("/v1/plans/plan-2/case")).status_code == 410
    missing = await web.get("/v1/plans/plan-3/case")
    assert missing.status_code == 404
    assert "GET /v1/plans/cases" in missing.json()["remedy"]


@pytest.mark.parametrize("params", [{"from": "yesterday"}, {"to": "2025-01-14T00:00:00"}, {"limit": 0}])
async def test_rest_refuses_wrong_spans(web, params):
    assert (await web.get("/v1/plans/cases", params=params)).status_code == 422


async def test_rest_tells_nothing_without_a_key_and_says_when_the_file_is_away(tmp_path, web):
    for route in ("/v1/plans/cases", "/v1/plans/plan-1/case"):
        assert (await web.get(route, headers={"X-API-Key": "wrong"})).status_code == 401
    (tmp_path / "file").write_text("no folder")
    app = FastAPI()
    install_problems(app)
    away = SqliteCases(tmp_path / "file" / "cases.sqlite3", most_days=30, most_bytes=1)
    app.include_router(make_case_router(away, needs_key))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as other:
        assert (await other.get("/v1/plans/cases", headers={"X-API-Key": "right"})).status_code == 503


def test_settings_come_from_the_environment(monkeypatch):
    assert (CaseSettings().plan_cases_days, CaseSettings().plan_cases_max_mb) == (400, 2000)
    monkeypatch.setenv("PEMS_PLAN_CASES_DAYS", "7")
    monkeypatch.setenv("PEMS_PLAN_CASES_MAX_MB", "")
    assert (CaseSettings().plan_cases_days, CaseSettings().plan_cases_max_mb) == (7, 2000)
    monkeypatch.setenv("PEMS_PLAN_CASES_DAYS", "0")
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        CaseSettings()


def test_the_disk_is_really_used_up_to_the_bound(tmp_path, case):
    store = SqliteCases(tmp_path / "cases.sqlite3", most_days=30, most_bytes=300_000)
    for no in range(40):
        store.keep(numbered(case, no, START + timedelta(hours=no)), bytes(50_000))
    store.close()
    assert (tmp_path / "cases.sqlite3").stat().st_size < 600_000
    assert sqlite3.connect(tmp_path / "cases.sqlite3").execute("SELECT count(*) FROM plan_case").fetchone() == (6,)


def test_too_large_a_case_is_refused_before_anything_is_written(case):
    with pytest.raises(StoreError):
        case_bytes(case, most=10)
