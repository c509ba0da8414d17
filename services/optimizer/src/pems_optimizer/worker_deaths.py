"""What the parent of a worker's processes knows and nobody else does: that one died or was ended over its work.

It says so in the mark of the request, so the planner need not wait for its deadline, and can name the cause.
"""

import asyncio
from typing import Any

from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure

from pems_common.clock import SystemClock
from pems_common.logs import get_logger
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.request_marks import RedisMarks
from pems_optimizer.adapters.task_messages import SOLVE_TASK

__all__ = ["tell_of_deaths"]

_log = get_logger("worker")


def tell_of_deaths() -> None:
    """Mark requests whose process dies, from now on, in this process."""
    task_failure.connect(_on_failure)


def _on_failure(sender: Any = None, task_id: str = "", exception: Any = None, **_: Any) -> None:
    if getattr(sender, "name", "") != SOLVE_TASK or not isinstance(exception, (WorkerLostError, TimeLimitExceeded)):
        return
    over_time = isinstance(exception, TimeLimitExceeded)
    why = "it was ended at its hard time limit" if over_time else str(exception).splitlines()[0]
    _log.error("a process died over a request", request=task_id, why=why)
    asyncio.run(_mark(task_id, why))


async def _mark(request_id: str, why: str) -> None:
    redis = RedisCalls(ServiceSettings().redis_address(), SystemClock(), timeout_s=1.0)
    try:
        await RedisMarks(redis).died(request_id, why)
    finally:
        await redis.close()
