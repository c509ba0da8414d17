"""Topic filters and the in-memory broker."""

import pytest

from pems_common.errors import UnavailableError
from pems_common.mqtt import MemoryBroker, topic_matches


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/b", "a/bc", False),
        ("+/b", "a/b", True),
        ("#", "$SYS/x", False),
        ("a/b/#", "a", False),
    ],
)
def test_filters_match_as_mqtt_says(topic_filter, topic, expected):
    assert topic_matches(topic_filter, topic) is expected


async def test_retained_messages_are_marked_and_come_on_start_only():
    broker, seen = MemoryBroker(), []

    async def handler(message):
        seen.append((message.topic, message.payload, message.retained))

    await broker.client().publish("x/1", "old", retain=True)
    client = broker.client()
    client.subscribe("x/+", handler)
    await client.start()
    await client.publish("x/2", b"new")
    assert seen == [("x/1", b"old", True), ("x/2", b"new", False)]
    await client.publish("x/1", "", retain=True)
    assert broker.retained == {}


async def test_a_broker_that_is_down_says_so():
    broker = MemoryBroker()
    client = broker.client()
    broker.down = True
    assert not client.connected
    with pytest.raises(UnavailableError):
        await client.publish("x", "y")
