"""A service as a real process: it rides out Redis and broker going away, ticks on scaled time, and stops cleanly."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.bus_backends import CLOCK, message

from pems_cli.embedded import MqttBroker, RedisServer
from pems_cli.ports import free_port
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import write_clock_file
from pems_common.home import load_home
from pems_common.timegrid import parse_instant

ROOT = Path(__file__).parents[2]
SERVICE = """
    import json
    from datetime import timedelta
    from fastapi import APIRouter
    from pems_common.runner import Running, run_service

    class Service:
        name = "controller"
        tick_every = timedelta(seconds=60)
        watches = ("plan",)

        def __init__(self, rt):
            self.rt, self.ticks, self.plans, self.messages = rt, [], [], []
            rt.mqtt.subscribe("sensor/#", self.on_message)

        async def on_message(self, message):
            self.messages.append(message.payload.decode())

        async def start(self):
            pass

        async def on_state(self, poke):
            self.plans.append(poke.seq)

        async def tick(self):
            self.ticks.append(self.rt.clock.now().isoformat())

        async def stop(self):
            await self.rt.mqtt.publish("handed/back", "1", retain=True)
            print("handed back", flush=True)

    def build(rt):
        service = Service(rt)
        routes = APIRouter(prefix="/v1")

        @routes.get("/seen")
        async def seen():
            return {"ticks": service.ticks, "plans": service.plans, "messages": service.messages}

        return Running(service, [routes])

    run_service("controller", build)
"""


class Process:
    """The service under test and what it needs around it."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder / "redis").start()
        self.broker = MqttBroker(folder / "mqtt").start()
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=5)
        write_clock_file(
            folder / "clock.json", run_id="t", sim_start=parse_instant("2026-01-05T00:00:30+00:00"), speed=60
        )
        env = {
            "PEMS_DATA": str(folder),
            "PEMS_HOME": str(ROOT / "config" / "home.yaml"),
            "PEMS_CLOCK_FILE": str(folder / "clock.json"),
            "PEMS_REDIS_URL": self.redis.url,
            "PEMS_MQTT_PORT": str(self.broker.port),
            "PEMS_CONTROLLER_PORT": str(self.port),
        }
        with (folder / "log").open("w") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(SERVICE)],
                env={**os.environ, **env},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    async def until(self, path: str, wanted: Any, wall_s: float = 20) -> Any:
        """Ask until the answer is as wanted, and return it."""
        answer: Any = None
        async with asyncio.timeout(wall_s):
            while True:
                assert self.child.poll() is None, "the service ended"
                try:
                    answer = (await self.http.get(path)).json()
                except httpx.HTTPError:
                    answer = None
                if answer is not None and wanted(answer):
                    return answer
                await asyncio.sleep(0.05)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    made = Process(tmp_path)
    yield made
    made.child.kill()
    made.child.communicate()
    await made.http.aclose()
    made.redis.kill()
    made.broker.kill()


async def test_it_rides_out_its_servers_and_hands_back_at_the_end(process: Process, tmp_path: Path) -> None:
    await process.until("/health/ready", lambda answer: answer["ready"])
    seen = await process.until("/v1/seen", lambda answer: len(answer["ticks"]) >= 4)
    assert seen["ticks"][0].startswith("2026-01-05T0")
    for tick in seen["ticks"][1:4]:  # on whole minutes of house time, 60 of them a wall minute
        assert parse_instant(tick).second < 30
    bus = RedisBus(process.redis.url, CLOCK)
    await bus.publish(message("plan", 1, site=site()))
    await process.until("/v1/seen", lambda answer: answer["plans"] == [1])

    process.redis.kill()
    process.broker.kill()
    await process.until("/health/ready", lambda answer: set(answer["failing"]) == {"redis", "mqtt"})
    before = len((await process.until("/v1/seen", lambda _: True))["ticks"])
    await process.until("/v1/seen", lambda answer: len(answer["ticks"]) >= before + 2)
    assert (await process.http.get("/health/live")).status_code == 200

    process.redis.start()
    process.broker.start()
    await process.until("/health/ready", lambda answer: answer["ready"], 30)
    await bus.ping()
    await bus.publish(message("plan", 2, site=site()))
    await process.until("/v1/seen", lambda answer: answer["plans"][-1] == 2)
    await bus.close()

    process.child.send_signal(signal.SIGTERM)
    output, _ = await asyncio.to_thread(process.child.communicate, timeout=15)
    assert process.child.returncode == 0
    assert output == "handed back\n"
    log = (tmp_path / "log").read_text()
    assert '"level": "error"' not in log
    assert '"house_at": "2026-01-05T0' in log


def site() -> str:

    return load_home(ROOT / "config" / "home.yaml").site.id
