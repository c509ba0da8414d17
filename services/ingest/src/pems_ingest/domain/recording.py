"""What of the readings is kept: each change, and an unchanged value again after its heartbeat.

Together with the time-weighted slot means (`slot_means.py`) this loses nothing and stores little.
"""

from datetime import datetime, timedelta

from pems_common.history import Point
from pems_ingest.domain.fields import kind_of

__all__ = ["Recorder"]

_MS = timedelta(milliseconds=1)
_DEFAULT_HEARTBEAT_S = 240.0


class Recorder:
    """Turns readings into points; two readings of a series never share a millisecond."""

    def __init__(self) -> None:
        """Start with nothing stored."""
        self._last: dict[str, tuple[datetime, float]] = {}

    def point(self, series: str, at: datetime, value: float) -> Point | None:
        """Return the point to store, None where the last stored one still tells the same."""
        last = self._last.get(series)
        if last is not None:
            kind = kind_of(series)
            heartbeat_s = kind.heartbeat_s if kind else _DEFAULT_HEARTBEAT_S
            if value == last[1] and (at - last[0]).total_seconds() < heartbeat_s:
                return None
            at = max(at, last[0] + _MS)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        self._last[series] = (at, value)
        return Point(series, at, value)
