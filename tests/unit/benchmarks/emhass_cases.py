"""Days for the tests of the benchmark against EMHASS."""

from datetime import UTC, datetime

import numpy as np
from benchmarks.emhass.case import SLOTS, Day

__all__ = ["a_day"]


def a_day(load_w=0.0, pv_w=0.0, buy=2.0, sell=1.0) -> Day:
    def series(value) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, dtype=float), SLOTS).copy()

    return Day(datetime(2024, 6, 1, tzinfo=UTC), series(load_w), series(pv_w), series(buy), series(sell))
