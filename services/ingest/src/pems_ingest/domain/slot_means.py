"""Time-weighted means of irregular points: each value holds until the next one, at most for its carry time.

The same rule serves powers, temperatures and relays: points are stored on change, so a plain mean of points would
weigh busy moments too much. A relay's mean is the share of time it was on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["coverage", "slot_means"]

Floats = NDArray[np.float64]


def _integrals(at_s: Floats, value: Floats, carry_s: float, edges_s: Floats) -> tuple[Floats, Floats]:
    """Return (integral of the value, covered time) of each slot between consecutive edges."""
    ends = np.minimum(np.append(at_s[1:], np.inf), at_s + carry_s)
    held = ends - at_s
    breaks = np.column_stack((at_s, ends)).ravel()
    area = np.concatenate(([0.0], np.cumsum(value * held)))
    time = np.concatenate(([0.0], np.cumsum(held)))
    areas = np.column_stack((area[:-1], area[1:])).ravel()
    times = np.column_stack((time[:-1], time[1:])).ravel()
    return (
        np.diff(np.interp(edges_s, breaks, areas)),
        np.diff(np.interp(edges_s, breaks, times)),
    )


def slot_means(
    at_s: Floats, value: Floats, *, start_s: float, count: int, step_s: float, carry_s: float
) -> list[float | None]:
    """Return the mean of each slot, None where no value held at any time.

    Args:
        at_s: Times of the points, increasing [s]; points up to `carry_s` before `start_s` matter.
        value: Their values.
        start_s: Start of the first slot [s].
        count: Number of slots.
        step_s: Length of a slot [s].
        carry_s: How long a value holds without a successor [s].
    """
    if at_s.size == 0 or count == 0:
        return [None] * count
    # Times relative to the start keep the cumulated integrals small and exact.
    edges = np.arange(count + 1, dtype=np.float64) * step_s
    area, time = _integrals(at_s - start_s, value, carry_s, edges)
    covered = time > 1e-6
    means = np.divide(area, time, out=np.zeros_like(area), where=covered)
    low, high = float(value.min()), float(value.max())
    return [float(min(max(m, low), high)) if c else None for m, c in zip(means.tolist(), covered.tolist(), strict=True)]


def coverage(at_s: Sequence[float] | Floats, *, start_s: float, end_s: float, carry_s: float) -> float:
    """Return the share 0..1 of `[start_s, end_s)` during which some value held."""
    at = np.asarray(at_s, dtype=np.float64)
    if at.size == 0 or end_s <= start_s:
        return 0.0
    edges = np.array([0.0, end_s - start_s])
    _, time = _integrals(at - start_s, np.zeros_like(at), carry_s, edges)
    return float(time[0] / (end_s - start_s))
