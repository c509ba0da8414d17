"""The controller as a real process beside the simulated house on a real broker, with the bus dead all the time."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pems_cli.embedded import MqttBroker
from pems_common.aio_mqtt import AioMqtt
from pems_common.clock import SystemClock, write_clock_file
from pems_common.mqtt import MqttMessage

HOME_FILE = Path(__file__).parents[2] / "config" / "home.yaml"
KEY = {"X-API-Key": "k" * 40}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Starts and ends house and controllers of one scaled run (60x)."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.folder = folder
        clock = folder / "clock.json"
        write_clock_file(clock, run_id="t", sim_start=datetime(2026, 1, 13, 5, tzinfo=UTC), speed=60.0)
        (folder / "key").write_text("k" * 40)
        (folder / "key").chmod(0o600)
        self.ports = {"house": free_port(), "controller": free_port()}
        self.environment = {
            **os.environ,
            "PEMS_HOME": str(HOME_FILE),
            "PEMS_DATA": str(folder / "var"),
            "PEMS_CLOCK_FILE": str(clock),
            "PEMS_INTERNAL_KEY_FILE": str(folder / "key"),
            "PEMS_MQTT_HOST": "127.0.0.1",
            "PEMS_MQTT_PORT": str(broker_port),
            "PEMS_REDIS_URL": "redis://127.0.0.1:1/0",
            "PEMS_ARM": "yes",
            "PEMS_LOXONE_UDP_PORT": str(free_port()),
            **{f"PEMS_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"pems_{name}.main"],
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


@pytest.fixture
def processes(own_mqtt_broker: MqttBroker, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path, own_mqtt_broker.port)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.wait(10)


async def until(condition: Callable[[], Any], wall_s: float = 45.0) -> Any:
    """Wait until a condition holds and return what it gave."""
    for _ in range(int(wall_s / 0.2)):
        try:
            found = condition()
        except httpx.HTTPError:
            found = None
        if found:
            return found
        await asyncio.sleep(0.2)
    raise AssertionError("it did not come to pass")


def status(processes: Processes) -> dict[str, Any] | None:
    answer = httpx.get(f"{processes.url('controller')}/v1/status", timeout=5)
    return answer.json() if answer.status_code == 200 else None


def in_mode(processes: Processes, mode: str) -> bool:
    now = status(processes)
    return now is not None and now["house_mode"] == mode


def rooms(processes: Processes) -> dict[str, dict[str, Any]]:
    return dict(httpx.get(f"{processes.url('house')}/v1/state", timeout=5).json()["rooms"])


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_day_in_the_life_of_a_process(processes: Processes, own_mqtt_broker: MqttBroker):
    heard: list[MqttMessage] = []

    async def hear(message: MqttMessage) -> None:
        heard.append(message)

    ear = AioMqtt("127.0.0.1", own_mqtt_broker.port, "ear", None, None, SystemClock())
    ear.subscribe("pems/#", hear)
    await ear.start()
    processes.start("house")
    controller = processes.start("controller")

    # It takes the house over, without Redis.
    await until(lambda: in_mode(processes, "rule_based"))
    assert [m for m in heard if m.topic == "pems/active"]
    live = [m for m in heard if m.topic == "pems/relay/obyvak/enable" and not m.retained]
    assert live[-1].payload == b"1"
    ready = httpx.get(f"{processes.url('controller')}/health/ready", timeout=5)
    assert ready.status_code == 200, ready.text

    # A person overrides, and it acts at once; without a key nothing happens.
    path = f"{processes.url('controller')}/v1/overrides/battery"
    body = {"action": "hold", "minutes": 600}
    assert httpx.put(path, json=body, timeout=10).status_code == 401
    assert httpx.put(path, json=body, headers=KEY, timeout=10).status_code == 200
    inverter = f"{processes.url('house')}/v1/state"
    await until(lambda: httpx.get(inverter, timeout=5).json()["inverter"]["priority"] == "batteryfirst")

    # A second one on this host is refused.
    second = processes.start("controller", PEMS_CONTROLLER_PORT=str(free_port()))
    assert second.wait(20) != 0
    assert "another controller" in (processes.folder / "controller.log").read_text()

    # Killed and back: the override still holds.
    controller.kill()
    controller.wait(10)
    await until(lambda: any(m.topic == "pems/home/availability" and m.payload == b"offline" for m in heard))
    controller = processes.start("controller")
    await until(lambda: in_mode(processes, "rule_based"))
    now = status(processes)
    assert now is not None
    assert now["devices"]["battery"]["mode"] == "manual"

    # The broker goes and comes back.
    own_mqtt_broker.kill()
    await asyncio.sleep(2)
    heard.clear()
    own_mqtt_broker.start()
    await until(lambda: [m for m in heard if m.topic == "pems/active"])
    await until(lambda: in_mode(processes, "rule_based"))
    await until(lambda: httpx.get(f"{processes.url('house')}/health/ready", timeout=5).status_code == 200)

    # A clean stop hands everything back.
    heard.clear()
    controller.send_signal(signal.SIGTERM)
    assert controller.wait(20) == 0
    await until(lambda: httpx.get(inverter, timeout=5).json()["inverter"]["priority"] == "loadfirst")
    await until(lambda: any(m.topic == "pems/home/availability" and m.payload == b"offline" for m in heard))
    enables = {m.topic: m.payload for m in heard if m.topic.endswith("/enable")}
    assert len(enables) == 17
    assert set(enables.values()) == {b"0"}
    await ear.stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_unarmed_it_sends_nothing(processes: Processes, own_mqtt_broker: MqttBroker):
    heard: list[str] = []

    async def hear(message: MqttMessage) -> None:
        heard.append(message.topic)

    ear = AioMqtt("127.0.0.1", own_mqtt_broker.port, "ear", None, None, SystemClock())
    for topic in ("pems/relay/#", "pems/active", "ev/set", "water/set", "energy/solar/command/#"):
        ear.subscribe(topic, hear)
    await ear.start()
    processes.start("house")
    processes.start("controller", PEMS_ARM="no")
    await until(lambda: in_mode(processes, "released"))
    await asyncio.sleep(5)
    now = status(processes)
    assert now is not None
    assert {device["why"] for device in now["devices"].values()} == {"not_armed"}
    assert heard == []
    await ear.stop()
