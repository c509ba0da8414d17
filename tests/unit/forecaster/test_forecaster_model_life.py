"""Models from the first night to the rollback, with a toy model that says one number."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import the_home

from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.messages import Alert, read_body
from pems_common.standing_alerts import StandingAlerts
from pems_forecaster.adapters.lesson_store import LessonStore
from pems_forecaster.adapters.model_registry import ModelRegistry
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.adapters.trainers import InlineTrainer
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.contest import DayQuality
from pems_forecaster.domain.grid import slot_no
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Situation, Trained
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.rooms import prior_models
from pems_forecaster.memory import Memory
from pems_forecaster.model_life import ModelLife
from pems_forecaster.training import LIVE_KINDS

HOME = the_home()
NIGHT = datetime(2026, 1, 14, 2, 30, tzinfo=UTC)  # 3:30 in Prague
SLOTS = 96


class ToyModel:
    def __init__(self, says_w: float) -> None:
        self.says_w = says_w

    def predict(self, situation: Situation) -> Quantiles:
        middle = np.full(situation.grid.count, self.says_w)
        return Quantiles(middle - 10.0, middle, middle + 10.0)

    def importance(self) -> dict[str, float]:
        return {"x": 1.0}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "toy.json").write_text(json.dumps(self.says_w))


class ToyKind:
    name = "pv"
    least_days = 2.0

    def __init__(self) -> None:
        self.says_w = 1000.0
        self.metrics = {"pinball": 1.0}
        self.trainings = 0

    def days(self, lessons: Lessons) -> float:
        return lessons.days("pv_w")

    def train(self, home: object, lessons: Lessons, *, threads: int, progress: Callable[[float, str], None]) -> Trained:
        self.trainings += 1
        progress(0.5, "halfway")
        return Trained(ToyModel(self.says_w), "pv power", 10, f"hash{self.trainings}", ("x",), {}, self.metrics)

    def load(self, folder: Path) -> ToyModel:
        try:
            return ToyModel(float(json.loads((folder / "toy.json").read_text())))
        except (OSError, ValueError) as error:
            raise PermanentError("no toy", remedy="train") from error


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> ToyKind:
    toy = ToyKind()
    for name in list(LIVE_KINDS):
        monkeypatch.delitem(LIVE_KINDS, name)
    monkeypatch.setitem(LIVE_KINDS, "pv", toy)
    return toy


class Rig:
    """One site's models over a few nights; `restart` begins anew from what is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock(NIGHT - timedelta(hours=6))
        self.bus = MemoryBus(self.clock)
        self.trainer = InlineTrainer()
        self.background = False

    @classmethod
    async def begin(cls, folder: Path, days: int = 3) -> "Rig":
        rig = cls(folder)
        await rig.restart()
        rig.measure(days)
        return rig

    def measure(self, days: int) -> None:
        now = slot_no(self.clock.now())
        for slot in range(now - days * SLOTS, now):
            self.life.learn(slot, {"pv_w": 500.0})

    async def restart(self) -> None:
        self.memory = Memory(lambda: HouseObserver(prior_models(HOME)), StateFile(self.folder / "memory.json"))
        self.memory.load(self.clock.now())
        self.contest = self.memory.contests.of("pv")
        self.life = ModelLife(
            HOME,
            self.clock,
            self.memory,
            LessonStore(self.folder / "lessons.sqlite"),
            ModelRegistry(self.folder / "models"),
            self.trainer,
            StandingAlerts(HOME.site.id, self.clock, self.bus, "test"),
            None,
            lambda: self.memory.save(self.clock.now()),
            background=self.background,
        )
        await self.life.start()

    async def night(self) -> None:
        """The next night's training."""
        self.clock.advance((NIGHT - self.clock.now()).total_seconds() % 86_400 or 86_400)
        await self.life.tick()
        await self.life.tick()

    async def days(self, count: int, truth_w: float) -> None:
        """Days on which each method says its number four hours ahead, and the house measures another."""
        levels = np.array([0.1, 0.5, 0.9])
        for version in self.contest.models:  # it is known how much to believe of each
            said = np.tile(self.says(version), (8, 3))
            for _ in range(5):
                self.contest.arms[version].blend.learn(0.5 * said, said, said[:, 0], levels)
        for _ in range(count):
            first = slot_no(self.clock.now())
            rng = np.random.default_rng(first)
            for slot in range(first, first + SLOTS):
                grid = np.arange(slot - 16, slot - 16 + SLOTS)
                for version, arm in self.contest.arms.items():
                    middle = np.full(SLOTS, 200.0 if version == self.contest.simple else self.says(version))
                    band = Quantiles(middle - 20.0, middle, middle + 20.0)
                    arm.book.remember(grid, middle, np.ones(SLOTS), band)
                self.contest.match(slot, truth_w + 10.0 * rng.standard_normal())
            self.contest.close_day()
            self.clock.advance(86_400)
            await self.life.on_day()

    def says(self, version: str) -> float:
        model = self.life.models[version]
        assert isinstance(model, ToyModel)
        return model.says_w

    def statuses(self) -> dict[str, str]:
        return {record.version: record.status for record in self.life.registry.all()}

    async def alerts(self) -> set[str]:
        """Codes of the alerts that stand."""
        found = await self.bus.latest_all("alert", HOME.site.id)
        bodies = [read_body(envelope, Alert) for envelope in found.values()]
        return {alert.code for alert in bodies if alert.cleared_at is None}


async def test_from_the_first_night_to_published_and_back(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    (version,) = rig.life.models
    assert rig.statuses() == {version: "shadow"}
    assert (rig.contest.active, rig.contest.challenger) == ("physics-1", version)
    await rig.night()
    assert kind.trainings == 1  # one is on trial: the night waits for its end
    await rig.days(5, 1000.0)
    assert rig.contest.active == version
    assert rig.statuses() == {version: "active"}
    record = rig.life.registry.get(version)
    assert record is not None
    assert "less loss than physics-1 over 5 days" in record.why
    await rig.days(12, 200.0)
    assert rig.contest.active == "physics-1"
    assert rig.statuses() == {version: "retired"}
    assert version not in rig.life.models


async def test_with_too_little_data_nothing_is_trained_and_it_is_said(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path, days=1)
    await rig.night()
    (job,) = rig.life.jobs.all()
    assert (job.why, job.state) == ("night", "failed")
    assert "too few" in job.what
    assert rig.statuses() == {}
    assert kind.trainings == 0


async def test_the_next_model_follows_and_the_former_one_is_the_way_back(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    (first,) = rig.life.models
    await rig.days(5, 1000.0)
    kind.says_w = 1500.0
    await rig.night()
    second = rig.contest.challenger
    await rig.days(5, 1500.0)
    assert rig.statuses() == {first: "retired", second: "active"}
    assert rig.contest.former == first
    assert rig.life.roll_back("pv") == first
    assert rig.statuses() == {first: "active", second: "retired"}
    assert rig.life.roll_back("pv") == "physics-1"
    with pytest.raises(PermanentError, match="nothing to roll back"):
        rig.life.roll_back("pv")
    with pytest.raises(KeyError):
        rig.life.roll_back("wind")


async def test_a_candidate_far_worse_on_held_out_days_is_not_even_tried(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    kind.metrics = {"pinball": 9.0, "simple_pinball": 1.0}
    await rig.night()
    assert list(rig.statuses().values()) == ["retired"]
    assert rig.contest.challenger == ""


async def test_everything_goes_on_after_a_restart(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    await rig.days(5, 1000.0)
    version = rig.contest.active
    rig.memory.save(rig.clock.now())
    await rig.restart()
    assert (rig.contest.active, list(rig.life.models)) == (version, [version])
    # Its files are gone: the simple method goes on, and the list says so.
    rig.memory.save(rig.clock.now())
    (rig.life.registry.folder_of(version) / "toy.json").unlink()
    await rig.restart()
    assert rig.contest.active == "physics-1"
    assert rig.statuses() == {version: "retired"}


async def test_a_model_whose_errors_were_lost_is_tried_anew(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    await rig.days(5, 1000.0)
    version = rig.contest.active
    (tmp_path / "memory.json").unlink(missing_ok=True)
    await rig.restart()
    assert (rig.contest.active, rig.contest.challenger) == ("physics-1", version)
    assert rig.statuses() == {version: "shadow"}


async def test_trainings_are_asked_for_once_and_wait_for_another_replica(tmp_path: Path, kind: ToyKind):
    class Busy(InlineTrainer):
        busy = True

        async def train(self, *args, **kwargs):
            if self.busy:
                raise UnavailableError("another training of this site is under way")
            return await super().train(*args, **kwargs)

    rig = await Rig.begin(tmp_path)
    rig.trainer = Busy()
    await rig.restart()
    job = rig.life.retrain("pv", "asked")
    assert rig.life.retrain("pv", "asked") is job
    await rig.life.tick()
    assert (job.state, kind.trainings) == ("queued", 0)
    rig.trainer.busy = False
    await rig.life.tick()
    assert job.state == "queued"  # not at once again
    rig.clock.advance(601)
    await rig.life.tick()
    assert (job.state, job.share, kind.trainings) == ("done", 1.0, 1)
    assert rig.life.jobs.get(job.id) is job
    assert rig.life.registry.get(job.version) is not None
    with pytest.raises(KeyError):
        rig.life.retrain("wind", "asked")


async def test_a_lasting_fall_of_skill_trains_anew_and_then_is_told(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    for _ in range(30):
        rig.contest.note_quality(DayQuality(0.3, 100.0))
    await rig.life.on_day()
    assert rig.life.jobs.all() == []

    async def go_on(days: int, skill: float) -> None:
        for _ in range(days):
            rig.contest.note_quality(DayQuality(skill, 100.0))
            await rig.life.on_day()

    await go_on(12, -0.2)
    assert [job.why for job in rig.life.jobs.all()] == ["drift"]
    assert await rig.alerts() == set()  # a new model may mend it
    await go_on(12, -0.9)
    assert await rig.alerts() == {"forecast.drift_pv"}
    await go_on(25, 0.3)
    assert await rig.alerts() == set()


async def test_an_error_that_rises_by_a_fifth_in_a_week_is_told_and_cleared(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    for mae in [100.0] * 7 + [150.0] * 7:  # a week that was as hard for persistence is no fault
        rig.contest.note_quality(DayQuality(0.3, mae))
    await rig.life.on_day()
    assert await rig.alerts() == set()
    rig.contest.quality.clear()
    for mae in [100.0] * 7 + [150.0] * 7:
        rig.contest.note_quality(DayQuality(30.0 / mae, mae))
    await rig.life.on_day()
    assert await rig.alerts() == {"forecast.error_pv"}
    assert rig.life.jobs.all() == []  # a new model would not mend a meter
    await rig.restart()  # it is known after a restart that it stands
    assert await rig.alerts() == {"forecast.error_pv"}
    for _ in range(14):
        rig.contest.note_quality(DayQuality(0.3, 150.0))
    await rig.life.on_day()
    assert await rig.alerts() == set()


async def test_a_rollback_is_not_undone_by_a_power_cut(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    await rig.days(5, 1000.0)
    version = rig.contest.active
    assert version != "physics-1"
    rig.life.roll_back("pv")
    await rig.restart()  # nobody saved the memory but the life itself
    assert rig.contest.active == "physics-1"
    assert rig.statuses() == {version: "retired"}


async def test_the_way_back_keeps_its_files_however_many_are_retired(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    await rig.days(5, 1000.0)
    first, kind.says_w = rig.contest.active, 1500.0
    await rig.night()
    await rig.days(5, 1500.0)
    kind.metrics = {"pinball": 9.0, "simple_pinball": 1.0}
    for _ in range(8):
        await rig.night()
    assert rig.contest.former == first
    assert rig.life.roll_back("pv") == first
    assert rig.statuses()[first] == "active"


async def test_when_the_memory_is_lost_the_active_model_is_tried_before_the_newest(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    await rig.night()
    await rig.days(5, 1000.0)
    active = rig.contest.active
    await rig.night()
    newest = rig.contest.challenger
    (tmp_path / "memory.json").unlink()
    await rig.restart()
    assert rig.contest.challenger == active
    assert rig.statuses() == {active: "shadow", newest: "retired"}


async def test_a_training_that_fails_in_any_way_ends_and_leaves_nothing(tmp_path: Path, kind: ToyKind):
    class Broken(InlineTrainer):
        async def train(self, kind, home, lessons, folder, progress):
            folder.mkdir()
            raise OSError("the disk is full")

    rig = await Rig.begin(tmp_path)
    rig.trainer = Broken()
    await rig.restart()
    job = rig.life.retrain("pv", "asked")
    await rig.life.tick()
    assert job.state == "failed"
    assert "disk is full" in job.what
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


async def test_the_same_second_lived_again_makes_another_version(tmp_path: Path, kind: ToyKind):
    rig = await Rig.begin(tmp_path)
    for _ in range(2):
        rig.life.retrain("pv", "asked")
        await rig.life.tick()
    assert len(rig.statuses()) == 2


async def test_a_real_process_trains_beside_everything_else(tmp_path: Path, kind: ToyKind):
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow(InlineTrainer):
        async def train(self, *args, **kwargs):
            started.set()
            await go_on.wait()
            return await super().train(*args, **kwargs)

    rig = await Rig.begin(tmp_path)
    rig.trainer, rig.background = Slow(), True
    await rig.restart()
    job = rig.life.retrain("pv", "asked")
    await rig.life.tick()
    await started.wait()
    await rig.life.tick()  # nothing waits for it
    assert vars(job)["state"] == "running"
    go_on.set()
    await rig.life._beside._tasks["training"]
    await rig.life.tick()
    assert (job.state, rig.contest.challenger) == ("done", job.version)
    rig.life.retrain("pv", "asked")
    go_on.clear()
    await rig.life.tick()
    await rig.life.stop()  # ends what is under way
