"""Ways for a request to reach a solver: Celery's queue, or the solver in this very process."""

import asyncio
from typing import Any, Protocol

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, UnavailableError
from pems_common.home import Home
from pems_optimizer.requests import PlanRequest, solve_request

__all__ = ["CeleryQueue", "InlineQueue", "TaskSender"]

EVALUATE_TASK = "pems.bulk.evaluate"
SOLVE_TASK = "pems.plan.solve"
_SEND_S = 5.0
_HARD_LIMIT_EXTRA_S = 10.0


class TaskSender(Protocol):
    """The part of a Celery app that is needed here."""

    def send_task(self, name: str, **options: Any) -> Any:
        """Send a task by name."""


class CeleryQueue:
    """Sends requests to the `plan` queue. Messages expire, so a worker that comes back late finds none."""

    def __init__(self, app: TaskSender, clock: Clock, *, expires_s: float = 30.0) -> None:
        """Send by `app`; `expires_s` is wall time."""
        self._app = app
        self._clock = clock
        self._expires_s = expires_s

    async def submit(self, request: PlanRequest) -> None:
        """Hand the request to a worker.

        Raises:
            UnavailableError: The broker did not take it in time.
        """
        await self._send(
            SOLVE_TASK,
            args=[request.to_json()],
            queue="plan",
            expires=self._expires_s,
            time_limit=request.limit_s + _HARD_LIMIT_EXTRA_S,
            task_id=request.request_id,
        )

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Ask the bulk worker to judge a plan; a broker that is away is no trouble."""
        try:
            await self._send(EVALUATE_TASK, args=[site, plan_id], queue="bulk", expires=600.0)
        except UnavailableError:
            return

    async def _send(self, name: str, **options: Any) -> None:
        try:
            sending = asyncio.to_thread(self._app.send_task, name, retry=False, **options)
            await self._clock.wait_for(sending, _SEND_S)
        except Exception as error:  # kombu raises what the transport raises
            raise UnavailableError(f"the task queue did not take {name}: {type(error).__name__}: {error}") from error


class InlineQueue:
    """Solves at once in this process and publishes as a worker would: for lockstep runs and tests."""

    def __init__(self, home: Home, clock: Clock, bus: Bus, *, source: str = "optimizer@inline") -> None:
        """Solve for `home`, reading from and publishing to `bus`."""
        self._home, self._clock, self._bus, self._source = home, clock, bus, source

    async def submit(self, request: PlanRequest) -> None:
        """Solve and publish.

        Raises:
            UnavailableError: The work failed.
        """
        try:
            await solve_request(self._home, self._clock, self._bus, request, source=self._source)
        except PemsError as error:
            raise UnavailableError(f"no plan: {error}") from error

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Nothing: nobody waits for it in a lockstep run."""
