"""REST of the forecaster, and its reader of ingest's REST."""

from datetime import timedelta

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from tests.unit.forecaster.forecaster_makers import WINTER, make_prices, make_weather
from tests.unit.forecaster.test_forecaster_handlers import FakeHistory, World

from pems_common.auth import Auth
from pems_common.clock import FakeClock
from pems_common.errors import UnavailableError
from pems_common.messages import wrap
from pems_common.settings import ServiceSettings
from pems_forecaster.adapters.history_http import HistoryHttp
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.adapters.trainers import InlineTrainer
from pems_forecaster.api import forecaster_router
from pems_forecaster.domain.room_fit.series import HouseSeries


@pytest.fixture
async def served(tmp_path):
    world = World(state_dir=tmp_path / "state", trainer=InlineTrainer())
    auth = Auth.open(ServiceSettings(data=tmp_path), world.clock)
    app = FastAPI()
    app.include_router(forecaster_router(world.handlers, auth))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield world, client, {"X-API-Key": auth.internal_key}


async def test_forecast_is_asked_for_and_fetched(served):
    world, client, key = served
    assert (await client.get("/v1/forecast")).status_code == 404
    assert (await client.post("/v1/forecasts")).status_code == 401
    answer = await client.post("/v1/forecasts", headers=key)
    assert answer.status_code == 202
    place = answer.headers["Location"]
    waiting = await client.get(place)
    assert waiting.status_code == 202
    await world.tell(make_weather(WINTER))
    await world.tell(make_prices(WINTER))
    world.clock.advance(60)
    await world.minutes(1)
    done = await client.get(place)
    assert done.status_code == 200
    latest = (await client.get("/v1/forecast")).json()
    assert done.json()["id"] == latest["id"]
    assert len(latest["pv_power_w"]["p50"]["values"]) == 216
    assert (await client.get(f"/v1/forecasts/{latest['id']}")).status_code == 200
    assert (await client.get("/v1/forecasts/nothing")).status_code == 404


async def test_models_are_shown_trained_on_demand_and_rolled_back(served):
    world, client, key = served
    await world.minutes(2)
    shown = (await client.get("/v1/models")).json()
    assert shown["published"]["pv"]["active"] == "physics-1"
    assert shown["models"] == shown["trainings"] == []
    assert (await client.get("/v1/models/nothing")).status_code == 404
    assert (await client.post("/v1/models/pv/train")).status_code == 401
    assert (await client.post("/v1/models/wind/train", headers=key)).status_code == 404
    asked = await client.post("/v1/models/pv/train", headers=key)
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    await world.minutes(1)
    told = (await client.get(asked.headers["Location"])).json()
    assert told["state"] == "failed"
    assert "too few to learn from; wait for 14 days" in told["what"]
    assert (await client.get("/v1/trainings/nothing")).status_code == 404
    assert (await client.post("/v1/models/pv/rollback")).status_code == 401
    refused = await client.post("/v1/models/pv/rollback", headers=key)
    assert refused.status_code == 409
    assert "nothing to roll back" in refused.json()["detail"]["detail"]


async def test_without_a_place_for_models_there_are_none(tmp_path):
    world = World()
    app = FastAPI()
    app.include_router(forecaster_router(world.handlers, Auth.open(ServiceSettings(data=tmp_path), world.clock)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://testserver") as client:
        assert (await client.get("/v1/models")).status_code == 404


async def test_rooms_and_scores_are_shown(served):
    world, client, _ = served
    await world.minutes(2)
    assert len((await client.get("/v1/thermal")).json()) == 17
    room = (await client.get("/v1/thermal/obyvak")).json()
    assert room["tier"] == "prior"
    assert room["state"]["air_c"] == pytest.approx(21.0, abs=0.5)
    assert (await client.get("/v1/thermal/garage")).status_code == 404
    assert (await client.get("/v1/scores")).json() == {}


def ingest(handler):
    return HistoryHttp("http://ingest", api_key="k", client=httpx.AsyncClient(transport=httpx.MockTransport(handler)))


async def test_kept_messages_are_read_and_broken_ones_left_out():
    envelope = wrap(make_weather(WINTER), site="home", clock=FakeClock(WINTER), source="t")

    def answer(request):
        asked = dict(request.url.params)
        assert request.url.path == "/v1/messages"
        assert (asked["type"], asked["subject"], asked["limit"]) == ("weather", "archive", "60")
        return httpx.Response(200, json={"messages": [envelope.model_dump(mode="json"), {"body": 3}, "x"]})

    reader = ingest(answer)
    found = await reader.messages("weather", WINTER, WINTER + timedelta(days=60), subject="archive", limit=60)
    assert [e.id for e in found] == [envelope.id]
    broken = ingest(lambda request: httpx.Response(200, json={"messages": {}}))
    with pytest.raises(UnavailableError, match="holds no messages"):
        await broken.messages("weather", WINTER, WINTER + timedelta(days=1))


async def test_history_is_read_in_pieces():
    asked = []

    def answer(request):
        asked.append(request.url.params)
        names = request.url.params.get_list("series")
        assert request.headers["X-API-Key"] == "k"
        return httpx.Response(200, json={"series": {n: [1, None, "x"] for n in names}, "start": "", "step_s": 900})

    reader = ingest(answer)
    names = [f"room.r{i}.relay_on" for i in range(20)]
    result = await reader.slots(names, WINTER, WINTER + timedelta(hours=200))
    assert len(asked) == 4
    assert set(result) == set(names)
    assert all(len(values) == 800 for values in result.values())
    assert result[names[0]][:3] == [1.0, None, None]
    await reader.close()


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"series": [1]}),
    ],
)
async def test_odd_answers_of_ingest_are_its_absence(response):
    reader = ingest(lambda request: response)
    with pytest.raises(UnavailableError):
        await reader.slots(["a"], WINTER, WINTER + timedelta(hours=1))
    await reader.close()


async def test_ingest_that_is_away():
    def refuse(request):
        raise httpx.ConnectError("refused")

    reader = ingest(refuse)
    with pytest.raises(UnavailableError):
        await reader.slots(["a"], WINTER, WINTER + timedelta(hours=1))
    await reader.close()


def test_state_file_is_replaced_whole(tmp_path):
    file = StateFile(tmp_path / "deep" / "memory.json")
    assert file.load() is None
    file.save({"a": 1})
    file.save({"a": 2})
    assert file.load() == {"a": 2}
    assert [p.name for p in file.path.parent.iterdir()] == ["memory.json"]
    with pytest.raises(ValueError):
        file.save({"a": float("nan")})
    assert file.load() == {"a": 2}


async def test_rooms_are_shown_and_identified_on_demand(tmp_path):
    history = FakeHistory(away=0)
    world = World(history=history, state_dir=tmp_path / "state", trainer=InlineTrainer())
    auth = Auth.open(ServiceSettings(data=tmp_path), world.clock)
    app, key = FastAPI(), {"X-API-Key": auth.internal_key}
    app.include_router(forecaster_router(world.handlers, auth))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://testserver") as client:
        shown = (await client.get("/v1/rooms")).json()
        assert {room["tier"] for room in shown["rooms"]} == {"prior"}
        assert shown["identified_at"] is None
        assert shown["job"] is None
        one = (await client.get("/v1/rooms/obyvak")).json()
        assert one["parameters"]["rea_k_w"]["low"] < 1.0 / one["loss_w_k"] < one["parameters"]["rea_k_w"]["high"]
        assert (await client.get("/v1/rooms/sklep")).status_code == 404
        assert (await client.post("/v1/rooms/identify")).status_code == 401
        assert (await client.post("/v1/rooms/identify", headers=key)).status_code == 202
        world.handlers.rooms._history = nothing_measured
        await world.handlers.rooms.tick()
        job = (await client.get("/v1/rooms")).json()["job"]
        assert job["state"] == "failed"
        assert "10 days" in job["what"]


async def nothing_measured(now, days):
    unknown = np.full(96, np.nan)
    return HouseSeries((now - 96) * 900, 900, {"obyvak": unknown}, {}, unknown, {}, np.zeros(96, dtype=np.int64), {})


async def test_without_a_history_rooms_are_not_identified(served):
    _, client, _ = served
    refused = await client.get("/v1/rooms")
    assert refused.status_code == 404
    assert "history" in refused.json()["detail"]["remedy"]
