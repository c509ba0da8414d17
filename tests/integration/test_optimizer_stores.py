"""What the optimizer keeps between its processes: one behaviour, in memory and on a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
import pytest
from tests.unit.optimizer.plan_record_cases import a_record

from pems_common.clock import SystemClock
from pems_common.errors import UnavailableError
from pems_optimizer.adapters.answers import AnswerBox, InMemoryAnswers, RedisAnswers
from pems_optimizer.adapters.plan_memory import InMemoryPlans, PlanMemory, RedisPlans
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.redis_studies import RedisStudies
from pems_optimizer.adapters.request_marks import InMemoryMarks, RedisMarks, RequestMark, RequestMarks
from pems_optimizer.adapters.study_store import Claim, InMemoryStudies, StudyStore
from pems_optimizer.domain.problem_store import to_bytes
from pems_optimizer.study import Study

CLOCK = SystemClock()


@dataclass
class Stores:
    plans: PlanMemory
    marks: RequestMarks
    answers: AnswerBox
    studies: StudyStore
    site: str
    redis: RedisCalls | None


@pytest.fixture(params=["memory", "redis"])
async def stores(request) -> AsyncIterator[Stores]:
    site = f"s-{uuid4().hex[:8]}"
    if request.param == "memory":
        yield Stores(InMemoryPlans(kept=3), InMemoryMarks(), InMemoryAnswers(CLOCK), InMemoryStudies(CLOCK), site, None)
        return
    redis = RedisCalls(request.getfixturevalue("redis_server").url, CLOCK)
    yield Stores(RedisPlans(redis, kept=3), RedisMarks(redis), RedisAnswers(redis), RedisStudies(redis), site, redis)
    await redis.close()


async def test_a_plan_comes_back_exactly_and_the_highest_number_is_the_newest(stores):
    assert await stores.plans.newest(stores.site) is None
    assert await stores.plans.newest_no(stores.site) == 0
    assert await stores.plans.load(stores.site, "plan-1") is None
    second = replace(a_record(2), site=stores.site, solver_memory={"duals": np.array([0.1, np.nan])})
    await stores.plans.keep(second)
    await stores.plans.keep(replace(a_record(1), site=stores.site))  # came late
    assert to_bytes(await stores.plans.newest(stores.site)) == to_bytes(second)
    assert (await stores.plans.load(stores.site, "plan-1")).plan_no == 1
    assert await stores.plans.newest_no(stores.site) == 2
    assert await stores.plans.load("elsewhere", "plan-1") is None


async def test_only_the_last_plans_of_a_site_are_kept(stores):
    for plan_no in (1, 2, 3, 4, 5):
        await stores.plans.keep(replace(a_record(plan_no), site=stores.site))
    await stores.plans.keep(replace(a_record(5), site=stores.site))
    kept = [n for n in range(1, 6) if await stores.plans.load(stores.site, f"plan-{n}") is not None]
    assert kept == [3, 4, 5]
    if stores.redis is not None:
        keys = [key async for key in stores.redis.client.scan_iter(f"pems:work:{stores.site}:*")]
        assert len(keys) == 4
        assert all([0 < await stores.redis.client.ttl(key) <= 3 * 3600 for key in keys])


async def test_one_worker_has_a_request_and_says_how_it_went(stores):
    marks, one, two, three = stores.marks, uuid4().hex, uuid4().hex, uuid4().hex
    assert await marks.read(one) is None
    assert await marks.begin(one, "plan@a")
    assert not await marks.begin(one, "plan@b"), "a message that comes twice is worked on once"
    assert await marks.read(one) == RequestMark("plan@a")
    await marks.end(one, "no forecast")
    await marks.died(one, "too late to say so")
    assert await marks.read(one) == RequestMark("plan@a", "ended", "no forecast")
    await marks.begin(two, "plan@a")
    await marks.died(two, "signal 9")
    await marks.end(two)
    assert await marks.read(two) == RequestMark("plan@a", "died", "signal 9")
    await marks.end(three)
    assert await marks.read(three) is None


async def test_an_answer_is_taken_once_whether_it_was_there_or_is_waited_for(stores):
    first, second = uuid4().hex, uuid4().hex
    await stores.answers.put(first, {"czk": 1.5, "words": ["a"]})
    assert await stores.answers.take(first, 5.0) == {"czk": 1.5, "words": ["a"]}
    assert await stores.answers.take(first, 0.01) is None
    waiting = asyncio.create_task(stores.answers.take(second, 5.0))
    await asyncio.sleep(0)
    await stores.answers.put(second, {"ok": True})
    assert await waiting == {"ok": True}
    assert await stores.answers.take(uuid4().hex, 0.0) is None


def a_study(site: str) -> Study:
    return Study(uuid4().hex, site, "plan_fan", {"seed": 1}, ("a", "b"), 10, 4, 15.0, CLOCK.wall_now())


async def test_a_chunk_has_one_holder_and_one_result(stores):
    store, study = stores.studies, a_study(stores.site)
    name = study.study_id
    assert await store.claim(name, 0, "a|1") == Claim("over"), "there is no such study"
    await store.create(study, b"\x00data")
    assert await store.study(name) == study
    assert await store.data(name) == b"\x00data"
    assert name in await store.open_ids()
    assert (await store.claim(name, 0, "a|1")).state == "mine"
    assert await store.claim(name, 0, "b|1") == Claim("held", "a|1")
    await store.renew(name, 0, "b|1")
    await store.release(name, 0, "b|1")
    assert (await store.progress(study)).held == {0}, "only its owner may let go"
    rows = [(0.1, 2.0), (3.0, 1e-300), (float("inf"), -0.0), (1 / 3, 7.0)]
    assert await store.finish(name, 0, "a|1", rows)
    assert not await store.finish(name, 0, "b|1", [(9.0, 9.0)] * 4)
    await store.fail(name, 0, "too late to fail")
    assert await store.claim(name, 0, "b|1") == Claim("over")
    await store.finish(name, 2, "a|1", [(7.0, float("nan")), (8.0, 0.0)])
    progress = await store.progress(study)
    assert (progress.done, progress.held, progress.failed) == ({0, 2}, frozenset(), {})
    assert progress.missing(study) == {1}
    kept = await store.rows(study)
    assert kept[:4] == rows
    assert [tuple(map(str, row)) for row in kept[4:]] == [("7.0", "nan"), ("8.0", "0.0")]
    await store.fail(name, 1, "ValueError")
    assert (await store.progress(study)).failed == {1: "ValueError"}
    assert await store.claim(name, 1, "a|1") == Claim("over")
    await store.close(name)
    assert name not in await store.open_ids()
    assert await store.study(name) == study


async def test_a_chunk_is_begun_three_times_at_most(stores):
    store, study = stores.studies, a_study(stores.site)
    await store.create(study, b"")
    for tries in (1, 2, 3):
        assert (await store.claim(study.study_id, 1, "a|1")).state == "mine"
        await store.release(study.study_id, 1, "a|1")
        assert (await store.progress(study)).tries == {1: tries}
    assert await store.claim(study.study_id, 1, "a|1") == Claim("over")
    progress = await store.progress(study)
    assert "begun 3 times" in progress.failed[1]
    assert progress.tries == {1: 3}


async def test_a_server_that_is_away_is_said_in_time(own_redis_server):
    redis = RedisCalls(own_redis_server.url, CLOCK, timeout_s=0.3)
    own_redis_server.pause()
    with pytest.raises(UnavailableError, match="away"):
        await RedisPlans(redis).newest("home")
    with pytest.raises(UnavailableError):
        await RedisMarks(redis).begin("r", "w")
    with pytest.raises(UnavailableError):
        await RedisAnswers(redis).take("r", 0.1)
    assert await RedisMarks(redis).read("r") is None
    await RedisMarks(redis).end("r")
    await redis.close()


async def test_what_another_version_kept_counts_as_absent(redis_server):
    redis = RedisCalls(redis_server.url, CLOCK)
    site = f"s-{uuid4().hex[:8]}"
    await redis.client.set(f"pems:work:{site}:plan:old", b"something else")
    assert await RedisPlans(redis).load(site, "old") is None
    await redis.close()
