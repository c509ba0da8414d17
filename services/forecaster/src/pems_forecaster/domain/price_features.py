"""What a learner may see of a day's prices when a later day is asked for, and the shape of prices within the hour.

Prices are put in units of their own last weeks, `asinh((price - median) / spread)`, so that a spike weighs little and a
model outlives a change of the price level (Uniejewski, Weron and Ziel 2018, doi:10.1109/TPWRS.2017.2734563).
Nothing of a day later than the base day, the last one whose prices are all released, is in a feature.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints
from pems_forecaster.domain.price_days import HOURS, QUARTERS, WEEK, WINDOW_DAYS, PriceDays, window

__all__ = ["PriceUnits", "day_features", "hour_features", "quarter_shape"]

_NORMAL_MAD = 1.4826  # of a normal distribution: standard deviation / median absolute deviation
_LEAST_SPREAD = 0.05  # of the median price
_SHAPE_HALF_LIFE_DAYS = 5.0
_SHAPE_FROM_RAMP = 0.65
_RAMP = np.array([-0.375, -0.125, 0.125, 0.375])  # middles of the quarters on a straight line through the hour
_NEIGHBOURS = (-2, -1, 1, 2)


@dataclass(frozen=True)
class PriceUnits:
    """Middle and spread of the prices of the weeks that ended with each base day (M,)."""

    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, days: PriceDays, base: Ints) -> Self:
        """Measure the weeks that end with each base day (M,)."""
        weeks = window(days.carried, base).reshape(len(base), -1)
        middle = _median(weeks)
        spread = _NORMAL_MAD * _median(np.abs(weeks - middle[:, None]))
        return cls(middle, np.maximum(spread, np.maximum(_LEAST_SPREAD * np.abs(middle), 1e-6)))

    def into(self, price: Floats) -> Floats:
        """Put prices (M, ...) into these units."""
        middle, spread = (mine.reshape(-1, *[1] * (price.ndim - 1)) for mine in (self.middle, self.spread))
        return np.asarray(np.arcsinh((price - middle) / spread))

    def back(self, value: Floats) -> Floats:
        """Return the prices of values (M, ...) in these units."""
        middle, spread = (mine.reshape(-1, *[1] * (value.ndim - 1)) for mine in (self.middle, self.spread))
        return np.asarray(middle + spread * np.sinh(value))


def day_features(days: PriceDays, base: Ints, ahead: int, units: PriceUnits) -> Floats:
    """Return what a linear model sees of each day (M, F): four price profiles, the calendar and the season.

    Args:
        days: The table.
        base: Row of each base day (M,).
        ahead: Days from there to the day asked for, 1 to 7.
        units: Of these base days.
    """
    target = base + ahead
    profiles = (
        days.carried[base],
        days.before(base, 1),
        days.before(target, WEEK),
        days.same_kind(days.carried, base, target),
    )
    calendar = np.eye(WEEK)[days.weekday[target]], np.stack([days.rest[base], days.rest[target + 1]], axis=1)
    return np.hstack([*map(units.into, profiles), *calendar, days.season[target]])


def hour_features(days: PriceDays, base: Ints, ahead: int, units: PriceUnits) -> dict[str, Floats]:
    """Return what trees see of each hour, columns (M, 24) by name; arguments as of `day_features`.

    Extras are those of the hour, and how much more that is than in the same hour of the base day. More than one day
    ahead they are unknown, for what was told by then is not what is in the table.
    """
    target = base + ahead
    last = units.into(days.carried[base])
    two_days, one_week = units.into(days.before(base, 1)), units.into(days.before(target, WEEK))
    week = units.into(window(days.carried, base)[:, :, -WEEK:])
    features = {
        "hour": np.tile(np.arange(HOURS, dtype=np.float64), (len(base), 1)),
        "last": last,
        "two_days": two_days,
        "three_days": units.into(days.before(base, 2)),
        "one_week": one_week,
        "two_weeks": units.into(days.before(target, 2 * WEEK)),
        "same_kind": units.into(days.same_kind(days.carried, base, target)),
        "week_mean": week.mean(axis=2),
        "week_spread": week.std(axis=2),
        **{f"last_{step:+d}": np.roll(last, -step, axis=1) for step in _NEIGHBOURS},
    }
    of_day = {
        "last_mean": last.mean(axis=1),
        "last_least": last.min(axis=1),
        "last_most": last.max(axis=1),
        "last_night": last[:, :5].mean(axis=1),
        "last_noon": last[:, 10:15].mean(axis=1),
        "last_evening": last[:, 17:21].mean(axis=1),
        "last_end": last[:, -1],
        "two_days_mean": two_days.mean(axis=1),
        "one_week_mean": one_week.mean(axis=1),
        "week_level": week.mean(axis=(1, 2)),
        "rest": days.rest[target],
        "base_rest": days.rest[base],
        "weekday": days.weekday[target],
        "season_cos": days.season[target, 0],
        "season_sin": days.season[target, 1],
    }
    for name, value in of_day.items():
        features[name] = np.repeat(np.asarray(value, dtype=np.float64)[:, None], HOURS, axis=1)
    for name, column in days.extras.items():
        told = column[target] if ahead == 1 else np.full((len(base), HOURS), np.nan)
        features |= {name: told, f"{name}_more": told - column[base]}
    return features


def quarter_shape(days: PriceDays, base: Ints, hours: Floats) -> Floats:
    """Return how much each quarter of an hour lies above its hour (M, 96), from the last weeks.

    Within an hour prices run on from the hour before to the hour after, steeper than a straight line: how steep is
    fitted to the last weeks, and applied to the hours forecast; this is mixed with the mean shape of the last days.
    Days with one price an hour tell nothing; if the base day is one, there is no shape.

    Args:
        days: The table.
        base: Row of each base day (M,).
        hours: Hour means forecast (M, 24).
    """
    seen = np.moveaxis(window(days.price, base), 2, 1).reshape(len(base), WINDOW_DAYS, HOURS, QUARTERS)
    means = seen.mean(axis=3)
    above = seen - means[..., None]
    told = np.abs(np.nan_to_num(above)).max(axis=(2, 3)) > 0.0
    known = told[:, :, None] & np.isfinite(_slope(means) + means)
    ramp = np.where(known, _slope(means), 0.0)[..., None] * _RAMP
    above = np.where(known[..., None], above, 0.0)
    steep = (ramp * above).sum(axis=(1, 2, 3)) / np.maximum((ramp**2).sum(axis=(1, 2, 3)), 1e-12)
    weight = known * 0.5 ** (np.arange(WINDOW_DAYS)[::-1, None] / _SHAPE_HALF_LIFE_DAYS)
    mean = (weight[..., None] * above).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)[..., None]
    run_on = steep[:, None, None] * _slope(hours)[..., None] * _RAMP
    shape = (_SHAPE_FROM_RAMP * run_on + (1.0 - _SHAPE_FROM_RAMP) * mean).reshape(len(base), SLOTS_PER_DAY)
    return np.where(told[:, -1:], shape, 0.0)


def _slope(hours: Floats) -> Floats:
    """Price step from hour to hour (..., 24), the mean of the steps before and after."""
    padded = np.concatenate([hours[..., :1], hours, hours[..., -1:]], axis=-1)
    return np.asarray((padded[..., 2:] - padded[..., :-2]) / 2.0)


def _median(values: Floats) -> Floats:
    """Median of what is known in each row (M, N); NaN where nothing is."""
    ordered = np.sort(values, axis=1)  # what is not known comes last
    count = np.isfinite(values).sum(axis=1)
    row = np.arange(len(values))
    return np.asarray((ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, count // 2]) / 2.0)
