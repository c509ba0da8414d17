"""The highest quarter of an hour of import in this local month, from readings of the grid power as they come.

A slot counts only when it was watched as a whole: a mean of half a slot could be far above the truth.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from pems_common.timegrid import SLOT, parse_instant, require_utc, slot_start

__all__ = ["MonthPeak"]

_LONGEST_HOLD = timedelta(minutes=5)  # a reading stands for no longer than this
_WATCHED_SHARE = 0.95
_STEP_BACK = timedelta(hours=1)  # of the clock: readings begin anew
_ABSURD = 1e12


def _month_of(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).strftime("%Y-%m")


@dataclass(frozen=True)
class MonthPeak:
    """What is known of this month's peak; `seen` gives the next state.

    Attributes:
        month: Local month `YYYY-MM` that `peak_w` belongs to, empty before the first whole slot.
        peak_w: Highest mean import of a whole slot in it [W].
        slot: Start of the slot being watched.
        watched_s: Seconds of it that readings stand for.
        import_ws: Import in them [Ws].
        last_at: Instant of the last reading.
        last_w: Import it told [W], None where it told none.
    """

    month: str = ""
    peak_w: float = 0.0
    slot: datetime | None = None
    watched_s: float = 0.0
    import_ws: float = 0.0
    last_at: datetime | None = None
    last_w: float | None = None

    def so_far_w(self, now: datetime, zone: ZoneInfo) -> float:
        """Return the peak of the local month that holds `now` [W], 0 where nothing is known of it."""
        return self.peak_w if self.month == _month_of(require_utc(now), zone) else 0.0

    def seen(self, at: datetime, grid_w: float | None, zone: ZoneInfo) -> Self:
        """Take in a reading.

        Args:
            at: When it was read; older ones than the last are ignored.
            grid_w: Grid power, + = import [W]; None where it is unknown: then the time since the last is a gap.
            zone: Local time of the months.
        """
        at = require_utc(at)
        if self.last_at is not None and self.last_at - _STEP_BACK < at <= self.last_at:
            return self
        state = self
        if state.last_at is None or at < state.last_at:
            state = replace(state, slot=slot_start(at), watched_s=0.0, import_ws=0.0)
        else:
            state = state._held_until(min(at, state.last_at + _LONGEST_HOLD), zone)
            state = state._moved_to(slot_start(at), zone)
        return replace(state, last_at=at, last_w=None if grid_w is None else max(0.0, grid_w))

    def _held_until(self, until: datetime, zone: ZoneInfo) -> Self:
        """Let the last reading stand until an instant, over the ends of slots."""
        state, begin, slot, power_w = self, self.last_at, self.slot, self.last_w
        if begin is None or slot is None or power_w is None:
            return state
        while begin < until:
            end = min(until, slot + SLOT)
            seconds = (end - begin).total_seconds()
            state = replace(state, watched_s=state.watched_s + seconds, import_ws=state.import_ws + seconds * power_w)
            if end == slot + SLOT:
                slot = end
                state = state._moved_to(slot, zone)
            begin = end
        return state

    def _moved_to(self, slot: datetime, zone: ZoneInfo) -> Self:
        """Close the slot being watched and begin another one."""
        if self.slot is None or slot == self.slot:
            return replace(self, slot=slot)
        state = self
        if self.watched_s >= _WATCHED_SHARE * SLOT.total_seconds():
            month, mean = _month_of(self.slot, zone), self.import_ws / self.watched_s
            peak = max(self.peak_w, mean) if month == self.month else mean
            state = replace(state, month=month, peak_w=peak)
        return replace(state, slot=slot, watched_s=0.0, import_ws=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "month": self.month,
            "peak_w": round(self.peak_w, 1),
            "slot": None if self.slot is None else self.slot.isoformat(),
            "watched_s": self.watched_s,
            "import_ws": self.import_ws,
            "last_at": None if self.last_at is None else self.last_at.isoformat(),
            "last_w": self.last_w,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else: begin anew with `MonthPeak()`.
        """
        try:
            watched_s, import_ws, peak_w = (float(data[name]) for name in ("watched_s", "import_ws", "peak_w"))
            last_w = None if data["last_w"] is None else float(data["last_w"])
            slot, last_at = (None if data[name] is None else parse_instant(data[name]) for name in ("slot", "last_at"))
            month = str(data["month"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no record of a month's peak: {error}") from error
        if not all(0.0 <= number < _ABSURD for number in (watched_s, import_ws, peak_w, last_w or 0.0)):
            raise ValueError(f"no record of a month's peak: {data}")
        return cls(month, peak_w, slot, watched_s, import_ws, last_at, last_w)
