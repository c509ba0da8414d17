"""Studies: sizes are bounded, chunks are counted once, what is lost is sent again, what kills is given up."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.plan_record_cases import a_record

from pems_common.clock import FakeClock
from pems_common.errors import PemsError, UnavailableError
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.study_store import LEASE_S, InMemoryStudies
from pems_optimizer.study import Study, StudyError
from pems_optimizer.study_keeper import QUIET_S, StudyKeeper
from pems_optimizer.study_kinds import StudyKind
from pems_optimizer.study_work import chunk_owner, work_on_chunk

WORKER = "bulk@box"


def a_study(**update) -> Study:
    return replace(Study("s", "home", "squares", {}, 10, 4, START), **update)


async def nothing(plans, site, params):
    return b"10"


def squares(data, params):
    def item(i):
        if i == params.get("bad"):
            raise ValueError("by design")
        return i * i + float(data)

    return item


KINDS = {"squares": StudyKind("squares", nothing, squares, lambda values: {"sum": sum(values)})}


class Rig:
    """A keeper, its store, and workers that do what they are told."""

    def __init__(self):
        self.clock = FakeClock(START)
        self.store = InMemoryStudies(self.clock)
        self.plans = InMemoryPlans()
        self.sent: list[int] = []
        self.keeper = StudyKeeper("home", self.clock, self.store, self.plans, self.take, kinds=KINDS)

    async def take(self, study, chunks):
        self.sent += chunks

    async def begin(self, **wish):
        study = await self.keeper.create("squares", wish.pop("params", {}), items=10, chunk_items=4, **wish)
        assert self.sent == [0, 1, 2]
        self.sent.clear()
        return study

    async def work(self, study, chunk, worker=WORKER):
        return await work_on_chunk(self.clock, self.store, study.study_id, chunk, worker=worker, kinds=KINDS)

    async def look(self, after_s=0.0):
        self.clock.advance(after_s)
        await self.keeper.look()
        sent, self.sent = self.sent, []
        return sent


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"items": 0}, "0 items: a study has 1 to 100000"),
        ({"items": 100_001, "chunk_items": 1000}, "100001 items"),
        ({"chunk_items": 1001}, "1001 items in a chunk"),
        ({"items": 5000, "chunk_items": 4}, r"1250 chunks are more than 1000 \(chunk_items 5 or more"),
        ({"params": {"x": "y" * 3000}}, "longer than 2000"),
    ],
)
def test_sizes_are_bounded(size, words):
    with pytest.raises(StudyError, match=words):
        a_study(**size)


def test_a_study_travels_as_json_and_knows_its_chunks():
    study = a_study(params={"seed": 3})
    assert Study.from_json(study.to_json()) == study
    assert [list(study.span(k)) for k in range(study.chunks)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(StudyError, match="there are 3"):
        study.span(3)
    with pytest.raises(StudyError, match="malformed"):
        Study.from_json("{}")


async def test_a_study_runs_to_its_summary_and_a_chunk_done_twice_counts_once():
    rig = Rig()
    study = await rig.begin()
    assert await rig.work(study, 2)
    assert not await rig.work(study, 2)
    report = await rig.keeper.report(study.study_id)
    assert (report.state, report.done_items, report.summary) == ("running", 2, None)
    assert await rig.work(study, 0)
    assert await rig.work(study, 1)
    report = await rig.keeper.report(study.study_id, with_values=True)
    assert report.state == "done"
    assert report.values == [i * i + 10.0 for i in range(10)]
    assert report.summary == {"sum": sum(report.values)}
    assert await rig.look() == []
    assert await rig.store.open_ids() == []
    assert await rig.keeper.report("never heard of") is None


async def test_a_chunk_whose_worker_died_is_sent_again_when_its_lease_is_over():
    rig = Rig()
    study = await rig.begin()
    await rig.work(study, 0)
    await rig.store.claim(study.study_id, 1, "bulk@other|77")  # and dies
    assert await rig.look() == []
    assert not await rig.work(study, 1), "it may be at work"
    assert await rig.look(LEASE_S - 1) == []
    assert await rig.look(2) == [1]
    assert await rig.look(2) == [], "once"
    assert await rig.work(study, 1)
    assert not await rig.store.finish(study.study_id, 1, "bulk@other|77", [0.0] * 4), "it was not dead but slow"
    await rig.work(study, 2)
    assert (await rig.keeper.report(study.study_id, with_values=True)).values[4] == 26.0


async def test_a_dead_process_of_the_same_worker_is_not_waited_for():
    rig = Rig()
    study = await rig.begin()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    await rig.store.claim(study.study_id, 0, chunk_owner(WORKER, gone.pid))
    await rig.store.claim(study.study_id, 1, chunk_owner(WORKER, os.getppid()))
    assert await rig.work(study, 0)
    assert not await rig.work(study, 1), "its process lives"


async def test_a_chunk_that_kills_its_workers_is_given_up_and_the_study_fails():
    rig = Rig()
    study = await rig.begin()
    for _ in range(3):
        assert (await rig.store.claim(study.study_id, 1, "bulk@other|77")).state == "mine"
        assert await rig.look(LEASE_S + 1) == [1]
    assert not await rig.work(study, 1)
    for chunk in (0, 2):
        await rig.work(study, chunk)
    report = await rig.keeper.report(study.study_id)
    assert report.state == "failed"
    assert "begun 3 times" in report.progress.failed[1]
    assert report.done_items == 6
    assert await rig.look(100) == []


async def test_an_error_of_an_item_is_told_and_not_tried_again():
    rig = Rig()
    study = await rig.begin(params={"bad": 5})
    assert not await rig.work(study, 1)
    report = await rig.keeper.report(study.study_id)
    assert report.progress.failed == {1: "item 5: ValueError: by design"}
    assert await rig.look() == []
    assert await rig.look(100) == [0, 2]


async def test_messages_that_were_lost_are_sent_again_ever_more_seldom():
    rig = Rig()
    study = await rig.begin()
    await rig.work(study, 0)
    assert await rig.look() == []
    assert await rig.look(QUIET_S - 1) == []
    assert await rig.look(2) == [1, 2]
    assert await rig.look(QUIET_S + 1) == []
    assert await rig.look(QUIET_S) == [1, 2]
    await rig.work(study, 1)
    assert await rig.look() == []
    assert await rig.look(QUIET_S + 1) == [2], "progress begins the wait anew"


async def test_a_worker_at_a_long_chunk_holds_on_to_it():
    rig = Rig()

    def slow(data, params):
        def item(i):
            rig.clock.advance(LEASE_S * 0.6)
            return float(i)

        return item

    kinds = {"squares": replace(KINDS["squares"], open=slow)}
    study = await rig.begin()
    seen = []
    renew = rig.store.renew

    async def watching(*args):
        await renew(*args)
        seen.append((await rig.store.progress(study)).held)

    rig.store.renew = watching
    assert await work_on_chunk(rig.clock, rig.store, study.study_id, 0, worker=WORKER, kinds=kinds)
    assert seen == [frozenset({0})] * 3


async def test_a_broker_that_is_away_delays_a_study_only():
    rig = Rig()
    take, away = rig.keeper._send, True

    async def send(study, chunks):
        if away:
            raise UnavailableError("no broker")
        await take(study, chunks)

    rig.keeper._send = send
    await rig.keeper.create("squares", {}, items=10, chunk_items=4)
    assert await rig.look() == []
    away = False
    assert await rig.look(QUIET_S + 1) == [0, 1, 2]


async def test_what_cannot_be_studied_is_refused():
    rig = Rig()
    with pytest.raises(StudyError, match="no kind of study 'cubes'"):
        await rig.keeper.create("cubes", {}, items=1, chunk_items=1)
    keeper = StudyKeeper("home", rig.clock, rig.store, rig.plans, rig.take)
    with pytest.raises(PemsError, match="no plan is kept yet"):
        await keeper.create("plan_fan", {}, items=1, chunk_items=1)
    await rig.plans.keep(a_record(1))
    for params, words in (
        ({"plan_id": "x"}, "making of plan x is not known"),
        ({"seed": -1}, "params.seed is -1"),
        ({"sed": 1}, "no parameter sed"),
    ):
        with pytest.raises(PemsError, match=words):
            await keeper.create("plan_fan", params, items=1, chunk_items=1)
    assert await rig.store.open_ids() == []
    for _ in range(20):
        await keeper.create("plan_fan", {}, items=1, chunk_items=1)
    with pytest.raises(UnavailableError, match="20 studies"):
        await keeper.create("plan_fan", {}, items=1, chunk_items=1)
