"""The MQTT client against real brokers: order, retained flag, limits, broker gone and back, last will."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.bus_backends import eventually

from pems_cli.embedded import MqttBroker
from pems_cli.embedded.mqtt_broker import find_mosquitto
from pems_common.aio_mqtt import AioMqtt
from pems_common.clock import SystemClock
from pems_common.errors import UnavailableError
from pems_common.metrics import Metrics
from pems_common.mqtt import MqttMessage

Connect = Callable[..., Awaitable[AioMqtt]]


@pytest.fixture(params=["amqtt", *(["mosquitto"] if find_mosquitto() else [])])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MqttBroker]:
    with MqttBroker(tmp_path / "mqtt", kind=request.param) as running:
        yield running
        running.resume()


@pytest.fixture
async def connect(broker: MqttBroker) -> AsyncIterator[Connect]:
    clients: list[AioMqtt] = []

    async def make(name: str, **options: object) -> AioMqtt:
        client = AioMqtt(
            broker.host,
            broker.port,
            name,
            None,
            None,
            SystemClock(),
            longest_wait_s=0.5,
            **options,  # type: ignore[arg-type]
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.stop()


def collector(into: list[MqttMessage]) -> Callable[[MqttMessage], Awaitable[None]]:
    async def handle(message: MqttMessage) -> None:
        into.append(message)

    return handle


async def test_messages_come_in_order_and_only_where_they_match(connect: Connect) -> None:
    here, there = await connect("here"), await connect("there")
    got: list[MqttMessage] = []
    others: list[MqttMessage] = []
    here.subscribe("house/+/temperature", collector(got))
    here.subscribe("other/#", collector(others))
    for client in (here, there):
        await client.start()
        assert await client.wait_connected(10)
    for n in range(200):
        await there.publish("house/kitchen/temperature", str(n))
        if n % 50 == 0:
            await there.publish("house/kitchen/humidity", "50")
    await there.publish("other/a/b", b"\x00\xff")
    await eventually(lambda: len(others) == 1)
    assert [int(message.payload) for message in got] == list(range(200))
    assert others == [MqttMessage("other/a/b", b"\x00\xff", retained=False)]


async def test_the_retained_flag_is_passed(connect: Connect) -> None:
    there, late = await connect("there"), await connect("late")
    await there.start()
    assert await there.wait_connected(10)
    await there.publish("state/a", "1", retain=True)
    got: list[MqttMessage] = []
    late.subscribe("state/#", collector(got))
    await late.start()
    await eventually(lambda: len(got) == 1)
    assert got[0].retained
    await there.publish("state/a", "2", retain=True)
    await eventually(lambda: len(got) == 2)
    assert got[1] == MqttMessage("state/a", b"2", retained=False)


async def test_a_failing_handler_and_a_large_message_do_no_harm(connect: Connect) -> None:
    metrics = Metrics()
    client = await connect("one", metrics=metrics, max_payload_bytes=1000)
    got: list[MqttMessage] = []

    async def fail(message: MqttMessage) -> None:
        raise RuntimeError("odd payload")

    client.subscribe("a/#", fail)
    client.subscribe("a/b", collector(got))
    await client.start()
    assert await client.wait_connected(10)
    await client.publish("a/b", "x" * 1001)
    await client.publish("a/b", "1")
    await client.publish("a/b", "2")
    await eventually(lambda: [message.payload for message in got][-1:] == [b"2"])
    assert metrics.value("mqtt_handler_errors_total") >= 2
    assert metrics.value("mqtt_dropped_total", {"reason": "too_large"}) >= 1
    assert client.connected


async def test_a_subscription_made_while_connected_works(connect: Connect) -> None:
    client = await connect("one")
    await client.start()
    assert await client.wait_connected(10)
    got: list[MqttMessage] = []
    client.subscribe("late/+", collector(got))
    async with asyncio.timeout(10):
        while not got:
            await client.publish("late/a", "1")
            await asyncio.sleep(0.02)


async def test_it_comes_back_with_its_broker(connect: Connect, broker: MqttBroker) -> None:
    client = await connect("one")
    got: list[MqttMessage] = []
    connects: list[bool] = []

    async def on_connect() -> None:
        connects.append(client.connected)
        await client.publish("discovery", "here I am")

    client.subscribe("a/+", collector(got))
    client.on_connect(on_connect)
    await client.start()
    assert await client.wait_connected(10)
    broker.kill()
    await eventually(lambda: not client.connected)
    with pytest.raises(UnavailableError, match="not connected"):
        await client.publish("a/b", "lost")
    broker.start()
    assert await client.wait_connected(10)
    await client.publish("a/b", "back")
    await eventually(lambda: [message.payload for message in got] == [b"back"])
    await eventually(lambda: connects == [True, True])


async def test_it_starts_without_a_broker(connect: Connect, broker: MqttBroker) -> None:
    broker.kill()
    client = await connect("one")
    await client.start()
    assert not await client.wait_connected(0.3)
    broker.start()
    assert await client.wait_connected(10)
    await client.publish("a", "1")


@pytest.mark.slow
async def test_a_hanging_broker_is_unavailable_and_does_not_hold_up_for_long(
    connect: Connect, broker: MqttBroker
) -> None:
    client = await connect("one")
    await client.start()
    assert await client.wait_connected(10)
    broker.pause()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(UnavailableError, match="did not confirm"):
        await client.publish("a", "1")
    assert loop.time() - began < 6
    broker.resume()
    await eventually(lambda: client.connected)
    async with asyncio.timeout(20):
        while True:
            try:
                await client.publish("a", "2")
                break
            except UnavailableError:
                await asyncio.sleep(0.1)


async def test_the_last_will_is_for_a_client_that_vanishes(connect: Connect, broker: MqttBroker) -> None:
    watcher = await connect("watcher")
    got: list[MqttMessage] = []
    watcher.subscribe("pems/available", collector(got))
    await watcher.start()
    assert await watcher.wait_connected(10)
    clean = await connect("clean", will=("pems/available", "clean gone", True))
    await clean.start()
    assert await clean.wait_connected(10)
    await clean.stop()
    broken = await connect("broken")
    broken.will("pems/available", "gone", retain=True)
    await broken.start()
    assert await broken.wait_connected(10)
    paho: Any = broken._client
    paho._client._sock.close()
    await eventually(lambda: b"gone" in [message.payload for message in got])
    assert b"clean gone" not in [message.payload for message in got]


async def test_stopping_ends_it_at_any_moment(connect: Connect) -> None:
    for n in range(15):
        client = await connect(f"c{n}")
        client.subscribe("x", collector([]))
        await client.start()
        await asyncio.sleep(n * 0.004)
        async with asyncio.timeout(5):
            await client.stop()
        assert not client.connected


async def test_a_handler_may_stop_its_client_and_it_can_start_again(connect: Connect) -> None:
    client = await connect("one")
    got: list[MqttMessage] = []

    async def stop_once(message: MqttMessage) -> None:
        got.append(message)
        if len(got) == 1:
            await client.stop()

    client.subscribe("a", stop_once)
    await client.start()
    assert await client.wait_connected(10)
    await client.publish("a", "1", qos=0)
    await eventually(lambda: len(got) == 1 and not client.connected)
    await client.start()
    assert await client.wait_connected(10)
    await client.publish("a", "2")
    await eventually(lambda: got[-1].payload == b"2")
