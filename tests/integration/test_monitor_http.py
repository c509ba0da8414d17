"""The monitor over HTTP: login, limit, CSRF, headers, keys, gateway. No browser, no NiceGUI: the app in process."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from tests.browser.sample_house import SampleHouse

from pems_common.api import create_app
from pems_common.auth import Auth, KeyFile
from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.health import Health
from pems_common.home import Home, load_home
from pems_common.messages import wrap
from pems_common.metrics import Metrics
from pems_monitor.adapters.gateway import Gateway
from pems_monitor.adapters.services import OverrideRequest, ServiceClients
from pems_monitor.adapters.store import MonitorStore, store_path
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.main import install

NOW = datetime(2026, 1, 15, 9, 22, tzinfo=UTC)
PASSWORD = "a long enough password"
INTERNAL = "the-internal-key"
ROOT = Path(__file__).parents[2]


class Backend:
    """A service behind the gateway that remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.app = FastAPI()

        @self.app.api_route("/{path:path}", methods=["GET", "PUT", "POST", "DELETE"])
        async def anything(path: str, request: Request) -> Response:
            self.seen.append((request.method, str(request.url), dict(request.headers), await request.body()))
            if path == "v1/elsewhere":
                return Response(status_code=302, headers={"location": "http://169.254.169.254/latest"})
            if path == "v1/accepted":
                return Response(status_code=202, headers={"location": "/v1/requests/7", "set-cookie": "a=b"})
            if path == "v1/huge":
                return Response(b"x" * 33_000_000)
            if path == "v1/overrides/ev" and request.method == "PUT":
                return Response('{"detail": "no car"}', 422, media_type="application/problem+json")
            if path == "health/ready":
                return Response('{"ready": false, "failing": ["redis"]}', 503, media_type="application/json")
            if path == "v1/history":
                return Response('{"series": {"pv_power_w": [1, null, true]}}', media_type="application/json")
            return Response('{"path": "' + path + '"}', media_type="application/json")


class Site:
    """The monitor's app with its parts."""

    def __init__(self, tmp_path: Path, home: Home) -> None:
        self.clock = FakeClock(NOW)
        self.bus = MemoryBus(self.clock)
        self.store = MonitorStore(store_path(tmp_path), self.clock)
        self.store.create_account(PASSWORD)
        self.keys = KeyFile(tmp_path / "secrets" / "keys.json")
        self.handlers = MonitorHandlers(home, self.clock, self.bus, self.store)
        self.backend = Backend()
        outward = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.backend.app), follow_redirects=True)
        urls = {name: f"http://{name}:1" for name in ("ingest", "forecaster", "optimizer", "controller", "house")}
        self.clients = ServiceClients(outward, urls, internal_key=INTERNAL, home=home)
        self.app = create_app("monitor", health=Health(self.clock), metrics=Metrics())
        install(
            self.app,
            handlers=self.handlers,
            clients=self.clients,
            gateway=Gateway(outward, urls, internal_key=INTERNAL),
            store=self.store,
            auth=Auth(self.clock, internal_key=INTERNAL, keys=self.keys),
            keys=self.keys,
            clock=self.clock,
            page=False,
        )

        @self.app.get("/")
        async def page() -> Response:
            return Response("<html>the page</html>", media_type="text/html")

    def browser(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, client=("192.0.2.7", 1))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"accept": "text/html"})


@pytest.fixture
def home() -> Home:
    return load_home(ROOT / "config" / "home.yaml")


@pytest.fixture
def site(tmp_path: Path, home: Home) -> Site:
    return Site(tmp_path, home)


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.browser() as client:
        yield client


async def _form_token(browser: httpx.AsyncClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', (await browser.get("/login")).text)
    assert found is not None
    return found[1]


async def _try(browser: httpx.AsyncClient, password: str) -> httpx.Response:
    return await browser.post("/login", data={"token": await _form_token(browser), "password": password})


async def _log_in(browser: httpx.AsyncClient) -> str:
    """Log in and return the CSRF token."""
    assert (await _try(browser, PASSWORD)).status_code == 303
    token: str = (await browser.get("/v1/session")).json()["csrf"]
    return token


async def test_nothing_is_shown_without_login(browser: httpx.AsyncClient, site: Site) -> None:
    for path in ("/", "/anything", "/openapi.json", "/docs"):
        reply = await browser.get(path)
        assert reply.status_code == 303, path
        assert reply.headers["location"] == "/login"
    assert (await browser.get("/", headers={"accept": "application/json"})).status_code == 401
    for path in ("/v1/kpi", "/v1/session", "/v1/alerts", "/v1/services", "/api/ingest/v1/telemetry"):
        assert (await browser.get(path)).status_code == 401, path
    assert site.backend.seen == []
    assert (await browser.get("/health/live")).status_code == 200
    with pytest.raises(ConnectionError, match="1008"):
        await _open_websocket(site, {})


async def _open_websocket(site: Site, headers: dict[str, str]) -> None:
    """Knock at the page's websocket; raises when it is refused."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(b"host", b"127.0.0.1"), *((k.encode(), v.encode()) for k, v in headers.items())]
    scope = {
        "type": "websocket",
        "path": "/_nicegui_ws/socket.io/",
        "headers": raw,
        "query_string": b"",
        "scheme": "ws",
    }
    scope |= {"subprotocols": [], "client": ("192.0.2.7", 1), "server": ("127.0.0.1", 80), "root_path": ""}
    await site.app(scope, receive, send)
    if sent and sent[0]["type"] == "websocket.close":
        raise ConnectionError(f"websocket closed with {sent[0].get('code')}")


async def test_login_sets_a_hardened_cookie_and_logout_ends_it(browser: httpx.AsyncClient) -> None:
    reply = await _try(browser, PASSWORD)
    assert reply.status_code == 303
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert PASSWORD not in cookie
    assert (await browser.get("/")).text == "<html>the page</html>"
    assert (await browser.get("/login")).headers["location"] == "/"
    assert (await browser.post("/logout")).status_code == 403
    csrf = (await browser.get("/v1/session")).json()["csrf"]
    assert (await browser.post("/logout", data={"csrf": csrf})).status_code == 303
    assert (await browser.get("/")).status_code == 303


async def test_many_passwords_tried_at_once_are_limited_too(browser: httpx.AsyncClient, site: Site) -> None:
    token = await _form_token(browser)
    tries = [browser.post("/login", data={"token": token, "password": f"wrong {i}"}) for i in range(12)]
    found = [reply.status_code for reply in await asyncio.gather(*tries)]
    # two are looked at side by side, so one more than the limit may slip in
    assert set(found) <= {401, 429, 403}
    assert found.count(401) <= 6


async def test_wrong_passwords_are_refused_and_limited(browser: httpx.AsyncClient, site: Site) -> None:
    for _ in range(5):
        assert (await _try(browser, "wrong")).status_code == 401
    locked = await _try(browser, PASSWORD)
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) == 30
    site.clock.advance(31)
    assert (await _try(browser, PASSWORD)).status_code == 303


async def test_login_form_needs_its_own_token(browser: httpx.AsyncClient) -> None:
    await browser.get("/login")
    assert (await browser.post("/login", data={"password": PASSWORD})).status_code == 403
    assert (await browser.post("/login", data={"token": "x", "password": PASSWORD})).status_code == 403
    token = await _form_token(browser)
    huge = {"token": token, "password": "x" * 10_000}
    assert (await browser.post("/login", data=huge)).status_code == 403
    odd = await browser.post("/login", content=b"\xff\xfe&&&=" * 5)
    assert odd.status_code == 403


async def test_login_speaks_the_browsers_language(browser: httpx.AsyncClient) -> None:
    for header, word in (("cs-CZ,en;q=0.5", "Heslo"), ("en-GB", "Password"), ("de", "Heslo"), ("sk", "Heslo")):
        page = (await browser.get("/login", headers={"accept-language": header})).text
        assert word in page, header


async def test_headers_of_every_answer(browser: httpx.AsyncClient) -> None:
    await _log_in(browser)
    for path in ("/login", "/", "/v1/session", "/nowhere", "/health/live"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http:" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert (await browser.get("/")).headers["cache-control"] == "no-store"


async def test_other_origins_are_refused(browser: httpx.AsyncClient, site: Site) -> None:
    csrf = await _log_in(browser)
    path = "/api/controller/v1/overrides/battery"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8081"):
        headers = {"origin": origin, "x-csrf-token": csrf}
        assert (await browser.put(path, json={}, headers=headers)).status_code == 403, origin
    cookie = {"cookie": f"pems_session={browser.cookies['pems_session']}"}
    with pytest.raises(ConnectionError, match="1008"):
        await _open_websocket(site, cookie | {"origin": "http://evil.example"})
    assert site.backend.seen == []


async def test_a_browser_may_read_and_set_overrides_only(browser: httpx.AsyncClient, site: Site) -> None:
    csrf = await _log_in(browser)
    assert (await browser.get("/api/ingest/v1/telemetry?x=1&y=%20")).json() == {"path": "v1/telemetry"}
    path = "/api/controller/v1/overrides/room:obyvak"
    assert (await browser.put(path, json={"action": "on"})).status_code == 403
    headers = {"x-csrf-token": csrf, "origin": "http://127.0.0.1"}
    assert (await browser.put(path, json={"action": "on"}, headers=headers)).status_code == 200
    method, url, sent, body = site.backend.seen[-1]
    assert (method, url) == ("PUT", "http://controller:1/v1/overrides/room:obyvak")
    assert sent["x-api-key"] == INTERNAL
    assert "cookie" not in sent
    assert "x-csrf-token" not in sent
    assert body == b'{"action":"on"}'
    assert (await browser.put("/api/controller/v1/arming", json={}, headers=headers)).status_code == 403
    assert (await browser.post("/api/optimizer/v1/plans", json={}, headers=headers)).status_code == 403


async def test_api_keys_read_and_write(site: Site, browser: httpx.AsyncClient) -> None:
    read, write = site.keys.add("reader", "read"), site.keys.add("writer", "write")
    assert read.encode() not in site.keys.path.read_bytes()
    assert (await browser.get("/api/optimizer/v1/plan", headers={"x-api-key": read})).status_code == 200
    assert (await browser.get("/v1/alerts", headers={"x-api-key": read})).json() == {"active": [], "ended": []}
    assert (await browser.post("/api/optimizer/v1/plans", headers={"x-api-key": read})).status_code == 403
    accepted = await browser.post("/api/optimizer/v1/accepted", headers={"x-api-key": write})
    assert accepted.status_code == 202
    assert accepted.headers["location"] == "/api/optimizer/v1/requests/7"
    assert "a=b" not in accepted.headers.get("set-cookie", "")
    assert (await browser.get("/v1/kpi", headers={"x-api-key": "pems_wrong"})).status_code == 401
    assert site.keys.remove("reader")
    assert (await browser.get("/v1/alerts", headers={"x-api-key": read})).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/house/v1/truth",
        "/api/redis/v1/x",
        "/api/ingest/metrics",
        "/api/ingest/v1/../metrics",
        "/api/ingest/v1/%2e%2e/metrics",
        "/api/ingest/v1/a%2f..%2f..%2fmetrics",
        "/api/ingest//evil.example/v1",
        "/api/ingest/v1/http:%2f%2fevil.example",
        "/api/ingest/v1/x%00y",
        "/api/ingest/v1/x%0d%0aHost:evil",
        "/api/ingest@evil.example/v1/x",
        "/api/ingest/v1",
    ],
)
async def test_gateway_reaches_nothing_else(browser: httpx.AsyncClient, site: Site, path: str) -> None:
    await _log_in(browser)
    reply = await browser.get(path)
    hosts = {httpx.URL(url).host for _, url, _, _ in site.backend.seen}
    paths = [httpx.URL(url).path for _, url, _, _ in site.backend.seen]
    assert hosts <= {"ingest"}
    assert all(p.startswith("/v1") for p in paths)
    if path != "/api/ingest/v1":
        assert reply.status_code == 404
        assert site.backend.seen == []


async def test_gateway_follows_no_redirect_and_limits_size(browser: httpx.AsyncClient, site: Site) -> None:
    await _log_in(browser)
    away = await browser.get("/api/ingest/v1/elsewhere")
    assert away.status_code == 302
    assert "location" not in away.headers
    assert len(site.backend.seen) == 1
    assert (await browser.get("/api/ingest/v1/huge")).status_code == 502
    key = site.keys.add("writer", "write")
    large = await browser.post("/api/ingest/v1/x", content=b"x" * 300_000, headers={"x-api-key": key})
    assert large.status_code == 413


async def test_gateway_tells_when_a_service_is_away(home: Home) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/slow":
            raise httpx.ReadTimeout("slow")
        raise httpx.ConnectError("away")

    client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    gateway = Gateway(client, {"ingest": "http://ingest"}, internal_key=INTERNAL)
    for path, status in (("v1/x", 502), ("v1/slow", 504)):
        with pytest.raises(Exception, match="answer") as caught:
            await gateway.forward("GET", "ingest", path, query="", headers={}, body=b"")
        assert getattr(caught.value, "status_code", 0) == status
    clients = ServiceClients(client, {"ingest": "http://i", "controller": "http://c"}, internal_key="k", home=home)
    assert (await clients.health("ingest")).state == "down"
    assert await clients.history(NOW, NOW) == {}
    outcome = await clients.end_override("battery")
    assert (outcome.ok, outcome.reachable) == (False, False)
    none = ServiceClients(client, {}, internal_key="k", home=home)
    assert await none.history(NOW, NOW) == {}
    assert not (await none.end_override("battery")).reachable


async def test_clients_read_what_services_say(site: Site) -> None:
    health = await site.clients.health("optimizer")
    assert (health.state, health.detail) == ("degraded", "redis")
    assert await site.clients.history(NOW, NOW) == {"pv_power_w": [1.0, None, None]}
    done = await site.clients.set_override(OverrideRequest("room:obyvak", "heat", {"target_c": 22}, 60))
    assert done.ok
    assert site.backend.seen[-1][3] == b'{"action":"heat","params":{"target_c":22},"minutes":60,"by":"page"}'
    refused = await site.clients.set_override(OverrideRequest("ev", "charge", {"power_w": 5_000}, 60))
    assert (refused.ok, refused.reason) == (False, "no car")
    unknown = await site.clients.set_override(OverrideRequest("../arming", "on", {}, 60))
    assert (unknown.ok, unknown.reason) == (False, "unknown device")


async def test_key_figures_and_services(site: Site, browser: httpx.AsyncClient, home: Home) -> None:
    await _log_in(browser)
    assert (await browser.get("/v1/kpi")).status_code == 404
    house = SampleHouse(home, NOW)
    for _ in range(3):
        site.clock.advance(60)
        envelope = wrap(house.telemetry(site.clock.now()), site="home", clock=site.clock, source="t@1")
        await site.bus.publish(envelope)
        await site.handlers.on_state(envelope)
    figures = (await browser.get("/v1/kpi")).json()
    assert figures["day"] == "2026-01-15"
    assert 0 < figures["covered"] < 0.01
    assert (await browser.get("/v1/services")).json() == {"services": []}
