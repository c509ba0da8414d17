"""The time grid: aware UTC instants, half-open 15-minute slots, and local calendar days.

Local time appears only here and where tariffs, comfort schedules, calendars and screens need it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = [
    "SLOT",
    "SLOTS_PER_HOUR",
    "is_weekend",
    "local_day_slots",
    "local_midnight",
    "next_slot_start",
    "parse_instant",
    "require_utc",
    "slot_index",
    "slot_range",
    "slot_start",
]

SLOT = timedelta(minutes=15)
SLOTS_PER_HOUR = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def require_utc(instant: datetime) -> datetime:
    """Return the instant in UTC.

    Raises:
        ValueError: The instant is naive. PEMS never guesses a time zone.
    """
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise ValueError(f"naive datetime {instant.isoformat()}: give it a time zone (PEMS stores aware UTC)")
    return instant.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """Parse an ISO 8601 instant with offset into UTC.

    Raises:
        ValueError: The text is no ISO instant, or has no offset.
    """
    return require_utc(datetime.fromisoformat(text))


def slot_start(instant: datetime, step: timedelta = SLOT) -> datetime:
    """Return the start of the slot `[start, start + step)` that holds the instant."""
    since = require_utc(instant) - _EPOCH
    return _EPOCH + (since // step) * step


def next_slot_start(instant: datetime, step: timedelta = SLOT) -> datetime:
    """Return the first slot boundary at or after the instant."""
    start = slot_start(instant, step)
    return start if start == instant else start + step


def slot_range(start: datetime, count: int, step: timedelta = SLOT) -> list[datetime]:
    """Return `count` consecutive slot starts beginning at `start`."""
    first = require_utc(start)
    return [first + i * step for i in range(count)]


def slot_index(start: datetime, instant: datetime, step: timedelta = SLOT) -> int:
    """Return the index of the slot that holds `instant` in a series beginning at `start` (may be negative)."""
    return (require_utc(instant) - require_utc(start)) // step


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local calendar day, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def local_day_slots(day: date, zone: ZoneInfo, step: timedelta = SLOT) -> list[datetime]:
    """Return the slot starts of one local day: 92, 96 or 100 of them with 15-minute slots in Europe."""
    end = local_midnight(day + timedelta(days=1), zone)

    def walk() -> Iterator[datetime]:
        at = local_midnight(day, zone)
        while at < end:
            yield at
            at += step

    return list(walk())


def is_weekend(instant: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the instant falls on a local Saturday or Sunday."""
    return require_utc(instant).astimezone(zone).weekday() >= 5
