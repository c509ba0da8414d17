"""A band of three quantiles as arrays, and the rules every band keeps: ordered, inside its limits."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pems_common.messages import Band, Series
from pems_forecaster.domain.grid import SLOT_S, Floats

__all__ = ["BAND_LEVELS", "Z90", "Quantiles", "column_quantiles", "pinball"]

BAND_LEVELS = np.array([0.1, 0.5, 0.9])
Z90 = 1.2816
"""P90 of the standard normal distribution."""


@dataclass(frozen=True)
class Quantiles:
    """P10, P50 and P90 per slot."""

    p10: Floats
    p50: Floats
    p90: Floats

    def tidy(self, low: float | Floats = -np.inf, high: float | Floats = np.inf) -> "Quantiles":
        """Return the band sorted and inside `low..high`."""
        rows = np.sort(np.vstack([self.p10, self.p50, self.p90]), axis=0)
        rows = np.clip(rows, low, high)
        return Quantiles(rows[0], rows[1], rows[2])

    def filled(self, other: "Quantiles") -> "Quantiles":
        """Return the band with another's slots where a part of it is not finite."""
        known = np.isfinite(self.p10) & np.isfinite(self.p50) & np.isfinite(self.p90)
        return Quantiles(
            np.where(known, self.p10, other.p10),
            np.where(known, self.p50, other.p50),
            np.where(known, self.p90, other.p90),
        )

    def columns(self) -> Floats:
        """Return the band as one array (N, 3)."""
        return np.column_stack([self.p10, self.p50, self.p90])

    def message(self, start: datetime, digits: int) -> Band:
        """Return the band as a message part (rounding keeps the order)."""
        return Band(
            p10=Series.of(start, SLOT_S, self.p10.tolist(), digits),
            p50=Series.of(start, SLOT_S, self.p50.tolist(), digits),
            p90=Series.of(start, SLOT_S, self.p90.tolist(), digits),
        )


def pinball(actual: float, p10: float, p50: float, p90: float) -> float:
    """Mean pinball loss of the three quantiles (Koenker and Bassett 1978, doi:10.2307/1913643)."""
    total = 0.0
    for tau, q in ((0.1, p10), (0.5, p50), (0.9, p90)):
        error = actual - q
        total += max(tau * error, (tau - 1.0) * error)
    return total / 3.0


def column_quantiles(samples: Floats, weights: Floats, taus: tuple[float, ...]) -> Floats:
    """Weighted quantiles of each column; NaN samples count nothing.

    Args:
        samples: Shape (samples, columns).
        weights: One per sample, shape (samples,).
        taus: Levels, 0..1.

    Returns:
        Shape (levels, columns); NaN where a column has no sample. A quantile lies between the samples whose
        middles of cumulated weight enclose its level, and never outside the samples.
    """
    if not len(samples):
        return np.full((len(taus), samples.shape[1]), np.nan)
    order = np.argsort(samples, axis=0, kind="stable")
    values = np.take_along_axis(samples, order, axis=0)
    known = np.isfinite(values)
    weight = np.where(known, weights[order], 0.0)
    total = weight.sum(axis=0)
    some = total > 0.0
    at = (np.cumsum(weight, axis=0) - 0.5 * weight) / np.where(some, total, 1.0)
    last = np.maximum(known.sum(axis=0) - 1, 0)
    columns = np.arange(samples.shape[1])
    result = np.full((len(taus), samples.shape[1]), np.nan)
    for row, tau in enumerate(taus):
        upper = np.minimum(((at < tau) & known).sum(axis=0), last)
        lower = np.maximum(upper - 1, 0)
        low_at, high_at = at[lower, columns], at[upper, columns]
        gap = np.where(high_at > low_at, high_at - low_at, 1.0)
        share = np.clip((tau - low_at) / gap, 0.0, 1.0)
        value = values[lower, columns] + share * (values[upper, columns] - values[lower, columns])
        result[row] = np.where(some, value, np.nan)
    return result
