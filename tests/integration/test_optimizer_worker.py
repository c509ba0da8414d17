"""The real worker with the real solver: plans and certificates come, its absence is noticed, it keeps to its limit."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.integration.optimizer_workers import CLOCK, REAL, open_rig

from pems_common.messages import Certificate, Plan
from pems_optimizer import request_ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def rig(own_redis_server, tmp_path, monkeypatch):
    monkeypatch.setattr(request_ledger, "RETRY_S", 3.0)
    async with open_rig(own_redis_server, tmp_path) as rig:
        await rig.state()
        yield rig


async def test_plans_and_certificates_come_and_a_missing_worker_is_noticed(rig, monkeypatch):
    with rig.worker(app=REAL) as worker:
        await rig.planner.start()
        # A fresh worker compiles its loops first.
        await rig.until(lambda: rig.planner.plan is not None and not rig.planner.plan.fallback_mode, 110)
        first = rig.planner.plan
        assert set(first.rooms) == {"one", "two"}
        for _ in range(200):  # kept once the plan is out
            if record := await rig.plans.load(rig.site, first.plan_id):
                break
            await asyncio.sleep(0.05)
        assert record.objective_czk == pytest.approx(first.cost.total, abs=1e-3)
        assert record.solver_memory
        for _ in range(600):
            if found := await rig.bus.latest("certificate", rig.site):
                break
            await asyncio.sleep(0.1)
        certificate = Certificate.read(found.body)
        assert certificate.plan_id == first.plan_id
        assert certificate.gap_czk >= 0.0
        assert (found.seq, found.cause) == (first.plan_no, first.plan_id)
        await rig.queue.evaluate(rig.site, first.plan_id)
        for _ in range(300):
            if await rig.bus.latest("score", rig.site, "plan_risk"):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(worker.log.read_text()[-2000:])
        worker.kill_all()
    monkeypatch.setattr(request_ledger, "DEADLINE_EXTRA_S", 1.0)
    await rig.planner.ask_now("test")
    await rig.until(lambda: rig.planner.plan.plan_id != first.plan_id)
    assert rig.planner.plan.fallback_mode
    assert "no worker took the request up" in (await rig.bus.latest("alert", rig.site, "optimizer.silent")).body["text"]
    monkeypatch.setattr(request_ledger, "DEADLINE_EXTRA_S", 15.0)
    with rig.worker("plan@two", app=REAL):
        await rig.until(lambda: not rig.planner.plan.fallback_mode, 110)
    assert await rig.bus.latest("alert", rig.site, "optimizer.silent") is None
    numbers = [Plan.read(entry.body).plan_no for entry in await rig.published("plan")]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("limit_s", [0.001, 0.5])
async def test_a_worker_with_hardly_any_time_answers_before_its_deadline(rig, limit_s):
    sent = rig.queue.submit

    async def hurried(request):
        await sent(replace(request, limit_s=limit_s, expires_at=CLOCK.wall_now() + timedelta(seconds=60)))

    with rig.worker("plan@one", "plan", app=REAL):
        await rig.planner.start()
        await rig.until(lambda: rig.planner.plan is not None, 110)  # awake
        rig.queue.submit = hurried
        view = await rig.planner.ask_now("test")
        await rig.until(lambda: rig.planner.request(view.request_id).state != "running", 20)
        assert rig.planner.request(view.request_id).state == "done"
    plan = rig.planner.plan
    assert plan.plan_id == view.plan_id
    assert plan.solver.solve_s < limit_s + 1.0
    if limit_s < 0.01:
        assert plan.diff[0].startswith("kept:"), "the running plan goes on, it beats the rules"
        assert "time_limit" in {reason.code for reason in plan.reasons["plan"]}
