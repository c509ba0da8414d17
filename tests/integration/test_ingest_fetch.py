"""Sources against a server that misbehaves in every way that real ones have shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pems_common.clock import SystemClock
from pems_common.home import load_home
from pems_common.timegrid import local_day_slots
from pems_ingest.feeds import live_feeds
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.day_prices import MARKET_ZONE
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.open_meteo import OpenMeteo
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import SourceError

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
TODAY = CLOCK.now().astimezone(MARKET_ZONE).date()


class Server:
    """Answers each request with the next script; the last one stays."""

    def __init__(self) -> None:
        self.scripts: list[Callable[[asyncio.StreamWriter], object]] = []
        self.requests: list[bytes] = []
        self.at: list[float] = []
        self.port = 0
        self.routes: dict[bytes, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0
            )
            body = await reader.readexactly(length)
            self.requests.append(head + body)
            self.at.append(CLOCK.monotonic())
            for path, answer in self.routes.items():
                if path in head.split(b"\r\n")[0]:
                    writer.write(answer)
                    break
            else:
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                result = script(writer)
                if asyncio.iscoroutine(result):
                    await result
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(
    body: bytes = b"", status: str = "200 OK", kind: str = "text/xml", length: int | None = None, extra: str = ""
):
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return head.encode() + body


def say(*args, **kwargs):
    return lambda writer: writer.write(answer(*args, **kwargs))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    listening = await asyncio.start_server(one.handle, "127.0.0.1", 0)
    one.port = listening.sockets[0].getsockname()[1]
    yield one
    listening.close()
    await listening.wait_closed()


@asynccontextmanager
async def fetching(**more: object) -> AsyncIterator[Fetcher]:
    settings = {"timeout_s": 2.0, "total_s": 3.0, "backoff_s": 0.02, "max_bytes": 300_000, **more}
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Fetcher(client, CLOCK, **settings)  # type: ignore[arg-type]


def soap(days: int = 1, resolution: str = "PT15M", leave_out: int | None = None, first=TODAY) -> bytes:
    items = "".join(
        f"<Item><Date>{first + timedelta(days=d)}</Date><PeriodResolution>{resolution}</PeriodResolution>"
        f"<PeriodIndex>{i}</PeriodIndex><Price>{100 + i}</Price></Item>"
        for d in range(days)
        for i in range(1, len(local_day_slots(first + timedelta(days=d), MARKET_ZONE)) + 1)
        if i != leave_out
    )
    return (
        '<E xmlns="x"><GetDamPricePeriodEResponse xmlns="http://www.ote-cr.cz/schema/service/public">'
        f"<Result>{items}</Result></GetDamPricePeriodEResponse></E>"
    ).encode()


def open_meteo(hours: int = 97, unit: str = "m/s", start: date | None = None) -> bytes:
    begin = datetime.combine(start or TODAY, time())
    names = {
        "temperature_2m": "°C",
        "cloud_cover": "%",
        "shortwave_radiation": "W/m²",
        "direct_normal_irradiance": "W/m²",
        "diffuse_radiation": "W/m²",
        "wind_speed_10m": unit,
        "relative_humidity_2m": "%",
    }
    hourly: dict[str, list[Any]] = {
        "time": [(begin + timedelta(hours=i)).isoformat(timespec="minutes") for i in range(hours)]
    }
    hourly |= {name: [5.0] * hours for name in names}
    return json.dumps({"utc_offset_seconds": 0, "hourly_units": names, "hourly": hourly}).encode()


async def ask(server: Server, **more: object):
    async with fetching(**more) as fetcher:
        return await OteSoap(fetcher, server.url).spot(TODAY, TODAY)


async def fails(server: Server, reason: str, tries: int, **more: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await ask(server, **more)
    assert caught.value.reason == reason
    assert len(server.requests) == tries
    return caught.value


async def test_a_good_answer_and_what_was_asked(server):
    server.scripts = [say(soap())]
    got = await ask(server)
    assert len(got.prices) == len(local_day_slots(TODAY, MARKET_ZONE))
    request = server.requests[0].decode()
    assert "GetDamPricePeriodE" in request
    assert f"<p:StartDate>{TODAY}</p:StartDate>" in request
    assert "PT15M" in request
    assert "soapaction" in request.lower()


async def test_trouble_that_passes_is_waited_out(server):
    server.scripts = [say(status="500 Oops"), say(status="503 Busy"), say(soap())]
    assert (await ask(server)).prices
    assert len(server.requests) == 3


async def test_trouble_that_stays_is_told(server):
    server.scripts = [say(status="502 Bad Gateway")]
    await fails(server, "http_502", 3)


async def test_a_refusal_is_final(server):
    server.scripts = [say(status="404 Not Found")]
    await fails(server, "http_404", 1)


async def test_a_short_retry_after_is_waited_for(server):
    server.scripts = [say(status="429 Slow", extra="Retry-After: 1\r\n"), say(soap())]
    assert (await ask(server)).prices
    assert server.at[1] - server.at[0] >= 0.95


@pytest.mark.parametrize("value", ["600", "date"])
async def test_a_long_retry_after_is_handed_on(server, value):
    if value == "date":
        value = (CLOCK.wall_now() + timedelta(seconds=600)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server.scripts = [say(status="429 Slow", extra=f"Retry-After: {value}\r\n")]
    error = await fails(server, "http_429", 1)
    assert error.retry_after_s == pytest.approx(600, abs=5)


async def test_a_truncated_body(server):
    body = soap()
    server.scripts = [say(body[:2000], length=len(body))]
    await fails(server, "truncated", 3)


async def test_a_content_length_that_is_too_short(server):
    body = soap()
    server.scripts = [say(body, length=500)]
    await fails(server, "malformed", 1)


async def test_half_a_body_that_claims_to_be_whole(server):
    server.scripts = [say(soap()[:3000])]
    await fails(server, "malformed", 1)


async def test_a_server_that_says_nothing(server):
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)

    server.scripts = [silent]
    await fails(server, "timeout", 2, timeout_s=0.2, attempts=2)


async def test_a_server_that_drips(server):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", length=100_000))
        for _ in range(60):
            writer.write(b"<")
            await writer.drain()
            await asyncio.sleep(0.05)

    server.scripts = [drip]
    await fails(server, "timeout", 1, total_s=0.5, attempts=1)


async def test_a_page_instead_of_xml(server):
    server.scripts = [say(b"<html><body>Maintenance</body></html>", kind="text/html; charset=utf-8")]
    await fails(server, "wrong_type", 1)
    server.requests.clear()
    server.scripts = [say(b"<html><body>Maintenance</body></html>")]
    await fails(server, "malformed", 1)


async def test_a_huge_body_is_cut_off(server):
    async def huge(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n")
        for _ in range(2000):
            writer.write(b"<" * 10_000)
            await writer.drain()

    server.scripts = [huge]
    await fails(server, "too_large", 1)


async def test_a_compressed_bomb_is_cut_off(server):
    import gzip

    body = gzip.compress(b"<" * 50_000_000)
    server.scripts = [say(body, extra="Content-Encoding: gzip\r\n")]
    await fails(server, "too_large", 1)


async def test_a_packed_body_is_unpacked(server):
    import gzip

    server.scripts = [say(gzip.compress(soap()), extra="Content-Encoding: gzip\r\n")]
    assert (await ask(server)).prices
    server.requests.clear()
    server.scripts = [say(gzip.compress(soap())[:-20], extra="Content-Encoding: gzip\r\n")]
    await fails(server, "truncated", 3)


async def test_a_closed_port():
    async with fetching(attempts=2) as fetcher:
        with pytest.raises(SourceError) as caught:
            await Cnb(fetcher, "http://127.0.0.1:1").eur_czk(TODAY)
    assert caught.value.reason == "unreachable"


async def test_missing_slots_are_named(server):
    server.scripts = [say(soap(leave_out=7))]
    got = await ask(server)
    assert len(got.missing) == 1


async def test_wrong_units_of_weather(server):
    server.scripts = [say(open_meteo(unit="furlong/fortnight"), kind="application/json")]
    async with fetching() as fetcher:
        source = OpenMeteo(fetcher, CLOCK, latitude=49.5, longitude=17.4, url=server.url)
        with pytest.raises(SourceError) as caught:
            await source.forecast(CLOCK.now())
    assert caught.value.reason == "wrong_units"
    assert b"timezone=UTC" in server.requests[0]


def urls_of(server: Server) -> IngestSettings:
    return IngestSettings(
        ote_url=f"{server.url}/ote",
        ote_chart_url=f"{server.url}/chart",
        energy_charts_url=f"{server.url}/energy",
        cnb_url=f"{server.url}/cnb",
        open_meteo_url=f"{server.url}/meteo",
    )


CNB = answer(b'{"rates": [{"currencyCode": "EUR", "rate": 24.3, "amount": 1}]}', kind="application/json")


async def test_live_feeds_fall_from_source_to_source_and_back(server):
    home = load_home(ROOT / "config" / "home.yaml")
    now = CLOCK.now()
    server.scripts = [say(status="500 Oops")]
    server.routes = {b"/cnb": CNB}
    async with fetching(attempts=1) as fetcher:
        feeds = live_feeds(home, CLOCK, fetcher, urls_of(server))
        await feeds.prices.refresh(now)
        await feeds.weather.refresh(now)
        assert feeds.prices.message(now) is None
        assert [h.failures for h in feeds.prices.health] == [1, 1, 1]
        assert feeds.prices.stale(now)
        assert feeds.prices.eur_czk == 24.3
        start = int(datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp()) - 86_400 - 3_600 * 2
        times = [start + 900 * i for i in range(4 * 24 * 3)]
        energy = json.dumps({"unix_seconds": times, "price": [50.0] * len(times), "unit": "EUR/MWh"}).encode()
        server.routes[b"/energy"] = answer(energy, kind="application/json")
        server.routes[b"/meteo"] = answer(open_meteo(), kind="application/json")
        await feeds.prices.refresh(now)
        await feeds.weather.refresh(now)
        got = feeds.prices.message(now)
        assert got is not None
        assert got.source == "energy_charts"
        assert feeds.weather.message() is not None
        assert feeds.weather.health[0].failures == 0
