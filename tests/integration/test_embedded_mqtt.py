"""The embedded brokers deliver, retain, hang when paused and come back on the same port."""

from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from pems_cli.embedded import MqttBroker
from pems_cli.embedded.mqtt_broker import find_mosquitto


@pytest.fixture(params=["amqtt", *(["mosquitto"] if find_mosquitto() else [])])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MqttBroker]:
    with MqttBroker(tmp_path / "mqtt", kind=request.param) as running:
        yield running


async def _send_and_receive(broker: MqttBroker, text: str) -> str:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("pems/test", qos=1)
        await client.publish("pems/test", text, qos=1)
        async for message in client.messages:
            return str(message.payload.decode())
    raise AssertionError("the connection ended")


async def test_delivers(broker: MqttBroker) -> None:
    assert await _send_and_receive(broker, "hello") == "hello"


async def test_keeps_retained_messages_for_later_readers(broker: MqttBroker) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("pems/state", "21.5", qos=1, retain=True)
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("pems/#", qos=1)
        async for message in client.messages:
            assert message.retain
            assert message.payload == b"21.5"
            break


async def test_comes_back_on_the_same_port_after_a_kill(broker: MqttBroker) -> None:
    port = broker.port
    broker.kill()
    assert not broker.answers()
    broker.start()
    assert broker.port == port
    assert await _send_and_receive(broker, "again") == "again"


def test_a_paused_broker_answers_nobody(broker: MqttBroker) -> None:
    broker.pause()
    assert not broker.answers()
    broker.resume()
    assert broker.answers()
