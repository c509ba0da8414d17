"""The slots that a plan is made for, and the windows of local days that lie in them."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.home.tariff import minutes_of
from pems_common.timegrid import SLOT
from pems_optimizer.domain.problem import Floats

__all__ = ["DayWindow", "Horizon"]

_DAY_SLOTS = 96
_LEAST_DAY_SLOTS = 48
_SPREAD_MIN_CZK_KWH = 0.3  # as the controller's rules: a day of nearly one price has no cheap hours
_CHEAP_SHARE = 0.3


@dataclass(frozen=True)
class DayWindow:
    """The window of one local day in whole slots, `first` to `end` (excluded).

    Attributes:
        day: Local day on which it begins.
        begins_at: Its first instant, which need not be the start of a slot.
        first: Negative where it has begun before the horizon.
        end: May lie beyond the horizon.
    """

    day: date
    begins_at: datetime
    first: int
    end: int


@dataclass(frozen=True)
class Horizon:
    """Consecutive 15-min slots.

    Attributes:
        start: Start of the first slot, UTC.
        slots: Number of slots.
        frozen: First slots that the new plan comes too late for.
        zone: Local time.
    """

    start: datetime
    slots: int
    frozen: int
    zone: ZoneInfo

    @property
    def dt_h(self) -> float:
        """Length of a slot [h]."""
        return SLOT.total_seconds() / 3600.0

    def at(self, slot: int) -> datetime:
        """Start of a slot."""
        return self.start + slot * SLOT

    def slots_until(self, until: datetime) -> int:
        """Return how many slots begin before `until`."""
        return min(self.slots, max(0, -((self.start - until) // SLOT)))

    @cached_property
    def local(self) -> list[datetime]:
        """Local start of each slot."""
        return [self.at(t).astimezone(self.zone) for t in range(self.slots)]

    def same_time_before(self, slot: int) -> int:
        """Return the slot of the same local time on the day before; negative where that is before the horizon."""
        before = (self.local[slot] - timedelta(days=1)).replace(fold=self.local[slot].fold)
        return int((before - self.start) // SLOT)

    def day_windows(self, earliest: str, ready_by: str) -> list[DayWindow]:
        """Return the daily windows that end after the first slot and begin before the last, in order.

        Args:
            earliest: Local time at which each begins, HH:MM.
            ready_by: Local time at which it ends; not after `earliest` it is that of the next day.
        """
        overnight = minutes_of(ready_by) <= minutes_of(earliest)
        first_day, last_day = self.start.astimezone(self.zone).date(), self.at(self.slots).astimezone(self.zone).date()
        found, day = [], first_day - timedelta(days=1)
        while day <= last_day:
            begins = self._instant(day, earliest)
            ends = self._instant(day + timedelta(days=1) if overnight else day, ready_by)
            first, end = -((self.start - begins) // SLOT), (ends - self.start) // SLOT
            if end > max(0, first) and first < self.slots:
                found.append(DayWindow(day, begins, first, end))
            day += timedelta(days=1)
        return found

    def _instant(self, day: date, hh_mm: str) -> datetime:
        minutes = minutes_of(hh_mm)
        at = datetime.combine(day + timedelta(days=minutes // 1440), time(), tzinfo=self.zone)
        return at.replace(hour=minutes // 60 % 24, minute=minutes % 60)

    def cheap_slots(self, buy_czk_kwh: Floats) -> NDArray[np.bool_]:
        """Tell the slots under the 30 % quantile of their local day; none on a day of nearly one price.

        Where more than half of a day has one low price (a tariff with two prices), only what is below it is cheap. Of a
        day of which the horizon has less than half, the nearest 24 h are looked at instead.
        """
        days = np.array([at.toordinal() for at in self.local])
        cheap = np.zeros(self.slots, dtype=np.bool_)
        for day in np.unique(days):
            members = np.flatnonzero(days == day)
            compared = members
            if len(members) < _LEAST_DAY_SLOTS:
                first = min(members[0], max(0, self.slots - _DAY_SLOTS))
                compared = np.arange(first, min(first + _DAY_SLOTS, self.slots))
            prices = buy_czk_kwh[compared]
            if prices.max() - prices.min() < _SPREAD_MIN_CZK_KWH:
                continue
            limit = np.quantile(prices, _CHEAP_SHARE)
            below = buy_czk_kwh[members] <= limit
            if np.mean(prices <= limit) > 0.5:
                below = buy_czk_kwh[members] < limit
            cheap[members] = below
        return cheap
