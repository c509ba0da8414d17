"""Arms as jobs: what is finished is not run again, and a result belongs to what it was made from."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pems_common.errors import PemsError
from pems_lab.arms import jobs as arm_jobs
from pems_lab.arms import run as arm_run
from pems_lab.arms.jobs import Job, WorldChoice, code_version, stretches
from pems_lab.arms.run import Stretch
from pems_lab.resumable import finish

HOME_FILE = Path(__file__).parents[3] / "config" / "home.yaml"
NOON = datetime(2026, 1, 13, 11, tzinfo=UTC)
JOB = Job(HOME_FILE, WorldChoice("generated"), "b0", Stretch(NOON, days=1, settle_days=0))


@pytest.fixture(autouse=True)
def _short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_run, "_DAY", timedelta(minutes=20))


def run(jobs: list[Job], folder: Path, said: list[str]) -> dict[Job, dict[str, Any]]:
    return dict(finish(jobs, folder, processes=1, version="v", say=said.append))


def test_a_finished_arm_is_read_and_an_interrupted_comparison_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, said = replace(JOB, arm="b1"), list[str]()
    first = run([JOB], tmp_path, said)
    assert any("1 of 1 days" in line for line in said)
    ran: list[str] = []
    really = arm_run.run_arm

    async def watched(home: Any, world: Any, arm: Any, stretch: Stretch, **options: Any) -> dict[str, Any]:
        ran.append(arm)
        return await really(home, world, arm, stretch, **options)

    monkeypatch.setattr(arm_jobs, "run_arm", watched)
    both = run([JOB, other], tmp_path, said)
    assert ran == ["b1"]
    assert both[JOB] == json.loads(json.dumps(first[JOB]))
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".json", ".json"], "no marks are left"


def test_an_arm_that_breaks_off_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, day_done: Any, **__: Any) -> dict[str, Any]:
        day_done(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(arm_jobs, "run_arm", broken)
    with pytest.raises(KeyboardInterrupt):
        run([JOB], tmp_path, [])
    assert not list(tmp_path.glob("*.json"))


def test_a_result_belongs_to_home_house_world_stretch_arm_and_code(tmp_path: Path) -> None:
    warmer = tmp_path / "home.yaml"
    warmer.write_text(HOME_FILE.read_text().replace("profile: balanced ", "profile: green "))
    others = [
        replace(JOB, arm="b1"),
        replace(JOB, world=WorldChoice("own", weather="w.csv", prices="p.csv")),
        replace(JOB, stretch=replace(JOB.stretch, seed=1)),
        replace(JOB, stretch=replace(JOB.stretch, learn=True)),
        replace(JOB, built_file=warmer),
    ]
    keys = {JOB.key("v"), JOB.key("w"), *(job.key("v") for job in others)}
    assert len(keys) == 7
    assert replace(JOB).key("v") in keys
    assert code_version() == code_version()


def test_a_result_belongs_to_what_the_files_of_its_world_say(tmp_path: Path) -> None:
    weather, prices = tmp_path / "weather.csv", tmp_path / "prices.csv"
    weather.write_text("a\n")
    prices.write_text("b\n")
    job = replace(JOB, world=WorldChoice("own", weather=str(weather), prices=str(prices)))
    before = job.key("v")
    assert job.key("v") == before
    prices.write_text("corrected\n")
    assert job.key("v") != before


def test_a_year_is_cut_into_stretches_that_follow_each_other() -> None:
    parts = stretches(Stretch(NOON, days=70, seed=3), 31)
    assert [(part.start, part.days) for part in parts] == [
        (NOON, 31),
        (NOON + timedelta(days=31), 31),
        (NOON + timedelta(days=62), 8),
    ]
    assert {part.seed for part in parts} == {3}


def test_a_broken_result_is_named(tmp_path: Path) -> None:
    (tmp_path / f"{JOB.key('v')}.json").write_text("{")
    with pytest.raises(PemsError, match="broken"):
        run([JOB], tmp_path, [])
