"""A house's load as it was measured, in regular steps, and the same as a table of local days.

Away days (nobody at home) are found here: what they say is neither typical nor to be learnt from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import SLOT_S, Floats, Ints, LocalCalendar

__all__ = ["DAY_S", "STEPS_S", "DayTable", "Flags", "LoadSeries", "day_table"]

DAY_S = 86_400
STEPS_S = (900, 1800, 3600)
_AWAY_MEAN, _AWAY_PEAK = 0.45, 0.5  # of the median of the last normal days: less of both is an away day
_NORMAL_DAYS, _LEAST_NORMAL_DAYS, _LOOK_BACK_DAYS = 14, 7, 42
_MEASURED = 0.7  # share of a day that has to be known before it is judged
_PEAK_LEVEL = 0.98

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LoadSeries:
    """Load without what PEMS controls.

    Attributes:
        first_s: Start of the first step [s since 1970, UTC], a multiple of the step.
        step_s: Length of a step: 900, 1800 or 3600 s.
        power_w: Mean power of each step (T,), NaN where unknown.
        calendar: Of the site.
    """

    first_s: int
    step_s: int
    power_w: Floats
    calendar: LocalCalendar

    def __post_init__(self) -> None:
        """Check the steps.

        Raises:
            ValueError: They have another length, or do not begin at a multiple of it.
        """
        if self.step_s not in STEPS_S:
            raise ValueError(f"a step of {self.step_s} s: it has to be one of {STEPS_S}")
        if self.first_s % self.step_s:
            raise ValueError(f"the first step begins at {self.first_s} s, no multiple of {self.step_s} s")

    @property
    def per_day(self) -> int:
        """Steps of a usual day."""
        return DAY_S // self.step_s

    @property
    def until_s(self) -> int:
        """End of the last step."""
        return self.first_s + len(self.power_w) * self.step_s

    def ended_by(self, instant_s: int) -> int:
        """Steps of this grid that had ended by an instant, also beyond what is measured."""
        return (instant_s - self.first_s) // self.step_s

    def issues(self, *, after_days: int = 28, hours: tuple[int, ...] = (0,)) -> Ints:
        """Starts of the steps with which these local hours begin [s], once some days have been measured."""
        steps = np.arange(after_days * self.per_day, len(self.power_w) + 1)
        _, of_day, _ = self.calendar.places((self.first_s + steps * self.step_s) // SLOT_S)
        return np.asarray(self.first_s + steps[np.isin(of_day, 4 * np.array(hours))] * self.step_s)


@dataclass(frozen=True)
class DayTable:
    """A series by local day and time of day; in autumn the second of the doubled hours counts.

    Attributes:
        first_day: Ordinal of the first row's day.
        day: Row of each step (T,), also of steps to come.
        of_day: Column of each step (T,).
        step: Number of the step in each cell (D, S), -1 where the clock left it out.
        power_w: Its power (D, S), NaN where unknown.
        rest: Whether a day is a weekend's or a holiday (D,).
        weekday: 0 is Monday (D,).
        away: Whether nobody seems to have been at home (D,): judged by this day and those before.
        away_peak_w: Power below which a day's peak has to stay for that (D,), NaN where there is no verdict.
    """

    first_day: int
    day: Ints
    of_day: Ints
    step: Ints
    power_w: Floats
    rest: Flags
    weekday: Ints
    away: Flags
    away_peak_w: Floats


def day_table(series: LoadSeries, steps: int) -> DayTable:
    """Lay out a series by days, up to a number of steps, which may reach beyond what is measured."""
    starts_s = series.first_s + np.arange(steps) * series.step_s
    ordinal, of_day, rest = series.calendar.places(starts_s // SLOT_S)
    of_day = of_day * SLOT_S // series.step_s
    day = ordinal - ordinal[0]
    count = int(day[-1]) + 1
    step = np.full((count, series.per_day), -1, dtype=np.int64)
    step[day, of_day] = np.arange(steps)
    measured = np.full(steps, np.nan)
    measured[: len(series.power_w)] = series.power_w[:steps]
    power_w = np.where(step >= 0, measured[step], np.nan)
    rests = np.zeros(count, dtype=np.bool_)
    rests[day] = rest
    weekday = (ordinal[0] + np.arange(count) - 1) % 7  # day 1 was a Monday
    away, away_peak_w = _away_days(power_w)
    return DayTable(int(ordinal[0]), day, of_day, step, power_w, rests, weekday, away, away_peak_w)


def _away_days(power_w: Floats) -> tuple[Flags, Floats]:
    """Days whose mean and peak both stay far below those of the last normal days, and the limit of the peak.

    A lasting change of habits ends by itself: after some weeks no normal day is left to compare with.
    """
    judged = np.isfinite(power_w).mean(axis=1) >= _MEASURED
    mean_w, peak_w = np.full(len(power_w), np.nan), np.full(len(power_w), np.nan)
    mean_w[judged] = np.nanmean(power_w[judged], axis=1)
    peak_w[judged] = np.nanquantile(power_w[judged], _PEAK_LEVEL, axis=1)
    away, limit_w = np.zeros(len(power_w), dtype=np.bool_), np.full(len(power_w), np.nan)
    for day in range(len(power_w)):
        before = slice(max(0, day - _LOOK_BACK_DAYS), day)
        normal = np.flatnonzero(judged[before] & ~away[before])[-_NORMAL_DAYS:] + before.start
        if len(normal) < _LEAST_NORMAL_DAYS:
            continue
        limit_w[day] = _AWAY_PEAK * np.median(peak_w[normal])
        away[day] = mean_w[day] < _AWAY_MEAN * np.median(mean_w[normal]) and peak_w[day] < limit_w[day]
    return away, limit_w
