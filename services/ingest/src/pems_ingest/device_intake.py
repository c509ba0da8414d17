"""Listens to the devices: MQTT topics and UDP lines become checked readings, points to store, or counted rejections.

Nothing here waits for anything but the re-publication of UDP readings, so messages are taken as fast as they come.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from pems_common.clock import Clock
from pems_common.dialects import generic, grott, growatt_oig, loxone
from pems_common.dialects.result import Rejected, number, parse_object, shorten
from pems_common.errors import UnavailableError
from pems_common.history import Point
from pems_common.home import Home
from pems_common.metrics import Metrics
from pems_common.mqtt import Mqtt, MqttMessage
from pems_ingest.domain.recording import Recorder
from pems_ingest.domain.telemetry import Accepted, TelemetryAssembler, inverter_values
from pems_ingest.rejections import Rejections

__all__ = ["DeviceIntake"]

_LATE = timedelta(minutes=15)  # older readings are history, not the present
_EARLY = timedelta(minutes=5)
_OLDEST = timedelta(days=400)
_ROOM_FIELDS = {
    "temperature": "temperature_c",
    "humidity": "humidity_pct",
    "target_temp": "target_c",
    "relay": "relay_on",
    "window": "window_open",
}
_OUTDOOR_ROOMS = {"", "outdoor", "outside", "venku"}
_EV_NUMBERS = (("soc_pct", 0, 100), ("power_w", 0, 50_000), ("session_wh", 0, 500_000))
_WATER_NUMBERS = (("temperature_c", -5, 110), ("power_w", 0, 30_000))


class DeviceIntake:
    """Takes what devices say.

    Attributes:
        taken: Messages and lines that led to at least one accepted reading.
        received: Messages and lines in all.
    """

    def __init__(
        self,
        home: Home,
        clock: Clock,
        mqtt: Mqtt,
        assembler: TelemetryAssembler,
        recorder: Recorder,
        rejections: Rejections,
        metrics: Metrics,
        mappings: Sequence[generic.FieldMapping] = (),
    ) -> None:
        """Subscribe to every topic of the home's devices, and to those of `mappings`."""
        self._home, self._clock, self._mqtt = home, clock, mqtt
        self._assembler, self._recorder, self._rejections = assembler, recorder, rejections
        self._points: list[Point] = []
        self.received = self.taken = 0
        self._metric = metrics.counter("ingest_messages", "Messages and lines from devices", ["origin"])
        devices = home.devices
        inverter = self._grott if devices.inverter.dialect == "grott" else self._inverter
        self._listen("inverter", devices.inverter.state_topic, inverter)
        sensors = devices.sensors
        for topic, field in (
            (sensors.temperature_topic, "temperature_c"),
            (sensors.humidity_topic, "humidity_pct"),
            (sensors.target_topic, "target_c"),
            (sensors.relay_topic, "relay_on"),
            (sensors.window_topic, "window_open"),
        ):
            self._listen_to_rooms(topic, field)
        self._listen("outdoor", sensors.outdoor_topic, partial(self._scalar, "outdoor_temperature_c"))
        if home.ev is not None:
            self._listen("ev", devices.ev.state_topic, self._ev)
        if home.water is not None:
            self._listen("water", devices.water.state_topic, self._water)
        for mapping in mappings:
            self._listen_to_mapping(mapping)

    def take_points(self) -> list[Point]:
        """Return the points made since the last call."""
        points, self._points = self._points, []
        return points

    # --- MQTT ---------------------------------------------------------------------------------

    def _listen(self, origin: str, topic: str, take: Callable[[MqttMessage, datetime], None]) -> None:
        metric = self._metric.labels(origin=origin)

        async def handle(message: MqttMessage) -> None:
            metric.inc()
            self.received += 1
            take(message, self._clock.now())

        self._mqtt.subscribe(topic, handle)

    def _listen_to_rooms(self, template: str, field: str) -> None:
        """Subscribe once with a wildcard where the room is a whole level of the topic, else room by room."""
        if "{room}" not in template:
            return
        levels = template.split("/")
        if "{room}" in levels:
            pattern = re.compile(re.escape(template).replace(r"\{room\}", "([^/]+)", 1).replace(r"\{room\}", "[^/]+"))

            def take(message: MqttMessage, now: datetime) -> None:
                match = pattern.fullmatch(message.topic)
                room = match.group(1) if match else ""
                if room not in self._home.rooms:
                    self._reject(Rejected("unknown_room", shorten(room)), message.topic, now)
                    return
                self._scalar(f"room.{room}.{field}", message, now)

            self._listen("room", template.replace("{room}", "+"), take)
            return
        for room in self._home.rooms:
            self._listen("room", template.replace("{room}", room), partial(self._scalar, f"room.{room}.{field}"))

    def _listen_to_mapping(self, mapping: generic.FieldMapping) -> None:
        def take(message: MqttMessage, now: datetime) -> None:
            value = generic.read_mapped(message.payload, mapping)
            if isinstance(value, Rejected):
                if value.reason != "absent":  # partial updates are no fault
                    self._reject(value, message.topic, now)
                return
            self._offer({mapping.field: value}, message, now)

        self._listen("mapped", mapping.topic, take)

    def _inverter(self, message: MqttMessage, now: datetime) -> None:
        reading = growatt_oig.parse_state(message.payload)
        if isinstance(reading, Rejected):
            self._reject(reading, message.topic, now)
            return
        self._settle(self._assembler.inverter(reading, now, retained=message.retained), message.topic, now)

    def _grott(self, message: MqttMessage, now: datetime) -> None:
        record = grott.parse_record(message.payload, self._home.site.zone, now)
        if isinstance(record, Rejected):
            self._reject(record, message.topic, now)
            return
        for counter in record.underflows:
            self._reject(Rejected("counter_underflow", counter), message.topic, now)
        if record.buffered:
            self._keep_late(inverter_values(record.reading), record.at, message.topic, now)
            return
        self._settle(self._assembler.inverter(record.reading, now, retained=message.retained), message.topic, now)

    def _scalar(self, field: str, message: MqttMessage, now: datetime) -> None:
        value = loxone.parse_scalar(message.payload)
        if isinstance(value, Rejected):
            self._reject(value, message.topic, now)
            return
        self._offer({field: value}, message, now)

    def _ev(self, message: MqttMessage, now: datetime) -> None:
        data = parse_object(message.payload)
        if isinstance(data, Rejected):
            self._reject(data, message.topic, now)
            return
        connected = data.get("connected")
        if not isinstance(connected, bool):
            self._reject(Rejected("wrong_type", f"connected = {shorten(connected)}"), message.topic, now)
            return
        values = self._numbers(data, "ev", _EV_NUMBERS, message.topic, now)
        self._offer({"ev.connected": float(connected), **values}, message, now)

    def _water(self, message: MqttMessage, now: datetime) -> None:
        data = parse_object(message.payload)
        if isinstance(data, Rejected):
            self._reject(data, message.topic, now)
            return
        self._offer(self._numbers(data, "water", _WATER_NUMBERS, message.topic, now), message, now)

    def _numbers(
        self,
        data: dict[str, object],
        prefix: str,
        wanted: Sequence[tuple[str, float, float]],
        origin: str,
        now: datetime,
    ) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, low, high in wanted:
            if data.get(name) is None:
                continue
            value = number(data, name, low, high)
            if isinstance(value, Rejected):
                self._reject(value, origin, now)
            else:
                values[f"{prefix}.{name}"] = value
        return values

    # --- UDP ----------------------------------------------------------------------------------

    async def udp_line(self, line: str) -> None:
        """Take one line of Loxone's UDP logger; what concerns a room is re-published on MQTT, retained."""
        now = self._clock.now()
        self.received += 1
        self._metric.labels(origin="udp").inc()
        reading = loxone.parse_udp_line(line, self._home.site.zone)
        if isinstance(reading, Rejected):
            self._reject(reading, "udp", now)
            return
        kind, room = self._kind_and_room(reading)
        field = self._field_of(kind, room)
        if field is None:
            self._reject(Rejected("unknown_field", shorten(f"{kind}/{room}")), "udp", now)
            return
        zone = self._home.site.zone
        at = grott.resolve_local(reading.at.astimezone(zone).replace(tzinfo=None), zone, now)
        if at > now + _EARLY:
            self._reject(Rejected("bad_time", f"{at.isoformat()} is in the future"), "udp", now)
            return
        if now - at > _LATE:
            self._keep_late({field: reading.value}, at, "udp", now)
            return
        result = self._assembler.offer(field, reading.value, now)
        self._settle([result], "udp", now)
        if isinstance(result, Accepted) and room in self._home.rooms:
            await self._republish(kind, room, reading.value)

    def udp_dropped(self, reason: str) -> None:
        """Count something that UDP could not take."""
        self._reject(Rejected(reason), "udp", self._clock.now())

    def _kind_and_room(self, reading: loxone.LoxoneReading) -> tuple[str, str]:
        """Return (type, room); short lines carry both in the name, as `temperature_obyvak`."""
        kind, room = reading.measurement_type or reading.name, reading.room
        if kind not in _ROOM_FIELDS and not room:
            known, _, rest = reading.name.partition("_")
            if known in _ROOM_FIELDS:
                return known, rest
        return kind, room

    def _field_of(self, kind: str, room: str) -> str | None:
        if kind in {"temperature", "current_weather"} and room in _OUTDOOR_ROOMS:
            return "outdoor_temperature_c"
        if kind in _ROOM_FIELDS and room in self._home.rooms:
            return f"room.{room}.{_ROOM_FIELDS[kind]}"
        return None

    async def _republish(self, kind: str, room: str, value: float) -> None:
        template = self._home.devices.sensors.republish_topic
        topic = template.replace("{site}", self._home.site.id).replace("{type}", kind).replace("{room}", room)
        try:
            await self._mqtt.publish(topic, f"{value:.10g}", retain=True)
        except UnavailableError as error:
            self._reject(Rejected("republish_failed", error.message), topic, self._clock.now())

    # --- what both have in common -------------------------------------------------------------

    def _offer(self, values: dict[str, float], message: MqttMessage, now: datetime) -> None:
        results = [self._assembler.offer(f, v, now, retained=message.retained) for f, v in values.items()]
        self._settle(results, message.topic, now)

    def _settle(self, results: Sequence[Accepted | Rejected], origin: str, now: datetime) -> None:
        """Store what was accepted and fresh, count what was rejected."""
        took = False
        for result in results:
            if isinstance(result, Rejected):
                self._reject(result, origin, now)
                continue
            took = True
            if result.fresh and (point := self._recorder.point(result.field, now, result.value)) is not None:
                self._points.append(point)
        self.taken += took

    def _keep_late(self, values: dict[str, float], at: datetime | None, origin: str, now: datetime) -> None:
        """Store readings of the past; they never become the present."""
        if at is None or not now - _OLDEST <= at <= now + _EARLY:
            self._reject(Rejected("bad_time", "history without a believable time"), origin, now)
            return
        self.taken += 1
        self._points += [Point(field, at, value) for field, value in values.items()]

    def _reject(self, rejected: Rejected, origin: str, now: datetime) -> None:
        self._rejections.add(rejected, origin, now)
