"""Ingest's REST over the handlers, in one process."""

import io
import json
from datetime import timedelta

import httpx
import pytest

from pems_common.api import create_app
from pems_common.health import Health
from pems_ingest.adapters.arrow import ARROW_STREAM
from pems_ingest.api import make_router


@pytest.fixture
async def client(bench):
    app = create_app("ingest", health=Health(bench.clock), metrics=bench.metrics)
    app.include_router(make_router(bench.handlers, bench.store, bench.home, bench.clock))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://testserver", timeout=10
    ) as client:
        yield client


@pytest.fixture
async def lived(bench, client):
    """An hour of house time with changing temperatures."""
    for i in range(60):
        await bench.say("loxone/temperature/obyvak", f"{21 + i / 100:.2f}")
        await bench.say("loxone/relay/obyvak", str(i % 2))
        await bench.run(60, step_s=60)
    return client


async def test_before_anything_came(client):
    for path in ("telemetry", "prices", "weather"):
        answer = await client.get(f"/v1/{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_present(lived):
    telemetry = await lived.get("/v1/telemetry")
    assert telemetry.status_code == 200
    assert telemetry.json()["rooms"]["obyvak"]["temperature_c"] == 21.59
    assert telemetry.headers["X-Message-Id"]
    assert (await lived.get("/v1/prices")).json()["source"] == "world_generated"
    assert (await lived.get("/v1/weather")).json()["temperature_c"]["step_s"] == 3600


async def test_history_and_points(lived, bench):
    start, end = bench.clock.now() - timedelta(hours=1), bench.clock.now()
    params = {"series": ["room.obyvak.temperature_c", "room.obyvak.relay_on", "nope"], "start": start.isoformat()}
    got = (await lived.get("/v1/history", params={**params, "end": end.isoformat()})).json()
    assert got["step_s"] == 900
    assert len(got["series"]["room.obyvak.temperature_c"]) == 4
    assert got["series"]["room.obyvak.relay_on"][1] == pytest.approx(0.5, abs=0.05)
    assert got["series"]["nope"] == [None] * 4
    points = (await lived.get("/v1/points", params={"series": "room.obyvak.temperature_c", "limit": 5})).json()
    assert len(points["points"]) == 5
    assert points["truncated"]
    count = (await lived.get("/v1/history/count")).json()
    assert count["points"] == bench.store.count > 100
    assert count["lost"] == 0
    series = (await lived.get("/v1/series")).json()["series"]
    assert "room.obyvak.temperature_c" in {s["series"] for s in series}


async def test_sources_rejected_and_quality(lived, bench):
    await bench.say("loxone/temperature/obyvak", "warm")
    sources = (await lived.get("/v1/sources")).json()
    assert sources["prices"]["sources"][0]["last_ok_at"]
    assert sources["prices"]["stale"] == ""
    assert sources["devices"]["received"] >= 121
    rejected = (await lived.get("/v1/rejected")).json()
    assert rejected["counts"] == {"not_number": 1}
    assert rejected["recent"][0]["origin"] == "loxone/temperature/obyvak"
    start = (bench.clock.now() - timedelta(hours=1)).isoformat()
    quality = (await lived.get("/v1/quality", params={"start": start})).json()["series"]
    by_name = {q["series"]: q for q in quality}
    assert by_name["room.obyvak.temperature_c"]["completeness"] > 0.95
    assert by_name["room.obyvak.temperature_c"]["cadence_s"] == 60


async def test_messages(lived, bench):
    await bench.store.write_message(bench.handlers.latest["prices"])
    got = (await lived.get("/v1/messages", params={"type": "prices"})).json()["messages"]
    assert got[0]["body"]["source"] == "world_generated"
    assert (await lived.get("/v1/messages", params={"type": "gossip"})).status_code == 422


async def test_dataset_as_json_and_arrow(lived, bench):
    start = (bench.clock.now() - timedelta(hours=1)).isoformat()
    got = (await lived.get("/v1/dataset", params={"start": start})).json()
    assert got["slots"] == 4
    assert set(got["groups"]) >= {"production", "relays", "prices", "weather"}
    assert len(got["groups"]["relays"]["room.obyvak.relay_on"]) == 4
    only = (await lived.get("/v1/dataset", params={"start": start, "group": "relays"})).json()
    assert only["groups"]["prices"] == {}
    pa = pytest.importorskip("pyarrow")
    answer = await lived.get("/v1/dataset", params={"start": start}, headers={"Accept": ARROW_STREAM})
    assert answer.headers["content-type"] == ARROW_STREAM
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    assert table.num_rows == 4
    assert "room.obyvak.relay_on" in table.column_names


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("history", {}),
        ("history", {"series": "a", "start": "2026-01-15T00:00:00"}),
        ("history", {"series": "a", "start": "yesterday"}),
        ("history", {"series": "a", "start": "2026-01-15T00:00:00+00:00", "end": "2026-01-14T00:00:00+00:00"}),
        ("history", {"series": "a", "start": "2020-01-15T00:00:00+00:00"}),
        ("history", {"series": "a", "step_s": 0}),
        ("history", {"series": ["a"] * 201}),
        ("history", {"series": ["a"] * 100, "start": "2025-01-15T00:00:00+00:00", "step_s": 10}),
        ("points", {}),
        ("points", {"series": "a", "limit": 0}),
        ("quality", {"start": "2025-01-15T00:00:00+00:00"}),
        ("dataset", {"group": "everything"}),
        ("messages", {}),
    ],
)
async def test_wrong_requests_are_problems(client, path, params):
    answer = await client.get(f"/v1/{path}", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["status"] == 422


async def test_a_history_that_is_away_is_503(client, bench, monkeypatch):
    from pems_common.errors import UnavailableError

    async def away(*args, **kwargs):
        raise UnavailableError("the history is away")

    monkeypatch.setattr(bench.store, "slots", away)
    answer = await client.get("/v1/history", params={"series": "a"})
    assert answer.status_code == 503
