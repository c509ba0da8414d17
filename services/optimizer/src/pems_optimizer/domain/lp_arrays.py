"""A linear program collected block by block, handed to HiGHS as arrays (PuLP takes a second for the same)."""

from collections.abc import Sequence
from typing import Any

import highspy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pems_optimizer.domain.problem import Floats

__all__ = ["Indices", "LpArrays"]

Indices = NDArray[np.int64]


class LpArrays:
    """Columns and rows of a linear program to be minimised."""

    def __init__(self) -> None:
        self.columns = 0
        self.rows = 0
        self._lower: list[Floats] = []
        self._upper: list[Floats] = []
        self._cost: list[Floats] = []
        self._row_lower: list[Floats] = []
        self._row_upper: list[Floats] = []
        self._at: list[tuple[Indices, Indices, Floats]] = []

    def add_columns(
        self, count: int, *, lower: ArrayLike = 0.0, upper: ArrayLike = np.inf, cost: ArrayLike = 0.0
    ) -> Indices:
        """Add variables; bounds and cost are scalars or (count,). Returns their indices."""
        for store, value in ((self._lower, lower), (self._upper, upper), (self._cost, cost)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)).copy())
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add_rows(
        self,
        count: int,
        terms: Sequence[tuple[Indices, ArrayLike]],
        *,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
    ) -> Indices:
        """Add rows `lower <= sum of terms <= upper`; each term is (count,) column indices with coefficients.

        A term shorter than `count` belongs to the last rows (as `energy[t - 1]` does).
        """
        rows = np.arange(self.rows, self.rows + count)
        for store, value in ((self._row_lower, lower), (self._row_upper, upper)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)).copy())
        for columns, factor in terms:
            if len(columns):
                at = rows[count - len(columns) :]
                self._at.append((at, columns, np.broadcast_to(np.asarray(factor, dtype=np.float64), at.shape)))
        self.rows += count
        return rows

    def add_sum(self, columns: Indices, factors: ArrayLike, *, lower: float = -np.inf, upper: float = np.inf) -> int:
        """Add one row over many columns; returns its index."""
        row = int(self.add_rows(1, [], lower=lower, upper=upper)[0])
        self._at.append(
            (np.full(len(columns), row), columns, np.broadcast_to(np.asarray(factors, float), columns.shape))
        )
        return row

    def cost_of(self, columns: Indices) -> Floats:
        """Return the cost of columns."""
        return np.asarray(np.concatenate(self._cost)[columns])

    def pass_to(self, highs: Any) -> None:
        """Give the program to a `highspy.Highs`."""
        row = np.concatenate([r for r, _, _ in self._at]) if self._at else np.empty(0, dtype=np.int64)
        column = np.concatenate([c for _, c, _ in self._at]) if self._at else np.empty(0, dtype=np.int64)
        value = np.concatenate([v for _, _, v in self._at]) if self._at else np.empty(0)
        order = np.argsort(row, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=self.rows))])
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = map(np.concatenate, (self._cost, self._lower, self._upper))
        lp.row_lower_, lp.row_upper_ = np.concatenate(self._row_lower), np.concatenate(self._row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = start.astype(np.int32)
        lp.a_matrix_.index_ = column[order].astype(np.int32)
        lp.a_matrix_.value_ = value[order]
        highs.passModel(lp)
