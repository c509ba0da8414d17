"""PV from the first day on, and through faults, on the plants of GEFCom2014 one at a time, as a house has one.

Test months of `_forecast_gefcom.py` only.

`cold_start`: 0 to 120 days of own data, then 30 days that are forecast with what was known then; trees are grown anew
after 7, 14, 30, 60 and 90 days. Physics is the chain with name plate data; the gate is on the mean of the runs, the
worst run stands beside it. `faults`: each fault begins on day 200 of one plant's history. What is scored is what the
sun really gave, beside the same days of a run without the fault; days to recover are those until a week's error is
within a tenth of that run's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks._forecast_gefcom import PERCENT, gefcom_tables
from benchmarks._gates import Gate, Row

from pems_forecaster.backtest.pv import PvForecasts, PvLearner, PvSettings, run_periods, spread_levels
from pems_forecaster.backtest.pv_plant import PvPlant
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.pv_quality import Doubt
from pems_forecaster.domain.pv_table import PvTable
from pems_forecaster.domain.scores import band_of, pinball_rows, score

DAY_S = 86_400
OWN_DAYS = (0, 7, 14, 30, 60, 120)
REFIT_DAYS = (7, 14, 30, 60, 90)
STARTS = ("2013-07-01", "2013-10-01", "2014-01-01", "2014-04-01")
AHEAD_DAYS = 30
FIRST_S = 1_359_676_800  # 2013-02-01 00:00 UTC: the first day of the history that gets faults
FAULT_DAY, LAST_DAY, AFTER_DAYS = 200, 320, 30
TRAINING_DAYS = range(130, LAST_DAY, 30)
FAULTY_PLANT = 0
CLOCK_CHANGE = "2013-10-06"  # in New South Wales


def _instant(day: str) -> int:
    return int(pd.Timestamp(day, tz="UTC").timestamp())


def _rows(table: PvTable, rows: np.ndarray) -> PvTable:
    """Return some rows of a table."""
    weather = {name: column[rows] for name, column in table.weather.items()}
    return replace(
        table, start_s=table.start_s[rows], issued_s=table.issued_s[rows], weather=weather,
        power_w=table.power_w[rows], limited=table.limited[rows],
    )  # fmt: skip


def _between(table: PvTable, from_s: int, until_s: int) -> PvTable:
    return _rows(table, (table.start_s >= from_s) & (table.start_s < until_s))


def cold_start(tables: Sequence[PvTable], settings: PvSettings) -> Iterator[Row]:
    """Begin with no data, a week, and so on, at each plant and several times of the year."""
    for own_days in OWN_DAYS:
        each = []
        for table in tables:
            for start in map(_instant, STARTS):
                first, last = start - own_days * DAY_S, start + AHEAD_DAYS * DAY_S
                learner = PvLearner([_between(table, first, last)], settings)
                bounds = sorted({first, *(first + day * DAY_S for day in REFIT_DAYS if day < own_days), start, last})
                *_, (_, said) = run_periods(learner, bounds)
                each.append(_cold_figures(said))
        ratio = np.array([one["rmse_pct"] / one["physics_rmse_pct"] for one in each])
        mean = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        yield {
            "case": f"cold_start_{own_days}",
            "runs": len(each),
            **{name: round(value, 3) for name, value in mean.items()},
            "rmse_of_physics": round(mean["rmse_pct"] / mean["physics_rmse_pct"], 3),
            "worst_rmse_of_physics": round(float(ratio.max()), 3),
            "runs_above_1.02": int((ratio > 1.02).sum()),
            "coverage_off_pct": round(abs(mean["coverage_pct"] - 80.0), 1),
            "coverage_pct_least_most": [round(pick(one["coverage_pct"] for one in each), 1) for pick in (min, max)],
        }


def _cold_figures(said: PvForecasts) -> dict[str, float]:
    day = score(said.actual[said.daylight], said.quantiles[said.daylight], said.levels, 1.0)
    fine = np.clip(spread_levels(said.quantiles, said.levels, PERCENT), 0.0, 1.0)
    errors = {"rmse_pct": band_of(said.quantiles, said.levels).p50, "physics_rmse_pct": said.medians["physics"]}
    return {
        "pinball_99_pct": 100 * float(pinball_rows(said.actual, fine, PERCENT).mean()),
        **{name: 100 * _rms(median - said.actual) for name, median in errors.items()},
        "coverage_pct": 100 * day.coverage,
        "width_pct": 100 * day.width,
    }


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(error**2)))


@dataclass(frozen=True)
class Fault:
    """A fault from day 200 on.

    Attributes:
        name: Of the case.
        days: How long it lasts.
        inject: Puts it into rows (T,) of a table.
        strength: Of the plant from then on, for good; 1 where it is healthy and only the data are not.
    """

    name: str
    days: int
    inject: Callable[[PvTable, np.ndarray], PvTable]
    strength: float = 1.0


def _dark(table: PvTable, rows: np.ndarray) -> PvTable:
    after = np.arange(len(rows)) >= np.flatnonzero(rows)[0]
    return replace(table, power_w=np.where(after, 0.5 * table.power_w, table.power_w))


def _stuck(table: PvTable, rows: np.ndarray) -> PvTable:
    value = table.power_w[np.flatnonzero(rows)[3]]  # three hours after midnight UTC it is noon there
    return replace(table, power_w=np.where(rows, value, table.power_w))


def _capped(table: PvTable, rows: np.ndarray, *, flagged: bool) -> PvTable:
    limit_w = 0.4 * table.place.pv.inverter_ac_limit_w
    held = rows & (table.power_w > limit_w)
    return replace(table, power_w=np.where(held, limit_w, table.power_w), limited=held & flagged)


def _late(table: PvTable, rows: np.ndarray) -> PvTable:
    return replace(table, power_w=np.where(rows, np.roll(table.power_w, 1), table.power_w))


def _no_weather(table: PvTable, rows: np.ndarray) -> PvTable:
    last_issue = table.issued_s[np.flatnonzero(rows)[0] - 1]
    weather = {name: np.where(rows, np.nan, column) for name, column in table.weather.items()}
    return replace(table, weather=weather, issued_s=np.where(rows, last_issue, table.issued_s))


FAULTS = (
    Fault("half_dark", 10, _dark, 0.5),
    Fault("stuck_a_week", 7, _stuck),
    Fault("curtailed_a_month_flagged", 30, lambda table, rows: _capped(table, rows, flagged=True)),
    Fault("curtailed_a_month_unflagged", 30, lambda table, rows: _capped(table, rows, flagged=False)),
    Fault("clock_an_hour_late_a_month", 30, _late),
    Fault("weather_silent_3_days", 3, _no_weather),
    Fault("rows_missing_3_days", 3, lambda table, rows: _rows(table, ~rows)),
)


# case, figure, gate, goal: a figure has to be at most its gate.
GATES: tuple[Gate, ...] = (
    *(Gate(f"cold_start_{days}", "rmse_of_physics", 1.02, 1.0) for days in OWN_DAYS),
    *(Gate(f"cold_start_{days}", "coverage_off_pct", 5.0, 2.0) for days in OWN_DAYS),
    Gate("cold_start_30", "pinball_99_pct", 1.4, 1.15),
    Gate("half_dark", "days_to_recover", 10, 7),
    *(Gate(fault.name, "after_rmse_of_without", 1.15, 1.05) for fault in FAULTS),
    *(Gate(fault.name, "after_coverage_off_pct", 8.0, 4.0) for fault in FAULTS),
)


def faults(table: PvTable, settings: PvSettings) -> Iterator[Row]:
    """Run one plant with each fault, and without."""
    healthy = _between(table, FIRST_S, FIRST_S + LAST_DAY * DAY_S)
    free = _run(healthy, settings)
    truth = dict(zip(free.start_s.tolist(), free.actual.tolist(), strict=True))
    yield from _clock_changes(free)
    for fault in FAULTS:
        day = (healthy.start_s - FIRST_S) // DAY_S
        faulty = fault.inject(healthy, (day >= FAULT_DAY) & (day < FAULT_DAY + fault.days))
        said = _run(faulty, settings)
        begun = said.start_s >= FIRST_S + FAULT_DAY * DAY_S
        gave = np.array([truth[start] for start in said.start_s.tolist()]) * np.where(begun, fault.strength, 1.0)
        yield {
            "case": fault.name,
            **_through_and_after(fault, replace(said, actual=gave), free),
            **_found(fault, faulty),
        }


def _run(table: PvTable, settings: PvSettings) -> PvForecasts:
    """Return what is said from the first training on, as one."""
    bounds = [FIRST_S + day * DAY_S for day in (*TRAINING_DAYS, LAST_DAY)]
    parts = [said for _, said in run_periods(PvLearner([table], settings), bounds)]

    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    columns = {name: joined(name) for name in ("plant", "start_s", "daylight", "actual", "raw", "quantiles")}
    physics = np.concatenate([part.medians["physics"] for part in parts])
    return replace(parts[0], **columns, medians={"physics": physics}, climatology=joined("climatology"))


def _figures(said: PvForecasts, from_day: int, until_day: int, strength: float = 1.0) -> dict[str, float] | None:
    """Errors of some days, over all hours; coverage and width by day; in % of what the plant can give."""
    day = (said.start_s - FIRST_S) // DAY_S
    rows = (day >= from_day) & (day < until_day)
    if not rows.any():
        return None
    light = rows & said.daylight
    band = score(said.actual[light], said.quantiles[light], said.levels, strength)
    median = band_of(said.quantiles, said.levels).p50
    return {
        "rmse_pct": round(100 * _rms((median - said.actual)[rows]) / strength, 2),
        "physics_rmse_pct": round(100 * _rms((said.medians["physics"] - said.actual)[rows]) / strength, 2),
        "coverage_pct": round(100 * band.coverage, 1),
        "width_pct": round(100 * band.width, 1),
    }


def _through_and_after(fault: Fault, said: PvForecasts, free: PvForecasts) -> Row:
    ends = FAULT_DAY + fault.days
    windows = {"through": (FAULT_DAY, ends), "after": (ends, ends + AFTER_DAYS)}
    result: Row = {}
    for name, (begin, end) in windows.items():
        result[name] = _figures(said, begin, end, fault.strength)
        result[f"{name}_without"] = _figures(free, begin, end)
    after, without = result["after"], result["after_without"]
    result["after_rmse_of_without"] = round(after["rmse_pct"] / without["rmse_pct"], 3)
    result["after_coverage_off_pct"] = round(abs(after["coverage_pct"] - 80.0), 1)
    waits = FAULT_DAY if fault.strength != 1.0 else ends
    for day in range(waits, LAST_DAY - 7):
        ours, theirs = _figures(said, day, day + 7, fault.strength), _figures(free, day, day + 7)
        if ours and theirs and ours["rmse_pct"] <= 1.1 * theirs["rmse_pct"]:
            return result | {"days_to_recover": day - waits}
    return result | {"days_to_recover": LAST_DAY - waits}


def _found(fault: Fault, faulty: PvTable) -> Row:
    """What the judgement of the rows said when the fault was over, or ten days old."""
    plant = PvPlant(faulty)
    history = plant.known_at(FIRST_S + (FAULT_DAY + fault.days) * DAY_S)
    n = len(history.doubts)
    rows = (plant.table.start_s[:n] >= FIRST_S + FAULT_DAY * DAY_S) & (plant.physics.elevation_deg[:n] > 3.0)
    doubts = {
        doubt.name: int(((history.doubts[rows] & doubt) > 0).sum())
        for doubt in Doubt
        if (history.doubts[rows] & doubt).any()
    }
    return {
        "ratio": round(history.capacity.ratio, 3),
        "bright_days_since": history.capacity.days,
        "jump_days": [day - int(plant.day[0]) for day in history.capacity.jump_days],
        "clock_off_h": round(history.clock.off_h, 2),
        "rows_that_teach_pct": round(100 * float(history.teaching[rows].mean()), 1) if rows.any() else None,
        "doubts": doubts,
    }


def _clock_changes(free: PvForecasts) -> Iterator[Row]:
    """Weeks before and after the clocks there were changed: times are UTC, so that nothing may happen."""
    day = (_instant(CLOCK_CHANGE) - FIRST_S) // DAY_S
    yield {"case": "clocks_changed", "before": _figures(free, day - 14, day), "after": _figures(free, day, day + 14)}


def start_cases(folder: Path, threads: int) -> Iterator[Row]:
    """Run the cold starts."""
    return cold_start(gefcom_tables(folder), _settings(threads))


def fault_cases(folder: Path, threads: int) -> Iterator[Row]:
    """Run the faults."""
    return faults(gefcom_tables(folder)[FAULTY_PLANT], _settings(threads))


def _settings(threads: int) -> PvSettings:
    usual = PvSettings()
    return replace(usual, trees=replace(usual.trees, threads=threads))
