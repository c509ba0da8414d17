"""Reading a history of spot prices from a CSV file (docs/forecast-prices.md)."""

from pathlib import Path

import numpy as np

from pems_forecaster.backtest.csv_file import mistake, numbers_of, read_frame, seconds_of
from pems_forecaster.backtest.price import PriceTable
from pems_forecaster.domain.grid import SLOT_S

__all__ = ["read_price_csv"]

_NEEDED = ("start", "spot_eur_mwh")
_LIMITS = {"spot_eur_mwh": (-20_000.0, 20_000.0)}
_LEAST_ROWS = 14 * 24
_HOUR_S = 3600


def read_price_csv(path: Path) -> PriceTable:
    """Read prices of quarters of an hour, of hours, or of hours first and quarters later.

    Args:
        path: File with a header; `start` (ISO 8601 with offset) and `spot_eur_mwh` are needed, every other column of
            numbers is a feature: a forecast that was known at noon of the day before. A row that is alone in its hour
            stands for the whole hour.

    Raises:
        PermanentError: Something in the file cannot be used; it names column, line, value and remedy.
    """
    frame = read_frame(path, _NEEDED, _LEAST_ROWS)
    start_s = seconds_of(path, frame, "start")
    order = np.argsort(start_s, kind="stable")
    if (twice := np.flatnonzero(np.diff(start_s[order]) == 0)).size:
        raise mistake(path, frame, "start", int(order[twice[0] + 1]), "is there twice")
    _, hour, rows_of_hour = np.unique(start_s // _HOUR_S, return_inverse=True, return_counts=True)
    whole_hour = (rows_of_hour[hour] == 1) & (start_s % _HOUR_S == 0)
    slot, first = start_s // SLOT_S, int(start_s.min()) // SLOT_S
    count = int((slot + np.where(whole_hour, _HOUR_S // SLOT_S, 1)).max()) - first
    columns = {}
    for name in frame.columns.drop("start"):
        numbers = numbers_of(path, frame, name, _LIMITS.get(name, (-np.inf, np.inf)))
        columns[name] = np.full(count, np.nan)
        columns[name][slot - first] = numbers
        for later in range(1, _HOUR_S // SLOT_S):
            columns[name][slot[whole_hour] - first + later] = numbers[whole_hour]
    return PriceTable(first, columns.pop("spot_eur_mwh"), columns)
