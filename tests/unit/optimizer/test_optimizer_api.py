"""REST: plan, rows for people, list, asking for a plan; writing needs a key."""

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from tests.unit.optimizer.test_optimizer_planner import HOME, House, SilentQueue, _quick_plans  # noqa: F401

from pems_common.errors import UnavailableError
from pems_common.problems import install_problems
from pems_optimizer.api import make_router


async def only_with_key(request: Request) -> None:
    if request.headers.get("X-API-Key") != "key":
        raise HTTPException(401, "a key is needed")


def client(house: House) -> httpx.AsyncClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(make_router(house.planner, HOME, only_with_key))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


async def test_before_any_plan_there_is_none():
    async with client(House()) as web:
        for path in ("/v1/plan", "/v1/schedule", "/v1/plans/x", "/v1/requests/x"):
            answer = await web.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await web.get("/v1/plans")).json() == []


async def test_the_plan_its_rows_and_the_list():
    house = await House().begin()
    plan = house.planner.plan
    async with client(house) as web:
        assert (await web.get("/v1/plan")).json()["plan_id"] == plan.plan_id
        assert (await web.get(f"/v1/plans/{plan.plan_id}")).json()["plan_no"] == plan.plan_no
        rows = (await web.get("/v1/schedule")).json()
        assert len(rows) == plan.slots
        assert rows[0]["local_time"] == "Tue 14:00"
        assert rows[0]["battery"] == plan.battery.intent[0]
        assert [r["outlook"] for r in rows].index(True) == 96
        on = next(t for t in range(plan.slots) if any(r.relay_on[t] for r in plan.rooms.values()))
        assert rows[on]["heating_rooms"] == len(rows[on]["relays_on"]) > 0
        assert len((await web.get("/v1/schedule", params={"hours": 6})).json()) == 24
        listed = (await web.get("/v1/plans")).json()
        assert listed[0]["total_czk"] == plan.cost.total


async def test_asking_needs_a_key_and_gives_an_address():
    house = await House().begin()
    async with client(house) as web:
        assert (await web.post("/v1/plans")).status_code == 401
        answer = await web.post("/v1/plans", headers={"X-API-Key": "key"})
        assert answer.status_code == 202
        where = answer.headers["Location"]
        assert where == f"/v1/requests/{answer.json()['request_id']}"
        assert (await web.get(where)).json()["state"] == "done"


async def test_a_request_under_way_is_joined():
    house = await House(SilentQueue).begin()
    async with client(house) as web:
        answers = [await web.post("/v1/plans", headers={"X-API-Key": "key"}) for _ in range(2)]
        assert {a.headers["Location"] for a in answers} == {f"/v1/requests/{house.queue.requests[0].request_id}"}
        assert answers[0].json()["state"] == "running"


@pytest.mark.parametrize("broken", [True, False])
async def test_nothing_to_plan_with_or_no_queue_is_503(broken):
    house = House()

    async def away(request):
        raise UnavailableError("no broker")

    if broken:
        await house.publish(house.known.forecast)
        house.queue.submit = away
    async with client(house) as web:
        answer = await web.post("/v1/plans", headers={"X-API-Key": "key"})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
