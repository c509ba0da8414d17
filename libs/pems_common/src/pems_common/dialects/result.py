"""What every dialect answers for a payload it cannot use, and the checks that the dialects share.

A parser never raises, whatever the bytes: it returns a reading or `Rejected`, whose reason is counted.
"""

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = ["MAX_BYTES", "POWER_MAX_W", "Rejected", "number", "parse_object", "shorten"]

MAX_BYTES = 65_536
POWER_MAX_W = 50_000.0


@dataclass(frozen=True)
class Rejected:
    """A payload that is not used.

    Attributes:
        reason: Short stable code for metrics: `empty`, `too_large`, `not_text`, `not_json`, `not_object`,
            `not_number`, `missing_field`, `wrong_type`, `impossible_value`, `wrong_format`, `bad_time`.
        detail: What exactly, for a person; shortened.
    """

    reason: str
    detail: str = ""


def shorten(value: object, limit: int = 80) -> str:
    """Return a printable, bounded form of anything, for `Rejected.detail`."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def parse_object(payload: bytes) -> dict[str, Any] | Rejected:
    """Read a JSON object."""
    if not payload:
        return Rejected("empty")
    if len(payload) > MAX_BYTES:
        return Rejected("too_large", f"{len(payload)} bytes")
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return Rejected("not_json", shorten(payload))
    return data if isinstance(data, dict) else Rejected("not_object", shorten(data))


def number(data: dict[str, Any], field: str, low: float, high: float) -> float | Rejected:
    """Read a finite JSON number within `[low, high]`; text and booleans are not numbers."""
    if field not in data:
        return Rejected("missing_field", field)
    value = data[field]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Rejected("wrong_type", f"{field} = {shorten(value)}")
    try:
        result = float(value)
    except OverflowError:
        return Rejected("impossible_value", f"{field} is beyond any number")
    if not isfinite(result) or not low <= result <= high:
        return Rejected("impossible_value", f"{field} = {shorten(value)}, possible {low:g}..{high:g}")
    return result
