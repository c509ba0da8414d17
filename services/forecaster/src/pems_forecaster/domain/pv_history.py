"""What a plant's history tells at an instant: rows that may teach, the plant's strength, and its clock."""

from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.grid import Ints
from pems_forecaster.domain.pv_capacity import Capacity, capacity_of
from pems_forecaster.domain.pv_clock import Clock, clock_of
from pems_forecaster.domain.pv_quality import Doubt, Flags, PvRows, doubts, teaches

__all__ = ["PvHistory", "judge"]

_OF_A_WRONG_CLOCK = Doubt.NIGHT | Doubt.IMPOSSIBLE
"""What a shifted day looks like at dawn and dusk; the clock has to be judged with these rows."""


@dataclass(frozen=True)
class PvHistory:
    """Rows that were known, judged.

    Attributes:
        doubts: Sum of the `Doubt`s of each row (T,).
        teaching: Rows that may teach (T,): without doubt, before anything was held back that day, with a right clock.
        capacity: What the plant gives.
        clock: Of the measurements.
        days: Solar days with rows that teach by day.
    """

    doubts: Ints
    teaching: Flags
    capacity: Capacity
    clock: Clock
    days: int


def judge(rows: PvRows) -> PvHistory:
    """Judge rows by themselves alone."""
    found = doubts(rows)
    clock = clock_of(rows, (found & ~_OF_A_WRONG_CLOCK) == 0)
    teaching = teaches(rows, found) & ~clock.wrong
    days = len(np.unique(rows.day[teaching & (rows.clear > 0.0)]))
    return PvHistory(found, teaching, capacity_of(rows, teaching), clock, days)
