"""REST of the house: reading is free, faults need a key."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.house.house_fakes import HouseRig

from pems_common.api import create_app
from pems_common.auth import Auth
from pems_common.health import Health
from pems_common.metrics import Metrics
from pems_house.api import create_router

KEY = {"X-API-Key": "secret-of-the-test"}


@pytest.fixture
async def web() -> AsyncIterator[httpx.AsyncClient]:
    rig = HouseRig()
    app = create_app("house", health=Health(rig.clock), metrics=Metrics())
    app.include_router(create_router(rig.house, Auth(rig.clock, internal_key=KEY["X-API-Key"])))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_truth_and_state_can_be_read(web: httpx.AsyncClient) -> None:
    truth = (await web.get("/v1/truth")).json()
    assert {"energy_cost_czk", "import_wh", "comfort_below_k_h", "violations_s", "rooms_stored_wh"} <= truth.keys()
    state = (await web.get("/v1/state")).json()
    assert state["inverter"]["priority"] == "loadfirst"
    assert len(state["rooms"]) == 17


async def test_faults_are_switched_with_a_key_only(web: httpx.AsyncClient) -> None:
    wanted = {"kind": "sensor_silent", "room": "hosti", "minutes": 30}
    assert (await web.post("/v1/faults", json=wanted)).status_code == 401
    added = await web.post("/v1/faults", json=wanted, headers=KEY)
    assert added.status_code == 201
    number = added.json()["id"]
    assert (await web.get("/v1/faults")).json()[0]["room"] == "hosti"
    assert (await web.delete(f"/v1/faults/{number}")).status_code == 401
    assert (await web.delete(f"/v1/faults/{number}", headers=KEY)).status_code == 204
    assert (await web.delete(f"/v1/faults/{number}", headers=KEY)).status_code == 404
    await web.post("/v1/faults", json={"kind": "nak"}, headers=KEY)
    assert (await web.delete("/v1/faults", headers=KEY)).status_code == 204
    assert (await web.get("/v1/faults")).json() == []


@pytest.mark.parametrize(
    "wrong", [{"kind": "x"}, {"kind": "nak", "minutes": 0}, {"kind": "nak", "colour": 1}, {"kind": "relay_stuck"}]
)
async def test_wrong_faults_are_told_why(web: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    answer = await web.post("/v1/faults", json=wrong, headers=KEY)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
