"""MQTT as the services see it, and an in-memory broker for unit tests and lockstep runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from pems_common.errors import UnavailableError

__all__ = ["MemoryBroker", "MemoryMqtt", "Mqtt", "MqttHandler", "MqttMessage", "topic_matches"]


@dataclass(frozen=True)
class MqttMessage:
    """A received message.

    Attributes:
        topic: Its topic.
        payload: Raw bytes.
        retained: True when the broker sent it from its store: it may be of any age.
    """

    topic: str
    payload: bytes
    retained: bool = False


MqttHandler = Callable[[MqttMessage], Awaitable[None]]


class Mqtt(Protocol):
    """A connection to the broker that heals itself."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""

    def subscribe(self, topic_filter: str, handler: MqttHandler) -> None:
        """Call `handler` for each message on topics that match; may be called before connecting.

        Topics are checked against the filter here, whatever the broker sends.
        """

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish.

        Raises:
            UnavailableError: Not connected, or the broker did not confirm in time.
        """


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a topic matches a filter with `+` and `#` (MQTT 3.1.1 section 4.7)."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and topic_filter[:1] in {"+", "#"}:
        return False
    for i, part in enumerate(wanted):
        if part == "#":
            return True
        if i >= len(given) or part not in {"+", given[i]}:
            return False
    return len(wanted) == len(given)


@dataclass
class MemoryBroker:
    """A broker inside the process: delivers at once, keeps retained messages.

    Attributes:
        down: While true every publish fails (a broker drop for tests).
        log: Every published (topic, payload, retain), oldest first, at most `log_max`.
    """

    down: bool = False
    log_max: int = 10_000
    log: list[tuple[str, bytes, bool]] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)
    handlers: list[tuple[str, MqttHandler]] = field(default_factory=list)
    _by_topic: dict[str, list[MqttHandler]] = field(default_factory=dict)

    def add(self, topic_filter: str, handler: MqttHandler) -> None:
        """Register a handler for live messages."""
        self.handlers.append((topic_filter, handler))
        self._by_topic.clear()

    def handlers_of(self, topic: str) -> list[MqttHandler]:
        """Return the handlers whose filter matches a topic (remembered per topic)."""
        if topic not in self._by_topic:
            self._by_topic[topic] = [h for topic_filter, h in self.handlers if topic_matches(topic_filter, topic)]
        return self._by_topic[topic]

    def client(self) -> "MemoryMqtt":
        """Return a new client."""
        return MemoryMqtt(self)


class MemoryMqtt:
    """A client of the in-memory broker. Retained messages are delivered by `start`."""

    def __init__(self, broker: MemoryBroker) -> None:
        """Attach to the broker."""
        self._broker = broker
        self._own: list[tuple[str, MqttHandler]] = []

    @property
    def connected(self) -> bool:
        """False while the broker is down."""
        return not self._broker.down

    def subscribe(self, topic_filter: str, handler: MqttHandler) -> None:
        """Register a handler; live messages reach it from now on."""
        self._own.append((topic_filter, handler))
        self._broker.add(topic_filter, handler)

    async def start(self) -> None:
        """Deliver retained messages to this client's handlers, as a broker does on subscribing."""
        for topic_filter, handler in list(self._own):
            for topic, payload in list(self._broker.retained.items()):
                if topic_matches(topic_filter, topic):
                    await handler(MqttMessage(topic, payload, retained=True))

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Deliver to every matching handler before returning."""
        if self._broker.down:
            raise UnavailableError("the MQTT broker is down")
        data = payload.encode() if isinstance(payload, str) else payload
        self._broker.log.append((topic, data, retain))
        del self._broker.log[: -self._broker.log_max]
        if retain:
            if data:
                self._broker.retained[topic] = data
            else:
                self._broker.retained.pop(topic, None)
        for handler in self._broker.handlers_of(topic):
            await handler(MqttMessage(topic, data))
