"""Prometheus metrics of one process, in a registry of its own; asking twice for a metric gives the same one."""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """Makes and keeps metrics; every name gets the prefix `pems_`."""

    def __init__(self, *, process: bool = False) -> None:
        """Use a new registry; `process` adds CPU, memory and Python version of this process."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nobody reads
        self.registry = CollectorRegistry()
        self._known: dict[str, Counter | Gauge | Histogram] = {}
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Return a counter (its name ends in `_total` on the page)."""
        return self._keep(name, lambda full: Counter(full, text, labels, registry=self.registry))

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a gauge."""
        return self._keep(name, lambda full: Gauge(full, text, labels, registry=self.registry))

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        """Return a histogram; the default buckets are seconds."""
        return self._keep(name, lambda full: Histogram(full, text, labels, registry=self.registry, buckets=buckets))

    def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)

    def value(self, name: str, labels: dict[str, str] | None = None) -> float:
        """Return the present value of a sample (0 where there is none): for tests and reports."""
        return self.registry.get_sample_value(f"pems_{name}", labels or {}) or 0.0

    def _keep(self, name: str, make: Callable[[str], M]) -> M:
        if name not in self._known:
            self._known[name] = make(f"pems_{name}")
        return cast(M, self._known[name])
