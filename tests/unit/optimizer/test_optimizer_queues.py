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
from pems_optimizer.adapters.task_messages import (
    certificate_message,
    evaluate_message,
    solve_message,
    study_message,
    why_message,
)
from pems_optimizer.requests import PlanRequest
from pems_optimizer.study import Study
from pems_optimizer.why import WhyQuestion

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
    assert conf.worker_disable_prefetch, "what a busy worker had taken would die with it"
    assert conf.broker_transport_options["visibility_timeout"] <= 120, "and come back as a ghost after this"
    queues = {(q.name, q.exchange.name, q.routing_key) for q in conf.task_queues}
    assert queues == {("plan", "plan", "plan"), ("bulk", "bulk", "bulk")}, "a task goes to one of them only"


def test_the_worker_knows_exactly_the_tasks_that_do_something():
    from pems_optimizer.worker import app

    assert {name for name in app.tasks if name.startswith("pems.")} == {
        "pems.plan.solve",
        "pems.plan.why",
        "pems.bulk.certificate",
        "pems.bulk.evaluate",
        "pems.bulk.study",
    }
    late = {name for name, task in app.tasks.items() if name.startswith("pems.") and task.acks_late}
    assert late == {"pems.bulk.study"}, "only chunks of studies come again by themselves"


def test_what_a_person_sees_of_a_task_names_it_and_holds_no_data():
    question = WhyQuestion("q", "home", "p-1", {"device": "room:pokoj_1", "slot": 3, "action": "on"}, START, 4.5)
    messages = [
        solve_message(REQUEST),
        why_message(question),
        certificate_message("home", "p-1", 7),
        evaluate_message("home", "p-1"),
        study_message(Study("s-1", "home", "plan_fan", {}, ("cost_czk",), 40, 2, 1.0, START), 0),
    ]
    assert [(m.name, m.queue, m.for_celery()["argsrepr"]) for m in messages] == [
        ("pems.plan.solve", "plan", "site=home plan_no=7 trigger=hourly"),
        ("pems.plan.why", "plan", "site=home plan=p-1 action=on device=room:pokoj_1 slot=3"),
        ("pems.bulk.certificate", "bulk", "site=home plan_no=7 plan=p-1"),
        ("pems.bulk.evaluate", "bulk", "site=home plan=p-1"),
        ("pems.bulk.study", "bulk", "study=s-1 kind=plan_fan chunk=1/20"),
    ]
    assert all(m.for_celery()["kwargsrepr"] == "" for m in messages)
    assert all(m.options["expires"] for m in messages), "none stays for ever"
    priorities = [m.options.get("priority", 0) for m in messages]
    assert priorities == [0, 0, 0, 0, 9], "in Redis 0 comes first: a certificate passes the chunks that wait"


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
    from pems_optimizer.worker import app

    app.tasks["pems.plan.solve"]({"request_id": "r"})
    app.tasks["pems.plan.why"]({"question_id": "q"})
