"""Spot prices beyond the published horizon: a linear model of day profiles and boosted trees, half each.

Both say the hours of a day from the profiles of released days and the calendar, in units of the last weeks' prices;
the linear one as in Lago et al. 2021 (LEAR, doi:10.1016/j.apenergy.2021.116983) with a ridge penalty. The trees give
the band, which is moved so that its middle is the mean of both. The shape within each hour is that of the last weeks.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import Floats, Ints, LocalCalendar
from pems_forecaster.domain.price_days import HOURS, QUARTERS, PriceDays
from pems_forecaster.domain.price_features import PriceUnits, day_features, hour_features, quarter_shape
from pems_forecaster.domain.quantile_trees import ModelCard, QuantileTrees, TreeSettings
from pems_forecaster.domain.ridge import Ridge

__all__ = ["DAYS_AHEAD", "LEAST_DAYS", "PriceModel", "PriceSettings"]

DAYS_AHEAD = (1, 2)
"""Days after the last released one that are trained for; what lies further is said as the last of them."""
LEAST_DAYS = 60
"""Days with prices without which nothing is trained: with fewer a model says no better than the mean of these days."""
_FURTHEST = 7
_LEVELS = (0.1, 0.5, 0.9)
_FOLDER, _LINES = "{}_days_ahead", "lines.json"
_TARGET = "asinh of spot price / spread of 28 days, less the mean of the last day and the last week"


@dataclass(frozen=True)
class PriceSettings:
    """How models are trained.

    Attributes:
        trees: Of the boosted trees; the levels are P10, P50 and P90.
        penalty: Of the linear model, in days.
    """

    trees: TreeSettings = field(
        default_factory=lambda: TreeSettings(rounds=200, depth=5, rate=0.05, subsample=0.7, columns=0.5, least_rows=20)
    )
    penalty: float = 100.0

    def __post_init__(self) -> None:
        """Check the levels."""
        if self.trees.levels != _LEVELS:
            raise ValueError(f"quantile levels {self.trees.levels}: prices are said as P10, P50 and P90")


@dataclass(frozen=True)
class _Pair:
    """What says a day that lies a certain number of days ahead.

    Attributes:
        lines: The linear model of its hours, in units of the last weeks.
        trees: What each hour is above `_usual`, in the same units.
    """

    lines: Ridge
    trees: QuantileTrees

    @classmethod
    def train(cls, days: PriceDays, ahead: int, settings: PriceSettings) -> Self:
        base = np.arange(len(days) - ahead)
        units = PriceUnits.of(days, base)
        seen, happened = day_features(days, base, ahead, units), units.into(days.hour_price[base + ahead])
        usable = np.isfinite(seen).all(axis=1)
        whole = usable & np.isfinite(happened).all(axis=1)
        features = hour_features(days, base, ahead, units)
        trees = QuantileTrees.train(
            {name: column[usable].ravel() for name, column in features.items()},
            (happened - _usual(features))[usable].ravel(),
            settings.trees,
            name=_TARGET,
            notes={"days_ahead": str(ahead)},
        )
        return cls(Ridge.fit(seen[whole], happened[whole], settings.penalty), trees)

    def hours(self, days: PriceDays, base: Ints, ahead: int) -> Floats:
        """Return the quantiles of each hour's price (M, 24, L), rising."""
        units = PriceUnits.of(days, base)
        lines = self.lines.predict(day_features(days, base, ahead, units))
        features = hour_features(days, base, ahead, units)
        said = self.trees.predict({name: column.ravel() for name, column in features.items()})
        trees = said.reshape(len(base), HOURS, len(_LEVELS)) + _usual(features)[..., None]
        return units.back(trees + (lines[..., None] - trees[..., 1:2]) / 2.0)


class PriceModel:
    """A trained model."""

    def __init__(self, pairs: Mapping[int, _Pair]) -> None:
        """Wrap what was trained, by days ahead; use `train` or `load`."""
        self._pairs = pairs

    @property
    def card(self) -> ModelCard:
        """What the trees of the next day were trained on."""
        return self._pairs[1].trees.card

    @classmethod
    def train(cls, days: PriceDays, settings: PriceSettings | None = None) -> Self:
        """Train on every day of a table whose prices are known.

        Raises:
            ValueError: They are too few.
        """
        if days.known_days < LEAST_DAYS:
            raise ValueError(f"the prices of {days.known_days} days are too few: at least {LEAST_DAYS} are needed")
        return cls({ahead: _Pair.train(days, ahead, settings or PriceSettings()) for ahead in DAYS_AHEAD})

    def bands(self, days: PriceDays, base: Ints, ahead: int) -> Floats:
        """Return P10, P50 and P90 of each slot of day (M, 96, 3), in the unit of the table, rising.

        Args:
            days: The table; it reaches to the last day asked for, and prices after each base day are not looked at.
            base: Row of each last released day (M,).
            ahead: Days from there to the day asked for.

        Returns:
            NaN for a day before which too little is known.
        """
        hours = self._pairs[min(ahead, max(self._pairs))].hours(days, base, ahead)
        shape = quarter_shape(days, base, hours[..., 1])
        return np.asarray(np.repeat(hours, QUARTERS, axis=1) + shape[..., None])

    def predict(
        self,
        first: int,
        spot: Floats,
        released: int,
        slots: Ints,
        calendar: LocalCalendar,
        extras: Mapping[str, Floats] | None = None,
    ) -> Quantiles:
        """Return the band of slots: exact where the price is released and known, NaN where too little is known before.

        Args:
            first: Number of the first slot of the history; four weeks before the slots asked for are enough.
            spot: Prices of it and those after (N,), NaN where unknown, as far as the last slot asked for.
            released: Number of the first slot whose price is not public: nothing in `spot` from there on is used.
            slots: Numbers of the slots asked for (S,).
            calendar: Of the market.
            extras: Other columns (N,), if the model was trained with some.

        Raises:
            ValueError: The history does not hold the slots, or a column that the model needs is missing.
        """
        if not len(slots) or slots.min() < first or slots.max() >= first + len(spot):
            raise ValueError(f"slots asked for are not among the {len(spot)} from {first} on")
        public = np.where(np.arange(first, first + len(spot)) < released, spot, np.nan)
        days = PriceDays.of(first, public, calendar, extras)
        wanted, of_day, _ = calendar.places(slots)
        base = calendar.place(released)[0] - 1
        said = np.repeat(public[slots - first][:, None], len(_LEVELS), axis=1)
        for day in np.unique(wanted[slots >= released]).tolist():
            if base >= days.first_day and day - base <= _FURTHEST:
                mine = (wanted == day) & (slots >= released)
                said[mine] = self.bands(days, np.array([base - days.first_day]), day - base)[0, of_day[mine]]
        return Quantiles(*said.T)

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the gain in the trees of the next day, the largest first."""
        return self._pairs[1].trees.importance()

    def save(self, folder: Path) -> None:
        """Write trees and lines into a folder, which is made."""
        for ahead, pair in self._pairs.items():
            mine = folder / _FOLDER.format(ahead)
            pair.trees.save(mine)
            (mine / _LINES).write_text(json.dumps(pair.lines.to_json()), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            PermanentError: There is none, or it is damaged.
        """
        pairs = {}
        for ahead in DAYS_AHEAD:
            mine = folder / _FOLDER.format(ahead)
            trees = QuantileTrees.load(mine)
            try:
                lines = Ridge.from_json(json.loads((mine / _LINES).read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                raise PermanentError(f"no price model in {folder}: {error}", remedy="train the model anew") from error
            pairs[ahead] = _Pair(lines, trees)
        return cls(pairs)


def _usual(features: Mapping[str, Floats]) -> Floats:
    """What the trees correct: the mean of the last day and the last week at the same hour (M, 24)."""
    return (features["last"] + features["week_mean"]) / 2.0
