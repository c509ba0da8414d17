"""What goes through real queues beside plans: certificates, "why?", studies that outlive their workers; and Flower."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from rich.console import Console
from tests.integration.optimizer_workers import CLOCK, ROOT, Rig, open_rig
from tests.unit.optimizer.plan_record_cases import a_record

from pems_cli.montecarlo import FanOptions, run_plan_fan
from pems_cli.ports import free_port
from pems_common.errors import PemsError, UnavailableError
from pems_common.messages import Certificate
from pems_optimizer.adapters.answers import RedisAnswers
from pems_optimizer.adapters.redis_studies import RedisStudies
from pems_optimizer.adapters.study_store import LEASE_S
from pems_optimizer.domain.plan_fan import fan_columns, fan_item
from pems_optimizer.study_keeper import LOOK_EVERY_S, StudyKeeper
from pems_optimizer.study_kind import StudyInput, StudyKind, by_column
from pems_optimizer.study_kinds import KINDS
from pems_optimizer.why import PlanForgottenError, QueuedWhy

pytestmark = pytest.mark.slow


@pytest.fixture
async def rig(own_redis_server, tmp_path):
    async with open_rig(own_redis_server, tmp_path) as rig:
        yield rig


def keeper_of(rig: Rig) -> StudyKeeper:
    toy = StudyKind("", _no_data, _no_items, lambda values: {"sum": float(values["seventh"].sum())})
    kinds = {**KINDS, "toy": toy}
    return StudyKeeper(rig.site, CLOCK, RedisStudies(rig.calls), rig.plans, rig.queue.send_chunks, kinds=kinds)


async def _no_data(plans, site, params):
    return StudyInput(b"data", ("seventh",))


def _no_items(data, params):
    raise AssertionError("the keeper works on nothing itself")


async def done(keeper: StudyKeeper, study_id: str, wall_s: float = 60.0):
    """Look after studies until one is over."""
    end, next_look = CLOCK.monotonic() + wall_s, 0.0
    while True:
        if CLOCK.monotonic() >= next_look:
            await keeper.look()
            next_look = CLOCK.monotonic() + LOOK_EVERY_S
        report = await keeper.report(study_id, with_values=True)
        if report is not None and report.state != "running":
            return report
        assert CLOCK.monotonic() < end, report
        await asyncio.sleep(0.05)


async def test_certificate_and_why_follow_a_plan_and_flower_names_them(rig):
    port = free_port()
    flower = [sys.executable, "-P", "-m", "celery", "flower", f"--port={port}", "--address=127.0.0.1"]
    env = {**os.environ, "CELERY_BROKER_URL": rig.server.url.removesuffix("/0") + "/1"}
    env["FLOWER_UNAUTHENTICATED_API"] = "true"
    log = (rig.directory / "flower.log").open("wb")
    seen = subprocess.Popen(flower, env=env, stdout=log, stderr=log, cwd=ROOT)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as web:
            end = CLOCK.monotonic() + 30
            while True:
                try:
                    assert (await web.get("/api/tasks")).status_code == 200
                    break
                except httpx.TransportError:
                    assert CLOCK.monotonic() < end
                    await asyncio.sleep(0.1)
            await rig.state()
            with rig.worker("plan@first", "plan"), rig.worker("bulk@first", "bulk"):
                await _plan_certificate_why(rig)
                shown = {}
                while len(shown) < 4:
                    assert CLOCK.monotonic() < end + 30, shown
                    shown = {t["name"]: t for t in (await web.get("/api/tasks")).json().values()}
                    await asyncio.sleep(0.1)
                workers = set((await web.get("/api/workers", params={"status": "true"})).json())
        plan = rig.planner.plan
        assert workers == {"plan@first", "bulk@first"}
        assert {name: (t["args"], t["worker"]) for name, t in shown.items()} == {
            "pems.plan.solve": (f"site=small plan_no={plan.plan_no} trigger=restart", "plan@first"),
            "pems.plan.why": (f"site=small plan={plan.plan_id} action=on device=room:one slot=3", "plan@first"),
            "pems.bulk.certificate": (f"site=small plan_no={plan.plan_no} plan={plan.plan_id}", "bulk@first"),
            "pems.bulk.evaluate": (f"site=small plan={plan.plan_id}", "bulk@first"),
        }
    finally:
        seen.terminate()
        seen.wait(20)
        log.close()


async def _plan_certificate_why(rig: Rig) -> None:
    why = QueuedWhy(rig.queue.ask_why, RedisAnswers(rig.calls), CLOCK, rig.site)
    await rig.planner.start()
    await rig.until(lambda: rig.planner.plan is not None)
    plan = rig.planner.plan
    assert plan is not None
    await rig.queue.evaluate(rig.site, plan.plan_id)
    while not (found := await rig.published("certificate")):
        await asyncio.sleep(0.05)
    (message,) = found
    body = Certificate.read(message.body)
    assert (message.seq, message.cause) == (plan.plan_no, plan.plan_id)
    assert (body.plan_id, body.gap_czk, body.kind) == (plan.plan_id, 3.0, "proven"), "the toy's three duals came along"
    assert body.bound == pytest.approx(plan.cost.total - 3.0, abs=1e-3)
    wish = {"device": "room:one", "slot": 3, "action": "on"}
    answer = await why.ask_why(plan.plan_id, wish, 8.0)
    assert answer == {"wish": wish, "rooms": ["one", "two"], "duals": [0.0, 1.0, 2.0]}
    with pytest.raises(PlanForgottenError):
        await why.ask_why("never heard of", wish, 8.0)


async def test_a_why_with_no_worker_ends_in_time_and_leaves_nothing_that_is_answered_later(rig):
    why = QueuedWhy(rig.queue.ask_why, RedisAnswers(rig.calls), CLOCK, rig.site)
    began = CLOCK.monotonic()
    with pytest.raises(UnavailableError, match="no worker answered within 1 s"):
        await why.ask_why("p", {}, 1.0)
    assert CLOCK.monotonic() - began < 2.0
    with rig.worker("plan@first", "plan"):
        while rig.broker_rest():
            await asyncio.sleep(0.05)
    assert rig.raw.keys("pems:work:why:*") == []


async def test_the_fan_of_a_plan_is_the_same_however_it_is_cut(rig):
    keeper, record = keeper_of(rig), a_record(1, site=rig.site)
    await rig.plans.keep(record)
    with rig.worker("bulk@first", "bulk"), rig.worker("bulk@second", "bulk"):
        made = [await keeper.create("plan_fan", {"seed": 5}, items=12, chunk_items=size) for size in (1, 5, 12)]
        reports = [await done(keeper, study.study_id) for study in made]
    assert [r.state for r in reports] == ["done"] * 3
    item = fan_item(record, 5)
    alone = by_column(fan_columns(record.problem), [item(i) for i in range(12)])
    for report in reports:
        assert {name: values.tobytes() for name, values in report.values.items()} == {
            name: values.tobytes() for name, values in alone.items()
        }
    assert reports[0].summary["mean_czk"] == pytest.approx(alone["cost_czk"].mean(), abs=1e-3)
    with pytest.raises(PemsError, match="not known any more"):
        await keeper.create("plan_fan", {"plan_id": "older"}, items=1, chunk_items=1)


async def test_a_process_killed_at_a_chunk_is_replaced_at_once(rig):
    keeper = keeper_of(rig)
    with rig.worker("bulk@first", "bulk", hold=True) as worker:
        study = await keeper.create("toy", {"held": [5]}, items=12, chunk_items=4)
        while not worker.at_work:
            await asyncio.sleep(0.02)
        killed = worker.at_work
        os.kill(killed, signal.SIGKILL)
        worker.let_go()
        began = CLOCK.monotonic()
        report = await done(keeper, study.study_id)
        took_s = CLOCK.monotonic() - began
        assert worker.at_work != killed
    assert report.values["seventh"].tolist() == [i / 7 for i in range(12)]
    assert report.progress.tries == {0: 1, 1: 2, 2: 1}
    print(f"killed process: study over after {took_s:.1f} s")


async def test_a_killed_worker_costs_a_study_seconds_and_no_chunk_counts_twice(rig):
    keeper = keeper_of(rig)
    with rig.worker("bulk@first", "bulk", hold=True) as first:
        study = await keeper.create("toy", {"held": [5]}, items=12, chunk_items=4)
        while not first.at_work:
            await asyncio.sleep(0.02)
        first.kill_all()
        began = CLOCK.monotonic()
        with rig.worker("bulk@second", "bulk"):
            report = await done(keeper, study.study_id)
            took_s = CLOCK.monotonic() - began
    assert report.values["seventh"].tolist() == [i / 7 for i in range(12)]
    assert report.progress.tries == {0: 1, 1: 2, 2: 1}
    assert took_s < 60.0, "the broker would have taken two minutes"
    print(f"killed worker: study over after {took_s:.1f} s")


async def test_an_item_longer_than_its_lease_is_left_to_its_worker(rig):
    keeper = keeper_of(rig)
    with rig.worker("bulk@first", "bulk", hold=True) as first:
        study = await keeper.create("toy", {"held": [0]}, items=1, chunk_items=1)
        while not first.at_work:
            await asyncio.sleep(0.02)
        end = CLOCK.monotonic() + LEASE_S + 2.5
        with rig.worker("bulk@second", "bulk"):
            while CLOCK.monotonic() < end:
                await keeper.look()
                assert (await keeper.report(study.study_id)).progress.held == {0}
                await asyncio.sleep(0.5)
        first.let_go()
        report = await done(keeper, study.study_id)
    assert report.progress.tries == {0: 1}


async def test_a_chunk_that_kills_every_worker_ends_its_study_and_not_the_worker(rig):
    keeper = keeper_of(rig)
    with rig.worker("bulk@first", "bulk") as worker:
        (worker.control / "poison").touch()
        study = await keeper.create("toy", {"held": [5]}, items=12, chunk_items=4)
        report = await done(keeper, study.study_id)
        assert report.state == "failed"
        assert list(report.progress.failed) == [1]
        assert "begun 3 times" in report.progress.failed[1]
        assert worker.process.poll() is None
        while rig.broker_rest():
            await asyncio.sleep(0.05)


async def test_a_study_outlives_its_redis(rig):
    keeper = keeper_of(rig)
    rig.raw.config_set("appendfsync", "always")  # else the last second would be lost with it
    with rig.worker("bulk@first", "bulk", hold=True) as worker:
        study = await keeper.create("toy", {"held": [5]}, items=12, chunk_items=4)
        while not worker.at_work:
            await asyncio.sleep(0.02)
        rig.server.kill()
        worker.let_go()
        with pytest.raises(UnavailableError):
            await keeper.look()
        rig.server.start()
        report = await done(keeper, study.study_id)
    assert report.values["seventh"].tolist() == [i / 7 for i in range(12)]


async def test_the_service_takes_a_study_by_rest_and_by_the_command_line_and_tells_its_end(rig, capsys):
    await rig.plans.keep(a_record(1, site=rig.site))
    port = free_port()
    env = {**rig.env(rig.directory / "service"), "PEMS_OPTIMIZER_PORT": str(port)}
    log = (rig.directory / "service.log").open("wb")
    service = subprocess.Popen([sys.executable, "-P", "-m", "pems_optimizer.main"], env=env, stdout=log, stderr=log)
    try:
        with rig.worker("bulk@first", "bulk"):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as web:
                end = CLOCK.monotonic() + 30
                while True:
                    try:
                        assert (await web.get("/v1/certificate")).status_code == 404
                        break
                    except httpx.TransportError:
                        assert CLOCK.monotonic() < end
                        await asyncio.sleep(0.1)
                key = (rig.directory / "service" / "secrets" / "internal.key").read_text().strip()
                wish = {"kind": "plan_fan", "params": {"seed": 2}, "items": 6, "chunk_items": 2}
                assert (await web.post("/v1/studies", json=wish)).status_code == 401
                answer = await web.post("/v1/studies", json=wish, headers={"X-API-Key": key})
                assert answer.status_code == 202, answer.text
                while (found := (await web.get(answer.headers["Location"])).json())["state"] == "running":
                    assert CLOCK.monotonic() < end + 30
                    await asyncio.sleep(0.1)
                whole = (await web.get(answer.headers["Location"], params={"values": "true"})).json()
            options = FanOptions(draws=6, seed=2, url=f"http://127.0.0.1:{port}", key=key, as_json=True)
            assert await asyncio.to_thread(run_plan_fan, options, Console(quiet=True)) == 0
        assert json.loads(capsys.readouterr().out)["summary"] == found["summary"]
        assert {name: len(of) for name, of in whole["values"].items()} == dict.fromkeys(found["columns"], 6)
        assert (found["state"], found["done_chunks"]) == ("done", 3)
        assert found["summary"]["least_czk"] <= found["summary"]["p50_czk"] <= found["summary"]["most_czk"]
    finally:
        service.terminate()
        service.wait(20)
        log.close()
    assert service.returncode == 0
