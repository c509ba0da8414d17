"""Which measured PV rows may teach: rows that cannot be what the sun gave are named, each with its reasons.

Everything is judged from the rows that are handed over, so a caller that hands over the past only learns nothing of
the future. A fault that has just begun needs a few hours of rows before it can be told from weather.
"""

from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import Floats, Ints

__all__ = ["Doubt", "PvRows", "doubts", "teaches"]

Flags = NDArray[np.bool_]

_LIGHT = 0.05  # share of the capacity under a clear sky from which it counts as day
_NIGHT_MOST = 0.02  # inverters and meters show a little at night
_ABOVE_LIMIT = 1.1
_ABOVE_CLEAR, _ABOVE_CLEAR_SHARE = 2.0, 0.1  # name plates lie: only what is far beyond the clear sky is impossible
_SAME = 1e-6
_STUCK_H = 4.0
_CEILING_H = 3.0
_CEILING_TOLERANCE = 0.005
_CEILING_SPREAD = 0.15  # the clear sky has to have varied by this share while the power did not
_CEILING_REACH_DAYS = 3
_OWN_TOP = 0.97  # of the most that the plant ever gave: its inverter's limit, which is no fault
_DAY_S = 86_400


class Doubt(IntFlag):
    """Why a row may not teach; several may hold."""

    UNKNOWN = 1
    """Nothing was measured."""
    STUCK = 2
    """The same value for hours by day."""
    NIGHT = 4
    """Power without sun."""
    IMPOSSIBLE = 8
    """Negative, above the inverter's limit, or far above a clear sky."""
    LIMITED = 16
    """The plant was told to hold back."""
    CEILING = 32
    """Power stood at the same top while the sun moved: held back by something that did not say so."""
    SNOW = 64
    """A day on which snow lay on the plant: when it slides off is known to within hours only."""


@dataclass(frozen=True)
class PvRows:
    """What a plant gave and what was expected, one row per step in the order of time; powers in shares of its AC limit.

    Attributes:
        start_s: Start of each step [s since 1970, UTC] (T,).
        step_s: Length of a step.
        day: Number of the solar day that holds each step (T,), from `solar_day`.
        measured: Mean power (T,), NaN where unknown.
        physics: What the physical chain said with the weather forecast (T,).
        clear: Under a clear sky (T,), 0 at night.
        limited: Steps in which the plant was told to hold back (T,).
        snow: Steps in which snow lay on the plant (T,); none where left out.
    """

    start_s: Ints
    step_s: int
    day: Ints
    measured: Floats
    physics: Floats
    clear: Floats
    limited: Flags
    snow: Flags = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        """Fill in what was left out."""
        if not len(self.snow):
            object.__setattr__(self, "snow", np.zeros(len(self.start_s), dtype=np.bool_))

    @staticmethod
    def solar_day(start_s: Ints, step_s: int, longitude: float) -> Ints:
        """Return the number of the day, from midnight to midnight of the sun, that holds the middle of each step."""
        return np.asarray(np.floor((start_s + step_s / 2 + longitude * 240.0) / _DAY_S), dtype=np.int64)

    def known_at(self, instant_s: int) -> "PvRows":
        """Return the steps that had ended."""
        n = int(np.searchsorted(self.start_s + self.step_s, instant_s, side="right"))
        return PvRows(
            self.start_s[:n], self.step_s, self.day[:n], self.measured[:n],
            self.physics[:n], self.clear[:n], self.limited[:n], self.snow[:n],
        )  # fmt: skip


def doubts(rows: PvRows) -> Ints:
    """Return the sum of the `Doubt`s of each row (T,); 0 where there is none."""
    found = {
        Doubt.UNKNOWN: ~np.isfinite(rows.measured),
        Doubt.STUCK: _stuck(rows),
        Doubt.NIGHT: (rows.clear == 0.0) & (np.nan_to_num(rows.measured) > _NIGHT_MOST),
        Doubt.IMPOSSIBLE: _impossible(rows),
        Doubt.LIMITED: rows.limited & (rows.clear > 0.0),
        Doubt.CEILING: _ceiling(rows),
        Doubt.SNOW: _snow(rows),
    }
    return np.asarray(sum(int(doubt) * flags for doubt, flags in found.items()), dtype=np.int64)


def teaches(rows: PvRows, found: Ints) -> Flags:
    """Return which rows may teach (T,): those without doubt, of a day only those before the first one held back.

    What is left of a day after that are its cloudy hours: they would teach that the plant gives little. What came
    before was not chosen by the power that followed.
    """
    if not len(found):
        return np.zeros(0, dtype=np.bool_)
    day = rows.day - rows.day[0]
    held = (found & (Doubt.LIMITED | Doubt.CEILING)) > 0
    first = np.full(int(day[-1]) + 1, len(found))
    np.minimum.at(first, day[held], np.flatnonzero(held))
    return np.asarray((found == 0) & (np.arange(len(found)) < first[day]))


def _stuck(rows: PvRows) -> Flags:
    """Runs of one value that hold `_STUCK_H` hours of daylight or more, other than at the plant's own limit by day."""
    if not len(rows.measured):
        return np.zeros(0, dtype=np.bool_)
    same = np.abs(np.diff(rows.measured, prepend=np.nan)) <= _SAME
    run = np.cumsum(~same) - 1
    light_h = np.bincount(run, weights=rows.clear > _LIGHT) * rows.step_s / 3600.0
    odd = np.bincount(run, weights=(rows.clear == 0.0) | (rows.measured < _own_top(rows))) > 0
    return np.asarray(((light_h >= _STUCK_H) & odd)[run])


def _ceiling(rows: PvRows) -> Flags:
    """Rows at a top that stays while the clear sky changes, on the days that show it and on their neighbours."""
    if not len(rows.measured):
        return np.zeros(0, dtype=np.bool_)
    day = rows.day - rows.day[0]
    value = np.nan_to_num(rows.measured)
    top = np.zeros(int(day[-1]) + 1)
    np.maximum.at(top, day, value)
    at_top = (value >= top[day] - _CEILING_TOLERANCE) & (rows.clear > _LIGHT)
    hours = np.bincount(day, weights=at_top) * rows.step_s / 3600.0
    lowest, highest = np.full(len(top), np.inf), np.zeros(len(top))
    np.minimum.at(lowest, day[at_top], rows.clear[at_top])
    np.maximum.at(highest, day[at_top], rows.clear[at_top])
    shows = (hours >= _CEILING_H) & (highest > lowest * (1.0 + _CEILING_SPREAD)) & (top > _LIGHT)
    shows &= top < _own_top(rows)
    result = np.zeros(len(value), dtype=np.bool_)
    for away in range(-_CEILING_REACH_DAYS, _CEILING_REACH_DAYS + 1):
        other = day + away
        inside = (other >= 0) & (other < len(top))
        other = np.where(inside, other, 0)
        result |= inside & shows[other] & (np.abs(value - top[other]) <= _CEILING_TOLERANCE)
    return result


def _snow(rows: PvRows) -> Flags:
    """Return the rows of the days on which snow lay."""
    return np.asarray(np.isin(rows.day, rows.day[rows.snow]))


def _own_top(rows: PvRows) -> float:
    """Nearly the most that the plant ever gave."""
    return _OWN_TOP * float(np.nanmax(np.where(_impossible(rows), 0.0, rows.measured), initial=0.0))


def _impossible(rows: PvRows) -> Flags:
    value = np.nan_to_num(rows.measured)
    beyond_clear = (rows.clear > 0.0) & (value > _ABOVE_CLEAR * rows.clear + _ABOVE_CLEAR_SHARE)
    return (value < -_NIGHT_MOST) | (value > _ABOVE_LIMIT) | beyond_clear
