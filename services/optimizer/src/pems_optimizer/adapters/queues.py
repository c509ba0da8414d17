"""Ways for a request to reach a solver: Celery's queue, or the solver in this very process."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Protocol

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, UnavailableError
from pems_common.home import Home
from pems_common.messages import Plan
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.task_messages import (
    TaskMessage,
    evaluate_message,
    solve_message,
    study_message,
    why_message,
)
from pems_optimizer.certificates import Certify, certify_plan
from pems_optimizer.plan_work import Worker, solve_request
from pems_optimizer.requests import PlanRequest
from pems_optimizer.study import Study
from pems_optimizer.why import WhyQuestion

__all__ = ["CeleryQueue", "InlineQueue", "TaskSender"]

_SEND_S = 5.0


class TaskSender(Protocol):
    """The part of a Celery app that is needed here."""

    def send_task(self, name: str, **options: Any) -> Any:
        """Send a task by name."""


class CeleryQueue:
    """Sends to Celery's queues. Messages expire, so a worker that comes back late finds none."""

    def __init__(self, app: TaskSender, clock: Clock) -> None:
        """Send by `app`."""
        self._app = app
        self._clock = clock

    async def submit(self, request: PlanRequest) -> None:
        """Hand the request to a worker.

        Raises:
            UnavailableError: The broker did not take it in time.
        """
        await self.send(solve_message(request))

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Ask the bulk worker to judge a plan; a broker that is away is no trouble."""
        try:
            await self.send(evaluate_message(site, plan_id))
        except UnavailableError:
            return

    async def ask_why(self, question: WhyQuestion) -> None:
        """Hand a question to a worker.

        Raises:
            UnavailableError: The broker did not take it in time.
        """
        await self.send(why_message(question))

    async def send_chunks(self, study: Study, chunks: Collection[int]) -> None:
        """Hand chunks of a study to the bulk workers.

        Raises:
            UnavailableError: The broker did not take one of them in time.
        """
        for chunk in chunks:
            await self.send(study_message(study, chunk))

    async def send(self, message: TaskMessage) -> None:
        """Send a task.

        Raises:
            UnavailableError: The broker did not take it in time.
        """
        name = message.name
        try:
            sending = asyncio.to_thread(self._app.send_task, name, retry=False, **message.for_celery())
            await self._clock.wait_for(sending, _SEND_S)
        except Exception as error:  # kombu raises what the transport raises
            raise UnavailableError(f"the task queue did not take {name}: {type(error).__name__}: {error}") from error


class InlineQueue:
    """Solves at once in this process and publishes as a worker would: for lockstep runs and tests."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        bus: Bus,
        *,
        source: str = "optimizer@inline",
        worker: Worker | None = None,
        certify: Certify | None = None,
        certify_limit_s: float = 5.0,
    ) -> None:
        """Solve for `home`, reading from and publishing to `bus`.

        Args:
            home: The site.
            clock: House and wall time.
            bus: Where state is read and plans are published.
            source: Name in messages.
            worker: What to work with.
            certify: Finds a bound for each plan, before `submit` returns; no certificates where None.
            certify_limit_s: Wall seconds for it.
        """
        self._home, self._clock, self._bus, self._source = home, clock, bus, source
        self._worker = worker or Worker()
        if certify is not None:
            plans = self._worker.plans or InMemoryPlans()

            async def then(plan: Plan) -> None:
                await certify_plan(
                    clock,
                    bus,
                    plans,
                    home.site.id,
                    plan.plan_id,
                    certify=certify,
                    source=source,
                    limit_s=certify_limit_s,
                )

            self._worker = replace(self._worker, plans=plans, then=then)

    async def submit(self, request: PlanRequest) -> None:
        """Solve and publish.

        Raises:
            UnavailableError: The work failed.
        """
        try:
            await solve_request(self._home, self._clock, self._bus, request, source=self._source, worker=self._worker)
        except PemsError as error:
            raise UnavailableError(f"no plan: {error}") from error

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Nothing: nobody waits for it in a lockstep run."""
