"""A real Celery worker on a real Redis: plans come, a killed worker loses nothing, the planner notices."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.optimizer import winter_case

from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import SystemClock
from pems_common.home import Home, load_home
from pems_common.messages import wrap
from pems_common.settings import ServiceSettings
from pems_common.timegrid import slot_start
from pems_optimizer import request_ledger
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.handlers import PlannerHandlers

ROOT = Path(__file__).resolve().parents[2]
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


@contextmanager
def worker(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "celery", "-A", "pems_optimizer.worker:app", "worker", "-Q", "plan,bulk"]
    command += ["--concurrency", "1", "--pool", "prefork", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=ROOT, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


async def until(condition, planner: PlannerHandlers, wall_s: float = 60.0) -> None:
    """Tick the planner until something holds."""
    for _ in range(int(wall_s / 0.2)):
        await planner.tick()
        if condition():
            return
        await asyncio.sleep(0.2)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def home(tmp_path) -> tuple[Path, Home]:
    path = tmp_path / "home.yaml"
    path.write_text(SMALL_HOME)
    return path, load_home(path)


@pytest.mark.slow
async def test_plans_come_from_a_worker_and_its_death_is_noticed(own_redis_server, home, tmp_path, monkeypatch):
    monkeypatch.setattr(request_ledger, "DEADLINE_EXTRA_S", 2.0)
    monkeypatch.setattr(request_ledger, "RETRY_S", 3.0)
    path, site = home
    url = own_redis_server.url
    env = {
        **os.environ,
        "PEMS_REDIS_URL": url,
        "PEMS_HOME": str(path),
        "PEMS_DATA": str(tmp_path),
        "PEMS_LOG_FORMAT": "json",
    }
    clock = SystemClock()
    bus = RedisBus(url, clock)
    queue = CeleryQueue(make_celery(ServiceSettings(redis_url=url)), clock)
    planner = PlannerHandlers(site, clock, bus, queue, source="optimizer@test")
    known = winter_case(site, 1, start=slot_start(clock.now()))
    try:
        for body in (known.forecast, known.telemetry, *known.thermals.values()):
            await bus.publish(wrap(body, site=site.site.id, clock=clock, source="test"))
        log = tmp_path / "worker.log"
        with worker(env, log) as process:
            await planner.start()
            await until(lambda: planner.plan is not None and not planner.plan.fallback_mode, planner)
            assert set(planner.plan.rooms) == {"one", "two"}
            first = planner.plan.plan_id
            for _ in range(150):  # the bulk task judges it
                if await bus.latest("score", site.site.id, "plan_risk"):
                    break
                await asyncio.sleep(0.2)
            else:
                raise AssertionError(log.read_text()[-2000:])
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
            await planner.ask_now("test")
            await until(lambda: planner.plan.plan_id != first, planner)
            assert planner.plan.fallback_mode
            assert await bus.latest("alert", site.site.id, "optimizer.silent")
        with worker(env, log):
            await until(lambda: not planner.plan.fallback_mode, planner)
        assert await bus.latest("alert", site.site.id, "optimizer.silent") is None
        numbers = [p.plan_no for p in planner.plans]
        assert numbers == sorted(numbers, reverse=True)
    finally:
        await planner.stop()
        await bus.close()
