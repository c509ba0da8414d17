"""Trainings in a process of their own: real children, their deaths, bounds and locks."""

import asyncio
import fcntl
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.unit.forecaster.forecaster_makers import shaded_lessons, the_home
from tests.unit.forecaster.forecaster_true_rooms import true_series, two_room_home, two_rooms

from pems_common.errors import PermanentError, UnavailableError
from pems_forecaster.adapters.trainers import ProcessTrainer
from pems_forecaster.training import LIVE_KINDS

HOME = the_home()


def trainer(folder: Path, **changes: float) -> ProcessTrainer:
    settings = {"threads": 1, "memory_mb": 1500, "limit_s": 120.0, **changes}
    return ProcessTrainer(folder / "training.lock", **settings)  # type: ignore[arg-type]


def trainings() -> list[psutil.Process]:
    """Children of this process that train; servers of other tests are children too."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "pems_forecaster.train_child" in child.cmdline():
                found.append(child)
    return found


async def test_a_child_trains_tells_its_progress_and_leaves_a_model(tmp_path: Path):
    told: list[tuple[float, str]] = []
    result = await trainer(tmp_path).train(
        "pv", HOME, shaded_lessons(16), tmp_path / "m1", lambda share, what: told.append((share, what))
    )
    assert result.rows > 1000
    assert {"pinball", "coverage"} <= result.metrics.keys()
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1.0
    assert LIVE_KINDS["pv"].load(tmp_path / "m1").importance()
    assert sorted(p.name for p in (tmp_path / "m1").iterdir()) == ["card.json", "model.ubj"]  # no job is left


async def test_a_child_identifies_rooms(tmp_path: Path):
    told: list[float] = []
    home, series = two_room_home(), true_series(16, 1_968_000)
    fits = await trainer(tmp_path).identify(home, series, tmp_path / "rooms", lambda share, what: told.append(share))
    assert set(fits) == {"obyvak", "kuchyne"}
    for room, truth in two_rooms().items():
        assert fits[room].model.rea_k_w == pytest.approx(truth.rea_k_w, rel=0.3)
        error_c = fits[room].evidence.mae_24h_c
        assert error_c is not None
        assert error_c < 0.3
    assert told == sorted(told)
    with pytest.raises(PermanentError, match="10 days"):
        await trainer(tmp_path).identify(home, series.part(0, 5 * 96), tmp_path / "rooms", lambda share, what: None)


async def test_too_little_data_is_told_with_its_remedy(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"3\.0 days of pv are too few"):
        await trainer(tmp_path).train("pv", HOME, shaded_lessons(3), tmp_path / "m1", lambda share, what: None)


async def test_only_one_training_of_a_site_runs_at_once(tmp_path: Path):
    with (tmp_path / "training.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match="another training"):
            await trainer(tmp_path).train("pv", HOME, shaded_lessons(3), tmp_path / "m1", lambda share, what: None)


async def test_a_child_that_is_killed_takes_too_long_or_too_much_memory_harms_nobody(tmp_path: Path):
    async def kill_the_child() -> None:
        while not (children := trainings()):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        children[0].kill()

    lessons = shaded_lessons(16)
    killer = asyncio.create_task(kill_the_child())
    with pytest.raises(PermanentError, match="training failed"):
        await trainer(tmp_path).train("pv", HOME, lessons, tmp_path / "m1", lambda share, what: None)
    await killer
    with pytest.raises(PermanentError, match="took longer than"):
        await trainer(tmp_path, limit_s=0.3).train("pv", HOME, lessons, tmp_path / "m2", lambda share, what: None)
    with pytest.raises(PermanentError, match="training failed"):
        await trainer(tmp_path, memory_mb=60).train("pv", HOME, lessons, tmp_path / "m3", lambda share, what: None)
    assert trainings() == []
    # The lock fell with its holder: the next training runs.
    await trainer(tmp_path).train("pv", HOME, lessons, tmp_path / "m4", lambda share, what: None)


async def test_drift_is_looked_for_in_a_child(tmp_path: Path):
    assert not await trainer(tmp_path).drifted([0.3, 0.31] * 15)
    assert await trainer(tmp_path).drifted([0.3, 0.31] * 15 + [-0.7] * 10)
