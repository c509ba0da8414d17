"""Rolling-origin backtest of spot prices beyond the published horizon, beside simple methods.

One issue a day, at noon local time, just before the prices of the next day are published: everything until the end of
the day is known, and the next day and the one after it are forecast. The model is mixed with similar days, the method
without training, by what both said lately, and the mixture is calibrated, each for each number of days ahead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Grid, Ints, LocalCalendar, slot_at
from pems_forecaster.domain.price_days import WEEK, PriceDays
from pems_forecaster.domain.price_model import DAYS_AHEAD, LEAST_DAYS, PriceModel, PriceSettings
from pems_forecaster.domain.prices import spot_base
from pems_forecaster.domain.rolling_blend import BlendSettings, RollingBlend, mix
from pems_forecaster.domain.rolling_conformal import ConformalSettings, RollingConformal
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["LEVELS", "PriceBacktestSettings", "PriceForecasts", "PriceLearner", "PriceTable", "run_periods"]

LEVELS = np.array([0.1, 0.5, 0.9])


@dataclass(frozen=True)
class PriceTable:
    """A history of prices.

    Attributes:
        first: Number of the first slot.
        spot_eur_mwh: Prices of it and those after (T,), NaN where unknown.
        extras: Other columns (T,) by name: forecasts known at noon of the day before.
    """

    first: int
    spot_eur_mwh: Floats
    extras: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class PriceBacktestSettings:
    """How forecasts are made.

    Attributes:
        model: Of the model.
        blend: Of its mixture with similar days.
        conformal: Of the calibration; widths in EUR/MWh.
    """

    model: PriceSettings = field(default_factory=PriceSettings)
    blend: BlendSettings = field(default_factory=BlendSettings)
    conformal: ConformalSettings = field(default_factory=lambda: ConformalSettings(batches=90, least_width=1.0))


@dataclass(frozen=True)
class PriceForecasts:
    """What was said at the issues of a period [EUR/MWh], in the order of issues and slots.

    Attributes:
        issued_day: Ordinal of the local day at whose noon it was said (N,).
        days_ahead: Days from there to the slot's (N,).
        start_s: Start of each slot (N,).
        actual: What happened (N,), NaN where unknown.
        model: P10, P50 and P90 of the model alone (N, 3), NaN where it had too little to go by.
        similar: Of similar days (N, 3).
        quantiles: Of both, calibrated (N, 3).
        medians: What simple methods said (N,), by name.
    """

    issued_day: Ints
    days_ahead: Ints
    start_s: Ints
    actual: Floats
    model: Floats
    similar: Floats
    quantiles: Floats
    medians: Mapping[str, Floats]


@dataclass(frozen=True)
class _Said:
    """What was said at one issue about one day; see `PriceForecasts`."""

    slots: Ints
    model: Floats
    similar: Floats
    mixed: Floats


class _Calibration:
    """Mixture and calibration of forecasts of one number of days ahead, as they have come so far."""

    def __init__(self, settings: PriceBacktestSettings) -> None:
        self._blend, self._conformal = RollingBlend(settings.blend), RollingConformal(settings.conformal)
        self._waiting: list[_Said] = []

    def say(self, slots: Ints, model: Floats, similar: Floats) -> Floats:
        """Return the mixture of two bands (N, 3), calibrated; similar days alone where the model says nothing."""
        mixed = np.where(np.isfinite(model), mix(similar, model, self._blend.share), similar)
        self._waiting.append(_Said(slots, model, similar, mixed))
        band = self._conformal.correct(Quantiles(*mixed.T)).tidy()
        return band.columns()

    def learn(self, table: PriceTable, released: int) -> None:
        """Learn from what was said of days that are wholly released."""
        for said in [said for said in self._waiting if said.slots[-1] < released]:
            self._waiting.remove(said)
            actual = table.spot_eur_mwh[said.slots - table.first]
            self._blend.learn(said.similar, said.model, actual, LEVELS)
            self._conformal.learn(Quantiles(*said.mixed.T), actual)


class PriceLearner:
    """A market's history, and the calibration as it has come so far."""

    def __init__(
        self, table: PriceTable, calendar: LocalCalendar, settings: PriceBacktestSettings | None = None
    ) -> None:
        """Lay the history out by day."""
        self._table, self._calendar = table, calendar
        self._settings = settings or PriceBacktestSettings()
        self._slots = np.arange(table.first, table.first + len(table.spot_eur_mwh))
        self._days = PriceDays.of(table.first, table.spot_eur_mwh, calendar, table.extras)
        self._day, self._of_day, _ = calendar.places(self._slots)
        self._history = SlotHistory()
        self._history.put_missing("spot_eur_mwh", table.first, table.spot_eur_mwh.tolist())
        self._calibration = {ahead: _Calibration(self._settings) for ahead in DAYS_AHEAD}

    def train_for(self, day: int) -> PriceModel | None:
        """Train on everything known at an issue day's noon; None where that is too little."""
        known = self._days.until(day - self._days.first_day + 1)
        return None if known.known_days < LEAST_DAYS else PriceModel.train(known, self._settings.model)

    def forecast(self, model: PriceModel | None, from_day: int, until_day: int) -> PriceForecasts:
        """Say what a model says at the issues of a period; what was released by then has calibrated it.

        Args:
            model: Trained for the period, None where there was too little to train on.
            from_day: Ordinal of the first issue day.
            until_day: Of the day after the last.

        Raises:
            ValueError: There is no issue day, or one is before the history, or nothing of the next days is in it.
        """
        last_day = self._days.first_day + len(self._days) - 1
        if not self._days.first_day <= from_day < min(until_day, last_day):
            raise ValueError(f"nothing can be said from day {from_day} until {until_day}: the history does not hold it")
        parts = [part for day in range(from_day, until_day) for part in self._at_noon(model, day)]
        medians = {name: np.concatenate([part.medians[name] for part in parts]) for name in parts[0].medians}
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in PriceForecasts.__dataclass_fields__
            if name != "medians"
        }
        return PriceForecasts(**arrays, medians=medians)

    def _at_noon(self, model: PriceModel | None, day: int) -> Iterator[PriceForecasts]:
        """Say at noon of a day what its next days cost, as far as the table goes."""
        released = int(np.searchsorted(self._day, day + 1))
        end = int(np.searchsorted(self._day, day + 1 + max(DAYS_AHEAD)))
        if released == end:
            return
        first = int(self._slots[released])
        grid = Grid(slot_at(first), end - released)
        band = spot_base(grid, self._history, self._calendar, first)
        similar = band.columns()
        for ahead, calibration in self._calibration.items():
            calibration.learn(self._table, first)
            here = np.flatnonzero(self._day[released:end] == day + ahead)
            if len(here):
                yield self._of_day_ahead(model, day, ahead, released + here, similar[here], calibration)

    def _of_day_ahead(
        self,
        model: PriceModel | None,
        day: int,
        ahead: int,
        rows: Ints,
        similar: Floats,
        calibration: _Calibration,
    ) -> PriceForecasts:
        base = np.array([day - self._days.first_day])
        of_day, slots = self._of_day[rows], self._slots[rows]
        said = model.bands(self._days, base, ahead)[0] if model else np.full((SLOTS_PER_DAY, len(LEVELS)), np.nan)
        return PriceForecasts(
            issued_day=np.full(len(rows), day),
            days_ahead=np.full(len(rows), ahead),
            start_s=slots * SLOT_S,
            actual=self._table.spot_eur_mwh[rows],
            model=said[of_day],
            similar=similar,
            quantiles=calibration.say(slots, said[of_day], similar),
            medians={
                "same_kind": self._days.same_kind(self._days.price, base, base + ahead)[0, of_day],
                "similar_days": similar[:, 1],
                "persistence": self._price(base[0], of_day),
                "weekly": self._price(base[0] + ahead - WEEK, of_day),
            },
        )

    def _price(self, row: int, of_day: Ints) -> Floats:
        """Prices of a day's slots; NaN before the first day."""
        return self._days.price[row, of_day] if row >= 0 else np.full(len(of_day), np.nan)


def run_periods(learner: PriceLearner, bounds: Sequence[int]) -> Iterator[tuple[PriceModel | None, PriceForecasts]]:
    """Train at each issue day of `bounds` (ordinals) on what was known then, and say what follows until the next."""
    for begin, end in pairwise(bounds):
        model = learner.train_for(begin)
        yield model, learner.forecast(model, begin, end)
