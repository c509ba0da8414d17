"""Any device that speaks JSON or scalars on MQTT (Shelly, Tasmota, Solar Assistant, zigbee2mqtt), by a mapping.

A mapping names a topic, a path inside the JSON, and the field of the telemetry that it fills.
"""

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pems_common.dialects.result import MAX_BYTES, Rejected, shorten

__all__ = ["FieldMapping", "parse_value", "read_mapped"]

_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,4}|\*)\]")
_WORDS = {"on": 1.0, "true": 1.0, "open": 1.0, "off": 0.0, "false": 0.0, "closed": 0.0}
_ABSENT_WORDS = {"", "unavailable", "unknown", "none", "null", "nan"}


@dataclass(frozen=True)
class FieldMapping:
    """How one field is found in what a device publishes.

    Attributes:
        field: Series name of the telemetry, such as `grid_power_w` or `room.obyvak.temperature_c`.
        topic: MQTT topic or filter.
        path: Path inside the JSON: names joined by dots, `[0]` an element, `[*]` the sum of all elements.
            Empty for a scalar payload.
        scale: Multiplied with the value; -1 turns a sign round, 1000 makes W of kW.
        offset: Added after scaling.
        low: Least possible value after scaling.
        high: Greatest possible value after scaling.
    """

    field: str
    topic: str
    path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    low: float = -1e9
    high: float = 1e9

    def __post_init__(self) -> None:
        """Refuse a path that could never match.

        Raises:
            ValueError: The path is malformed.
        """
        _steps(self.path)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        if path[position] == "." and steps:
            position += 1
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"path {path!r}: cannot be read from {path[position:]!r} on")
        name, index = match.groups()
        steps.append(name if name is not None else index if index == "*" else int(index))
        position = match.end()
    return steps


def read_mapped(payload: bytes, mapping: FieldMapping) -> float | Rejected:
    """Return the mapped value in the field's unit.

    Rejects with `absent` where the path leads nowhere: devices publish partial updates, so that is no fault.
    """
    value = parse_value(payload, mapping.path)
    if isinstance(value, Rejected):
        return value
    scaled = value * mapping.scale + mapping.offset
    if not isfinite(scaled) or not mapping.low <= scaled <= mapping.high:
        return Rejected("impossible_value", f"{mapping.field} = {scaled:g}")
    return scaled


def parse_value(payload: bytes, path: str = "") -> float | Rejected:
    """Return one finite number of a payload; on/off, true/false and open/closed are 1 and 0."""
    if len(payload) > MAX_BYTES:
        return Rejected("too_large", f"{len(payload)} bytes")
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError:
        return Rejected("not_text", shorten(payload))
    if not path:
        return _number(text)
    if not text:
        return Rejected("empty")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Rejected("not_json", shorten(text))
    return _walk(data, _steps(path), path)


def _walk(data: Any, steps: list[str | int], path: str) -> float | Rejected:
    for i, step in enumerate(steps):
        if step == "*":
            if not isinstance(data, list):
                return _walk(data, steps[i + 1 :], path)  # one channel publishes a number, several a list
            if not data:
                return Rejected("absent", path)
            total = 0.0
            for element in data:
                part = _walk(element, steps[i + 1 :], path)
                if isinstance(part, Rejected):
                    return part
                total += part
            return total
        if isinstance(step, int):
            if not isinstance(data, list) or step >= len(data):
                return Rejected("absent", path)
            data = data[step]
        else:
            if not isinstance(data, dict) or step not in data:
                return Rejected("absent", path)
            data = data[step]
    return _number(data)


def _number(value: Any) -> float | Rejected:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _ABSENT_WORDS:
            return Rejected("empty" if not text else "unavailable", shorten(text))
        if text in _WORDS:
            return _WORDS[text]
        if len(text) > 64 or "_" in text:
            return Rejected("not_number", shorten(text))
        try:
            result = float(text.replace(",", "."))
        except ValueError:
            return Rejected("not_number", shorten(text))
    elif isinstance(value, int | float):
        try:
            result = float(value)
        except OverflowError:
            return Rejected("impossible_value", "beyond any number")
    else:
        return Rejected("wrong_type", shorten(value))
    return result if isfinite(result) else Rejected("not_number", shorten(value))
