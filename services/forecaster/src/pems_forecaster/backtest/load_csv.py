"""Reading a house's load from a CSV file (docs/forecast-load.md)."""

from pathlib import Path

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.backtest.csv_file import mistake, numbers_of, read_frame, seconds_of, step_of
from pems_forecaster.domain.grid import LocalCalendar
from pems_forecaster.domain.load_series import DAY_S, STEPS_S, LoadSeries

__all__ = ["read_load_csv"]

_NEEDED = ("start", "power_w")
_LEAST_DAYS = 42
_LIMITS_W = (0.0, 200_000.0)
_HAIR_W = 1.0


def read_load_csv(path: Path, calendar: LocalCalendar) -> LoadSeries:
    """Read measured load, and take out what PEMS controls.

    Args:
        path: File with a header; `start` (ISO 8601 with offset) and `power_w` (mean of the step, empty where unknown)
            are needed. Columns named `controlled_..._w` are loads within it that are taken out; the rest is unknown
            where one of them is. Other columns are not looked at. Rows may be missing, and in any order.
        calendar: Of the site.

    Raises:
        PermanentError: Something in the file cannot be used; it names column, line, value and remedy.
    """
    frame = read_frame(path, _NEEDED, 2)
    start_s = seconds_of(path, frame, "start")
    step_s, _ = step_of(path, frame, start_s)
    if step_s not in STEPS_S:
        raise PermanentError(f"{path}: rows are {step_s} s apart", remedy="give steps of 15, 30 or 60 minutes")
    if (uneven := np.flatnonzero(start_s % step_s)).size:
        raise mistake(path, frame, "start", int(uneven[0]), f"does not begin with a step of {step_s} s")
    if len(frame) * step_s < _LEAST_DAYS * DAY_S:
        raise PermanentError(f"{path}: {len(frame)} rows are too few", remedy=f"give at least {_LEAST_DAYS} days")
    rest_w = numbers_of(path, frame, "power_w", _LIMITS_W)
    for name in frame.columns:
        if name.startswith("controlled_") and name.endswith("_w"):
            rest_w = rest_w - numbers_of(path, frame, name, _LIMITS_W)
            if (more := np.flatnonzero(rest_w < -_HAIR_W)).size:
                raise mistake(path, frame, name, int(more[0]), "is more than is left of power_w")
    first_s = int(start_s.min())
    power_w = np.full((int(start_s.max()) - first_s) // step_s + 1, np.nan)
    power_w[(start_s - first_s) // step_s] = np.maximum(rest_w, 0.0)
    return LoadSeries(first_s, step_s, power_w, calendar)
