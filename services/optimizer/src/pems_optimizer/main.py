"""Wiring and start of the planner process; the workers are Celery's (`worker.py`)."""

from pems_common.runner import Running, Runtime, run_service
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.planner_memory import FileMemory
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.api import make_router
from pems_optimizer.api_formats import make_formats_router
from pems_optimizer.handlers import PlannerHandlers

__all__ = ["build", "main"]


def build(rt: Runtime) -> Running:
    """Wire the planner with Celery's queue."""
    planner = PlannerHandlers(
        rt.home,
        rt.clock,
        rt.bus,
        CeleryQueue(make_celery(rt.settings), rt.clock),
        memory=FileMemory(rt.settings.data / "optimizer" / "planner.json"),
        source=rt.source,
    )
    formats = make_formats_router(planner, rt.home, rt.bus, rt.clock)
    return Running(service=planner, routers=[formats, make_router(planner, rt.home, rt.auth.require_write)])


def main() -> None:
    """Run until stopped."""
    run_service("optimizer", build, mqtt=False, requires=("redis",))


if __name__ == "__main__":
    main()
