"""The Celery worker: `celery -A pems_optimizer.worker:app worker -Q plan` (or `-Q bulk`)."""

import gc
from typing import Any

from celery.signals import worker_init, worker_process_init

from pems_common.logs import setup_logging
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.tasks import Solving, add_tasks
from pems_optimizer.worker_deaths import tell_of_deaths

__all__ = ["app"]

app = make_celery(ServiceSettings())
add_tasks(app, Solving())
tell_of_deaths()


@worker_init.connect  # type: ignore[untyped-decorator]
def load_before_fork(**_: Any) -> None:
    """Load the solver and its compiled loops in the parent, so that its children share that memory.

    Frozen, it is out of the garbage collector's rounds, which would write to every page and so unshare it.
    """
    from pems_optimizer.warm_up import solve_something, use_prepared_cache

    use_prepared_cache()
    solve_something(floor=True)
    gc.collect()
    gc.freeze()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: Any) -> None:
    """Do once what the first plan would otherwise wait for, and set up the log of this child process."""
    settings = ServiceSettings()
    setup_logging("optimizer-worker", settings.instance, level=settings.log_level, form=settings.log_format)
    import highspy

    highspy.Highs()  # type: ignore[no-untyped-call]
    gc.freeze()
