"""What is known of a house's load when a forecast is issued: similar days, lags, levels and the calendar.

Similar days are those of the last eight weeks, weighted: recent ones count more, those of the same kind (working day,
or weekend and holiday) and of the same weekday more again. Their weighted mean and quantiles are a forecast of their
own, and what trees start from. Away days are no similar days; while nobody is at home they are mixed in with the chance
that it stays so, and normal days with the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from pems_forecaster.domain.bands import column_quantiles
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.load_series import DayTable, Flags, LoadSeries, day_table

__all__ = ["LEVELS", "LoadRows", "load_rows"]

LEVELS = (0.1, 0.5, 0.9)
_WINDOW_DAYS, _MONTH_DAYS = 56, 28
_HALF_LIFE_DAYS, _OTHER_KIND, _SAME_WEEKDAY, _NEIGHBOUR = 10.0, 0.5, 1.0, 0.3
_LEVEL_HALF_LIFE_DAYS = 4.0
_STAY_AWAY = (0.45, 0.55, 0.88)  # how often a first, second or later away day in a row is followed by another
_LEAST_W = 50.0
_SMOOTH_S, _HOUR_S = 1800, 3600
_AGE_DAYS = np.arange(1.0, _WINDOW_DAYS + 1.0)


@dataclass(frozen=True)
class LoadRows:
    """Pairs of an issue and a step, issue by issue in time order.

    Attributes:
        issued_s: When the forecast is issued (N,).
        start_s: Start of the step (N,).
        lead_day: Local days from the issue's to the step's (N,).
        features: What trees see (N,), by name; powers are in units of `scale_w`.
        scale_w: Recent mean load, never next to nothing (N,).
        usual_w: Mean of similar days (N,), NaN where nothing is known.
        usual_quantiles_w: Their P10, P50 and P90 (N, 3).
        month_quantiles_w: Of all of the last 28 days at this time of day (N, 3), away or not, for comparison.
        yesterday_w: Load on the last known day at this time (N,).
        last_week_w: Load on the last known day of this weekday (N,).
        away: Whether nobody seemed to be at home at the issue (N,).
        actual_w: What happened (N,), NaN where unknown or still to come.
        typical: Whether the step's day was no away day (N,): told by all of that day.
    """

    issued_s: Ints
    start_s: Ints
    lead_day: Ints
    features: dict[str, Floats]
    scale_w: Floats
    usual_w: Floats
    usual_quantiles_w: Floats
    month_quantiles_w: Floats
    yesterday_w: Floats
    last_week_w: Floats
    away: Flags
    actual_w: Floats
    typical: Flags

    def only(self, wanted: Flags) -> "LoadRows":
        """Return some of the rows."""
        return _combined([self], lambda columns: columns[0][wanted])


def load_rows(series: LoadSeries, issued_s: Ints, steps: int) -> LoadRows:
    """Build the rows of forecasts, each from nothing but what had ended by its issue.

    Args:
        series: What was measured; it may reach beyond the issues, and steps may lie beyond its end.
        issued_s: Issues (O,).
        steps: Steps of each forecast; the first is the one that holds the issue.

    Raises:
        ValueError: There is no issue, or one lies before the series or after its end.
    """
    known = (issued_s - series.first_s) // series.step_s
    if not len(known) or known.min() < 0 or known.max() > len(series.power_w):
        raise ValueError("forecasts are issued within what was measured, at the latest at its end")
    table = day_table(series, int(known.max()) + max(steps, 2 * series.per_day))
    days = []
    for count in known.tolist():
        issue = _Issue(series, table, count)
        step = np.arange(count, count + steps)
        days += [_day(issue, part) for part in np.split(step, np.flatnonzero(np.diff(table.day[step])) + 1)]
    return replace(_combined(days, np.concatenate), issued_s=np.repeat(issued_s, steps))


def _combined(parts: Sequence[LoadRows], how: Callable[[list[Any]], Any]) -> LoadRows:
    features = {name: how([part.features[name] for part in parts]) for name in parts[0].features}
    columns = {f.name: how([getattr(part, f.name) for part in parts]) for f in fields(LoadRows) if f.name != "features"}
    return LoadRows(features=features, **columns)


class _Issue:
    """What is known at an issue, whatever day is asked for."""

    def __init__(self, series: LoadSeries, table: DayTable, known: int) -> None:
        self.series, self.table, self.known = series, table, known
        self.today = int(table.day[known])
        so_far_w = np.where(table.step[self.today] < known, table.power_w[self.today], np.nan)
        back = np.nan_to_num(so_far_w).max() >= table.away_peak_w[self.today]
        days_away = 0 if back else int(np.argmin(np.append(table.away[: self.today][::-1], False)))
        self.away = days_away > 0
        self.stay_away = _STAY_AWAY[min(days_away, len(_STAY_AWAY)) - 1] if self.away else 0.0

    def last_mean(self, hours: int) -> float:
        """Mean of the last hours, NaN where nothing is known of them."""
        steps = hours * _HOUR_S // self.series.step_s
        return _mean(self.series.power_w[max(self.known - steps, 0) : self.known])

    def days_before(self, day: int) -> tuple[Ints, Floats, Floats]:
        """Rows of the days before one, the nearest first (W,), and what is known of them: normal ones, away ones."""
        rows = day - np.arange(1, _WINDOW_DAYS + 1)
        inside, rows = (rows >= 0)[:, None], np.maximum(rows, 0)
        seen = inside & (self.table.step[rows] < self.known)
        power_w = np.where(seen, self.table.power_w[rows], np.nan)
        gone = self.table.away[rows] & (rows < self.today)  # the verdict on today would know the rest of it
        return rows, np.where(gone[:, None], np.nan, power_w), np.where(gone[:, None], power_w, np.nan)


class _Past:
    """What an issue says of a day by the time of day (S,): similar days, means over the past, and lags."""

    def __init__(self, issue: _Issue, day: int) -> None:
        rest = issue.table.rest
        rows, normal_w, away_w = issue.days_before(day)
        alike, weekday = rest[rows] == rest[day], _AGE_DAYS % 7 == 0
        recent = 0.5 ** (_AGE_DAYS / _HALF_LIFE_DAYS)
        similar = recent * (np.where(alike, 1.0, _OTHER_KIND) + np.where(weekday, _SAME_WEEKDAY, 0.0))
        gone = issue.stay_away ** (day - issue.today + 1)
        self.usual_w, self.usual_quantiles_w = _similar(normal_w, away_w, similar, gone)
        both_w = np.where(np.isfinite(away_w), away_w, normal_w)
        days = _MONTH_DAYS + day - issue.today  # at midnight, today is not known yet
        self.month_quantiles_w = column_quantiles(both_w[:days], np.ones(days), LEVELS)
        weights = {
            "month": (days >= _AGE_DAYS) * 1.0,
            "kind": alike * recent,
            "weekday": weekday * 0.5 ** (_AGE_DAYS / 28.0),
            "day": 0.5**_AGE_DAYS,
            "days": 0.5 ** (_AGE_DAYS / 2.0),
            "level": 0.5 ** (_AGE_DAYS / _LEVEL_HALF_LIFE_DAYS),
            "weeks": 0.5 ** (_AGE_DAYS / 21.0),
        }
        self.means_w = dict(zip(weights, _weighted(normal_w, np.stack(list(weights.values()))), strict=True))
        self.level_w = _mean(self.means_w["level"])
        self.deviation_w = np.sqrt(_weighted((normal_w - self.means_w["month"]) ** 2, weights["month"]))
        self.yesterday_w, self.last_week_w, self.fortnight_ago_w = _last(both_w), _last(both_w[6::7]), both_w[13]

    def powers_w(self, smooth: int) -> dict[str, Floats]:
        """Features by the time of day (S,); some also as means over so many steps before and after."""
        both = {
            "usual": self.usual_w,
            "yesterday": self.yesterday_w,
            **{name: self.means_w[name] for name in ("kind", "weekday", "days", "weeks")},
        }
        shifted = [np.roll(np.stack(list(both.values())), by, axis=1) for by in range(-smooth, smooth + 1)]
        means = _weighted(np.stack(shifted).reshape(len(shifted), -1), np.ones(len(shifted)))
        return {
            **both,
            **dict(zip([f"{name}_smooth" for name in both], means.reshape(len(both), -1), strict=True)),
            **{f"usual_p{100 * level:.0f}": q for level, q in zip(LEVELS, self.usual_quantiles_w, strict=True)},
            **{f"month_p{100 * level:.0f}": q for level, q in zip(LEVELS, self.month_quantiles_w, strict=True)},
            "month": self.means_w["month"],
            "month_deviation": self.deviation_w,
            "last_week": self.last_week_w,
            "fortnight_ago": self.fortnight_ago_w,
        }

    def levels_w(self, issue: _Issue) -> dict[str, float]:
        """Features that are the same for the whole day."""
        hours = issue.series.per_day / 24.0
        night, evening = slice(0, int(5 * hours)), slice(int(17 * hours), int(23 * hours))
        return {
            "day_level": _mean(self.means_w["day"]),
            "days_level": _mean(self.means_w["days"]),
            "month_level": _mean(self.means_w["month"]),
            "last_night": _mean(self.yesterday_w[night]),
            "nights": _mean(self.means_w["days"][night]),
            "last_evening": _mean(self.yesterday_w[evening]),
            **{f"last_{hours}_h": issue.last_mean(hours) for hours in (2, 6, 24, 168)},
        }


def _day(issue: _Issue, step: Ints) -> LoadRows:
    """Build the rows of one issue and one local day."""
    table, series = issue.table, issue.series
    day, of_day = int(table.day[step[0]]), table.of_day[step]
    past = _Past(issue, day)
    scale_w = np.maximum(past.level_w, _LEAST_W)

    def all_day(value: float) -> Floats:
        return np.full(len(step), value, dtype=np.float64)

    features = {name: by_w[of_day] / scale_w for name, by_w in past.powers_w(_SMOOTH_S // series.step_s).items()}
    features |= {name: all_day(level_w / scale_w) for name, level_w in past.levels_w(issue).items()}
    features |= {
        "weekday_level": all_day(_mean(past.means_w["weekday"]) / max(_mean(past.means_w["weeks"]), _LEAST_W)),
        "weekday_no": all_day(table.weekday[day]),
        "rest": all_day(table.rest[day]),
        "rest_before": all_day(table.rest[max(day - 1, 0)]),
        "rest_after": all_day(table.rest[min(day + 1, len(table.rest) - 1)]),
        "time_of_day_h": of_day * series.step_s / _HOUR_S,
        "lead_h": (step - issue.known) * series.step_s / _HOUR_S,
    }
    return LoadRows(
        issued_s=step,  # replaced when all are put together
        start_s=series.first_s + step * series.step_s,
        lead_day=np.full(len(step), day - issue.today),
        features=features,
        scale_w=all_day(scale_w),
        usual_w=past.usual_w[of_day],
        usual_quantiles_w=past.usual_quantiles_w.T[of_day],
        month_quantiles_w=past.month_quantiles_w.T[of_day],
        yesterday_w=past.yesterday_w[of_day],
        last_week_w=past.last_week_w[of_day],
        away=np.full(len(step), issue.away),
        actual_w=table.power_w[day, of_day],
        typical=np.full(len(step), not table.away[day]),
    )


def _similar(normal_w: Floats, away_w: Floats, weight: Floats, gone: float) -> tuple[Floats, Floats]:
    """Mean (S,) and quantiles (3, S) of normal days and, with a chance of `gone`, of away days; neighbours help."""
    samples, weights = [], []
    for power_w, chance in ((normal_w, 1.0 - gone), (away_w, gone)):
        mine = weight * np.isfinite(power_w).any(axis=1)
        if chance and mine.any():
            mine *= chance / mine.sum()
            samples += [power_w, np.roll(power_w, 1, axis=1), np.roll(power_w, -1, axis=1)]
            weights += [mine, _NEIGHBOUR * mine, _NEIGHBOUR * mine]
    if not samples:
        return np.full(normal_w.shape[1], np.nan), np.full((len(LEVELS), normal_w.shape[1]), np.nan)
    stacked, weighing = np.concatenate(samples), np.concatenate(weights)
    return _weighted(stacked, weighing), column_quantiles(stacked, weighing, LEVELS)


def _weighted(power_w: Floats, weight: Floats) -> Floats:
    """Weighted means of each column of what is known (..., S) of days (W, S), by weights (..., W); else NaN."""
    total = weight @ np.isfinite(power_w)
    some = total > 0.0
    return np.asarray(np.where(some, weight @ np.nan_to_num(power_w) / np.where(some, total, 1.0), np.nan))


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _last(power_w: Floats) -> Floats:
    """First known value of each column (S,), the days being in the order of age."""
    return np.asarray(power_w[np.isfinite(power_w).argmax(axis=0), np.arange(power_w.shape[1])])
