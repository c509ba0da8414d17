"""Load forecasts against what happened (TARGETS.md "Forecasts"): a JSON line per month and case, then the gates.

`uci`: the household of the UCI repository (Hebrail and Berard 2012, doi:10.24432/C58K54), quarters of an hour from June
2008 on; the last 365 days are forecast. `french`: one house, half hours, 2024-02 to 2025-02; the last 120 days are
forecast. Two days are said at each local midnight, by models trained anew every month (30 days) on everything before;
two months before the first one that counts are forecast too, for blend and calibration to begin with. What was chosen
when is told in docs/forecast-load.md. Beside it stand persistence (the same time of the last known day, and of
the last week's), the quantiles of all of the last 28 days at that time, which skill is measured against, and similar
days.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from benchmarks._gates import Gate, Row

from pems_forecaster.backtest.load import LoadForecasts, LoadLearner, run_periods
from pems_forecaster.domain.grid import LocalCalendar
from pems_forecaster.domain.load_features import LEVELS
from pems_forecaster.domain.load_model import LoadSettings
from pems_forecaster.domain.load_series import DAY_S, LoadSeries
from pems_forecaster.domain.scores import block_bootstrap, pinball_rows, score

Columns = dict[str, np.ndarray]
WEEK_S = 7 * DAY_S
MONTH_DAYS, WARM_UP = 30, 2
DATA_SETS = ("uci_household", "french_house")

GATES: tuple[Gate, ...] = (
    Gate("uci", "rmse_of_peak_pct", 8.6, 8.3),
    Gate("uci", "pinball_of_month", 0.94, 0.91),
    Gate("uci", "daily_energy_rmse_pct", 22.0, 18.0),
    Gate("uci", "coverage_off_pct", 2.0, 1.0),
    Gate("french", "rmse_of_peak_pct", 15.0, 14.5),
    Gate("french", "pinball_of_month", 0.97, 0.94),
    Gate("french", "daily_energy_rmse_pct", 32.0, 28.0),
    Gate("french", "coverage_off_pct", 2.0, 1.0),
)


@dataclass(frozen=True)
class House:
    """A case: its name, its history, and how many of its last days are forecast."""

    name: str
    series: LoadSeries
    test_days: int

    @property
    def peak_w(self) -> float:
        """Highest load of its history."""
        return float(np.nanmax(self.series.power_w))


def uci(folder: Path) -> House:
    """Read the household near Paris; its clock has no summer time."""
    frame = pd.read_parquet(folder / "uci_household" / "load_15min.parquet")
    load_kw = frame.set_index("date_time")["y"].loc["2008-06-01":]
    series = LoadSeries(_seconds(load_kw.index[0]), 900, 1000.0 * load_kw.to_numpy(), _french_calendar("UTC"))
    return House("uci", series, 365)


def french(folder: Path) -> House:
    """Read the house with PV; gaps stay gaps."""
    frame = pd.read_csv(folder / "french_house" / "load_pv_30min.csv", parse_dates=["slot_start"])
    load_w = frame.set_index("slot_start")["load_w"].resample("30min").mean()
    series = LoadSeries(_seconds(load_w.index[0]), 1800, load_w.to_numpy(), _french_calendar("Europe/Paris"))
    return House("french", series, 120)


def _seconds(stamp: pd.Timestamp) -> int:
    return int(stamp.timestamp())


def _french_calendar(zone: str) -> LocalCalendar:
    return LocalCalendar(ZoneInfo(zone), "FR")


def cases(folder: Path, threads: int) -> Iterator[Row]:
    """Forecast both houses month by month, then sum each up: two days ahead, and the next day, which has the gates."""
    for house in (uci(folder), french(folder)):
        yield from _case(house, threads)


def _case(house: House, threads: int) -> Iterator[Row]:
    usual = LoadSettings()
    learner = LoadLearner(house.series, replace(usual, trees=replace(usual.trees, threads=threads)))
    issues = house.series.issues()
    issues = issues[issues + DAY_S <= house.series.until_s]  # whose next day is known
    first = len(issues) - house.test_days
    starts = range(first - WARM_UP * MONTH_DAYS, len(issues), MONTH_DAYS)
    bounds = [int(issues[k]) for k in starts] + [int(issues[-1]) + 1]
    months: list[LoadForecasts] = []
    began = time.perf_counter()
    for number, (model, said) in enumerate(run_periods(learner, bounds)):
        took, began = time.perf_counter() - began, time.perf_counter()
        if number < WARM_UP:
            continue
        months.append(said)
        yield {
            "case": f"{house.name}_month",
            "first_day": str(pd.Timestamp(bounds[number], unit="s").date()),
            "rows": model.quantiles.card.rows if model else 0,
            **_figures(_columns([said], 0), house),
            "train_and_forecast_s": round(took, 1),
        }
    for lead_day, name in ((1, f"{house.name}_two_days_ahead"), (0, house.name)):
        yield {"case": name, "months": len(months), **_summary(_columns(months, lead_day), house)}


def _columns(months: Sequence[LoadForecasts], lead_day: int) -> Columns:
    """What was said of steps whose load is known, that many days after the issue's."""
    each = [
        {
            "issued_s": month.rows.issued_s,
            "actual": month.rows.actual_w,
            "ours": month.said.quantiles_w,
            "ours_mean": month.said.mean_w,
            "trees": month.trees.quantiles_w,
            **month.quantiles_w,
            **{f"{name}_mean": mean_w for name, mean_w in month.means_w.items()},
        }
        for month in months
    ]
    wanted = [(month.rows.lead_day == lead_day) & np.isfinite(month.rows.actual_w) for month in months]
    return {
        name: np.concatenate([part[name][mine] for part, mine in zip(each, wanted, strict=True)]) for name in each[0]
    }


def _rmse(columns: Columns, name: str) -> float:
    return float(np.sqrt(np.nanmean((columns[f"{name}_mean"] - columns["actual"]) ** 2)))


def _pinball(columns: Columns, name: str) -> np.ndarray:
    return pinball_rows(columns["actual"], columns[name], np.array(LEVELS))


def _energy_rmse_pct(columns: Columns, name: str, house: House) -> float:
    """Error of the mean of a day, of days that are known for nine tenths at least."""
    _, day, steps = np.unique(columns["issued_s"], return_inverse=True, return_counts=True)
    whole = steps >= 0.9 * house.series.per_day
    said_w, actual_w = (
        (np.bincount(day, weights=columns[column]) / steps)[whole] for column in (f"{name}_mean", "actual")
    )
    return round(100 * float(np.sqrt(np.nanmean((said_w - actual_w) ** 2)) / actual_w.mean()), 1)


def _figures(columns: Columns, house: House) -> Row:
    ours = score(columns["actual"], columns["ours"], np.array(LEVELS), 1.0)
    month = _pinball(columns, "month").mean()
    return {
        "rmse_of_peak_pct": round(100 * _rmse(columns, "ours") / house.peak_w, 2),
        "pinball_w": round(ours.pinball, 2),
        "pinball_of_month": round(ours.pinball / month, 3),
        "daily_energy_rmse_pct": _energy_rmse_pct(columns, "ours", house),
        "coverage_pct": round(100 * ours.coverage, 1),
        "width_of_peak_pct": round(100 * ours.width / house.peak_w, 1),
        "steps": ours.rows,
    }


def _summary(columns: Columns, house: House) -> Row:
    figures, actual = _figures(columns, house), columns["actual"]
    weeks = (columns["issued_s"] // WEEK_S).astype(np.float64)
    month = _pinball(columns, "month")
    simple = ("persistence", "weekly_persistence", "similar_days")
    squares = {name: (columns[f"{name}_mean"] - actual) ** 2 for name in ("ours", "persistence")}
    known = np.isfinite(squares["persistence"])

    def less(ours: np.ndarray, theirs: np.ndarray, blocks: np.ndarray) -> list[float]:
        return [round(100 * float(p), 1) for p in block_bootstrap(ours, theirs, blocks)]

    return figures | {
        "coverage_off_pct": round(abs(figures["coverage_pct"] - 80.0), 1),
        "rmse_of_mean_pct": round(100 * _rmse(columns, "ours") / float(actual.mean()), 1),
        "median_rmse_of_peak_pct": round(
            100 * float(np.sqrt(((columns["ours"][:, 1] - actual) ** 2).mean())) / house.peak_w, 2
        ),
        **{f"{name}_rmse_of_peak_pct": round(100 * _rmse(columns, name) / house.peak_w, 2) for name in simple},
        **{f"{name}_daily_energy_rmse_pct": _energy_rmse_pct(columns, name, house) for name in simple},
        **{
            f"{name}_pinball_of_month": round(float(_pinball(columns, name).mean() / month.mean()), 3)
            for name in ("trees", "similar_days")
        },
        **{
            f"{name}_coverage_pct": round(100 * score(actual, columns[name], np.array(LEVELS), 1.0).coverage, 1)
            for name in ("trees", "similar_days", "month")
        },
        "pinball_less_than_month_pct_p5_p50_p95": less(_pinball(columns, "ours"), month, weeks),
        "mse_less_than_persistence_pct_p5_p50_p95": less(
            squares["ours"][known], squares["persistence"][known], weeks[known]
        ),
    }
