"""PV day ahead on the solar track of GEFCom2014 (Hong et al. 2016, doi:10.1016/j.ijforecast.2016.02.001).

Three plants near Canberra, day-ahead weather of ECMWF as it was issued, tasks 4 to 14. Each month is forecast by models
trained on all months before it; tasks 2 and 3 are forecast too, for the calibration to begin with, and not counted. The
score of the competition is the mean pinball loss of 99 quantiles over all hours. Beside it stand the physical chain,
persistence (the same hour of the last known day), smart persistence (the clear-sky index of the last day), and the
climatology of 30 days; differences come with the 90 % interval of a bootstrap over weeks.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks._gates import Gate, Row

from pems_common.home.models import Pv, Roof
from pems_forecaster.backtest.pv import PvForecasts, PvLearner, PvSettings, run_periods, spread_levels
from pems_forecaster.domain.pv_table import PvPlace, PvTable
from pems_forecaster.domain.scores import band_of, block_bootstrap, pinball_rows, score

DATA_SETS = ("gefcom2014_solar",)
PERCENT = np.arange(1, 100) / 100.0
WEEK_S = 7 * 86_400
FIRST_TASK, LAST_TASK, WARM_UP = 4, 14, 2
BENCHMARK_PINBALL, WINNER_PINBALL = 0.0384, 0.0121  # of the organisers, and of the winning team
PLANTS = {  # latitude, longitude, altitude [m], azimuth, tilt: from the competition's description
    1: (-35.275, 149.1136, 595.0, 38.0, 36.0),
    2: (-35.3917, 149.0669, 602.0, 327.0, 35.0),
    3: (-35.5350, 149.1350, 951.0, 31.0, 21.0),
}
_OTHER = ("tclw", "tciw", "sp", "rh", "u", "v", "strd_w_m2", "tsr_w_m2", "tp_m")

GATES: tuple[Gate, ...] = (
    Gate("gefcom", "pinball_99", 0.0119, 0.0115),
    Gate("gefcom", "rmse_pct", 8.0, 7.7),
    Gate("gefcom", "daylight_rmse_pct", 11.4, 11.0),
    Gate("gefcom", "coverage_off_pct", 2.0, 1.0),
    Gate("gefcom", "worst_month_off_pct", 6.0, 3.0),
)


def gefcom_tables(folder: Path) -> list[PvTable]:
    """Read the three plants; powers are shares of a capacity of 1000 W."""
    frame = pd.read_parquet(folder / "gefcom2014_solar" / "zones123.parquet")
    tables = []
    for zone, rows in frame.groupby("zone"):
        latitude, longitude, altitude_m, azimuth, tilt = PLANTS[int(zone)]  # type: ignore[arg-type]
        rows = rows.sort_values("slot_end").drop_duplicates("slot_end")
        end_s, issued_s = (
            rows[name].to_numpy().astype("datetime64[s]").astype(np.int64) for name in ("slot_end", "issued_at")
        )
        columns = {name: rows[name].to_numpy(dtype=np.float64) for name in ("ssrd_w_m2", "t2_c", "tcc", *_OTHER)}
        weather = {
            "ghi_w_m2": columns.pop("ssrd_w_m2"),
            "temperature_c": columns.pop("t2_c"),
            "cloud_pct": 100.0 * columns.pop("tcc"),
            "wind_m_s": np.hypot(columns["u"], columns["v"]),
            **columns,
        }
        roof = Roof(name="field", peak_w=1000.0, tilt_deg=tilt, azimuth_deg=azimuth)
        plant = Pv(roofs=(roof,), inverter_ac_limit_w=1000.0, gamma_per_k=-0.0043, inverter_efficiency=0.86)
        power_w = 1000.0 * rows["power_pu"].to_numpy(dtype=np.float64)
        place = PvPlace(latitude, longitude, altitude_m, plant)
        tables.append(PvTable(place, end_s - 3600, issued_s, 3600, weather, power_w))
    return tables


def _task_begins_s(task: int) -> int:
    return int((pd.Timestamp("2013-04-01", tz="UTC") + pd.DateOffset(months=task - 1)).timestamp())


def _losses(said: PvForecasts) -> dict[str, np.ndarray]:
    """Loss of each row with a truth: pinball of 99 quantiles, squared errors of medians."""
    known = np.isfinite(said.actual)
    actual = said.actual[known]

    def pinball(quantiles: np.ndarray) -> np.ndarray:
        return pinball_rows(actual, np.clip(spread_levels(quantiles[known], said.levels, PERCENT), 0.0, 1.0), PERCENT)

    return {
        "week": (said.start_s[known] // WEEK_S).astype(np.float64),
        "daylight": said.daylight[known].astype(np.float64),
        "ours": pinball(said.quantiles),
        "raw": pinball(said.raw),
        "climatology": pinball(said.climatology),
        "ours_sq": (band_of(said.quantiles[known], said.levels).p50 - actual) ** 2,
        **{f"{name}_sq": (said_w[known] - actual) ** 2 for name, said_w in said.medians.items()},
    }


def cases(folder: Path, threads: int) -> Iterator[Row]:
    """Forecast the months of the competition, then sum up."""
    usual = PvSettings()
    learner = PvLearner(gefcom_tables(folder), replace(usual, trees=replace(usual.trees, threads=threads)))
    tasks = range(FIRST_TASK - WARM_UP, LAST_TASK + 1)
    bounds = [_task_begins_s(task) for task in (*tasks, LAST_TASK + 1)]
    months: list[dict[str, np.ndarray]] = []
    coverages: list[tuple[float, float, int]] = []
    began = time.perf_counter()
    for task, (model, said) in zip(tasks, run_periods(learner, bounds), strict=True):
        took, began = time.perf_counter() - began, time.perf_counter()
        if task < FIRST_TASK:
            continue
        losses, day = _losses(said), said.daylight
        ours = score(said.actual[day], said.quantiles[day], said.levels, 1.0)
        raw = score(said.actual[day], said.raw[day], said.levels, 1.0)
        months.append(losses)
        coverages.append((ours.coverage, raw.coverage, ours.rows))
        yield {
            "case": "gefcom_month",
            "task": task,
            "rows": model.card.rows,
            "pinball_99": round(float(losses["ours"].mean()), 5),
            "raw_pinball_99": round(float(losses["raw"].mean()), 5),
            "rmse_pct": round(100 * float(np.sqrt(losses["ours_sq"].mean())), 2),
            "coverage_pct": round(100 * ours.coverage, 1),
            "raw_coverage_pct": round(100 * raw.coverage, 1),
            "width_pct": round(100 * ours.width, 1),
            "train_and_forecast_s": round(took, 1),
        }
    yield _gefcom_summary(months, coverages)


def _gefcom_summary(months: list[dict[str, np.ndarray]], coverages: list[tuple[float, float, int]]) -> Row:
    """Means over the tasks, as the competition has them; coverage over all daylight hours."""

    def rmse(name: str, *, daylight: bool = False) -> float:
        each = [m[name][m["daylight"] > 0.0] if daylight else m[name] for m in months]
        return round(100 * float(np.mean([np.sqrt(part.mean()) for part in each])), 2)

    def pinball(name: str) -> float:
        return round(float(np.mean([m[name].mean() for m in months])), 5)

    def against(ours: str, theirs: str) -> list[float]:
        joined = {name: np.concatenate([m[name] for m in months]) for name in (ours, theirs, "week")}
        return [round(100 * float(p), 1) for p in block_bootstrap(joined[ours], joined[theirs], joined["week"])]

    hours = np.array([rows for _, _, rows in coverages], dtype=np.float64)
    whole, raw = (float(np.average([c[side] for c in coverages], weights=hours)) for side in (0, 1))
    simple = ("physics", "persistence", "smart_persistence")
    return {
        "case": "gefcom",
        "tasks": len(months),
        "pinball_99": pinball("ours"),
        "raw_pinball_99": pinball("raw"),
        "climatology_pinball_99": pinball("climatology"),
        "organisers_pinball_99": BENCHMARK_PINBALL,
        "winner_pinball_99": WINNER_PINBALL,
        "rmse_pct": rmse("ours_sq"),
        "daylight_rmse_pct": rmse("ours_sq", daylight=True),
        **{f"{name}_rmse_pct": rmse(f"{name}_sq") for name in simple},
        **{f"{name}_daylight_rmse_pct": rmse(f"{name}_sq", daylight=True) for name in simple},
        "coverage_pct": round(100 * whole, 1),
        "raw_coverage_pct": round(100 * raw, 1),
        "coverage_off_pct": round(100 * abs(whole - 0.8), 1),
        "worst_month_off_pct": round(100 * max(abs(ours - 0.8) for ours, _, _ in coverages), 1),
        "pinball_less_than_climatology_pct_p5_p50_p95": against("ours", "climatology"),
        "pinball_less_than_raw_pct_p5_p50_p95": against("ours", "raw"),
        "mse_less_than_physics_pct_p5_p50_p95": against("ours_sq", "physics_sq"),
    }
