"""Backtests of PV, load and prices behind one door: read a file, and tell period by period."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_forecaster.backtest.load import LoadForecasts, LoadLearner
from pems_forecaster.backtest.load import run_periods as run_load
from pems_forecaster.backtest.load_csv import read_load_csv
from pems_forecaster.backtest.price import PriceBacktestSettings, PriceForecasts, PriceLearner
from pems_forecaster.backtest.price import run_periods as run_prices
from pems_forecaster.backtest.price_csv import read_price_csv
from pems_forecaster.backtest.pv import PvForecasts, PvLearner, PvSettings
from pems_forecaster.backtest.pv import run_periods as run_pv
from pems_forecaster.backtest.pv_csv import read_pv_csv
from pems_forecaster.backtest.told import OURS, Told
from pems_forecaster.domain.grid import Floats, LocalCalendar
from pems_forecaster.domain.load_model import LoadSettings
from pems_forecaster.domain.pv_table import PvPlace
from pems_forecaster.domain.scores import band_of

__all__ = ["KINDS", "Backtest", "BacktestPeriod"]

_DAY_S = 86_400


@dataclass(frozen=True)
class BacktestPeriod:
    """When to forecast and to train.

    Attributes:
        begin: First day that is forecast; after 60 % of the history where None.
        every_days: Days between trainings.
        threads: Processor threads.
    """

    begin: datetime | None = None
    every_days: int = 30
    threads: int = 2


@dataclass(frozen=True)
class Backtest:
    """A backtest that is ready to run.

    Attributes:
        title: What is scored, with the unit.
        unit: Of values, as it ends column names in files: `w`, `eur_mwh`.
        scale: Scores are shown in units of it.
        periods: Trainings to come.
        parts: Trains and tells, period by period.
    """

    title: str
    unit: str
    scale: float
    periods: int
    parts: Iterator[Told]


def _days(first: int, last: int, least: int, wish: int | None, every: int) -> list[int]:
    """Return the days on which trainings are due, and the day after the last.

    Args:
        first: First day of the history.
        last: Day after its last.
        least: Days before the first forecast.
        wish: First day to forecast, None for 60 % of the history.
        every: Days between trainings.

    Raises:
        PermanentError: The history is too short for it.
    """
    begin = first + int(0.6 * (last - first)) if wish is None else wish
    if begin - first < least or begin >= last:
        raise PermanentError(
            f"the first forecast day has to be at least {least} days after the first row, and before the last",
            remedy="give a longer history, or another --from",
        )
    return [*range(begin, last, every), last]


def _seconds(days: list[int]) -> list[int]:
    return [day * _DAY_S for day in days]


def _wish_utc(period: BacktestPeriod) -> int | None:
    return None if period.begin is None else int(period.begin.replace(tzinfo=UTC).timestamp()) // _DAY_S


def pv_backtest(data: Path, home: Home, period: BacktestPeriod) -> Backtest:
    """Prepare a backtest of PV power; see `KINDS`."""
    if not home.pv.roofs:
        raise PermanentError("this home.yaml has no PV", remedy="describe its roofs under pv.roofs")
    capacity_w = home.pv.inverter_ac_limit_w
    table = read_pv_csv(data, PvPlace(home.site.latitude, home.site.longitude, home.site.altitude_m, home.pv))
    first, last = int(table.start_s[0]) // _DAY_S, -(-(int(table.start_s[-1]) + table.step_s) // _DAY_S)
    bounds = _seconds(_days(first, last, 14, _wish_utc(period), period.every_days))
    usual = PvSettings()
    learner = PvLearner([table], replace(usual, trees=replace(usual.trees, threads=period.threads)))

    def told(said: PvForecasts) -> Told:
        def three(quantiles: Floats) -> Floats:
            return capacity_w * band_of(quantiles, said.levels).columns()

        everything = np.ones(len(said.actual), dtype=np.bool_)
        return Told(
            start_s=said.start_s,
            actual=capacity_w * said.actual,
            bands={
                OURS: three(said.quantiles),
                "trees alone": three(said.raw),
                "climatology": three(said.climatology),
            },
            medians=_named(said.medians, capacity_w),
            groups={"by day": said.daylight, "day and night": everything},
        )

    return Backtest(
        title=f"PV power in % of {capacity_w / 1000:g} kW",
        unit="w",
        scale=capacity_w / 100.0,
        periods=len(bounds) - 1,
        parts=(told(said) for _, said in run_pv(learner, bounds)),
    )


def load_backtest(data: Path, home: Home, period: BacktestPeriod) -> Backtest:
    """Prepare a backtest of the load; see `KINDS`."""
    series = read_load_csv(data, LocalCalendar(home.site.zone, home.site.country))
    bounds = _seconds(
        _days(series.first_s // _DAY_S, series.until_s // _DAY_S, 35, _wish_utc(period), period.every_days)
    )
    usual = LoadSettings()
    learner = LoadLearner(series, replace(usual, trees=replace(usual.trees, threads=period.threads)))
    mean_w = float(np.nanmean(series.power_w))

    def told(said: LoadForecasts) -> Told:
        rows = said.rows
        return Told(
            start_s=rows.start_s,
            actual=rows.actual_w,
            bands={
                OURS: said.said.quantiles_w,
                "trees alone": said.trees.quantiles_w,
                **{name.replace("_", " "): band for name, band in said.quantiles_w.items()},
            },
            medians=_named({name: mean for name, mean in said.means_w.items() if name not in said.quantiles_w}, 1.0),
            groups={"first day": rows.lead_day == 0, "second day": rows.lead_day == 1},
            means={OURS: said.said.mean_w, **_named(said.means_w, 1.0)},
        )

    return Backtest(
        title=f"load in % of its mean, {mean_w:.0f} W",
        unit="w",
        scale=mean_w / 100.0,
        periods=len(bounds) - 1,
        parts=(told(said) for _, said in run_load(learner, bounds)),
    )


def price_backtest(data: Path, home: Home, period: BacktestPeriod) -> Backtest:
    """Prepare a backtest of spot prices; see `KINDS`."""
    table = read_price_csv(data)
    calendar = LocalCalendar(home.site.zone, home.site.country)
    first, last = (calendar.place(table.first + at)[0] for at in (0, len(table.spot_eur_mwh) - 1))
    wish = None if period.begin is None else date(*period.begin.timetuple()[:3]).toordinal() - 1
    bounds = _days(first, last, 14, wish, period.every_days)
    usual = PriceBacktestSettings()
    trees = replace(usual.model.trees, threads=period.threads)
    learner = PriceLearner(table, calendar, replace(usual, model=replace(usual.model, trees=trees)))

    def told(said: PriceForecasts) -> Told:
        return Told(
            start_s=said.start_s,
            actual=said.actual,
            bands={OURS: said.quantiles, "model alone": said.model, "similar days": said.similar},
            medians=_named({n: median for n, median in said.medians.items() if n != "similar_days"}, 1.0),
            groups={"next day": said.days_ahead == 1, "day after": said.days_ahead == 2},
        )

    return Backtest(
        title="spot prices in EUR/MWh",
        unit="eur_mwh",
        scale=1.0,
        periods=len(bounds) - 1,
        parts=(told(said) for _, said in run_prices(learner, bounds)),
    )


def _named(columns: Mapping[str, Floats], scale: float) -> dict[str, Floats]:
    return {name.replace("_", " "): scale * column for name, column in columns.items()}


KINDS: Mapping[str, Callable[[Path, Home, BacktestPeriod], Backtest]] = {
    "pv": pv_backtest,
    "load": load_backtest,
    "price": price_backtest,
}
"""By kind: from a file, a site and a period to a backtest.

Raise `PermanentError` where the file cannot be used or is too short; it says what to do.
"""
