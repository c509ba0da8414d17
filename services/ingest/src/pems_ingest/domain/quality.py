"""How good a stored series is: completeness, gaps, outliers, stuck values, cadence, and one score 0..1.

The score is used to accept or refuse training data: completeness x (1 - outliers) x (1 - stuck share).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from pems_common.history import Point
from pems_ingest.domain.fields import CARRY_MAX_S, kind_of
from pems_ingest.domain.slot_means import coverage

__all__ = ["Gap", "SeriesQuality", "assess"]

_HAMPEL_SIGMAS = 8.0
_WINDOW = 15
_STUCK_DEFAULT_S = 24 * 3600.0


@dataclass(frozen=True)
class Gap:
    """A stretch `[start, end)` during which nothing is known."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class SeriesQuality:
    """Quality of one series over a period.

    Attributes:
        series: Its name.
        count: Points in the period.
        completeness: Share of the period during which a value held.
        gaps: Where nothing held for longer than the carry time, oldest first (at most 100).
        outliers: Points far off their neighbours, or impossible.
        stuck_share: Share of the period spent in runs of one value that are too long to be true.
        cadence_s: Median time between points; None with fewer than two.
        score: 0..1.
    """

    series: str
    count: int
    completeness: float
    gaps: tuple[Gap, ...] = field(default=())
    outliers: int = 0
    stuck_share: float = 0.0
    cadence_s: float | None = None
    score: float = 0.0


def assess(series: str, points: Sequence[Point], start: datetime, end: datetime) -> SeriesQuality:
    """Judge the points of `[start, end)`, oldest first.

    Raises:
        ValueError: The period is empty.
    """
    period_s = (end - start).total_seconds()
    if period_s <= 0:
        raise ValueError("the period is empty")
    kind = kind_of(series)
    carry_s = kind.carry_s if kind else CARRY_MAX_S
    inside = [p for p in points if start <= p.at < end]
    if not inside:
        return SeriesQuality(series, 0, 0.0, (Gap(start, end),))
    at_s = np.array([p.at.timestamp() for p in inside])
    value = np.array([p.value for p in inside])
    completeness = coverage(at_s, start_s=start.timestamp(), end_s=end.timestamp(), carry_s=carry_s)
    outliers = _outliers(value) if kind is None or not kind.boolean else np.zeros(value.size, dtype=bool)
    if kind is not None:
        outliers |= (value < kind.low) | (value > kind.high)
    stuck_s = _stuck_s(at_s, value, (kind.stuck_s or 0.0) if kind else _STUCK_DEFAULT_S, carry_s)
    stuck_share = min(1.0, stuck_s / period_s)
    outlier_share = float(outliers.mean())
    score = completeness * (1.0 - min(1.0, 5.0 * outlier_share)) * (1.0 - stuck_share)
    steps = np.diff(at_s)
    return SeriesQuality(
        series=series,
        count=len(inside),
        completeness=round(completeness, 4),
        gaps=_gaps(at_s, start, end, carry_s),
        outliers=int(outliers.sum()),
        stuck_share=round(stuck_share, 4),
        cadence_s=round(float(np.median(steps)), 3) if steps.size else None,
        score=round(max(0.0, score), 4),
    )


def _gaps(at_s: np.ndarray, start: datetime, end: datetime, carry_s: float) -> tuple[Gap, ...]:
    edges = [start.timestamp() - carry_s, *at_s.tolist(), end.timestamp()]
    result = []
    for before, after in pairwise(edges):
        if after - before > carry_s + 1e-3:
            gap_start = datetime.fromtimestamp(before, UTC) + timedelta(seconds=carry_s)
            result.append(Gap(max(gap_start, start), datetime.fromtimestamp(after, UTC)))
    return tuple(result[:100])


def _outliers(value: np.ndarray) -> np.ndarray:
    """Mark single points far off the median of their neighbours (Hampel filter), which then return."""
    if value.size < _WINDOW:
        return np.zeros(value.size, dtype=bool)
    half = _WINDOW // 2
    padded = np.concatenate((np.full(half, value[0]), value, np.full(half, value[-1])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)
    median = np.median(windows, axis=1)
    spread = 1.4826 * np.median(np.abs(windows - median[:, None]), axis=1)
    whole = 1.4826 * float(np.median(np.abs(value - np.median(value)))) + 1e-9
    off = np.abs(value - median)
    neighbours = np.maximum(np.abs(np.diff(value, prepend=value[0])), np.abs(np.diff(value, append=value[-1])))
    marked: np.ndarray = (off > _HAMPEL_SIGMAS * np.maximum(spread, 0.5 * whole)) & (neighbours > off * 0.5)
    return marked


def _stuck_s(at_s: np.ndarray, value: np.ndarray, limit_s: float, carry_s: float) -> float:
    """Return the time in unbroken runs of one value longer than the limit."""
    if limit_s <= 0 or value.size < 2:
        return 0.0
    total = 0.0
    breaks = np.flatnonzero((np.diff(value) != 0) | (np.diff(at_s) > carry_s)) + 1
    for first, last in zip([0, *breaks.tolist()], [*breaks.tolist(), value.size], strict=True):
        length = float(at_s[last - 1] - at_s[first])
        if length > limit_s:
            total += length
    return total
