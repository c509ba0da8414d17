"""The controller's REST."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import HTTPException, Request
from tests.unit.controller.controller_kit import START, Rig, make_plan, small_home, started

from pems_common.api import create_app
from pems_common.health import Health
from pems_common.metrics import Metrics
from pems_controller.api import build_router
from pems_controller.metrics import exporter

KEY = {"X-API-Key": "secret"}


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(rig) as open_client:
        yield open_client


def client_of(rig: Rig) -> httpx.AsyncClient:
    async def require_write(request: Request) -> None:
        if request.headers.get("X-API-Key") != "secret":
            raise HTTPException(401, "a valid API key is needed")

    app = create_app("controller", health=Health(rig.clock), metrics=Metrics())
    app.include_router(build_router(rig.controller, rig.clock, require_write))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://testserver")


async def test_status_before_and_after_the_first_tick(rig: Rig, client: httpx.AsyncClient):
    assert (await client.get("/v1/status")).status_code == 503
    await started(rig)
    await rig.tick()
    answer = await client.get("/v1/status")
    assert answer.status_code == 200
    assert answer.json()["house_mode"] == "rule_based"
    assert set(answer.json()["devices"]) == set(rig.home.device_names)


async def test_plan(rig: Rig, client: httpx.AsyncClient):
    await started(rig)
    assert (await client.get("/v1/plan")).status_code == 404
    plan = make_plan(rig.home, rig.clock.now())
    await rig.give(plan)
    assert (await client.get("/v1/plan")).json()["plan_id"] == plan.plan_id


async def test_an_override_is_set_acts_at_once_and_is_removed(rig: Rig, client: httpx.AsyncClient):
    await started(rig)
    await rig.tick(temperature_c=23.0)
    body = {"action": "on", "minutes": 30, "by": "me"}
    given = await client.put("/v1/overrides/room:big", json=body, headers=KEY)
    assert given.status_code == 200
    assert given.json()["until"].startswith((rig.clock.now() + timedelta(minutes=30)).isoformat()[:16])
    assert rig.mode("room:big") == "manual"
    assert (await client.get("/v1/overrides")).json()[0]["by"] == "me"
    assert (await client.delete("/v1/overrides/room:big", headers=KEY)).status_code == 204
    assert rig.mode("room:big") == "rule_based"
    gone = await client.delete("/v1/overrides/room:big", headers=KEY)
    assert gone.status_code == 404
    assert gone.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("device", "body", "status", "word"),
    [
        ("room:cellar", {"action": "on", "minutes": 5}, 404, "cellar"),
        ("fridge", {"action": "on", "minutes": 5}, 404, "fridge"),
        ("room:big", {"action": "on"}, 422, "minutes or until"),
        ("room:big", {"action": "on", "minutes": 5, "until": START.isoformat()}, 422, "minutes or until"),
        ("room:big", {"action": "on", "minutes": 0}, 422, "minutes"),
        ("room:big", {"action": "on", "minutes": 7 * 1440 + 1}, 422, "minutes"),
        ("room:big", {"action": "on", "until": (START - timedelta(hours=1)).isoformat()}, 422, "past"),
        ("room:big", {"action": "on", "until": (START + timedelta(days=8)).isoformat()}, 422, "7 days"),
        ("room:big", {"action": "on", "until": "2026-01-15T12:00:00"}, 422, "until"),
        ("room:big", {"action": "heat", "params": {"target_c": "hot"}, "minutes": 5}, 422, "target_c"),
        ("room:big", {"action": "heat", "params": {"target_c": 99}, "minutes": 5}, 422, "outside"),
        ("room:big", {"action": "melt", "minutes": 5}, 422, "cannot"),
        ("room:big", {"action": "on", "minutes": 5, "colour": "red"}, 422, "colour"),
        ("battery", {"action": "discharge_to_grid", "params": {"power_w": 9000}, "minutes": 5}, 422, "outside"),
        ("ev", {"action": "charge", "params": {"power_w": 1}, "minutes": 5}, 422, "outside"),
    ],
)
async def test_wrong_overrides_say_what_is_wrong(rig: Rig, client, device: str, body: dict, status: int, word: str):
    await started(rig)
    answer = await client.put(f"/v1/overrides/{device}", json=body, headers=KEY)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert word in answer.text
    assert rig.controller.desk.running() == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/overrides/water"), ("DELETE", "/v1/overrides/water"), ("PUT", "/v1/arming")],
)
async def test_writing_needs_a_key(rig: Rig, client: httpx.AsyncClient, method: str, path: str):
    await started(rig)
    body = {"armed": False} if path.endswith("arming") else {"action": "on", "minutes": 5}
    answer = await client.request(method, path, json=body if method == "PUT" else None)
    assert answer.status_code == 401
    assert rig.controller.armed


async def test_arming(rig: Rig, client: httpx.AsyncClient):
    await started(rig)
    assert (await client.put("/v1/arming", json={"armed": False}, headers=KEY)).json() == {"armed": False}
    assert rig.mode("water") == "released"
    assert (await client.put("/v1/arming", json={"armed": True}, headers=KEY)).json() == {"armed": True}
    assert rig.mode("water") == "rule_based"


async def test_arming_without_both_keys_is_refused():
    rig = await started(Rig(home=small_home(armed=False)))
    async with client_of(rig) as client:
        answer = await client.put("/v1/arming", json={"armed": True}, headers=KEY)
    assert answer.status_code == 409
    assert "PEMS_ARM" in answer.json()["detail"]


async def test_the_audit_pages_backwards(rig: Rig, client: httpx.AsyncClient):
    await started(rig)
    await rig.tick(temperature_c=20.0)
    first = (await client.get("/v1/audit", params={"limit": 2})).json()
    assert len(first) == 2
    then = (await client.get("/v1/audit", params={"limit": 2, "before_id": first[-1]["id"]})).json()
    assert then[0]["id"] < first[-1]["id"]
    rooms = (await client.get("/v1/audit", params={"device": "room:big"})).json()
    assert {row["device"] for row in rooms} == {"room:big"}
    assert (await client.get("/v1/audit", params={"limit": 0})).status_code == 422


async def test_counts_become_metrics(rig: Rig):
    await started(rig)
    await rig.outside.publish("energy/solar", b"nonsense")
    await rig.tick()
    metrics = Metrics()
    work = exporter(metrics, rig.controller, rig.clock)()
    work.send(None)  # to its first sleep
    work.close()
    assert metrics.value("controller_events", {"kind": "rejected:inverter:not_json"}) == 1
    assert metrics.value("controller_devices", {"mode": "rule_based"}) == len(rig.home.device_names)
    assert metrics.value("controller_armed") == 1
