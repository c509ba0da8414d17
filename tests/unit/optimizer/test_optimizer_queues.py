"""Celery as it is set up: safe to lose, JSON only, its own database; and what the planner sends."""

import asyncio
from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START

from pems_common.clock import SystemClock
from pems_common.errors import UnavailableError
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import broker_url, make_celery
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.requests import PlanRequest

REQUEST = PlanRequest("r", "p", 7, "home", "h", "hourly", START, START, START + timedelta(seconds=20), 5.0)


def test_the_broker_is_another_database_of_the_bus_server():
    assert broker_url("redis://:secret@host:6380/0") == "redis://:secret@host:6380/1"
    app = make_celery(ServiceSettings(redis_url="redis://127.0.0.1:6399/0"))
    assert app.conf.broker_url == "redis://127.0.0.1:6399/1"


def test_tasks_are_safe_to_lose_and_hold_no_code():
    conf = make_celery(ServiceSettings()).conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert not conf.task_acks_late
    assert not conf.result_backend
    assert conf.worker_prefetch_multiplier == 1
    queues = {(q.name, q.exchange.name, q.routing_key) for q in conf.task_queues}
    assert queues == {("plan", "plan", "plan"), ("bulk", "bulk", "bulk")}, "a task goes to one of them only"


def test_the_worker_knows_exactly_the_tasks_that_do_something():
    from pems_optimizer.worker import app

    assert {name for name in app.tasks if name.startswith("pems.")} == {"pems.plan.solve", "pems.bulk.evaluate"}


def test_requests_are_sent_to_the_plan_queue_with_an_end():
    sent = []

    class Sender:
        def send_task(self, name, **options):
            sent.append((name, options))

    queue = CeleryQueue(Sender(), SystemClock())
    asyncio.run(queue.submit(REQUEST))
    asyncio.run(queue.evaluate("home", "p"))
    (solve, first), (evaluate, second) = sent
    assert (solve, first["queue"], first["expires"], first["time_limit"]) == ("pems.plan.solve", "plan", 30.0, 15.0)
    assert PlanRequest.from_json(first["args"][0]) == REQUEST
    assert (evaluate, second["queue"], second["args"]) == ("pems.bulk.evaluate", "bulk", ["home", "p"])


def test_a_broker_that_is_away_is_said_and_judging_is_dropped():
    class Broken:
        def send_task(self, name, **options):
            raise ConnectionError("refused")

    queue = CeleryQueue(Broken(), SystemClock())
    with pytest.raises(UnavailableError, match="refused"):
        asyncio.run(queue.submit(REQUEST))
    asyncio.run(queue.evaluate("home", "p"))


def test_a_worker_survives_a_malformed_task():
    from pems_optimizer.worker import solve

    solve({"request_id": "r"})
