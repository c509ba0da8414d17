"""Spot prices laid out by local day, one row a day, and the weeks that lie before a day."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints, LocalCalendar

__all__ = ["HOURS", "QUARTERS", "WEEK", "WINDOW_DAYS", "PriceDays", "window"]

HOURS, QUARTERS, WEEK = 24, 4, 7
WINDOW_DAYS = 28
_CARRIED_DAYS = 7
_SUNDAY = 6


@dataclass(frozen=True)
class PriceDays:
    """Days in order, without a day left out.

    Attributes:
        first_day: Ordinal of the first local day.
        price: Of each local slot of day (D, 96), NaN where not known; in autumn the mean of the repeated hour's two.
        rest: Whether it is a Saturday, Sunday or holiday (D + 1,): also of the day after the last.
        weekday: 0 Monday to 6 Sunday (D,); a holiday counts as a Sunday.
        season: Two harmonics of the day in the year (D, 4), which also tell how long the sun shines.
        extras: Anything else told per slot before its day began, as hour means (D, 24), by name.
        hour_price: Means of the known quarters of each hour (D, 24).
        carried: The same; where unknown, that of the newest day before, a week old at most.
    """

    first_day: int
    price: Floats
    rest: NDArray[np.bool_]
    weekday: Ints
    season: Floats
    extras: Mapping[str, Floats]
    hour_price: Floats = field(init=False)
    carried: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Take hour means, and carry them over holes."""
        object.__setattr__(self, "hour_price", _hour_means(self.price))
        object.__setattr__(self, "carried", _carry(self.hour_price))

    @classmethod
    def of(
        cls, first_slot: int, spot: Floats, calendar: LocalCalendar, extras: Mapping[str, Floats] | None = None
    ) -> Self:
        """Lay consecutive slots out.

        Args:
            first_slot: Number of the first slot.
            spot: Its price and those after it (N,), NaN where unknown or not released; in any unit.
            calendar: Of the market.
            extras: Other columns (N,): forecasts that were known before the day of their slots began.

        Raises:
            ValueError: There is no slot.
        """
        if not len(spot):
            raise ValueError("there is no slot to lay out")
        days, of_day, _ = calendar.places(np.arange(first_slot, first_slot + len(spot)))
        first, count = int(days[0]), int(days[-1] - days[0]) + 1
        cell = (days - first) * SLOTS_PER_DAY + of_day
        dates = [date.fromordinal(first + k) for k in range(count + 1)]
        rest = np.array([calendar.is_rest_day(day) for day in dates], dtype=np.bool_)
        weekday = np.array([day.weekday() for day in dates[:-1]], dtype=np.int64)
        angle = 2.0 * np.pi * np.array([day.timetuple().tm_yday for day in dates[:-1]]) / 365.25
        return cls(
            first_day=first,
            price=_table(cell, spot, count),
            rest=rest,
            weekday=np.where(rest[:-1] & (weekday < _SUNDAY - 1), _SUNDAY, weekday),
            season=np.stack([np.cos(angle), np.sin(angle), np.cos(2.0 * angle), np.sin(2.0 * angle)], axis=1),
            extras={name: _hour_means(_table(cell, column, count)) for name, column in (extras or {}).items()},
        )

    def __len__(self) -> int:
        """Days."""
        return len(self.price)

    @property
    def known_days(self) -> int:
        """Days that are known from their first hour to their last."""
        return int(np.isfinite(self.hour_price).all(axis=1).sum())

    def before(self, row: Ints, back: int) -> Floats:
        """Hour prices, carried, of the days `back` before each row (M, 24); NaN before the first day."""
        return np.where((row >= back)[:, None], self.carried[np.maximum(row - back, 0)], np.nan)

    def until(self, count: int) -> Self:
        """Return the first days only."""
        return replace(
            self,
            price=self.price[:count],
            rest=self.rest[: count + 1],
            weekday=self.weekday[:count],
            season=self.season[:count],
            extras={name: column[:count] for name, column in self.extras.items()},
        )

    def same_kind(self, table: Floats, base: Ints, target: Ints) -> Floats:
        """Mean of those of the last weeks' days that are, as each target is, workdays or not (M, columns).

        Args:
            table: What to take the mean of, one row per day (D, columns).
            base: Row of the last day of the weeks (M,).
            target: Row of the day whose kind it is (M,).
        """
        alike = window(self.rest[: len(self), None].astype(np.float64), base)[:, 0] == self.rest[target][:, None]
        return _mean(np.where(alike[:, None, :], window(table, base), np.nan))


def window(table: Floats, base: Ints) -> Floats:
    """Rows of the weeks that end with each base day (M, columns, 28), oldest first; NaN before the first day."""
    padded = np.vstack([np.full((WINDOW_DAYS - 1, table.shape[1]), np.nan), table])
    return np.asarray(sliding_window_view(padded, WINDOW_DAYS, axis=0)[base])


def _mean(values: Floats) -> Floats:
    """Mean of what is known along the last axis; NaN where nothing is."""
    count = np.isfinite(values).sum(axis=-1)
    return np.where(count > 0, np.nansum(values, axis=-1) / np.maximum(count, 1), np.nan)


def _hour_means(quarters: Floats) -> Floats:
    return _mean(quarters.reshape(len(quarters), HOURS, QUARTERS))


def _table(cell: Ints, values: Floats, days: int) -> Floats:
    """Mean of the known values of each cell (days, 96); NaN where there is none."""
    known = np.isfinite(values)
    count = np.bincount(cell[known], minlength=days * SLOTS_PER_DAY)
    total = np.bincount(cell[known], weights=values[known], minlength=days * SLOTS_PER_DAY)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(days, SLOTS_PER_DAY)


def _carry(hours: Floats) -> Floats:
    row = np.arange(len(hours))[:, None]
    newest = np.maximum.accumulate(np.where(np.isfinite(hours), row, -1), axis=0)
    taken = np.take_along_axis(hours, np.maximum(newest, 0), axis=0)
    return np.where((newest >= 0) & (row - newest <= _CARRIED_DAYS), taken, np.nan)
