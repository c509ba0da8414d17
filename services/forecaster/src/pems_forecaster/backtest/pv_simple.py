"""Simple PV forecasts to compare with: physics, persistence, smart persistence, and a climatology."""

import numpy as np

from pems_forecaster.domain.bands import column_quantiles
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.pv_table import Physics, PvTable

__all__ = ["climatology", "simple_medians"]

_DAY_S = 86_400


def simple_medians(table: PvTable, physics: Physics, rows: Ints) -> dict[str, Floats]:
    """Return what simple methods say of rows, by name, in shares of the AC limit, from what was measured at issue."""
    capacity, per_day = table.place.pv.inverter_ac_limit_w, _DAY_S // table.step_s
    share, clear = table.power_w / capacity, physics.clear_w / capacity
    yesterday = _days_before(table, rows, 1)
    yesterday = np.where(yesterday >= 0, yesterday, _days_before(table, rows, 2))
    filled = np.nan_to_num(share)
    sums = np.convolve(filled, np.ones(per_day))[: len(filled)], np.convolve(clear, np.ones(per_day))[: len(clear)]
    last = _places(table, table.issued_s[rows] - table.step_s)
    index = np.where(last >= 0, sums[0][np.maximum(last, 0)] / np.maximum(sums[1][np.maximum(last, 0)], 1e-6), 0.5)
    return {
        "physics": np.clip(physics.power_w[rows] / capacity, 0.0, 1.0),
        "persistence": np.nan_to_num(_at(share, yesterday)),
        "smart_persistence": np.clip(index * clear[rows], 0.0, 1.0),
    }


def climatology(table: PvTable, share: Floats, rows: Ints, days: int, levels: tuple[float, ...]) -> Floats:
    """Return quantiles (N, L) of a share (T,) at the same time of the last days, NaN where none was known at issue."""
    samples = np.stack([_at(share, _days_before(table, rows, day)) for day in range(1, days + 1)])
    return np.asarray(column_quantiles(samples, np.ones(days), levels).T)


def _days_before(table: PvTable, rows: Ints, days: int) -> Ints:
    """Places of the same time of an earlier day, -1 where that had not been measured at issue."""
    starts = table.start_s[rows] - days * _DAY_S
    return np.where(starts + table.step_s <= table.issued_s[rows], _places(table, starts), -1)


def _places(table: PvTable, starts: Ints) -> Ints:
    """Places of the steps that begin at given times, -1 where there is none."""
    place = np.minimum(np.searchsorted(table.start_s, starts), len(table.start_s) - 1)
    return np.where(table.start_s[place] == starts, place, -1)


def _at(values: Floats, places: Ints) -> Floats:
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)
