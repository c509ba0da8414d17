"""Wiring and start of the planner process; the workers are Celery's (`worker.py`)."""

from collections.abc import Sequence

from fastapi import APIRouter

from pems_common.runner import Running, Runtime, run_service
from pems_optimizer.adapters.answers import RedisAnswers
from pems_optimizer.adapters.case_memory import RedisCases
from pems_optimizer.adapters.case_store import SqliteCases, cases_path
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.plan_memory import RedisPlans
from pems_optimizer.adapters.planner_memory import FileMemory
from pems_optimizer.adapters.problem_solvers import ThreadSolver
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.redis_studies import RedisStudies
from pems_optimizer.adapters.request_marks import RedisMarks
from pems_optimizer.api import make_router
from pems_optimizer.api_cases import make_case_router
from pems_optimizer.api_certificates import make_certificate_router
from pems_optimizer.api_formats import make_formats_router
from pems_optimizer.api_solve import make_solve_router
from pems_optimizer.api_studies import make_study_router
from pems_optimizer.api_why import make_why_router
from pems_optimizer.handlers import PlannerHandlers
from pems_optimizer.plan_case_keeper import CaseKeeper
from pems_optimizer.plan_case_settings import CaseSettings
from pems_optimizer.study_keeper import StudyKeeper
from pems_optimizer.why import QueuedWhy, WhyPort

__all__ = ["build", "main"]


def build(rt: Runtime) -> Running:
    """Wire the planner with Celery's queue, and what the workers keep in Redis."""
    queue = CeleryQueue(make_celery(rt.settings), rt.clock)
    redis = RedisCalls(rt.settings.redis_address(), rt.clock)
    planner = PlannerHandlers(
        rt.home,
        rt.clock,
        rt.bus,
        queue,
        memory=FileMemory(rt.settings.data / "optimizer" / "planner.json"),
        marks=RedisMarks(redis),
        source=rt.source,
    )
    keeper = StudyKeeper(rt.home.site.id, rt.clock, RedisStudies(redis), RedisPlans(redis), queue.send_chunks)

    why = QueuedWhy(queue.ask_why, RedisAnswers(redis), rt.clock, rt.home.site.id)

    async def look_after_studies() -> None:
        try:
            await keeper.run()
        finally:
            await redis.close()

    kept = CaseSettings()
    cases = SqliteCases(
        cases_path(rt.settings.data), most_days=kept.plan_cases_days, most_bytes=kept.plan_cases_max_mb * 1_000_000
    )

    async def take_cases() -> None:
        calls = RedisCalls(rt.settings.redis_address(), rt.clock)
        try:
            await CaseKeeper(rt.home.site.id, rt.clock, RedisCases(calls), cases).run()
        finally:
            await calls.close()
            cases.close()

    return Running(
        service=planner,
        routers=_routers(rt, planner, keeper, why, cases),
        background=[look_after_studies, take_cases],
    )


def _routers(
    rt: Runtime, planner: PlannerHandlers, keeper: StudyKeeper, why: WhyPort, cases: SqliteCases
) -> Sequence[APIRouter]:
    return (
        make_case_router(cases, rt.auth.require_read),
        make_formats_router(planner, rt.home, rt.bus, rt.clock),
        make_router(planner, rt.home, rt.auth.require_write),
        make_certificate_router(planner),
        make_why_router(planner, rt.home, why, rt.auth.require_write),
        make_study_router(keeper, rt.auth.require_write),
        make_solve_router(ThreadSolver(rt.clock), rt.auth.require_write),
    )


def main() -> None:
    """Run until stopped."""
    run_service("optimizer", build, mqtt=False, requires=("redis",))


if __name__ == "__main__":
    main()
