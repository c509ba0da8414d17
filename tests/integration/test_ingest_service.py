"""Ingest as a real process with a real broker, Redis, UDP and SQLite; killed in the middle, nothing stored is lost."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from pems_cli.embedded import MqttBroker, RedisServer
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import SystemClock, open_clock, write_clock_file
from pems_common.messages import Prices, Telemetry, read_body
from pems_ingest.adapters.loxone_udp import LoxoneUdp
from pems_ingest.adapters.sqlite_history import SqliteHistory

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 15, 9, tzinfo=UTC)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ingest:
    """The process and how to speak with it."""

    def __init__(self, directory: Path, redis: RedisServer, mqtt: MqttBroker) -> None:
        self.http, self.udp = free_port(), free_port(socket.SOCK_DGRAM)
        self.clock_file = directory / "clock.json"
        write_clock_file(self.clock_file, run_id="t", sim_start=START, speed=30)
        self.data = directory / "data"
        self.env = {
            **os.environ,
            "PEMS_DATA": str(self.data),
            "PEMS_HOME": str(ROOT / "config" / "home.yaml"),
            "PEMS_CLOCK_FILE": str(self.clock_file),
            "PEMS_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "PEMS_MQTT_PORT": str(mqtt.port),
            "PEMS_INGEST_PORT": str(self.http),
            "PEMS_LOXONE_UDP_PORT": str(self.udp),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "ingest.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pems_ingest.main"], env=self.env, stdout=log, stderr=log
            )

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    async def get(self, path: str) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.http}{path}")
            answer.raise_for_status()
            return answer.json()

    async def until(self, path: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 25) -> dict[str, Any]:
        last: object = None
        for _ in range(int(seconds / 0.2)):
            try:
                last = await self.get(path)
                if wanted(last):
                    return last
            except httpx.HTTPError as error:
                last = error
            await asyncio.sleep(0.2)
        raise AssertionError(f"{path}: {last!r}\n{self.log.read_text()[-3000:]}")


@pytest.fixture
async def ingest(tmp_path, redis_server, mqtt_broker) -> AsyncIterator[Ingest]:
    one = Ingest(tmp_path, redis_server, mqtt_broker)
    one.start()
    yield one
    if one.process is not None:
        one.end(signal.SIGKILL)


async def test_a_process_takes_publishes_stores_and_survives_a_kill(ingest, redis_server, mqtt_broker):
    await ingest.until("/health/ready", lambda a: bool(a["ready"]))
    house = open_clock(ingest.clock_file)
    sent = 0
    async with aiomqtt.Client("127.0.0.1", mqtt_broker.port) as client:

        async def say(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                sent += 1
                await client.publish("loxone/temperature/obyvak", f"{20 + (sent % 100) / 100:.2f}", qos=1)

        await say(200)
        local = house.now().astimezone(UTC) + timedelta(hours=1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(
                f"{local:%Y-%m-%d %H:%M:%S};temperature;19.5;kuchyne;temperature;_;_".encode(),
                ("127.0.0.1", ingest.udp),
            )
        got = await ingest.until("/v1/telemetry", lambda a: a["rooms"]["kuchyne"]["temperature_c"] == 19.5)
        assert got["rooms"]["obyvak"]["temperature_c"] is not None
        count = await ingest.until("/v1/history/count", lambda a: int(a["points"]) >= 201)
        assert ingest.end(signal.SIGKILL) == -signal.SIGKILL
        ingest.start()
        await ingest.until("/health/ready", lambda a: bool(a["ready"]))
        again = await ingest.get("/v1/history/count")
        assert int(again["points"]) >= int(count["points"])
        await say(50)
        await asyncio.sleep(2.5)
    bus = RedisBus(f"redis://127.0.0.1:{redis_server.port}/0", SystemClock())
    prices = read_body(await bus.latest("prices", "home"), Prices)
    assert prices.known_until > START
    telemetry = read_body(await bus.latest("telemetry", "home"), Telemetry)
    assert telemetry.rooms["obyvak"].temperature_c is not None
    await bus.close()
    kept = await ingest.until("/v1/messages?type=prices&start=2026-01-14T00:00:00Z", lambda a: bool(a["messages"]))
    assert kept["messages"]
    assert ingest.end(signal.SIGTERM) == 0
    store = SqliteHistory(ingest.data / "history.sqlite3", "home")
    points = await store.points("room.obyvak.temperature_c", START, START + timedelta(days=1))
    assert len(points) == sent
    await store.close()
    assert "Traceback" not in ingest.log.read_text()
    async with aiomqtt.Client("127.0.0.1", mqtt_broker.port) as client:
        await client.subscribe("pems/home/sensor/#")
        message = await asyncio.wait_for(anext(aiter(client.messages)), 5)
        assert str(message.topic) == "pems/home/sensor/temperature/kuchyne"
        assert message.payload == b"19.5"
        await client.publish("pems/home/sensor/temperature/kuchyne", b"", retain=True)


async def test_udp_lines_arrive_and_too_much_is_counted():
    lines: list[str] = []
    dropped: list[str] = []
    release = asyncio.Event()

    async def take(line: str) -> None:
        lines.append(line)
        await release.wait()

    udp = LoxoneUdp("127.0.0.1", 0, take, dropped.append)
    running = asyncio.create_task(udp.run())
    port = await asyncio.wait_for(udp.bound(), 5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"one\ntwo\n\n", ("127.0.0.1", port))
        sender.sendto(b"\xff\xfe\n", ("127.0.0.1", port))
        sender.sendto(b"x" * 9_000, ("127.0.0.1", port))
        for _ in range(100):
            if dropped:
                break
            await asyncio.sleep(0.02)
        assert dropped == ["too_large"]
        release.set()
        for _ in range(100):
            if len(lines) == 3:
                break
            await asyncio.sleep(0.02)
    assert lines[:2] == ["one", "two"]
    for _ in range(10_001):
        udp._lines.put_nowait("x") if not udp._lines.full() else udp._received(b"full")
    assert "udp_queue_full" in dropped
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_busy_udp_port_is_told_with_a_remedy():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        udp = LoxoneUdp("127.0.0.1", taken.getsockname()[1], lambda line: asyncio.sleep(0), lambda reason: None)
        with pytest.raises(Exception, match="PEMS_LOXONE_UDP_PORT"):
            await udp.run()
