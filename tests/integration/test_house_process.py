"""The simulated house as a real process on a real broker: states, commands, the last will, faults, UDP."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from pems_cli.embedded import MqttBroker
from pems_common.aio_mqtt import AioMqtt
from pems_common.clock import SystemClock, write_clock_file
from pems_common.dialects import growatt_oig, loxone
from pems_common.mqtt import MqttMessage

HOME_FILE = Path(__file__).parents[2] / "config" / "home.yaml"
KEY = "k" * 40


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ear(asyncio.DatagramProtocol):
    """Keeps received lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.lines.append(data)


@pytest.fixture
def house(own_mqtt_broker: MqttBroker, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    """A running house at 60x; gives the process, its URL and the UDP port it sends to."""
    write_clock_file(tmp_path / "clock.json", run_id="t", sim_start=datetime(2026, 1, 13, 5, tzinfo=UTC), speed=60.0)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    http, udp = free_port(), free_port(socket.SOCK_DGRAM)
    environment = {
        **os.environ,
        "PEMS_HOME": str(HOME_FILE),
        "PEMS_DATA": str(tmp_path / "var"),
        "PEMS_CLOCK_FILE": str(tmp_path / "clock.json"),
        "PEMS_INTERNAL_KEY_FILE": str(tmp_path / "key"),
        "PEMS_MQTT_HOST": "127.0.0.1",
        "PEMS_MQTT_PORT": str(own_mqtt_broker.port),
        "PEMS_REDIS_URL": "redis://127.0.0.1:1/0",
        "PEMS_HOUSE_PORT": str(http),
        "PEMS_LOXONE_UDP_PORT": str(udp),
    }
    with (tmp_path / "house.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "pems_house.main"], env=environment, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{http}", udp
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@pytest.fixture
async def pems(own_mqtt_broker: MqttBroker) -> AsyncIterator[tuple[AioMqtt, dict[str, list[MqttMessage]]]]:
    heard: dict[str, list[MqttMessage]] = {}
    client = AioMqtt("127.0.0.1", own_mqtt_broker.port, "pems-test", None, None, SystemClock())

    async def hear(message: MqttMessage) -> None:
        heard.setdefault(message.topic, []).append(message)

    for topic_filter in ("energy/solar", "energy/solar/result", "loxone/#", "ev/state", "water/state"):
        client.subscribe(topic_filter, hear)
    await client.start()
    yield client, heard
    await client.stop()


async def until(true, wall_s: float = 30.0) -> None:
    for _ in range(int(wall_s / 0.1)):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("did not happen in time")


def status(message: MqttMessage) -> int:
    return int(json.loads(message.payload)["InverterStatus"])


@pytest.mark.slow
async def test_a_house_lives_on_a_real_broker(house, pems) -> None:
    process, url, udp = house
    client, heard = pems
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", udp))
    try:
        await until(lambda: len(heard.get("energy/solar", [])) >= 3, 60)
        assert isinstance(growatt_oig.parse_state(heard["energy/solar"][-1].payload), growatt_oig.InverterReading)
        await until(lambda: "loxone/temperature/obyvak" in heard and "ev/state" in heard and "water/state" in heard)
        await until(lambda: any(b";temperature;" in line for line in ear.lines))
        assert isinstance(loxone.parse_scalar(heard["loxone/temperature/obyvak"][-1].payload), float)

        command = growatt_oig.stop_soc("batteryfirst", 80)
        await client.publish(command.topic("energy/solar/command"), command.payload("id-1"))
        await until(lambda: "energy/solar/result" in heard)
        result = growatt_oig.parse_result(heard["energy/solar/result"][-1].payload)
        assert isinstance(result, growatt_oig.CommandResult)
        assert (result.correlation_id, result.success) == ("id-1", True)

        for topic, payload in (("enable", "1"), ("set", "1")):
            await client.publish(f"pems/relay/hosti/{topic}", payload)
        await client.publish("pems/active", "1")
        await until(lambda: heard["loxone/relay/hosti"][-1].payload == b"1")

        async with httpx.AsyncClient(base_url=url) as web:
            for _ in range(100):  # health looks at the broker every few seconds
                if (ready := (await web.get("/health/ready")).json())["ready"]:
                    break
                await asyncio.sleep(0.2)
            assert ready["ready"] is True, ready
            assert (await web.get("/v1/truth")).json()["load_wh"] > 0
            fault = {"kind": "broker_drop", "minutes": 4}  # four seconds of wall time
            assert (await web.post("/v1/faults", json=fault)).status_code == 401
            assert (await web.post("/v1/faults", json=fault, headers={"X-API-Key": KEY})).status_code == 201
        await until(lambda: status(heard["energy/solar"][-1]) == -1)
        await until(lambda: status(heard["energy/solar"][-1]) != -1)

        process.send_signal(signal.SIGKILL)
        await until(lambda: status(heard["energy/solar"][-1]) == -1)
    finally:
        transport.close()


@pytest.mark.slow
async def test_a_clean_stop_says_offline_and_exits_well(house, pems) -> None:
    process, _, _ = house
    _, heard = pems
    await until(lambda: "energy/solar" in heard, 60)
    process.terminate()
    assert await asyncio.to_thread(process.wait, 20) == 0
    await until(lambda: status(heard["energy/solar"][-1]) == -1)
