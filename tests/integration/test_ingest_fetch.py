"""Sources against a server that misbehaves in every way that real ones have shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pems_common.clock import SystemClock
from pems_common.home import load_home
from pems_common.messages import Weather, read_body
from pems_common.timegrid import local_day_slots
from pems_ingest.adapters.spool import Spool
from pems_ingest.adapters.spooled_history import SpooledHistory
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.feeds import live_feeds
from pems_ingest.past_weather import PastWeather
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.bright_sky import BrightSky
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.day_prices import MARKET_ZONE
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.forecast_solar import ForecastSolar
from pems_ingest.sources.open_meteo import COLUMNS, OpenMeteo
from pems_ingest.sources.open_meteo_ensemble import OpenMeteoEnsemble
from pems_ingest.sources.open_meteo_previous import PreviousRuns
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import SourceError
from pems_ingest.sources.solcast import Solcast

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


def hours_of(columns: dict[str, tuple[str, Any]], days: int = 4, start: date | None = None) -> bytes:
    """An answer in Open-Meteo's form: each column's unit and its one value."""
    begin, hours = datetime.combine(start or TODAY, time()), 24 * days
    hourly = {"time": [(begin + timedelta(hours=i)).isoformat(timespec="minutes") for i in range(hours)]}
    values = {name: [value] * hours for name, (_, value) in columns.items()}
    units = {name: unit for name, (unit, _) in columns.items()}
    return json.dumps({"utc_offset_seconds": 0, "hourly_units": units, "hourly": {**hourly, **values}}).encode()


def ensemble(unit: str = "W/m²", value: Any = 100.0) -> bytes:
    names = ["", *(f"_member{i:02d}" for i in range(1, 40))]
    columns = {f"shortwave_radiation{name}": (unit, value) for name in names}
    return hours_of({**columns, **{f"temperature_2m{name}": ("°C", 5.0) for name in names}})


def previous(unit: str = "W/m²", value: Any = 100.0, days: int = 5, start: date | None = None) -> bytes:
    kinds = {
        "temperature_c": ("°C", 5.0),
        "wind_m_s": ("m/s", 3.0),
        "humidity_pct": ("%", 80),
        "cloud_cover_pct": ("%", 9),
    }
    columns = {
        f"{there}_previous_day{lead}": kinds.get(field, (unit, value))
        for field, there in COLUMNS.items()
        for lead in (1, 2, 3)
    }
    return hours_of(columns, days, start)


def bright(solar: Any = 0.1) -> bytes:
    begin = datetime.combine(TODAY, time(), UTC)
    row = {"temperature": 5.0, "cloud_cover": 50, "solar": solar, "wind_speed": 9.0, "relative_humidity": 80}
    rows = [{"timestamp": (begin + timedelta(hours=i)).isoformat(), **row} for i in range(96)]
    return json.dumps({"weather": rows, "sources": []}).encode()


def solcast(kilowatts: Any = 1.0) -> bytes:
    begin = datetime.combine(TODAY, time(), UTC)
    powers = dict.fromkeys(("pv_estimate10", "pv_estimate", "pv_estimate90"), kilowatts)
    ends = [begin + timedelta(minutes=30 * i) for i in range(1, 97)]
    return json.dumps(
        {"forecasts": [{**powers, "period_end": e.isoformat(), "period": "PT30M"} for e in ends]}
    ).encode()


def solar(watts: Any = 500.0) -> bytes:
    begin = datetime.combine(TODAY, time(8), UTC)
    values = {(begin + timedelta(hours=i)).isoformat(): watts for i in range(9)}
    return json.dumps({"result": values, "message": {"code": 0, "type": "success"}}).encode()


PLACE = {"latitude": 49.5, "longitude": 17.4}
HOME = load_home(ROOT / "config" / "home.yaml")
ONE_ROOF = HOME.pv.model_copy(update={"roofs": HOME.pv.roofs[:1]})
Asking = Callable[[Fetcher, str], Awaitable[Any]]
# What is asked; a good answer; one of wrong units, one with missing slots; how often it is tried.
OUTSIDE: dict[str, tuple[Asking, bytes, tuple[bytes, str], tuple[bytes, str], int]] = {
    "ensemble": (
        lambda fetcher, url: OpenMeteoEnsemble(fetcher, **PLACE, url=url).spread(CLOCK.now()),
        ensemble(),
        (ensemble(unit="J/cm²"), "wrong_units"),
        (ensemble(value=None), "empty"),
        3,
    ),
    "previous": (
        lambda fetcher, url: PreviousRuns(fetcher, **PLACE, url=url).history(TODAY, TODAY),
        previous(),
        (previous(unit="J/cm²"), "wrong_units"),
        (previous(days=1), "malformed"),
        3,
    ),
    "bright_sky": (
        lambda fetcher, url: BrightSky(fetcher, **PLACE, url=url).forecast(CLOCK.now()),
        bright(),
        (bright(solar=360_000), "impossible_value"),  # J/m2
        (bright(solar=None), "empty"),
        3,
    ),
    "solcast": (
        lambda fetcher, url: Solcast(fetcher, sites=["aa-11"], key="hush", peak_w=13_500, url=url).power(CLOCK.now()),
        solcast(),
        (solcast(1000.0), "impossible_value"),  # W
        (solcast(None), "malformed"),
        1,
    ),
    "forecast_solar": (
        lambda fetcher, url: ForecastSolar(fetcher, site=HOME.site, pv=ONE_ROOF, url=url).power(CLOCK.now()),
        solar(),
        (solar(500_000.0), "impossible_value"),  # mW
        (solar(None), "malformed"),
        1,
    ),
}


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


@pytest.fixture(params=list(OUTSIDE))
def outside(request: pytest.FixtureRequest) -> tuple[Asking, bytes, tuple[bytes, str], tuple[bytes, str], int]:
    return OUTSIDE[request.param]


async def refuses(server: Server, asking: Asking, reason: str, tries: int, **more: object) -> SourceError:
    server.requests.clear()
    async with fetching(**more) as fetcher:
        with pytest.raises(SourceError) as caught:
            await asking(fetcher, server.url)
    assert caught.value.reason == reason
    assert len(server.requests) == tries
    assert "hush" not in caught.value.message
    return caught.value


async def test_each_outside_source_takes_a_good_answer(server, outside):
    asking, good, *_ = outside
    server.scripts = [say(good, kind="application/json; charset=utf-8")]
    async with fetching() as fetcher:
        assert await asking(fetcher, server.url)
    assert b"GET /" in server.requests[0]


async def test_each_outside_source_refuses_bad_answers_in_its_own_words(server, outside):
    asking, good, (wrong_units, units_reason), (missing, missing_reason), tries = outside
    server.scripts = [say(status="429 Slow", extra="Retry-After: 600\r\n")]
    error = await refuses(server, asking, "http_429", 1)
    assert error.retry_after_s == pytest.approx(600, abs=5)
    server.scripts = [say(status="500 Oops")]
    await refuses(server, asking, "http_500", tries)
    server.scripts = [say(good[: len(good) // 2], kind="application/json", length=len(good))]
    await refuses(server, asking, "truncated", tries)
    server.scripts = [say(good[: len(good) // 2], kind="application/json")]
    await refuses(server, asking, "malformed", 1)
    server.scripts = [say(b"<html>Maintenance</html>", kind="text/html")]
    await refuses(server, asking, "wrong_type", 1)
    server.scripts = [say(wrong_units, kind="application/json")]
    await refuses(server, asking, units_reason, 1)
    server.scripts = [say(missing, kind="application/json")]
    await refuses(server, asking, missing_reason, 1)


async def test_each_outside_source_gives_up_on_a_slow_server(server, outside):
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)

    asking, *_, tries = outside
    server.scripts = [silent]
    await refuses(server, asking, "timeout", min(tries, 2), timeout_s=0.2, attempts=2)


async def test_the_key_for_solcast_travels_in_a_header_only(server):
    server.scripts = [say(solcast(), kind="application/json")]
    async with fetching() as fetcher:
        await OUTSIDE["solcast"][0](fetcher, server.url)
    line, _, headers = server.requests[0].partition(b"\r\n")
    assert line == b"GET /rooftop_sites/aa-11/forecasts?format=json HTTP/1.1"
    assert b"authorization: bearer hush" in headers.lower()


def urls_of(server: Server) -> IngestSettings:
    return IngestSettings(
        ote_url=f"{server.url}/ote",
        ote_chart_url=f"{server.url}/chart",
        energy_charts_url=f"{server.url}/energy",
        cnb_url=f"{server.url}/cnb",
        open_meteo_url=f"{server.url}/meteo",
        open_meteo_ensemble_url=f"{server.url}/ensemble",
        open_meteo_previous_url=f"{server.url}/previous",
        bright_sky_url=f"{server.url}/bright",
        solcast_url=f"{server.url}/solcast",
        solcast_sites="aa-11",
        solcast_key="hush",
        forecast_solar_url=f"{server.url}/solar",
        forecast_solar=True,
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
        await feeds.weather.refresh(now + timedelta(minutes=2))
        got = feeds.prices.message(now)
        assert got is not None
        assert got.source == "energy_charts"
        assert feeds.weather.message() is not None
        assert feeds.weather.health[0].failures == 0


async def test_an_ensemble_and_pv_services_that_are_down_cost_no_weather_and_are_told_when_they_come(server):
    now = datetime.combine(TODAY, time(9), UTC)
    good = {b"/meteo": open_meteo(), b"/bright": bright()}
    server.scripts = [say(status="503 Busy")]
    server.routes = {path: answer(body, kind="application/json") for path, body in good.items()}
    async with fetching(attempts=1) as fetcher:
        feed = live_feeds(HOME, CLOCK, fetcher, urls_of(server)).weather
        await feed.refresh(now)
        assert [w.provider for w in feed.messages()] == ["open_meteo", "bright_sky"]
        assert [h.failures for h in feed.health] == [0, 0, 1, 1, 1]
        leading = feed.message()
        assert leading is not None
        assert leading.quantiles is None
        assert leading.pv_power_w == {}
        later = {b"/ensemble": ensemble(), b"/solcast": solcast(), b"/solar": solar()}
        server.routes |= {path: answer(body, kind="application/json") for path, body in later.items()}
        await feed.refresh(now + timedelta(hours=2.5))
        leading = feed.message()
        assert leading is not None
        assert leading.quantiles is not None
        assert set(leading.pv_power_w) == {"solcast", "forecast_solar"}
        assert leading.pv_power_w["forecast_solar"].p50.at(now) == 1000  # two roofs
        assert [h.failures for h in feed.health] == [0] * 5


async def test_a_year_of_forecasts_of_the_past_is_fetched_once(server):
    first = CLOCK.now().date() - timedelta(days=365)
    server.scripts = [say(previous(days=370, start=first), kind="application/json")]
    store = SqliteHistory(":memory:", "home")

    class Hurried(SystemClock):
        async def sleep_wall(self, seconds: float) -> None:
            await asyncio.sleep(0)

    async with fetching(max_bytes=5_000_000, total_s=30.0) as fetcher:
        for _ in range(2):
            runs = PreviousRuns(fetcher, **PLACE, url=server.url)
            history = SpooledHistory(store, Spool(None))
            await PastWeather(runs, store, history, Hurried(), site="home", source="ingest@1").run()
    asked = [request.split(b"\r\n")[0].decode() for request in server.requests]
    assert len(asked) == 5
    assert f"start_date={first}" in asked[-1]
    kept = await store.messages("weather", CLOCK.now() - timedelta(days=400), CLOCK.now(), limit=1000)
    assert len(kept) == 365
    weather = read_body(kept[0], Weather)
    assert weather.available_at == datetime.combine(first, time(), UTC) == kept[0].at
    assert weather.run_at == weather.available_at - timedelta(hours=6)
    assert weather.temperature_c.end == weather.available_at + timedelta(hours=66)
    await store.close()
