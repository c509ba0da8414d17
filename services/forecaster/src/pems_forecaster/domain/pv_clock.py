"""Whether the clock of the measurements is right: they are laid over what physics says, earlier and later.

The shift of a day is where the sum of products of measured and expected power over the days around it is largest
(cross-correlation). A roof that looks elsewhere than the configuration says shifts every day alike; a clock that was
changed shifts the days after it. So days are compared with the usual shift of the plant.
"""

from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.pv_quality import Flags, PvRows

__all__ = ["Clock", "clock_of"]

_MOST_H = 3
_AROUND_DAYS = 4
_WRONG_H = 0.5
_WHOLE = 0.95  # share of the clear sky's energy that has to come from trusted rows
_LEAST_ENERGY_H = 1.0  # hours at full power that the days around have to have given


@dataclass(frozen=True)
class Clock:
    """What is known of the clock.

    Attributes:
        usual_h: Shift of the plant on most days, hours; positive where measurements come later than physics. Beyond
            half an hour: the azimuth of a roof is wrong, or the clock always was.
        now_h: Shift of the last days.
        wrong: Rows (T,) whose days are shifted against the usual.
    """

    usual_h: float
    now_h: float
    wrong: Flags

    @property
    def off_h(self) -> float:
        """By how much the clock is off now; 0 while it is as usual."""
        off = self.now_h - self.usual_h
        return off if abs(off) > _WRONG_H else 0.0


def clock_of(rows: PvRows, trusted: Flags) -> Clock:
    """Return what the rows tell; all is right where they are few.

    Args:
        rows: What was measured.
        trusted: Rows to look at (T,); with those that are in doubt for their hour only.
    """
    if not len(rows.day):
        return Clock(0.0, 0.0, np.zeros(0, dtype=np.bool_))
    shift = _shifts(rows, trusted)
    known = np.isfinite(shift)
    if not known.any():
        return Clock(0.0, 0.0, np.zeros(len(rows.day), dtype=np.bool_))
    usual, now = float(np.median(shift[known])), float(shift[known][-1])
    wrong = np.abs(shift - usual) > _WRONG_H  # unknown days are not wrong
    return Clock(usual, now, np.asarray(wrong[rows.day - rows.day[0]]))


def _shifts(rows: PvRows, trusted: Flags) -> Floats:
    """Shift of each day [h], NaN where little was measured."""
    per_h = max(1, round(3600 / rows.step_s))
    steps = np.arange(-_MOST_H * per_h, _MOST_H * per_h + 1)
    day = rows.day - rows.day[0]
    # What is left of a day that lacks its noon or its evening would look shifted: such days count nothing.
    light, seen = (np.bincount(day, weights=np.where(flags, rows.clear, 0.0)) for flags in (True, trusted))
    whole = (seen >= _WHOLE * light)[day]
    measured = np.where(trusted & whole, np.clip(np.nan_to_num(rows.measured), 0.0, 1.0), 0.0)
    products = np.stack([np.bincount(day, weights=rows.physics * _later(rows, measured, int(k))) for k in steps])
    window = np.ones(2 * _AROUND_DAYS + 1)
    products = np.stack([np.convolve(row, window)[_AROUND_DAYS : _AROUND_DAYS + len(row)] for row in products])
    best = np.clip(np.argmax(products, axis=0), 1, len(steps) - 2)
    left, middle, right = (products[best + k, np.arange(products.shape[1])] for k in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    vertex = np.where(bend < 0.0, 0.5 * (left - right) / np.where(bend < 0.0, bend, -1.0), 0.0)
    shift = (steps[best] + np.clip(vertex, -1.0, 1.0)) / per_h
    return np.where(middle * rows.step_s / 3600.0 > _LEAST_ENERGY_H, shift, np.nan)


def _later(rows: PvRows, values: Floats, steps: int) -> Floats:
    """Values so many steps later, 0 where there is no such row."""
    wanted = rows.start_s + steps * rows.step_s
    place: Ints = np.minimum(np.searchsorted(rows.start_s, wanted), len(wanted) - 1)
    return np.where(rows.start_s[place] == wanted, values[place], 0.0)
