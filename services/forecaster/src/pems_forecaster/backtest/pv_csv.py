"""Reading a plant's history from a CSV file (docs/forecast-backtest.md)."""

from pathlib import Path

import numpy as np

from pems_forecaster.backtest.csv_file import mistake, numbers_of, read_frame, seconds_of, step_of
from pems_forecaster.domain.pv_table import PvPlace, PvTable

__all__ = ["read_pv_csv"]

_TIMES = ("start", "issued_at")
_NEEDED = (*_TIMES, "ghi_w_m2", "temperature_c", "power_w")
_LIMITS = {
    "ghi_w_m2": (0.0, 1500.0),
    "temperature_c": (-60.0, 60.0),
    "cloud_pct": (0.0, 100.0),
    "wind_m_s": (0.0, 90.0),
    "snow_depth_m": (0.0, 20.0),
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
    frame = read_frame(path, _NEEDED, _LEAST_ROWS)
    start_s, issued_s = (seconds_of(path, frame, name) for name in _TIMES)
    step_s, order = step_of(path, frame, start_s)
    columns = {
        name: numbers_of(path, frame, name, _LIMITS.get(name, (-np.inf, np.inf)))[order]
        for name in frame.columns
        if name not in _TIMES
    }
    late = np.flatnonzero(issued_s > start_s)
    if len(late):
        raise mistake(path, frame, "issued_at", int(late[0]), "is after the start of its row: it would know the future")
    # Without the weather there was no forecast: nothing is learnt from such a row, and none is scored.
    known = np.isfinite(columns["ghi_w_m2"]) & np.isfinite(columns["temperature_c"])
    power_w = np.where(known, columns.pop("power_w"), np.nan)
    return PvTable(place, start_s[order], issued_s[order], step_s, columns, power_w)
