"""Real Celery workers of the optimizer as children of a test, and a planner that is ticked by hand."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis
from tests.unit.optimizer.optimizer_cases import winter_case

from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import SystemClock
from pems_common.home import Home, load_home
from pems_common.messages import Envelope, wrap
from pems_common.settings import ServiceSettings
from pems_common.timegrid import slot_start
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.plan_memory import RedisPlans
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.request_marks import RedisMarks
from pems_optimizer.handlers import PlannerHandlers
from pems_optimizer.requests import PlanRequest

ROOT = Path(__file__).resolve().parents[2]
TOY = "tests.integration.toy_optimizer_worker:app"
REAL = "pems_optimizer.worker:app"
CLOCK = SystemClock()
SMALL_HOME = """
site: {id: small, latitude: 49.5, longitude: 17.4}
battery: {capacity_wh: 10000}
rooms:
  one: {relay_w: 1200, area_m2: 15, day_c: 21, night_c: 19}
  two: {relay_w: 820, area_m2: 12, day_c: 21, night_c: 19}
tariff:
  versions:
    - valid_from: 2024-01-01
      low_windows: [{start: "00:00", end: "10:00"}]
      high_addition_czk_kwh: 0.9
      low_addition_czk_kwh: 0.3
optimization: {time_limit_s: 4.0}
"""


class WorkerProcess:
    """One worker: a parent with one child that works."""

    def __init__(self, process: subprocess.Popen[bytes], data: Path, log: Path) -> None:
        self.process, self.log = process, log
        self.control = data / "control"
        self.control.mkdir(parents=True, exist_ok=True)

    def hold(self) -> None:
        (self.control / "hold").touch()

    def let_go(self) -> None:
        (self.control / "hold").unlink(missing_ok=True)

    @property
    def at_work(self) -> int:
        """Process that is at work, 0 where none was yet."""
        note = self.control / "at-work"
        return int(note.read_text()) if note.exists() else 0

    async def ready(self, wall_s: float = 40.0) -> None:
        """Wait until it takes tasks."""
        end = CLOCK.monotonic() + wall_s
        while b" ready." not in self.log.read_bytes():
            assert CLOCK.monotonic() < end, self.log.read_text()[-2000:]
            await asyncio.sleep(0.05)

    def kill_all(self) -> None:
        """End parent and child as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


class Rig:
    """A Redis, a small house with its state on the bus, and a planner."""

    def __init__(self, server, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.home_file = directory / "home.yaml"
        self.home_file.write_text(SMALL_HOME)
        self.home: Home = load_home(self.home_file)
        self.site = self.home.site.id
        self.bus = RedisBus(server.url, CLOCK)
        self.calls = RedisCalls(server.url, CLOCK)
        self.queue = CeleryQueue(make_celery(ServiceSettings(redis_url=server.url)), CLOCK)
        self.plans = RedisPlans(self.calls)
        self.raw: Any = redis.Redis.from_url(server.url, protocol=2)
        self.broker: Any = redis.Redis.from_url(server.url.removesuffix("/0") + "/1", protocol=2)
        self.requests: list[PlanRequest] = []
        self.planner = PlannerHandlers(
            self.home, CLOCK, self.bus, self, marks=RedisMarks(self.calls), source="optimizer@test"
        )

    async def submit(self, request) -> None:
        self.requests.append(request)
        await self.queue.submit(request)

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Not of interest here."""

    def env(self, data: Path) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]),
            "PEMS_REDIS_URL": self.server.url,
            "PEMS_HOME": str(self.home_file),
            "PEMS_DATA": str(data),
            "PEMS_LOG_FORMAT": "json",
        }

    @contextmanager
    def worker(
        self, name: str = "plan@one", queues: str = "plan,bulk", app: str = TOY, hold: bool = False
    ) -> Iterator[WorkerProcess]:
        """Run a worker; it is ended with everything it started."""
        data = self.directory / name
        (data / "control").mkdir(parents=True, exist_ok=True)
        log = data / "worker.log"
        command = [sys.executable, "-P", "-m", "celery", "-A", app, "worker", "-Q", queues, "-n", name]
        command += ["--concurrency", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        if hold:
            (data / "control" / "hold").touch()
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, env=self.env(data), stdout=out, stderr=out, cwd=ROOT, start_new_session=True
            )
        try:
            yield WorkerProcess(process, data, log)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    async def state(self) -> None:
        """Put the state of a winter day on the bus."""
        known = winter_case(self.home, 1, start=slot_start(CLOCK.now()))
        for body in (known.forecast, known.telemetry, *known.thermals.values()):
            assert body is not None
            await self.bus.publish(wrap(body, site=self.site, clock=CLOCK, source="test"))

    async def until(self, condition: Callable[[], object], wall_s: float = 40.0) -> None:
        """Tick the planner until something holds."""
        end = CLOCK.monotonic() + wall_s
        while True:
            await self.planner.tick()
            if condition():
                return
            assert CLOCK.monotonic() < end, "it did not happen in time"
            await asyncio.sleep(0.05)

    async def published(self, type: str) -> list[Envelope]:
        """Every entry of a stream."""
        entries = self.raw.xrange(f"pems.{type}")
        return [Envelope.from_fields({k.decode(): v.decode() for k, v in fields.items()}) for _, fields in entries]

    def broker_rest(self) -> dict[str, int]:
        """What the broker still holds: waiting messages, and those given out and not acknowledged."""
        rest = {
            "plan": self.broker.llen("plan"),
            "bulk": sum(self.broker.llen(key) for key in self.broker.keys("bulk*")),
            "unacked": self.broker.hlen("unacked"),
            "unacked_index": self.broker.zcard("unacked_index"),
        }
        return {name: count for name, count in rest.items() if count}


@asynccontextmanager
async def open_rig(server, directory: Path) -> AsyncIterator[Rig]:
    """A rig whose connections are closed at the end."""
    rig = Rig(server, directory)
    try:
        yield rig
    finally:
        await rig.planner.stop()
        await rig.calls.close()
        await rig.bus.close()
        rig.raw.close()
        rig.broker.close()
