"""Spot prices beyond the published horizon (TARGETS.md "Forecasts"): a JSON line per month and case, then the gates.

The day-ahead market of OTE, hours from 2024 and quarters of an hour from October 2025. At noon of each day from
December 2025 to May 2026 the next day and the one after it are forecast, knowing prices to the end of the day only;
models are trained anew each month on everything before. October and November 2025 are forecast too, for mixture and
calibration to begin with, and not counted; what is chosen was chosen on days before December 2025. Beside it stand the
mean of the last 28 days' days of the same kind (workdays or not), which is what the gate measures against, the method
without training (similar days), and the last known day and the same day of the week before. Differences come with the
90 % interval of a bootstrap over weeks.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from benchmarks._gates import Gate, Row

from pems_forecaster.backtest.price import (
    LEVELS,
    PriceBacktestSettings,
    PriceForecasts,
    PriceLearner,
    PriceTable,
    run_periods,
)
from pems_forecaster.domain.grid import SLOT_S, LocalCalendar
from pems_forecaster.domain.price_model import PriceSettings
from pems_forecaster.domain.scores import block_bootstrap, score

Columns = dict[str, np.ndarray]
FIRST_MONTH, LAST_DAY = "2025-12", "2026-05-27"
WARM_UP = 2
CALENDAR = LocalCalendar(ZoneInfo("Europe/Prague"), "CZ")
REFERENCE = "same_kind"
CASES = {1: "price", 2: "price_two_days_ahead"}  # by days ahead

DATA_SETS = ("ote_cz",)

GATES: tuple[Gate, ...] = (
    Gate("price", "mae_of_same_kind", 0.9, 0.8),
    Gate("price", "coverage_off_pct", 2.0, 1.0),
)


def ote_table(folder: Path) -> PriceTable:
    """Read hours, and quarters of an hour from where they begin."""
    slots, prices = [], []
    for name, per_row in (("day_ahead_60min.csv", 4), ("day_ahead_15min.csv", 1)):
        frame = pd.read_csv(folder / "ote_cz" / name)
        start = pd.DatetimeIndex(frame["slot_start"]).to_numpy(dtype="datetime64[s]").astype(np.int64)
        slots.append((start[:, None] // SLOT_S + np.arange(per_row)).ravel())
        prices.append(np.repeat(frame["price_eur_mwh"].to_numpy(dtype=np.float64), per_row))
    first = int(slots[0][0])
    spot = np.full(int(max(part[-1] for part in slots)) + 1 - first, np.nan)
    for part, price in zip(slots, prices, strict=True):  # quarters replace hours
        spot[part - first] = price
    return PriceTable(first, spot)


def cases(folder: Path, threads: int) -> Iterator[Row]:
    """Forecast the months, then sum up: two days ahead, and the next day, which has the gates."""
    usual = PriceSettings()
    settings = PriceBacktestSettings(model=replace(usual, trees=replace(usual.trees, threads=threads)))
    learner = PriceLearner(ote_table(folder), CALENDAR, settings)
    months = pd.period_range(pd.Period(FIRST_MONTH) - WARM_UP, pd.Period(LAST_DAY, "M"), freq="M")
    bounds = [month.start_time.toordinal() for month in months] + [date.fromisoformat(LAST_DAY).toordinal()]
    said: list[PriceForecasts] = []
    began = time.perf_counter()
    for month, (_, forecasts) in zip(months, run_periods(learner, bounds), strict=True):
        took, began = time.perf_counter() - began, time.perf_counter()
        if str(month) < FIRST_MONTH:
            continue
        said.append(forecasts)
        for ahead, case in CASES.items():
            figures = _figures(_joined([forecasts], ahead))
            yield {"case": f"{case}_month", "month": str(month), **figures, "train_and_forecast_s": round(took, 1)}
    for ahead, case in reversed(CASES.items()):
        yield {"case": case, "months": len(said), **_summary(_joined(said, ahead), said, ahead)}


def _joined(said: Sequence[PriceForecasts], ahead: int) -> Columns:
    """What was said of slots whose price is known, that many days ahead."""
    names = ("actual", "quantiles", "model", "similar", "issued_day")
    each = [{name: getattr(part, name) for name in names} | dict(part.medians) for part in said]
    rows = [(part.days_ahead == ahead) & np.isfinite(part.actual) for part in said]
    return {name: np.concatenate([part[name][mine] for part, mine in zip(each, rows, strict=True)]) for name in each[0]}


def _figures(columns: Columns) -> Row:
    """Errors in EUR/MWh."""
    actual = columns["actual"]
    ours = score(actual, columns["quantiles"], LEVELS, 1.0)
    reference = float(np.abs(columns[REFERENCE] - actual).mean())
    return {
        "mae_eur_mwh": round(ours.mae, 2),
        "same_kind_mae_eur_mwh": round(reference, 2),
        "mae_of_same_kind": round(ours.mae / reference, 3),
        "pinball_eur_mwh": round(ours.pinball, 3),
        "coverage_pct": round(100 * ours.coverage, 1),
        "width_eur_mwh": round(ours.width, 1),
        "slots": ours.rows,
    }


def _summary(columns: Columns, said: Sequence[PriceForecasts], ahead: int) -> Row:
    actual, weeks = columns["actual"], (columns["issued_day"] // 7).astype(np.float64)
    figures = _figures(columns)
    losses = {name: np.abs(columns[name] - actual) for name in ("same_kind", "similar_days", "persistence", "weekly")}
    ours = np.abs(columns["quantiles"][:, 1] - actual)
    model, similar = (score(actual, columns[name], LEVELS, 1.0) for name in ("model", "similar"))
    off = [abs(_figures(_joined([month], ahead))["coverage_pct"] - 80.0) for month in said]

    def less_than(name: str) -> list[float]:
        return [round(100 * float(p), 1) for p in block_bootstrap(ours, losses[name], weeks)]

    return figures | {
        "coverage_off_pct": round(abs(figures["coverage_pct"] - 80.0), 1),
        "worst_month_off_pct": round(max(off), 1),
        **{f"{name}_mae_eur_mwh": round(float(np.nanmean(loss)), 2) for name, loss in losses.items()},
        "model_alone_mae_eur_mwh": round(model.mae, 2),
        "model_alone_coverage_pct": round(100 * model.coverage, 1),
        "model_alone_pinball_eur_mwh": round(model.pinball, 3),
        "similar_days_coverage_pct": round(100 * similar.coverage, 1),
        "similar_days_pinball_eur_mwh": round(similar.pinball, 3),
        "rmse_eur_mwh": round(float(np.sqrt((ours**2).mean())), 2),
        "mae_less_than_same_kind_pct_p5_p50_p95": less_than("same_kind"),
        "mae_less_than_similar_days_pct_p5_p50_p95": less_than("similar_days"),
    }
