"""The planner's requests: at most one under way, its deadline, what became of each, and how long plans take.

A request fails at its deadline (wall time) or when it cannot be handed over; failures in a row are counted, and
from the second one on the next request waits.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pems_common.clock import Clock
from pems_common.messages import Plan
from pems_optimizer.requests import PlanRequest

__all__ = ["FAILURES_TO_RULES", "RequestLedger", "RequestView"]

DEADLINE_EXTRA_S = 15.0  # wall time beyond the solver's limit
RETRY_S = 20.0  # wall time between requests while the workers are silent
FAILURES_TO_RULES = 2
_FIRST_EXPECTED_S = 3.0
_KEPT_REQUESTS = 200


@dataclass
class RequestView:
    """What became of a request, for its REST address.

    Attributes:
        took_s: Wall seconds until the plan was there.
    """

    request_id: str
    plan_id: str
    trigger: str
    asked_at: datetime
    state: Literal["running", "done", "failed"] = "running"
    detail: str = ""
    took_s: float | None = None


@dataclass
class _InFlight:
    request: PlanRequest
    since_mono: float
    deadline_mono: float


class RequestLedger:
    """Keeps the books; asks nobody itself."""

    def __init__(self, clock: Clock, *, inline: bool) -> None:
        """Start with empty books.

        Args:
            clock: For wall time.
            inline: Whether plans are there as soon as they are asked for.
        """
        self._clock, self._inline = clock, inline
        self._views: OrderedDict[str, RequestView] = OrderedDict()
        self._in_flight: _InFlight | None = None
        self._retry_mono = 0.0
        self.expected_s = 0.0 if inline else _FIRST_EXPECTED_S
        self.failures = 0

    @property
    def under_way(self) -> RequestView | None:
        """The request that is waited for."""
        return None if self._in_flight is None else self._views[self._in_flight.request.request_id]

    def view(self, request_id: str) -> RequestView | None:
        """What became of a request."""
        return self._views.get(request_id)

    def is_for(self, plan: Plan) -> bool:
        """Whether this plan is the one that is waited for."""
        return self._in_flight is not None and self._in_flight.request.plan_id == plan.plan_id

    def deadline_s(self, limit_s: float) -> float:
        """Wall seconds a request with this time limit of the solver is waited for."""
        return limit_s + DEADLINE_EXTRA_S

    def overdue(self) -> bool:
        """Whether the request under way has missed its deadline."""
        return self._in_flight is not None and self._clock.monotonic() > self._in_flight.deadline_mono

    def may_retry(self) -> bool:
        """Whether the wait after failures is over."""
        return self._clock.monotonic() >= self._retry_mono

    def opened(self, request: PlanRequest) -> RequestView:
        """Take note of a request before it is handed over."""
        view = RequestView(request.request_id, request.plan_id, request.trigger, request.asked_at)
        self._views[request.request_id] = view
        while len(self._views) > _KEPT_REQUESTS:
            self._views.popitem(last=False)
        mono = self._clock.monotonic()
        self._in_flight = _InFlight(request, mono, mono + self.deadline_s(request.limit_s))
        return view

    def answered(self, plan: Plan) -> None:
        """Close the request under way with its plan."""
        flying, view = self._in_flight, self.under_way
        if flying is None or view is None:
            return
        took = self._clock.monotonic() - flying.since_mono
        self.expected_s = took if self._inline else 0.7 * self.expected_s + 0.3 * took
        view.state, view.took_s = "done", round(took, 3)
        view.detail = "the rules stand in" if plan.fallback_mode else ""
        self._in_flight = None

    def workers_live(self) -> None:
        """Forget failures: a worker has shown itself."""
        self.failures = 0
        self._retry_mono = 0.0

    def failed(self, why: str) -> None:
        """Close the request under way without a plan, and count."""
        view = self.under_way
        if view is not None:
            view.state, view.detail = "failed", why
        self._in_flight = None
        self.failures += 1
        if self.failures >= FAILURES_TO_RULES:
            self._retry_mono = self._clock.monotonic() + RETRY_S
