"""Loxone: readings as UDP lines and as MQTT scalars, and the commands of its MQTT gateway."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from zoneinfo import ZoneInfo

from pems_common.dialects.result import Rejected, shorten

__all__ = ["LoxoneReading", "format_bit", "in_range", "parse_scalar", "parse_udp_line"]

_LINE_MAX = 1_000
_NAME = re.compile(r"^[A-Za-z0-9_.\-]{1,100}$")
_WORDS = {"on": 1.0, "true": 1.0, "off": 0.0, "false": 0.0}
# What a measurement can be at all [low, high]; anything else is a broken sensor.
_RANGES = {
    "temperature": (-40.0, 90.0),
    "target_temp": (0.0, 60.0),
    "humidity": (0.0, 100.0),
    "relay": (0.0, 1.0),
    "window": (0.0, 1.0),
}


@dataclass(frozen=True)
class LoxoneReading:
    """One value of one sensor.

    Attributes:
        at: When, UTC. The second of the two possible instants is never chosen in the hour that comes twice.
        name: Name of the sensor.
        value: Its value in the unit of its type.
        room: Room, or empty.
        measurement_type: Such as `temperature` or `relay`, or empty.
        tag1: First tag (`heating`), or empty; `_` counts as empty.
        tag2: Second tag, likewise.
    """

    at: datetime
    name: str
    value: float
    room: str = ""
    measurement_type: str = ""
    tag1: str = ""
    tag2: str = ""


def parse_udp_line(line: str, zone: ZoneInfo) -> LoxoneReading | Rejected:
    """Read `timestamp;name;value;room;measurement_type;tag1;tag2` (local time, the last four optional)."""
    if len(line) > _LINE_MAX:
        return Rejected("too_large", f"{len(line)} characters")
    parts = [part.strip() for part in line.strip().split(";")]
    if not 3 <= len(parts) <= 7:
        return Rejected("wrong_format", shorten(line))
    try:
        local = datetime.fromisoformat(parts[0])
        at = (local.replace(tzinfo=zone) if local.tzinfo is None else local).astimezone(UTC)
    except (ValueError, OverflowError):
        return Rejected("bad_time", shorten(parts[0]))
    room, kind, tag1, tag2 = ("" if part == "_" else part for part in (parts[3:] + [""] * 4)[:4])
    if any(part and not _NAME.match(part) for part in (parts[1], room, kind, tag1, tag2)) or not parts[1]:
        return Rejected("wrong_format", shorten(line))
    value = parse_scalar(parts[2].encode())
    if isinstance(value, Rejected):
        return value
    measurement = kind or parts[1]
    if not in_range(measurement, value):
        return Rejected("impossible_value", f"{measurement} = {value:g}")
    return LoxoneReading(at, parts[1], value, room, kind, tag1, tag2)


def parse_scalar(payload: bytes) -> float | Rejected:
    """Read one finite number as text; `on/off/true/false` are 1 and 0, a decimal comma is understood."""
    if not payload.strip():
        return Rejected("empty")
    if len(payload) > 64:
        return Rejected("too_large", f"{len(payload)} bytes")
    try:
        text = payload.decode("ascii").strip().lower()
    except UnicodeDecodeError:
        return Rejected("not_text", shorten(payload))
    if text in _WORDS:
        return _WORDS[text]
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return Rejected("not_number", shorten(text))
    if not isfinite(value) or "_" in text:
        return Rejected("not_number", shorten(text))
    return value


def in_range(measurement_type: str, value: float) -> bool:
    """Tell whether a value is possible for its type; a type that is not known has no range."""
    low, high = _RANGES.get(measurement_type, (-1e9, 1e9))
    return low <= value <= high


def format_bit(value: bool) -> str:
    """Relays and switches are 0 or 1."""
    return "1" if value else "0"
