"""Cases of plans on a real Redis: workers leave them, the planner takes them, and their number is bounded."""

from dataclasses import replace
from uuid import uuid4

from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.plan_case_cases import a_case

from pems_common.clock import SystemClock
from pems_optimizer.adapters.case_memory import RedisCases
from pems_optimizer.adapters.case_store import SqliteCases
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.domain.plan_case import read_case
from pems_optimizer.plan_case_keeper import CaseKeeper


async def test_cases_wait_within_bounds_until_the_planner_takes_them(redis_server, tmp_path):
    clock, case = SystemClock(), a_case()
    redis = RedisCalls(redis_server.url, clock)
    cases = RedisCases(redis, kept=3)
    site = f"s-{uuid4().hex[:8]}"
    home = case.home.model_copy(update={"site": case.home.site.model_copy(update={"id": site})})
    for no in (2, 1, 3, 4):
        plan = case.plan.model_copy(update={"plan_id": f"plan-{no}", "plan_no": no})
        await cases.keep(replace(case, home=home, plan=plan))
    assert await cases.waiting(site) == ["plan-2", "plan-3", "plan-4"]
    assert await cases.packed(site, "plan-1") is None
    keys = [key async for key in redis.client.scan_iter(f"pems:work:{site}:*")]
    assert len(keys) == 4
    assert all([0 < await redis.client.ttl(key) <= 24 * 3600 for key in keys])
    store = SqliteCases(tmp_path / "cases.sqlite3", most_days=30, most_bytes=1_000_000)
    await CaseKeeper(site, clock, cases, store).look()
    assert await cases.waiting(site) == []
    assert [key async for key in redis.client.scan_iter(f"pems:work:{site}:*")] == []
    assert read_case(store.packed("plan-3")).plan.plan_no == 3
    assert len(store.listed(START, START.replace(year=2026), most=9)) == 3
    store.close()
    await redis.close()
