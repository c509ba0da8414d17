"""The planner's requests: at most one under way, its deadline, what became of each, and how long plans take.

A request fails at its deadline (wall time), when it cannot be handed over, or when its worker is known to have died
or given up; failures in a row are counted, and from the second one on the next request waits: a little while nobody
takes requests up, longer and longer while they kill their workers.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pems_common.clock import Clock
from pems_common.messages import Plan
from pems_optimizer.request_fates import Failure
from pems_optimizer.requests import PlanRequest

__all__ = ["FAILURES_TO_RULES", "RequestLedger", "RequestView"]

DEADLINE_EXTRA_S = 15.0  # wall time beyond the solver's limit
RETRY_S = 20.0  # wall time between requests while the workers are silent
DEATHS_RETRY_S = 60.0  # wall time after a second death in a row; doubles with each further one
LONGEST_RETRY_S = 900.0
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
        self._deaths = 0  # in a row

    @property
    def under_way(self) -> RequestView | None:
        """The request that is waited for."""
        return None if self._in_flight is None else self._views[self._in_flight.request.request_id]

    @property
    def request(self) -> PlanRequest | None:
        """The request that is waited for, as it was sent."""
        return None if self._in_flight is None else self._in_flight.request

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
        self.failures = self._deaths = 0
        self._retry_mono = 0.0

    def failed(self, failure: Failure) -> None:
        """Close the request under way without a plan, and count."""
        view = self.under_way
        if view is not None:
            view.state, view.detail = "failed", failure.why
        self._in_flight = None
        self.failures += 1
        self._deaths = self._deaths + 1 if failure.kind == "died" else 0
        if self.failures >= FAILURES_TO_RULES:
            wait_s = RETRY_S
            if failure.kind == "died":
                doublings = min(max(self._deaths - FAILURES_TO_RULES, 0), 10)
                wait_s = min(DEATHS_RETRY_S * 2.0**doublings, LONGEST_RETRY_S)
            self._retry_mono = self._clock.monotonic() + wait_s
