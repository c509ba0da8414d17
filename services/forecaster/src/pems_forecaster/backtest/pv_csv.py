"""Reading a plant's history from a CSV file (docs/forecast-backtest.md)."""

from pathlib import Path

import numpy as np
import pandas as pd

from pems_common.errors import PermanentError
from pems_forecaster.backtest.pv_table import PvPlace, PvTable
from pems_forecaster.domain.grid import SLOT_S, Ints

__all__ = ["read_pv_csv"]

_TIMES = ("start", "issued_at")
_NEEDED = (*_TIMES, "ghi_w_m2", "temperature_c", "power_w")
_LIMITS = {
    "ghi_w_m2": (0.0, 1500.0),
    "temperature_c": (-60.0, 60.0),
    "cloud_pct": (0.0, 100.0),
    "wind_m_s": (0.0, 90.0),
}
_LEAST_ROWS = 48


def read_pv_csv(path: Path, place: PvPlace) -> PvTable:
    """Read archived weather forecasts and measured power.

    Args:
        path: File with a header; `start`, `issued_at` (ISO 8601 with offset), `ghi_w_m2`, `temperature_c` and `power_w`
            are needed, `cloud_pct` and `wind_m_s` known, every other column of numbers is a feature.
        place: The plant.

    Raises:
        PermanentError: Something in the file cannot be used; it names column, line, value and remedy.
    """
    try:
        frame = pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise PermanentError(
            f"{path}: cannot be read as CSV: {error}", remedy="give a CSV file with a header"
        ) from error
    if missing := [name for name in _NEEDED if name not in frame.columns]:
        raise PermanentError(
            f"{path}: columns are missing: {', '.join(missing)}", remedy=f"needed are {', '.join(_NEEDED)}"
        )
    if len(frame) < _LEAST_ROWS:
        raise PermanentError(f"{path}: {len(frame)} rows are too few", remedy=f"give at least {_LEAST_ROWS}")
    start_s, issued_s = (_seconds(path, frame, name) for name in _TIMES)
    order = np.argsort(start_s, kind="stable")
    columns = {}
    for name in frame.columns:
        if name in _TIMES:
            continue
        numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
        wrong = np.flatnonzero(np.isnan(numbers) & frame[name].notna().to_numpy())
        if len(wrong):
            raise _mistake(path, frame, name, int(wrong[0]), "is no number")
        low, high = _LIMITS.get(name, (-np.inf, np.inf))
        wrong = np.flatnonzero((numbers < low) | (numbers > high))
        if len(wrong):
            raise _mistake(path, frame, name, int(wrong[0]), f"is not within {low:g} to {high:g}: check its unit")
        columns[name] = numbers[order]
    steps = np.diff(start_s[order])
    step_s = int(np.median(steps))
    if step_s <= 0 or step_s % SLOT_S:
        raise PermanentError(
            f"{path}: rows are {step_s} s apart", remedy="give steps of 15 minutes or a multiple, each time once"
        )
    if (twice := np.flatnonzero(steps <= 0)).size:
        raise _mistake(path, frame, "start", int(order[twice[0] + 1]), "is there twice")
    late = np.flatnonzero(issued_s > start_s)
    if len(late):
        raise _mistake(
            path, frame, "issued_at", int(late[0]), "is after the start of its row: it would know the future"
        )
    # Without the weather there was no forecast: nothing is learnt from such a row, and none is scored.
    known = np.isfinite(columns["ghi_w_m2"]) & np.isfinite(columns["temperature_c"])
    power_w = np.where(known, columns.pop("power_w"), np.nan)
    return PvTable(place, start_s[order], issued_s[order], step_s, columns, power_w)


def _seconds(path: Path, frame: pd.DataFrame, name: str) -> Ints:
    stamps = np.empty(len(frame), dtype=np.int64)
    for row, text in enumerate(frame[name].astype(str)):
        try:
            time = pd.Timestamp(text)
            stamps[row] = int(time.timestamp()) if time.tzinfo is not None else -1
        except (ValueError, TypeError):
            stamps[row] = -1
        if stamps[row] < 0:
            raise _mistake(path, frame, name, row, "is no ISO 8601 time with an offset, as 2026-01-15T06:00:00Z is")
        if name == "start" and stamps[row] % SLOT_S:
            raise _mistake(path, frame, name, row, "does not begin with a quarter of an hour")
    return stamps


def _mistake(path: Path, frame: pd.DataFrame, name: str, row: int, what: str) -> PermanentError:
    """Name what is wrong as a person finds it: the header is line 1."""
    return PermanentError(
        f"{path}, line {row + 2}, {name} = {frame[name].iloc[row]!s}: {what}", remedy="correct the file"
    )
