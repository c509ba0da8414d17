"""A worker killed with -9 in the middle of a solve: nothing is lost, nothing is doubled, nothing is blocked.

Real Redis, real Celery workers; the solver is a stand-in that the test holds in the middle of its work.
"""

import os
import signal

import pytest
from tests.integration.optimizer_workers import CLOCK, Rig, open_rig

from pems_common.messages import Plan
from pems_optimizer import request_ledger

pytestmark = pytest.mark.slow


@pytest.fixture
async def rig(own_redis_server, tmp_path, monkeypatch):
    monkeypatch.setattr(request_ledger, "DEADLINE_EXTRA_S", 4.0)  # with the home's limit: 8 s
    monkeypatch.setattr(request_ledger, "RETRY_S", 1.0)
    monkeypatch.setattr(request_ledger, "DEATHS_RETRY_S", 3.0)
    async with open_rig(own_redis_server, tmp_path) as rig:
        await rig.state()
        yield rig


@pytest.fixture
def patient(monkeypatch) -> None:
    """A deadline that no test reaches."""
    monkeypatch.setattr(request_ledger, "DEADLINE_EXTRA_S", 300.0)


async def solving(rig: Rig, worker) -> int:
    """Ask for a plan and wait until a process is in the middle of it."""
    await worker.ready()
    await rig.planner.start()
    await rig.until(lambda: worker.at_work)
    return worker.at_work


async def one_plan_a_number(rig: Rig) -> list[int]:
    """The numbers of all plans ever published; each must be there once, in growing order."""
    numbers = [Plan.read(entry.body).plan_no for entry in await rig.published("plan")]
    assert numbers == sorted(set(numbers))
    return numbers


@pytest.mark.usefixtures("patient")
async def test_a_killed_process_is_known_at_once_and_the_request_made_anew(rig):
    with rig.worker(hold=True) as worker:
        child = await solving(rig, worker)
        assert rig.broker_rest() == {}, "acknowledged when it began"
        os.kill(child, signal.SIGKILL)
        worker.let_go()
        await rig.until(lambda: rig.planner.plan is not None)  # long before the deadline: its parent told of it
        first, second = rig.requests
        assert not rig.planner.plan.fallback_mode
        assert rig.planner.plan.plan_no == second.plan_no
        assert "a worker died while solving: plan@one" in rig.planner.request(first.request_id).detail
        assert worker.at_work != child
        assert worker.process.poll() is None
        assert await one_plan_a_number(rig) == [second.plan_no]
        await rig.until(lambda: rig.broker_rest() == {})


async def test_a_killed_worker_leaves_no_ghost_and_the_next_one_goes_on(rig):
    with rig.worker(hold=True) as worker:
        await solving(rig, worker)
        # The planner gives up waiting and asks again; this message waits for a worker that is at work.
        await rig.until(lambda: len(rig.requests) == 2)
        assert rig.broker_rest() == {"plan": 1}, "the busy worker has not taken it"
        worker.kill_all()
    assert rig.broker_rest() == {"plan": 1}, "nothing that could come back later"
    assert "began and never ended" in rig.planner.request(rig.requests[0].request_id).detail
    with rig.worker("plan@two") as next_one:
        await next_one.ready()
        await rig.until(lambda: rig.planner.plan is not None and not rig.planner.plan.fallback_mode)
        assert rig.planner.plan.plan_no in {request.plan_no for request in rig.requests[1:]}
        assert rig.requests[0].plan_no not in await one_plan_a_number(rig)
        await rig.until(lambda: rig.broker_rest() == {})


async def test_a_late_answer_never_replaces_a_newer_plan(rig):
    with rig.worker("plan@one", hold=True) as one, rig.worker("plan@two", hold=True) as two:
        await two.ready()
        await one.ready()
        await rig.planner.start()
        await rig.until(lambda: one.at_work or two.at_work)
        slow, quick = (one, two) if one.at_work else (two, one)
        quick.let_go()
        await rig.until(lambda: rig.planner.plan is not None)  # after the deadline of the first request
        newer = rig.planner.plan
        assert newer.plan_no == rig.requests[1].plan_no
        slow.let_go()

        def slow_one_is_through():
            mark = rig.raw.hgetall(f"pems:work:request:{rig.requests[0].request_id}")
            return mark[b"state"] == b"ended" and mark[b"detail"] == b"a newer plan was there"

        await rig.until(slow_one_is_through)
    assert rig.planner.plan.plan_id == newer.plan_id
    assert (await rig.bus.latest("plan", rig.site)).seq == newer.plan_no
    assert await one_plan_a_number(rig) == [newer.plan_no]


@pytest.mark.usefixtures("patient")
async def test_a_request_that_kills_its_worker_is_tried_twice_then_the_rules_and_an_alert(rig):
    with rig.worker() as worker:
        (worker.control / "poison").touch()
        await worker.ready()
        await rig.planner.start()
        await rig.until(lambda: rig.planner.plan is not None)
        second_death = CLOCK.monotonic()
        assert rig.planner.plan.fallback_mode
        assert len(rig.requests) == 2
        assert "a worker died while solving" in str(rig.planner.plan.reasons["plan"][0].params["why"])
        alert = await rig.bus.latest("alert", rig.site, "optimizer.worker_died")
        assert "SIGKILL" in alert.body["text"]
        await rig.until(lambda: len(rig.requests) == 3)
        assert CLOCK.monotonic() - second_death > 2.5, "no hammering"
        (worker.control / "poison").unlink()
        await rig.until(lambda: not rig.planner.plan.fallback_mode)
        assert await rig.bus.latest("alert", rig.site, "optimizer.worker_died") is None
        assert len(await one_plan_a_number(rig)) == 2
        assert worker.process.poll() is None
