"""A connection to a real MQTT broker that heals itself; implements the `Mqtt` port over aiomqtt.

Messages reach the handlers one after another in the order the broker sent them.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiomqtt

from pems_common.cancellation import Cancellation
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_common.metrics import Metrics
from pems_common.mqtt import MqttHandler, MqttMessage, topic_matches

__all__ = ["MAX_PAYLOAD_BYTES", "AioMqtt", "ConnectCallback"]

ConnectCallback = Callable[[], Awaitable[None]]

MAX_PAYLOAD_BYTES = 256_000
_CONFIRM_S = 5.0
_KEEPALIVE_S = 10
_MAX_QUEUED = 20_000
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0


class AioMqtt:
    """One client of one broker. All waits are wall time."""

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        username: str | None,
        password: str | None,
        clock: Clock,
        *,
        will: tuple[str, str | bytes, bool] | None = None,
        metrics: Metrics | None = None,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        longest_wait_s: float = _LONGEST_WAIT_S,
    ) -> None:
        """Prepare a client; `start` connects.

        Args:
            host: Broker's name or address.
            port: Broker's port.
            client_id: Must be unique at the broker: two clients of one name kick each other out for ever.
            username: User, None for anonymous.
            password: Its password.
            clock: Gives wall time.
            will: Topic, payload, retain of the last will (see `will`).
            metrics: Where messages are counted.
            max_payload_bytes: Larger received messages are dropped and counted.
            longest_wait_s: Longest wall time between two attempts to connect.
        """
        self._host, self._port, self._client_id = host, port, client_id
        self._username, self._password = username, password
        self._clock = clock
        self._max_payload = max_payload_bytes
        self._longest_wait_s = longest_wait_s
        self._will: aiomqtt.Will | None = None
        if will is not None:
            self.will(*will)
        self._handlers: list[tuple[str, MqttHandler]] = []
        self._on_connect: list[ConnectCallback] = []
        self._client: aiomqtt.Client | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("mqtt_client").bind(broker=f"{host}:{port}", client_id=client_id)
        metrics = metrics or Metrics()
        self._received = metrics.counter("mqtt_received", "MQTT messages given to a handler")
        self._dropped = metrics.counter("mqtt_dropped", "MQTT messages not given to a handler", ["reason"])
        self._failed = metrics.counter("mqtt_handler_errors", "Exceptions in handlers of MQTT messages")
        self._sent = metrics.counter("mqtt_published", "MQTT messages the broker confirmed")
        self._unsent = metrics.counter("mqtt_publish_errors", "MQTT messages the broker did not confirm")
        self._connects = metrics.counter("mqtt_connects", "Connections made to the MQTT broker")

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        return self._up.is_set()

    def will(self, topic: str, payload: str | bytes, retain: bool = True) -> None:
        """Set what the broker publishes when this client vanishes; counts from the next connection."""
        self._will = aiomqtt.Will(topic, payload, qos=1, retain=retain)

    def on_connect(self, callback: ConnectCallback) -> None:
        """Call back after each connection, when publishing works again."""
        self._on_connect.append(callback)

    def subscribe(self, topic_filter: str, handler: MqttHandler) -> None:
        """Call `handler` for each message whose topic matches; kept over reconnects."""
        known = any(topic_filter == other for other, _ in self._handlers)
        self._handlers.append((topic_filter, handler))
        if not known and self._client is not None and self.connected:
            self._aside(self._subscribe_now(self._client, topic_filter))

    async def start(self) -> None:
        """Begin to connect, and return at once: the broker may be away."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="mqtt")

    async def wait_connected(self, wall_s: float) -> bool:
        """Wait at most `wall_s` for the connection and tell whether it stands."""
        with suppress(TimeoutError):
            await self._clock.wait_for(self._up.wait(), wall_s)
        return self.connected

    async def stop(self) -> None:
        """Disconnect cleanly (the will is not published); `start` connects again. A handler may call it."""
        tasks = [task for task in (self._task, *self._side_tasks) if task is not None]
        self._task = None
        self._up.clear()
        for task in tasks:
            task.cancel()
        own = asyncio.current_task()
        await asyncio.gather(*(task for task in tasks if task is not own), return_exceptions=True)

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and wait at most 5 s for the broker's confirmation.

        Raises:
            UnavailableError: Not connected, or not confirmed in time (it may still have arrived).
        """
        client = self._client
        if client is None or not self.connected:
            self._unsent.inc()
            raise UnavailableError(f"not connected to the MQTT broker {self._host}:{self._port}")
        try:
            await self._clock.wait_for(client.publish(topic, payload, qos, retain, timeout=math.inf), _CONFIRM_S)
        except (aiomqtt.MqttError, TimeoutError, ValueError) as error:
            self._unsent.inc()
            if isinstance(error, ValueError):  # paho refuses a topic with wildcards and the like
                raise
            raise UnavailableError(f"the MQTT broker did not confirm {topic}: {error or 'no answer'}") from error
        self._sent.inc()

    async def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        told = False
        cancellation = Cancellation()
        while True:
            cancellation.check()
            since = self._clock.monotonic()
            try:
                await self._connection(cancellation)
            except aiomqtt.MqttError as error:
                reason = str(error)
            except Exception as error:  # a connection must never end for good
                reason = f"{type(error).__name__}: {error}"
                self._log.error("unexpected trouble with the MQTT connection", exc_info=error)
            else:
                reason = "the broker closed the connection"
            if self._clock.monotonic() - since > _CONFIRM_S:
                wait_s, told = _FIRST_WAIT_S, False
            if not told:
                self._log.warning("no connection to the MQTT broker, trying on", reason=reason)
                told = True
            await self._clock.sleep_wall(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, self._longest_wait_s)

    async def _connection(self, cancellation: Cancellation) -> None:
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._client_id,
            username=self._username,
            password=self._password,
            will=self._will,
            keepalive=_KEEPALIVE_S,
            timeout=_CONFIRM_S,
            max_queued_incoming_messages=_MAX_QUEUED,
            max_queued_outgoing_messages=_MAX_QUEUED,
            max_inflight_messages=200,
        )
        client.pending_calls_threshold = 1000
        async with client:
            try:
                subscribed: set[str] = set()
                while missing := {topic_filter for topic_filter, _ in self._handlers} - subscribed:
                    await client.subscribe([(topic_filter, 1) for topic_filter in sorted(missing)])
                    subscribed |= missing
                cancellation.check()
                self._client = client
                self._up.set()
                self._connects.inc()
                self._log.info("connected to the MQTT broker", subscriptions=len(subscribed))
                self._aside(self._call_back())
                async for message in client.messages:
                    await self._dispatch(message)
            finally:
                if self._client is client:
                    self._client = None
                    self._up.clear()

    async def _call_back(self) -> None:
        for callback in list(self._on_connect):
            try:
                await callback()
            except UnavailableError as error:
                self._log.warning("a connect callback could not publish", reason=error.message)
            except Exception as error:
                self._failed.inc()
                self._log.error("a connect callback failed", exc_info=error)

    async def _subscribe_now(self, client: aiomqtt.Client, topic_filter: str) -> None:
        with suppress(aiomqtt.MqttError):  # a broken connection subscribes to everything when it is back
            await client.subscribe(topic_filter, 1)

    def _aside(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)  # noqa: S101 - ensure_future of a coroutine
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    async def _dispatch(self, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        payload = message.payload
        data = payload if isinstance(payload, bytes) else b"" if payload is None else str(payload).encode()
        if len(data) > self._max_payload:
            self._dropped.labels("too_large").inc()
            self._log.warning("an MQTT message is too large", topic=topic[:200], size=len(data))
            return
        received = MqttMessage(topic, data, bool(message.retain))
        taken = False
        for topic_filter, handler in list(self._handlers):
            if not topic_matches(topic_filter, topic):
                continue
            taken = True
            try:
                await handler(received)
            except Exception as error:
                self._failed.inc()
                self._log.error("a handler of MQTT messages failed", topic=topic[:200], exc_info=error)
        if taken:
            self._received.inc()
        else:
            self._dropped.labels("not_subscribed").inc()
