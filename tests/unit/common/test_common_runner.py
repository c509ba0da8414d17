"""The loops around a service on a clock that stands still, and a whole process that starts with nothing around."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter

from pems_cli.ports import free_port
from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock, SystemClock
from pems_common.errors import PemsError
from pems_common.health import Health
from pems_common.messages import Envelope
from pems_common.metrics import Metrics
from pems_common.runner import Running, Runtime, run_service, serve
from pems_common.service_loop import ServiceLoop, next_tick, stacks
from pems_common.settings import ServiceSettings
from pems_common.timegrid import parse_instant

NOON = parse_instant("2026-01-05T12:00:00+00:00")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
HOME = Path(__file__).parents[3] / "config" / "home.yaml"


class Recorder:
    """A service that notes what happens to it."""

    name = "controller"

    def __init__(self, clock: FakeClock | SystemClock, every: timedelta, watches: Collection[str] = ()) -> None:
        self.clock = clock
        self.tick_every = every
        self.watches = watches
        self.ticks: list[datetime] = []
        self.states: list[Envelope] = []
        self.events: list[str] = []
        self.fail = False

    async def start(self) -> None:
        self.events.append("start")

    async def on_state(self, poke: Envelope) -> None:
        self.states.append(poke)
        if self.fail:
            raise RuntimeError("odd state")

    async def tick(self) -> None:
        self.ticks.append(self.clock.now())
        if self.fail:
            raise RuntimeError("odd tick")

    async def stop(self) -> None:
        self.events.append("stop")


class Driven:
    """A service with everything around it on one fake clock."""

    def __init__(self, every_s: float = 60, watches: Collection[str] = ()) -> None:
        self.clock = FakeClock(NOON + timedelta(seconds=7), auto_advance=True)
        self.service = Recorder(self.clock, timedelta(seconds=every_s), watches)
        self.bus = MemoryBus(self.clock)
        self.health = Health(self.clock)
        self.metrics = Metrics()
        self.loop = ServiceLoop("controller", self.service, "home", self.clock, self.bus, self.health, self.metrics)

    async def ticks(self, count: int) -> list[datetime]:
        stop = asyncio.Event()
        running = asyncio.ensure_future(self.loop.tick_for_ever(stop))
        while len(self.service.ticks) < count:
            await asyncio.sleep(0)
        stop.set()
        await running
        return self.service.ticks[:count]


def state(seq: int) -> Envelope:
    return Envelope(
        type="plan", v=1, id=str(seq), site="home", seq=seq, at=NOON, wall_at=NOON, source="test@1", body={}
    )


def test_ticks_stand_on_multiples_of_their_period() -> None:
    minute = timedelta(minutes=1)
    assert next_tick(NOON, minute, 1, LONG_AGO) == NOON + minute
    assert next_tick(NOON + timedelta(seconds=59.9), minute, 1, LONG_AGO) == NOON + minute
    assert next_tick(NOON + minute - timedelta(microseconds=1), minute, 1, NOON + minute) == NOON + 2 * minute
    assert next_tick(NOON + timedelta(minutes=7, seconds=3), minute, 1, NOON) == NOON + timedelta(minutes=8)


def test_a_fast_clock_thins_the_ticks_out() -> None:
    ten = timedelta(seconds=10)
    assert next_tick(NOON, ten, 50, LONG_AGO) == NOON + ten  # 0.2 s of wall time
    assert next_tick(NOON, ten, 60, LONG_AGO) == NOON + 2 * ten
    assert next_tick(NOON, ten, 600, LONG_AGO) == NOON + 12 * ten


def test_a_clock_set_back_does_not_silence_the_service() -> None:
    minute = timedelta(minutes=1)
    assert next_tick(NOON - timedelta(hours=1), minute, 1, NOON) == NOON - timedelta(minutes=59)


async def test_it_ticks_at_once_and_then_on_the_schedule() -> None:
    ticks = await Driven().ticks(4)
    assert ticks[0] == NOON + timedelta(seconds=7)
    late = [tick - NOON - timedelta(minutes=n + 1) for n, tick in enumerate(ticks[1:])]
    assert all(timedelta(0) <= by < timedelta(milliseconds=10) for by in late)


async def test_a_slow_tick_skips_those_it_missed() -> None:
    driven = Driven()
    tick = driven.service.tick

    async def slow() -> None:
        await tick()
        if len(driven.service.ticks) == 2:
            driven.clock.advance(200)

    driven.service.tick = slow  # type: ignore[method-assign]
    ticks = await driven.ticks(4)
    assert [int((at - NOON).total_seconds()) for at in ticks] == [7, 60, 300, 360]
    assert driven.metrics.value("ticks_skipped_total") == 3


async def test_a_failing_tick_is_counted_and_the_next_one_comes() -> None:
    driven = Driven()
    driven.service.fail = True
    await driven.ticks(3)
    assert driven.metrics.value("loop_errors_total", {"where": "tick"}) >= 3
    assert "tick" in driven.health.failing()
    assert driven.health.live
    driven.service.fail = False
    assert await driven.loop.tick_once()
    assert driven.health.ready


async def test_ticks_that_stop_fail_the_liveness() -> None:
    driven = Driven()
    await driven.ticks(2)
    driven.clock.advance(301)
    assert not driven.health.live


async def test_states_reach_the_service_and_its_errors_stay_inside() -> None:
    driven = Driven(watches=["plan"])
    driven.service.fail = True
    await driven.bus.publish(state(1))
    watching = asyncio.ensure_future(driven.loop.watch_for_ever())
    for seq in (2, 3):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await driven.bus.publish(state(seq))
    for _ in range(20):
        await asyncio.sleep(0)
    watching.cancel()
    assert [poke.seq for poke in driven.service.states] == [1, 2, 3]
    assert driven.metrics.value("loop_errors_total", {"where": "on_state"}) == 3


async def test_a_tick_and_a_reaction_never_overlap() -> None:
    driven = Driven(watches=["plan"])
    order: list[str] = []

    async def tick() -> None:
        order.append("tick")
        for _ in range(5):
            await asyncio.sleep(0)
        order.append("tick done")

    async def on_state(poke: Envelope) -> None:
        order.append("state")

    driven.service.tick = tick  # type: ignore[method-assign]
    driven.service.on_state = on_state  # type: ignore[method-assign]
    await asyncio.gather(driven.loop.tick_once(), driven.loop.react(state(1)))
    assert order == ["tick", "tick done", "state"]


async def test_a_service_that_watches_nothing_is_left_alone() -> None:
    await Driven().loop.watch_for_ever()


async def test_a_crashed_background_task_is_started_again() -> None:
    driven = Driven()
    runs: list[float] = []

    async def work() -> None:
        runs.append(driven.clock.monotonic())
        if len(runs) < 4:
            raise RuntimeError("crash")

    await driven.loop.keep_running(work)
    waits = [later - earlier for earlier, later in pairwise(runs)]
    assert waits == [1, 2, 4]
    assert driven.health.checks["background:work"].ok
    assert not driven.health.checks["background:work"].required


async def test_stacks_show_where_tasks_stand() -> None:
    assert "test_common_runner" in stacks()


def process_settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        data=tmp_path,
        home=HOME,
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        mqtt_port=free_port(),
        controller_port=free_port(),
        log_level="critical",
    )


async def test_a_service_starts_and_stays_up_with_nothing_around_it(tmp_path: Path) -> None:
    settings = process_settings(tmp_path)
    stop = asyncio.Event()
    services: list[Recorder] = []
    crashes: list[int] = []

    def build(rt: Runtime) -> Running:
        service = Recorder(SystemClock(), timedelta(seconds=1), ["plan"])
        services.append(service)
        assert rt.source.startswith("controller@")
        routes = APIRouter(prefix="/v1")

        @routes.get("/ticks")
        async def ticks() -> int:
            return len(service.ticks)

        async def background() -> None:
            crashes.append(1)
            raise RuntimeError("no network")

        return Running(service, [routes], [background])

    running = asyncio.ensure_future(serve("controller", build, settings=settings, stop=stop, requires={"mqtt"}))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.controller_port}") as http:
        async with asyncio.timeout(20):
            while not services or not services[0].ticks:
                assert not running.done()
                await asyncio.sleep(0.01)
            checks: dict[str, dict[str, object]] = {}
            while checks.get("redis", {}).get("detail") in (None, "not checked yet"):
                answer = await http.get("/health/ready")
                checks = answer.json()["checks"]
        assert answer.status_code == 503
        assert answer.json()["failing"] == ["mqtt"]
        assert checks["redis"] == {"ok": False, "detail": "the Redis server does not answer", "required": False}
        assert (await http.get("/health/live")).status_code == 200
        assert (await http.get("/v1/ticks")).json() >= 1
        assert "pems_tick_seconds_count" in (await http.get("/metrics")).text
    assert crashes
    stop.set()
    async with asyncio.timeout(10):
        assert await running == 0
    assert services[0].events == ["start", "stop"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{settings.controller_port}/health/live")


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    settings = process_settings(tmp_path)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", settings.controller_port)

    async def build(rt: Runtime) -> Running:
        return Running(Recorder(SystemClock(), timedelta(seconds=60)))

    async with server:
        with pytest.raises(PemsError, match=f"cannot listen on 127.0.0.1:{settings.controller_port}"):
            await serve("controller", build, settings=settings, stop=asyncio.Event())


def test_wrong_settings_end_the_process_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(rt: Runtime) -> Running:
        raise AssertionError("not reached")

    with pytest.raises(SystemExit) as ended:
        run_service("controller", build, settings=ServiceSettings(home=tmp_path / "none.yaml", data=tmp_path))
    assert ended.value.code == 2
    assert "none.yaml" in capsys.readouterr().err
    monkeypatch.setenv("PEMS_MQTT_PORT", "a lot")
    with pytest.raises(SystemExit) as ended:
        run_service("controller", build)
    assert ended.value.code == 2
    assert "mqtt_port" in capsys.readouterr().err
