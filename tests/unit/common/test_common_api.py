"""The HTTP side of every service: health, metrics, limits, and one error shape that tells no secrets."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket
from pydantic import BaseModel, Field

from pems_common.api import create_app
from pems_common.auth import Auth, Principal
from pems_common.clock import FakeClock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.health import Health
from pems_common.http_guard import host_name
from pems_common.metrics import Metrics
from pems_common.timegrid import parse_instant

CLOCK = FakeClock(parse_instant("2026-01-05T00:00:00+00:00"))


class Order(BaseModel):
    power_w: float = Field(ge=0)


def make_app(health: Health, metrics: Metrics) -> FastAPI:
    app = create_app("controller", health=health, metrics=metrics, version="1.2", allowed_hosts={"house.lan"})
    auth = Auth(CLOCK, internal_key="key")
    routes = APIRouter(prefix="/v1")

    @routes.put("/orders/{device}", summary="Order <something>")
    async def put(device: str, order: Order, who: Annotated[Principal, Depends(auth.require_write)]) -> dict[str, Any]:
        return {"device": device, "by": who.name}

    @routes.get("/fail/{how}")
    async def fail(how: str) -> None:
        raise {
            "away": UnavailableError("no plan yet", remedy="wait"),
            "permanent": PermanentError("never"),
            "pems": PemsError("bad", remedy="do better"),
            "conflict": HTTPException(409, {"detail": "taken", "remedy": "choose another"}),
            "teapot": HTTPException(418),
            "odd": HTTPException(499, "odd"),
            "bug": KeyError("the secret inside"),
        }[how]

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    app.include_router(routes)
    return app


@pytest.fixture
def health() -> Health:
    return Health(CLOCK)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def http(health: Health, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(health, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8084") as client:
        yield client


async def test_ready_names_the_failing_checks(http: httpx.AsyncClient, health: Health) -> None:
    health.declare("redis", required=False)
    health.declare("mqtt", required=True)
    answer = await http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["failing"] == ["mqtt"]
    health.set("mqtt", True)
    health.set("redis", False, "away")
    answer = await http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["redis"] == {"ok": False, "detail": "away", "required": False}
    health.drop("redis")
    assert "redis" not in health.checks


async def test_live_fails_when_a_watchdog_is_not_fed() -> None:
    clock = FakeClock(parse_instant("2026-01-05T00:00:00+00:00"))
    health = Health(clock)
    app = create_app("controller", health=health, metrics=Metrics())
    health.watchdog("tick", 60)
    health.beat("unknown")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        clock.advance(60)
        assert (await http.get("/health/live")).status_code == 200
        clock.advance(1)
        answer = await http.get("/health/live")
        assert answer.status_code == 503
        assert answer.json() == {"live": False, "silent_s": {"tick": 61.0}}
        health.beat("tick")
        assert (await http.get("/health/live")).json()["live"]


async def test_metrics_are_shown_with_the_route_and_not_the_path(http: httpx.AsyncClient, metrics: Metrics) -> None:
    metrics.counter("clamps", "Clamped commands", ["limit"]).labels("battery").inc()
    assert metrics.counter("clamps", "Clamped commands", ["limit"]) is metrics.counter("clamps", "")
    metrics.gauge("soc_pct", "State of charge").set(55)
    await http.get("/v1/fail/teapot")
    text = (await http.get("/metrics")).text
    assert 'pems_clamps_total{limit="battery"} 1.0' in text
    assert "pems_soc_pct 55.0" in text
    assert 'route="/v1/fail/{how}",status="418"' in text or 'route="/fail/{how}",status="418"' in text
    assert "_created" not in text


@pytest.mark.parametrize(
    ("how", "status", "detail", "remedy"),
    [
        ("away", 503, "no plan yet", "wait"),
        ("permanent", 422, "never", None),
        ("pems", 422, "bad", "do better"),
        ("conflict", 409, "taken", "choose another"),
        ("teapot", 418, None, None),
        ("odd", 499, "odd", None),
        ("bug", 500, "an unexpected error happened; the log of the service tells more", None),
    ],
)
async def test_errors_are_problems(
    http: httpx.AsyncClient, how: str, status: int, detail: str | None, remedy: str | None
) -> None:
    answer = await http.get(f"/v1/fail/{how}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem.get("detail") == detail
    assert problem.get("remedy") == remedy
    assert "secret" not in answer.text


async def test_unknown_paths_and_methods_are_problems(http: httpx.AsyncClient) -> None:
    for answer, status in ((await http.get("/nowhere"), 404), (await http.delete("/v1/orders/ev"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


async def test_writing_needs_a_key(http: httpx.AsyncClient) -> None:
    answer = await http.put("/v1/orders/ev", json={"power_w": 5})
    assert answer.status_code == 401
    assert answer.json()["remedy"] == "send it in the header X-API-Key"
    answer = await http.put("/v1/orders/ev", json={"power_w": 5}, headers={"X-API-Key": "key"})
    assert answer.json() == {"device": "ev", "by": "internal"}


async def test_wrong_fields_are_named_and_not_echoed(http: httpx.AsyncClient) -> None:
    answer = await http.put("/v1/orders/ev", json={"power_w": "s3cret"}, headers={"X-API-Key": "key"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.power_w"
    assert "s3cret" not in answer.text


async def test_large_bodies_are_refused_whether_announced_or_not(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 50_000

    for content in (b" " * 1_000_001, pieces()):
        answer = await http.put("/v1/orders/ev", content=content, headers={"X-API-Key": "key"})
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


async def test_foreign_host_names_are_refused(http: httpx.AsyncClient) -> None:
    for host in ("evil.example", "evil.example:8084", ""):
        answer = await http.get("/health/live", headers={"Host": host})
        assert answer.status_code == 421
    for host in ("localhost:1", "house.lan", "controller:8084", "192.168.1.5:8084", "[::1]:8084", "HOUSE.lan"):
        assert (await http.get("/health/live", headers={"Host": host})).status_code == 200


def test_host_names_are_read_from_headers() -> None:
    assert [host_name(text) for text in ("A.b:80", "[fe80::1]:80", "fe80::1", " x ")] == [
        "a.b",
        "fe80::1",
        "fe80::1",
        "x",
    ]


async def test_the_documentation_loads_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "/v1/orders/{device}" in answer.text
    assert "Order &lt;something&gt; (X-API-Key)" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    description = (await http.get("/openapi.json")).json()
    assert "/v1/orders/{device}" in description["paths"]
    assert (await http.get("/redoc")).status_code == 404


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("localhost", ["websocket.accept", "websocket.send", "websocket.close"]),
        ("evil.example", ["websocket.close"]),
    ],
)
async def test_websockets_pass_for_known_hosts_only(
    health: Health, metrics: Metrics, host: str, sent: list[str]
) -> None:
    got: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        got.append(message["type"])

    scope = {
        "type": "websocket",
        "path": "/socket",
        "raw_path": b"/socket",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "subprotocols": [],
    }
    await make_app(health, metrics)(scope, receive, send)
    assert got == sent
