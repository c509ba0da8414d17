"""The tasks of the workers, as thin shells: read the message, open the workplace, call the use case.

A message names things and holds no data, so it may be lost, late or come twice without harm. Those for plans are
acknowledged before they run and never tried again by Celery: the planner alone asks again. Chunks of studies are
acknowledged when they are done, and come again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from celery import Celery, current_task

from pems_common.errors import PemsError
from pems_common.logs import get_logger
from pems_common.messages import Plan
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.adapters.task_messages import (
    CERTIFICATE_TASK,
    EVALUATE_TASK,
    SOLVE_TASK,
    STUDY_TASK,
    WHY_TASK,
    certificate_message,
)
from pems_optimizer.certificates import Certify, FoundBound, certify_plan
from pems_optimizer.plan_work import MakePlan, Worker, evaluate_plan, solve_request
from pems_optimizer.requests import PlanRequest
from pems_optimizer.study_kind import StudyKind
from pems_optimizer.study_kinds import KINDS
from pems_optimizer.study_work import work_on_chunk
from pems_optimizer.why import Explain, WhyQuestion, answer_question
from pems_optimizer.workplace import Workplace, open_workplace

__all__ = ["Solving", "add_tasks"]

T = TypeVar("T")
CERTIFICATE_LIMIT_S = 30.0  # wall time
_EVALUATE_DRAWS = 30
_EVALUATE_LIMIT_S = 20.0
_log = get_logger("worker")


def _certify(*arguments: Any) -> FoundBound:
    # Loaded when it is first needed: the workers for plans never need it.
    found: FoundBound = import_module("pems_optimizer.domain.certificate").certify(*arguments)
    return found


def _explain(*arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = import_module("pems_optimizer.domain.why").explain_other(*arguments)
    return answer


@dataclass(frozen=True)
class Solving:
    """What the tasks solve with; tests put their own in.

    Attributes:
        make: Makes plans; what `domain.planning` has where None.
        certify: Finds bounds.
        explain: Answers "why?".
        kinds: Kinds of studies.
    """

    make: MakePlan | None = None
    certify: Certify = _certify
    explain: Explain = _explain
    kinds: Mapping[str, StudyKind] = field(default_factory=lambda: KINDS)


def _at_work(work: Callable[[Workplace], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_workplace(ServiceSettings()) as place:
            return await work(place)

    return asyncio.run(run())


def _worker_name() -> str:
    return str(current_task.request.hostname or "worker") if current_task else "worker"


def add_tasks(app: Celery, solving: Solving) -> None:
    """Add all tasks to an app."""
    _add_plan_tasks(app, solving)
    _add_bulk_tasks(app, solving)


def _add_plan_tasks(app: Celery, solving: Solving) -> None:
    @app.task(name=SOLVE_TASK)  # type: ignore[untyped-decorator]
    def solve(data: dict[str, Any]) -> None:
        """Make the plan of a request and publish it; a failure is told in the request's mark and the log."""

        async def work(place: Workplace) -> None:
            async def ask_certificate(plan: Plan) -> None:
                if not plan.fallback_mode:
                    queue = CeleryQueue(app, place.clock)
                    await queue.send(certificate_message(request.site, plan.plan_id, plan.plan_no))

            request = PlanRequest.from_json(data)
            worker = Worker(_worker_name(), solving.make, place.plans, place.marks, ask_certificate, place.cases)
            await solve_request(place.home, place.clock, place.bus, request, source=place.source, worker=worker)

        try:
            _at_work(work)
        except PemsError as error:
            _log.error("request failed", request=str(data.get("request_id", "")), error=str(error))

    @app.task(name=WHY_TASK)  # type: ignore[untyped-decorator]
    def why(data: dict[str, Any]) -> None:
        """Answer a question about a plan; one that nobody waits for any more is dropped."""

        async def work(place: Workplace) -> None:
            question = WhyQuestion.from_json(data)
            if place.clock.wall_now() < question.expires_at:
                reply = await answer_question(place.clock, place.plans, question, solving.explain)
                await place.answers.put(question.question_id, reply)

        try:
            _at_work(work)
        except PemsError as error:
            _log.error("question failed", question=str(data.get("question_id", "")), error=str(error))


def _add_bulk_tasks(app: Celery, solving: Solving) -> None:
    @app.task(name=CERTIFICATE_TASK)  # type: ignore[untyped-decorator]
    def certificate(site: str, plan_id: str) -> None:
        """Find the bound of a plan and publish its certificate."""

        async def work(place: Workplace) -> None:
            await certify_plan(
                place.clock,
                place.bus,
                place.plans,
                site,
                plan_id,
                certify=solving.certify,
                source=place.source,
                limit_s=CERTIFICATE_LIMIT_S,
            )

        try:
            _at_work(work)
        except PemsError as error:
            _log.warning("no certificate", site=site, plan=plan_id, error=str(error))

    @app.task(name=EVALUATE_TASK)  # type: ignore[untyped-decorator]
    def evaluate(site: str, plan_id: str) -> None:
        """Judge a plan on sampled days and publish the score; a plan that is no longer the newest is left alone."""

        async def work(place: Workplace) -> None:
            await evaluate_plan(
                place.home,
                place.clock,
                place.bus,
                plan_id,
                source=place.source,
                draws=_EVALUATE_DRAWS,
                limit_s=_EVALUATE_LIMIT_S,
            )

        try:
            _at_work(work)
        except PemsError as error:
            _log.warning("plan not evaluated", site=site, plan=plan_id, error=str(error))

    # Acknowledged when done: a chunk whose process dies is given to the next one at once.
    @app.task(name=STUDY_TASK, acks_late=True, reject_on_worker_lost=True)  # type: ignore[untyped-decorator]
    def study(study_id: str, chunk: int) -> None:
        """Work on one chunk of a study."""

        async def work(place: Workplace) -> None:
            await work_on_chunk(place.clock, place.studies, study_id, chunk, worker=_worker_name(), kinds=solving.kinds)

        try:
            _at_work(work)
        except PemsError as error:
            _log.warning("chunk left undone", study=study_id, chunk=chunk, error=str(error))
