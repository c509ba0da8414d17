"""What a plant really gives, in units of what physics says: one robust ratio, and the days on which it jumped.

Name plates lie, modules age, half a roof goes dark. The ratio is the median over days of measured energy over the one
that physics expected with the forecast weather; days that were told overcast say little and are left out.

Bad weather that nobody forecast halves that ratio as well, for a week even. So jumps are looked for in days put
together from the best that each hour gave, relative to a clear sky, on some days in a row: clouds rarely miss an hour
of the day every time, a dark roof does not shine once.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pems_forecaster.domain.bands import column_quantiles
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.pv_quality import Flags, PvRows

__all__ = ["Capacity", "capacity_of"]

_DAY_S = 86_400
_BRIGHT = 0.4  # share of the clear sky's energy that has to be expected of a day
_COMPLETE = 0.8  # share of that energy that has to come from rows that teach
_RATIO_MIN, _RATIO_MAX = 0.05, 5.0
_TOGETHER_DAYS = 6  # bright days that are put together
_BEFORE, _LEAST_BEFORE = 10, 3  # days put together, each from a day on, that a new one is compared with
_AFTER = 4  # of the new ones, that tell by how much the plant changed
_JUMP = 0.4  # of the logarithm: 0.67 or 1.49 of what it was
_HALF_LIFE_DAYS = 30.0
_DOUBTED_DAYS = 5.0  # what was thought before counts as so many days
_LOW_LIGHT = 0.02  # clear-sky share below which nothing is divided


@dataclass(frozen=True)
class Capacity:
    """What is known of a plant's strength.

    Attributes:
        ratio: Power to be expected now over that of physics with name plate data; the last weeks count most.
        rescale: What a measured row (T,) has to be multiplied by to be as the plant is now; 1 unless it jumped since.
        jump_days: Solar days on which the plant changed.
        days: Bright days seen since the last jump.
    """

    ratio: float
    rescale: Floats
    jump_days: tuple[int, ...]
    days: int


def capacity_of(rows: PvRows, teaching: Flags) -> Capacity:
    """Return what the rows tell, without any: the name plate.

    Args:
        rows: What was measured.
        teaching: Rows to be trusted (T,), from `pv_quality.teaches`.
    """
    rescale = np.ones(len(rows.day))
    day, ratio = _bright_days(rows, teaching)
    if not len(day):
        return Capacity(1.0, rescale, (), 0)
    jumps, factors = _jumps(_put_together(rows, teaching, day))
    now = 1.0
    for (begin, end), factor in zip(pairwise([0, *jumps, len(day)]), [1.0, *factors], strict=True):
        rescale[rows.day < day[begin]] *= factor
        weight = 0.5 ** ((day[end - 1] - day[begin:end]) / _HALF_LIFE_DAYS)
        seen = float(column_quantiles(ratio[begin:end, None], weight, (0.5,))[0, 0])
        now = ((end - begin) * seen + _DOUBTED_DAYS * now * factor) / (end - begin + _DOUBTED_DAYS)
    return Capacity(now, rescale, tuple(int(day[jump]) for jump in jumps), len(day) - max([0, *jumps]))


def _bright_days(rows: PvRows, teaching: Flags) -> tuple[Ints, Floats]:
    """Return the days whose ratio says something, and their ratios."""
    if not len(rows.day):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    day = rows.day - rows.day[0]

    def energy(values: Floats) -> Floats:
        return np.asarray(np.bincount(day, weights=np.where(teaching, values, 0.0)))

    expected, clear = energy(rows.physics), energy(rows.clear)
    possible = np.bincount(day, weights=rows.clear)
    bright = (expected > _BRIGHT * clear) & (clear > _COMPLETE * possible) & (clear > 0.0)
    bright[-1] &= bool(rows.clear[-1] == 0.0)  # the last day has to be over
    ratio = energy(np.nan_to_num(rows.measured))[bright] / expected[bright]
    return np.flatnonzero(bright) + rows.day[0], np.clip(ratio, _RATIO_MIN, _RATIO_MAX)


def _put_together(rows: PvRows, teaching: Flags, day: Ints) -> Floats:
    """Logarithm of the clear-sky index of days put together (D - 5,): from the best of each hour, from each day on."""
    if len(day) < _TOGETHER_DAYS:
        return np.zeros(0)
    place = np.minimum(np.searchsorted(day, rows.day), len(day) - 1)
    used = teaching & (day[place] == rows.day) & (rows.clear > _LOW_LIGHT)
    at = place[used], (rows.start_s[used] % _DAY_S) // rows.step_s
    index, light = np.zeros((2, len(day), _DAY_S // rows.step_s))
    index[at], light[at] = rows.measured[used] / rows.clear[used], rows.clear[used]
    best = sliding_window_view(index, _TOGETHER_DAYS, axis=0).max(axis=2)
    weight = sliding_window_view(light, _TOGETHER_DAYS, axis=0).max(axis=2)
    index = (weight * best).sum(axis=1) / weight.sum(axis=1)
    return np.asarray(np.log(np.clip(index, _RATIO_MIN, _RATIO_MAX)))


def _jumps(together: Floats) -> tuple[list[int], list[float]]:
    """Return the places of the days that begin anew, in order, and the factors by which the plant changed."""
    places: list[int] = []
    factors: list[float] = []
    first = 0
    for place in range(_TOGETHER_DAYS, len(together)):
        before = together[max(first, place - _TOGETHER_DAYS - _BEFORE + 1) : place - _TOGETHER_DAYS + 1]
        change = together[place] - np.median(before) if len(before) >= _LEAST_BEFORE else 0.0
        if abs(change) > _JUMP:
            # The best of some days shows less power when all of them are new, and more power when the last one is.
            first = place if change < 0.0 else place + _TOGETHER_DAYS - 1
            after = together[min(first, len(together) - 1) :][:_AFTER]
            places.append(first)
            factors.append(float(np.exp(np.median(after) - np.median(before))))
    return places, factors
