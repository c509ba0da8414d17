"""The Celery app: broker on its own Redis database, two queues, tasks that are safe to lose.

Tasks are acknowledged before they run and never retried: the planner alone asks again. With late acks a killed
task came back after the visibility timeout, and one that kills its worker looped for ever (both measured). Only
chunks of studies are acknowledged late; they are counted, and given up after three tries.
"""

from urllib.parse import urlsplit, urlunsplit

from celery import Celery
from kombu.entity import Exchange, Queue

from pems_common.settings import ServiceSettings

__all__ = ["BROKER_DATABASE", "broker_url", "make_celery"]

BROKER_DATABASE = 1
_CHILD_MEMORY_KB = 350_000
_CHILD_TASKS = 500
_SOLVE_HARD_LIMIT_S = 75
_SOCKET_S = 5.0
_WARM_UP_S = 120.0  # a fresh process compiles its loops, on a slow machine for longer than Celery's 4 s
_LOST_S = 1.0  # from a process's death until its task counts as lost; tasks send no results that could be on their way
# What a worker had taken and not begun when it was killed comes back after this, long expired, and is dropped.
_VISIBILITY_S = 120


def broker_url(redis_address: str) -> str:
    """Return the address of the broker: the bus's server, another database."""
    return urlunsplit(urlsplit(redis_address)._replace(path=f"/{BROKER_DATABASE}"))


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def make_celery(settings: ServiceSettings) -> Celery:
    """Make the app, for workers and for the planner that sends to them."""
    app = Celery("pems", broker=broker_url(settings.redis_address()))
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        # Each with its own exchange and key: left to themselves both would share the default one, and every
        # task would reach both workers.
        task_queues=tuple(_queue(name) for name in ("plan", "bulk")),
        task_default_queue="plan",
        task_routes={"pems.bulk.*": {"queue": "bulk"}},
        task_create_missing_queues=False,
        task_time_limit=_SOLVE_HARD_LIMIT_S,
        task_track_started=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # what a busy worker holds would be out of reach of an idle one, and die with it
        worker_proc_alive_timeout=_WARM_UP_S,
        worker_lost_wait=_LOST_S,
        worker_max_tasks_per_child=_CHILD_TASKS,
        worker_max_memory_per_child=_CHILD_MEMORY_KB,
        worker_send_task_events=True,  # Flower shows what runs
        worker_enable_remote_control=True,
        worker_redirect_stdouts=False,  # the child's own log is structured already
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_S,
            "unacked_restore_throttle": 1,  # looked at every 10 s, not every 100
            "socket_connect_timeout": _SOCKET_S,
            "socket_timeout": 4 * _SOCKET_S,  # above the blocking read, or redis-py gives up in the middle of it
            "socket_keepalive": True,
            "health_check_interval": 20,
            "retry_on_timeout": True,
        },
        timezone="UTC",
        enable_utc=True,
    )
    return app
