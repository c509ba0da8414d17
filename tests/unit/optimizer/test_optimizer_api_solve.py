"""POST /v1/solve: an answer, 422 with every mistake, 503 while another is solved, and the event loop stays free."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from tests.unit.optimizer.problem_file_cases import changed, small_file

from pems_common.api import create_app
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.health import Health
from pems_common.metrics import Metrics
from pems_common.problems import install_problems
from pems_optimizer.adapters import problem_solvers
from pems_optimizer.adapters.problem_solvers import ThreadSolver
from pems_optimizer.api_solve import make_solve_router
from pems_optimizer.domain.problem_file.errors import ProblemFileError

KEY = {"X-API-Key": "key"}


def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 15, tzinfo=UTC))


async def only_with_key(request: Request) -> None:
    if request.headers.get("X-API-Key") != "key":
        raise HTTPException(401, "a key is needed")


def client(solver=None) -> httpx.AsyncClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(make_solve_router(solver or ThreadSolver(clock()), only_with_key))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


class Held:
    """Stands in for the solving: waits until it is let go, as long as there is time."""

    def __init__(self, monkeypatch):
        self.begun, self.free, self.times = threading.Event(), threading.Event(), []
        monkeypatch.setattr(problem_solvers, "solve_problem_file", self)

    def __call__(self, data, elapsed_s, limit_s):
        self.begun.set()
        self.free.wait(10)
        self.times.append(elapsed_s())
        return {"limit_s": limit_s}


async def begun(held: Held) -> None:
    assert await asyncio.to_thread(held.begun.wait, 10)


async def test_a_problem_is_answered_with_a_plan():
    async with client() as web:
        answer = await web.post("/v1/solve", json=small_file(), headers=KEY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["format"] == "pems-plan/1"
    assert answer.json()["slots"] == 8


async def test_writing_needs_a_key_and_the_schema_does_not():
    async with client() as web:
        assert (await web.post("/v1/solve", json=small_file())).status_code == 401
        schemas = (await web.get("/v1/solve/schema")).json()
    assert schemas["problem"]["title"] == "PEMS planning problem"
    assert schemas["answer"]["title"] == "PEMS plan for a problem"


async def test_each_mistake_is_a_problem_detail_that_names_its_field():
    data = changed(small_file(), "rooms.1.heater_w", 1_000_000)
    data = changed(data, "battery.capacity_wh", -5)
    async with client() as web:
        answer = await web.post("/v1/solve", json=data, headers=KEY)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["title"] == "Invalid planning problem"
    assert [e["field"] for e in body["errors"]] == ["rooms[1].heater_w", "battery.capacity_wh"]
    assert body["errors"][0]["value"] == "1000000"
    assert "at most 100000 (in W)" in body["errors"][0]["message"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", json.dumps(small_file(load_w=float("nan"))).encode()])
async def test_what_is_no_problem_is_refused_and_the_service_goes_on(text):
    async with client() as web:
        answer = await web.post("/v1/solve", content=text, headers=KEY)
        assert answer.status_code == 422
        assert answer.json()["errors"]
        assert (await web.post("/v1/solve", json=small_file(), headers=KEY)).status_code == 200


async def test_one_at_a_time_and_the_second_is_told_when_to_come_again(monkeypatch):
    held = Held(monkeypatch)
    async with client(ThreadSolver(clock(), limit_s=7.0)) as web:
        first = asyncio.create_task(web.post("/v1/solve", json=small_file(), headers=KEY))
        await begun(held)
        second = await web.post("/v1/solve", json=small_file(), headers=KEY)
        assert second.status_code == 503
        assert int(second.headers["Retry-After"]) > 0
        held.free.set()
        assert (await first).json() == {"limit_s": 7.0}
        assert (await web.post("/v1/solve", json=small_file(), headers=KEY)).status_code == 200


async def test_who_stops_waiting_stops_the_work(monkeypatch):
    held = Held(monkeypatch)
    solver = ThreadSolver(clock())
    waiting = asyncio.create_task(solver.solve({}))
    await begun(held)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(UnavailableError):
        await solver.solve({})
    held.free.set()
    assert solver._work is not None
    await solver._work
    assert held.times[0] > 1e5


async def test_work_that_fails_after_its_asker_left_is_no_trouble(monkeypatch):
    held = Held(monkeypatch)
    solver = ThreadSolver(clock())
    waiting = asyncio.create_task(solver.solve({}))
    await begun(held)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    monkeypatch.setattr(held, "times", None)
    held.free.set()
    with pytest.raises(AttributeError):
        await asyncio.shield(solver._work)
    monkeypatch.undo()
    with pytest.raises(ProblemFileError):
        await solver.solve({})


async def test_a_body_beyond_the_limit_is_refused():
    app = create_app("optimizer", health=Health(clock()), metrics=Metrics(), max_body_bytes=2_000)
    app.include_router(make_solve_router(ThreadSolver(clock()), only_with_key))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as web:
        answer = await web.post("/v1/solve", json=small_file(96), headers=KEY)
    assert answer.status_code == 413
