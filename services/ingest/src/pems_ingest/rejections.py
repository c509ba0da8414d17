"""Counts readings that were not used, with their reasons, and remembers the last ones for people."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from pems_common.dialects.result import Rejected
from pems_common.metrics import Metrics

__all__ = ["Rejection", "Rejections"]

_KEEP = 100


@dataclass(frozen=True)
class Rejection:
    """One reading that was not used: house time, where it came from, why."""

    at: datetime
    origin: str
    reason: str
    detail: str


class Rejections:
    """Counts by reason; reasons are a small fixed set, so they may label a metric."""

    def __init__(self, metrics: Metrics) -> None:
        """Count in `metrics` too."""
        self.counts: Counter[str] = Counter()
        self.recent: deque[Rejection] = deque(maxlen=_KEEP)
        self._metric = metrics.counter("ingest_rejected", "Readings that were not used", ["reason"])

    def add(self, rejected: Rejected, origin: str, at: datetime) -> None:
        """Count one."""
        self.counts[rejected.reason] += 1
        self.recent.append(Rejection(at, origin[:120], rejected.reason, rejected.detail[:200]))
        self._metric.labels(reason=rejected.reason).inc()
