"""The Celery worker: `celery -A pems_optimizer.worker:app worker -Q plan` (or `-Q bulk`).

A task message holds a request, no data: the worker reads the latest state from the bus itself and publishes what
it made there. So a task may be lost, late or done twice without harm.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from celery.signals import worker_init, worker_process_init

from pems_common.bus import Bus
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import Clock, open_clock
from pems_common.errors import PemsError
from pems_common.home import Home, load_home
from pems_common.logs import get_logger, setup_logging
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.queues import EVALUATE_TASK, SOLVE_TASK

__all__ = ["app", "evaluate", "solve"]

T = TypeVar("T")
app = make_celery(ServiceSettings())

_EVALUATE_DRAWS = 30
_EVALUATE_LIMIT_S = 20.0


@worker_init.connect  # type: ignore[untyped-decorator]
def load_before_fork(**_: Any) -> None:
    """Load the solver in the parent, so that its children share that memory.

    Frozen, it is out of the garbage collector's rounds, which would write to every page and so unshare it.
    """
    from pems_optimizer import requests, warm_up  # noqa: F401

    gc.collect()
    gc.freeze()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: Any) -> None:
    """Do once what the first plan would otherwise wait for, and set up the log of this child process."""
    settings = ServiceSettings()
    setup_logging("optimizer-worker", settings.instance, level=settings.log_level, form=settings.log_format)
    from pems_optimizer.warm_up import solve_something

    solve_something()
    gc.freeze()


def _with_bus(work: Callable[[Home, Clock, Bus, str], Awaitable[T]]) -> T:
    """Run `work` with the site, the clock and a fresh connection to the bus."""
    settings = ServiceSettings()
    home, clock = load_home(settings.home), open_clock(settings.clock_file)
    source = f"optimizer-worker@{settings.instance}"

    async def run() -> T:
        bus = RedisBus(settings.redis_address(), clock)
        try:
            return await work(home, clock, bus, source)
        finally:
            await bus.close()

    return asyncio.run(run())


@app.task(name=SOLVE_TASK)  # type: ignore[untyped-decorator]
def solve(data: dict[str, Any]) -> None:
    """Make the plan of a request and publish it; a failure is told in the log and left to the planner's deadline."""
    from pems_optimizer.requests import PlanRequest, solve_request

    try:
        request = PlanRequest.from_json(data)
        _with_bus(lambda home, clock, bus, source: solve_request(home, clock, bus, request, source=source))
    except PemsError as error:
        get_logger("worker").error("request failed", request=str(data.get("request_id", "")), error=str(error))


@app.task(name=EVALUATE_TASK)  # type: ignore[untyped-decorator]
def evaluate(site: str, plan_id: str) -> None:
    """Judge a plan on sampled days and publish the score; a plan that is no longer the newest is left alone."""
    from pems_optimizer.requests import evaluate_plan

    try:
        _with_bus(
            lambda home, clock, bus, source: evaluate_plan(
                home, clock, bus, plan_id, source=source, draws=_EVALUATE_DRAWS, limit_s=_EVALUATE_LIMIT_S
            )
        )
    except PemsError as error:
        get_logger("worker").warning("plan not evaluated", site=site, plan=plan_id, error=str(error))
