"""The forecaster's grid: 15-min slots counted from the epoch, and their place in the local calendar.

A slot is an int, `slot_no = unix seconds // 900`, so that histories are plain dictionaries and arrays. Local
slot of day is taken from the clock on the wall: the repeated hour in autumn gets the same numbers twice, the
missing one in spring is never asked for, so days of 92, 96 and 100 slots need no special case.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.timegrid import require_utc

__all__ = ["SLOTS_PER_DAY", "SLOT_S", "Floats", "Grid", "Ints", "LocalCalendar", "slot_at", "slot_no"]

SLOT_S = 900
SLOTS_PER_DAY = 96

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def slot_no(instant: datetime) -> int:
    """Return the number of the slot that holds an instant."""
    return int(require_utc(instant).timestamp()) // SLOT_S


def slot_at(number: int) -> datetime:
    """Return the start of a slot, aware UTC."""
    return datetime.fromtimestamp(number * SLOT_S, UTC)


@dataclass(frozen=True)
class Grid:
    """Consecutive slots beginning with the one that holds the issue time.

    Attributes:
        issued_at: When the forecast is made; nothing known later may be used.
        count: Number of slots.
    """

    issued_at: datetime
    count: int

    @property
    def first(self) -> int:
        """Number of the first slot: the one that holds `issued_at`."""
        return slot_no(self.issued_at)

    @property
    def start(self) -> datetime:
        """Start of the first slot."""
        return slot_at(self.first)

    @property
    def slots(self) -> Ints:
        """Slot numbers."""
        return np.arange(self.first, self.first + self.count, dtype=np.int64)

    @property
    def lead_h(self) -> Floats:
        """Hours from the issue time to the middle of each slot, never negative."""
        middle_s = (self.slots + 0.5) * SLOT_S
        lead: Floats = np.maximum((middle_s - self.issued_at.timestamp()) / 3600.0, 0.0)
        return lead


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> frozenset[date]:
    """Public holidays of a country; none where the package does not know it. Imported when first asked."""
    import holidays

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except (NotImplementedError, KeyError):
        return frozenset()


@dataclass(frozen=True)
class LocalCalendar:
    """Local day, slot of day and kind of day of slots, remembered once computed.

    Attributes:
        zone: Time zone of the site.
        country: ISO code for the public holidays.
    """

    zone: ZoneInfo
    country: str
    _known: dict[int, tuple[int, int, bool]] = field(default_factory=dict, repr=False, compare=False)

    def place(self, number: int) -> tuple[int, int, bool]:
        """Return (day ordinal, slot of day 0..95, rest day) of a slot."""
        found = self._known.get(number)
        if found is None:
            local = slot_at(number).astimezone(self.zone)
            found = (
                local.toordinal(),
                (local.hour * 60 + local.minute) // 15,
                self.is_rest_day(local.date()),
            )
            if len(self._known) > 20_000:
                self._known.clear()
            self._known[number] = found
        return found

    def places(self, slots: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Return day ordinals, slots of day and rest-day flags of many slots."""
        rows = [self.place(int(n)) for n in slots]
        days = np.array([r[0] for r in rows], dtype=np.int64)
        of_day = np.array([r[1] for r in rows], dtype=np.int64)
        return days, of_day, np.array([r[2] for r in rows], dtype=np.bool_)

    def is_rest_day(self, day: date) -> bool:
        """Tell whether a local day is a Saturday, Sunday or public holiday."""
        return day.weekday() >= 5 or day in _holidays(self.country, day.year)

    def hour(self, number: int) -> int:
        """Local hour of a slot, 0..23."""
        return self.place(number)[1] // 4
