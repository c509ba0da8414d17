"""Hourly columns as weather services give them, turned into means of whole hours: checked, small holes filled.

Services stamp a value either with the instant it stands for or with the end of the hour it is the mean of. Slot
`[t, t + 1 h)` takes the value stamped t + 1 h of the latter, and the mean of both ends of the former.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any

from pems_common.messages import Series, Weather
from pems_ingest.sources.port import SourceError

__all__ = ["HOUR", "REQUIRED", "Conversion", "Slots", "check_hours", "hour_slots", "weather_of"]

HOUR = timedelta(hours=1)
REQUIRED = ("temperature_c", "cloud_cover_pct", "ghi_w_m2")
"""Fields without which a weather message is of no use."""
Slots = tuple[list[float | None], int]
"""Means of hours, None where unknown, and how many holes were filled."""
Conversion = tuple[float, float]
"""Factor and offset from a service's unit to the message's."""

_LIMITS: dict[str, tuple[float, float]] = {
    "temperature_c": (-60.0, 60.0),
    "cloud_cover_pct": (0.0, 100.0),
    "ghi_w_m2": (0.0, 1_500.0),
    "dni_w_m2": (0.0, 1_500.0),
    "dhi_w_m2": (0.0, 1_200.0),
    "wind_m_s": (0.0, 110.0),
    "humidity_pct": (0.0, 100.0),
    "snow_depth_m": (0.0, 20.0),
}
_TOLERANCE = 0.01  # of the range: small excursions of models are clipped, larger ones refuse the answer
_GAP_H_MAX = 3
_HOURS_MAX = 24 * 400


def check_hours(times: Sequence[datetime], name: str) -> None:
    """Make sure that stamps are consecutive hours, at least a day of them.

    Raises:
        SourceError: They are not.
    """
    if not 25 <= len(times) <= _HOURS_MAX:
        raise SourceError("malformed", f"{name}: {len(times)} hours")
    if any(b - a != HOUR for a, b in pairwise(times)):
        raise SourceError("malformed", f"{name}: times are not consecutive hours")


def hour_slots(
    field: str, raw: Any, count: int, conversion: Conversion, *, preceding: bool, what: str, fill: bool = True
) -> Slots:
    """Return the mean of each hour between `count` stamps.

    Args:
        field: Field of the weather message; it knows the possible range.
        raw: The service's column.
        count: How many values it should have.
        conversion: To the message's unit.
        preceding: Values are means of the hour before their stamp, not instants.
        what: Source and column, for people.
        fill: Interpolate small holes.

    Raises:
        SourceError: Not so many numbers, or one out of range.
    """
    if not isinstance(raw, list) or len(raw) != count:
        raise SourceError("malformed", f"{what} is not {count} values long")
    values, filled = [_value(v, conversion, _LIMITS[field], what) for v in raw], 0
    if fill:
        values, filled = _filled(values)
    return (values[1:] if preceding else [_mean(a, b) for a, b in pairwise(values)]), filled


def weather_of(
    columns: Mapping[str, Slots], *, provider: str, start: datetime, run_at: datetime, available_at: datetime
) -> Weather:
    """Put hourly slots from `start` on together to a message; what is unknown throughout is left out.

    Raises:
        SourceError: More than a quarter of a required field is unknown.
    """
    for field in REQUIRED:
        slots, _ = columns[field]
        if sum(v is None for v in slots) > len(slots) // 4:
            raise SourceError("empty", f"{provider}: {field} is mostly null")
    known = {field: slots for field, (slots, _) in columns.items() if any(v is not None for v in slots)}
    return Weather(
        provider=provider,
        run_at=run_at,
        available_at=available_at,
        warnings=tuple(f"{field}: {filled} h interpolated" for field, (_, filled) in columns.items() if filled),
        **{field: Series.of(start, 3600, slots, digits=3) for field, slots in known.items()},
    )


def _value(raw: Any, conversion: Conversion, limits: tuple[float, float], what: str) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not isfinite(raw):
        raise SourceError("malformed", f"{what} = {str(raw)[:40]}")
    value = raw * conversion[0] + conversion[1]
    low, high = limits
    slack = _TOLERANCE * (high - low)
    if not low - slack <= value <= high + slack:
        raise SourceError("impossible_value", f"{what} = {raw}")
    return min(max(value, low), high)


def _filled(values: list[float | None]) -> Slots:
    """Interpolate holes of at most three hours between known values."""
    result, filled = list(values), 0
    known = [i for i, v in enumerate(values) if v is not None]
    for left, right in pairwise(known):
        if 1 < right - left <= _GAP_H_MAX + 1:
            a, b = values[left], values[right]
            for i in range(left + 1, right):
                if a is not None and b is not None:
                    result[i] = a + (b - a) * (i - left) / (right - left)
                    filled += 1
    return result, filled


def _mean(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else 0.5 * (a + b)
