"""The only way out: publishes on topics of an allow-list, nothing else, whatever asks for it."""

from collections import Counter
from collections.abc import Iterable

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.mqtt import Mqtt, MqttHandler, topic_matches

__all__ = ["GuardedMqtt", "allowed_topics"]


def allowed_topics(home: Home) -> tuple[str, ...]:
    """Return the topics this controller may ever publish on: its devices' commands and its own account of itself."""
    devices, site = home.devices, home.site.id
    relays = [
        topic.replace("{room}", room)
        for room in home.rooms
        for topic in (devices.relays.set_topic, devices.relays.enable_topic)
    ]
    own = [f"pems/{site}/{name}" for name in ("controller", "status", "availability")]
    topics = [*relays, *own, devices.relays.watchdog_topic, f"homeassistant/device/pems_{site}/config"]
    if home.battery is not None and devices.inverter.writable:
        topics.append(f"{devices.inverter.command_topic}/#")
    if home.ev is not None:
        topics.append(devices.ev.set_topic)
    if home.water is not None:
        topics.append(devices.water.set_topic)
    return tuple(topics)


class GuardedMqtt:
    """An `Mqtt` that refuses to publish elsewhere."""

    def __init__(self, mqtt: Mqtt, allowed: Iterable[str], counters: Counter[str]) -> None:
        """Wrap a connection."""
        self._mqtt = mqtt
        self._allowed = frozenset(allowed)
        self._patterns = tuple(topic for topic in self._allowed if "#" in topic)
        self._counters = counters

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        return self._mqtt.connected

    def subscribe(self, topic_filter: str, handler: MqttHandler) -> None:
        """Subscribe; reading is free."""
        self._mqtt.subscribe(topic_filter, handler)

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish on an allowed topic.

        Raises:
            PermanentError: The topic is not allowed: a fault in this program or in home.yaml.
            UnavailableError: Not connected, or not confirmed.
        """
        below = any(topic_matches(pattern, topic) for pattern in self._patterns)
        if "+" in topic or "#" in topic or not (below or topic in self._allowed):
            self._counters["refused_topics"] += 1
            raise PermanentError(f"publishing on {topic} is not allowed", remedy="see allowed_topics")
        await self._mqtt.publish(topic, payload, retain=retain, qos=qos)
