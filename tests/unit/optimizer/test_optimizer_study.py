"""Studies: sizes are bounded, chunks are counted once, what is lost is sent again, what kills is given up."""

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.plan_record_cases import a_record

from pems_common.clock import FakeClock, SystemClock
from pems_common.errors import PemsError, UnavailableError
from pems_optimizer import study_work
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.adapters.study_store import LEASE_S, InMemoryStudies
from pems_optimizer.adapters.task_messages import study_message
from pems_optimizer.study import Study, StudyError
from pems_optimizer.study_keeper import QUIET_S, StudyKeeper
from pems_optimizer.study_kind import StudyInput, StudyKind
from pems_optimizer.study_kinds import GROUP, StudyKinds
from pems_optimizer.study_work import chunk_owner, work_on_chunk

WORKER = "bulk@box"


def a_study(**update) -> Study:
    return replace(Study("s", "home", "squares", {}, ("square", "root"), 10, 4, 15.0, START), **update)


async def nothing(plans, site, params):
    return StudyInput(b"10", ("square", "root"))


def squares(data, params):
    def item(i):
        if i == params.get("bad"):
            raise ValueError("by design")
        return i * i + float(data), i**0.5 if i else float("nan")

    return item


SQUARES = StudyKind("squares", nothing, squares, lambda values: {"sum": float(values["square"].sum())})
KINDS = {"squares": SQUARES}


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
        ({"columns": ()}, "numbers, each with a name of its own"),
        ({"columns": ("a", "a")}, "numbers, each with a name of its own"),
        ({"items": 100_000, "chunk_items": 500, "columns": tuple(map(str, range(40)))}, "at most 10000 items"),
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
    assert report.values["square"].tolist() == [i * i + 10.0 for i in range(10)]
    assert np.isnan(report.values["root"][0])
    assert report.values["root"][9] == 3.0
    assert report.summary == {"sum": 385.0}
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
    assert not await rig.store.finish(study.study_id, 1, "bulk@other|77", [(0.0, 0.0)] * 4), "it was not dead but slow"
    await rig.work(study, 2)
    assert (await rig.keeper.report(study.study_id, with_values=True)).values["square"][4] == 26.0


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


async def test_a_worker_at_one_long_item_holds_on_to_its_chunk_while_the_store_comes_and_goes(monkeypatch):
    monkeypatch.setattr(study_work, "RENEW_EVERY_S", 0.005)
    clock, rig, enough = SystemClock(), Rig(), threading.Event()
    store, renewed = InMemoryStudies(clock), []
    study = a_study()
    await store.create(study, b"10")
    renew = store.renew

    async def now_and_then(*args):
        renewed.append(await store.progress(study))
        if len(renewed) > 4:
            enough.set()
        if len(renewed) % 2:
            raise UnavailableError("no Redis")
        await renew(*args)

    def slow(data, params):
        def item(i):
            assert enough.wait(20), "nobody held on to it"
            return i, i

        return item

    store.renew = now_and_then
    kinds = {"squares": replace(KINDS["squares"], open=slow)}
    assert await work_on_chunk(clock, store, study.study_id, 0, worker=WORKER, kinds=kinds)
    assert [progress.held for progress in renewed[:5]] == [frozenset({0})] * 5
    assert (await store.progress(study)).held == frozenset()
    assert rig.sent == []


def test_a_process_that_is_told_to_end_does_not_wait_for_its_item():
    begun, release = threading.Event(), threading.Event()

    def endless(data, params):
        def item(i):
            begun.set()
            release.wait(30)
            return i, i

        return item

    async def told_to_end():
        rig = Rig()
        await rig.store.create(a_study(), b"10")
        kinds = {"squares": replace(KINDS["squares"], open=endless)}
        working = asyncio.create_task(work_on_chunk(rig.clock, rig.store, "s", 0, worker=WORKER, kinds=kinds))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        assert not working.done()
        raise SystemExit

    late = threading.Timer(20, release.set)
    late.start()
    with pytest.raises(SystemExit):
        asyncio.run(told_to_end())
    assert not release.is_set(), "it waited until the item was done"
    release.set()
    late.cancel()


async def test_what_was_worked_out_waits_for_a_store_that_is_away(monkeypatch):
    monkeypatch.setattr(study_work, "FINISH_WAITS_S", (0.001, 0.001))
    clock, study = SystemClock(), a_study()
    for failures, kept in ((2, True), (3, False)):
        store = InMemoryStudies(clock)
        await store.create(study, b"10")
        finish, left = store.finish, iter(range(failures))

        async def moody(*args, finish=finish, left=left):
            if next(left, None) is not None:
                raise UnavailableError("no Redis")
            return await finish(*args)

        store.finish = moody
        working = work_on_chunk(clock, store, study.study_id, 2, worker=WORKER, kinds=KINDS)
        if kept:
            assert await working
        else:
            with pytest.raises(UnavailableError):
                await working
        assert ((await store.progress(study)).done == {2}) is kept


async def test_an_item_gives_a_number_for_each_column(monkeypatch):
    rig = Rig()
    kinds = {"squares": replace(KINDS["squares"], open=lambda data, params: lambda i: (1.0,))}
    study = await rig.begin()
    assert not await work_on_chunk(rig.clock, rig.store, study.study_id, 0, worker=WORKER, kinds=kinds)
    failed = (await rig.keeper.report(study.study_id)).progress.failed
    assert failed == {0: "item 0: ValueError: 1 numbers for 2 columns"}


async def test_a_kind_says_how_long_its_items_take():
    rig = Rig()
    rig.keeper._kinds = {"days": replace(KINDS["squares"], item_limit_s=250.0)}
    study = await rig.keeper.create("days", {}, items=7)
    assert (study.chunk_items, study.chunk_limit_s) == (2, 900.0)
    assert study_message(study, 0).options["time_limit"] == 900.0
    assert replace(study, chunk_items=7).chunk_limit_s == 7 * 250.0 + 60.0
    rig.keeper._kinds = {"days": replace(KINDS["squares"], item_limit_s=3600.0)}
    assert (await rig.keeper.create("days", {}, items=7)).chunk_items == 1
    assert (await Rig().keeper.create("squares", {}, items=90)).chunk_items == 40
    rig.keeper._kinds = {"days": replace(KINDS["squares"], item_limit_s=0.1)}
    assert (await rig.keeper.create("days", {}, items=90)).chunk_items == 50


def an_entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_kinds_of_others_are_imported_when_they_are_asked_for():
    here = __name__
    entries = {
        "plugged": an_entry("plugged", f"{here}:SQUARES"),
        "broken": an_entry("broken", "no.such.module:KIND"),
        "other": an_entry("other", f"{here}:WORKER"),
        "squares": an_entry("squares", "no.such.module:KIND"),
    }
    kinds = StudyKinds(KINDS, entries)
    assert list(kinds) == ["squares", "plugged", "broken", "other"]
    assert len(kinds) == 4
    assert "broken" in kinds
    assert "cubes" not in kinds
    assert kinds["squares"] is KINDS["squares"], "nobody takes the place of an own kind"
    with pytest.raises(StudyError, match=r"broken cannot be imported here: ModuleNotFoundError.*install what it needs"):
        kinds["broken"]
    with pytest.raises(StudyError, match="is a str and no kind of study"):
        kinds["other"]
    with pytest.raises(KeyError):
        kinds["cubes"]


async def test_a_kind_that_cannot_be_imported_harms_nothing_but_its_own_studies():
    rig = Rig()
    kinds = StudyKinds(KINDS, {"broken": an_entry("broken", "no.such.module:KIND")})
    rig.keeper._kinds = kinds
    with pytest.raises(StudyError, match="cannot be imported here"):
        await rig.keeper.create("broken", {}, items=1)
    with pytest.raises(StudyError, match=r"no kind of study 'cubes' \(there are: squares, broken\)"):
        await rig.keeper.create("cubes", {}, items=1)
    # A worker that lacks what the planner has gives the chunk up and says why.
    study = a_study(kind="broken")
    await rig.store.create(study, b"")
    assert not await work_on_chunk(rig.clock, rig.store, study.study_id, 0, worker=WORKER, kinds=kinds)
    assert "cannot be imported here" in (await rig.store.progress(study)).failed[0]
    assert await rig.keeper.report(study.study_id) is not None
    assert (await rig.begin()).kind == "squares"


def test_the_kinds_that_are_installed_are_known_by_name():
    kinds = StudyKinds({})
    assert set(kinds) == {entry.name for entry in entry_points(group=GROUP)}


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
        ({"relays": "loose"}, "params.relays is 'loose': it is one of strict, guarded"),
    ):
        with pytest.raises(PemsError, match=words):
            await keeper.create("plan_fan", params, items=1, chunk_items=1)
    assert await rig.store.open_ids() == []
    for _ in range(20):
        await keeper.create("plan_fan", {}, items=1, chunk_items=1)
    with pytest.raises(UnavailableError, match="20 studies"):
        await keeper.create("plan_fan", {}, items=1, chunk_items=1)
