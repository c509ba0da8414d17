"""Arms as separate processes whose finished results stay on disk, so that an interrupted comparison goes on.

A job is one arm in one stretch. Its file is named after all that decides its result: home, house, world, stretch, arm,
and the source of everything that runs. A job whose file is there is not run again.
"""

import asyncio
import json
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import structlog

import pems_common
import pems_controller
import pems_forecaster
import pems_house
import pems_ingest
import pems_lab
import pems_optimizer
from pems_common.errors import PemsError
from pems_common.home import Home, load_home
from pems_common.world import World
from pems_common.world.generated import GeneratedWorld
from pems_lab.arms.run import Arm, Stretch, run_arm
from pems_lab.reference_world import at_uccle, own_world, reference_world

__all__ = ["Job", "WorldChoice", "code_version", "finish", "read_result", "stretches"]

_POLL_S = 2.0
_SCHEMA = 1
_PACKAGES = (pems_common, pems_controller, pems_forecaster, pems_house, pems_ingest, pems_lab, pems_optimizer)


@dataclass(frozen=True)
class WorldChoice:
    """Which world: `reference` (files of `data`), `generated`, or `own` (files `weather` and `prices`)."""

    kind: Literal["reference", "generated", "own"]
    data: str = ""
    weather: str = ""
    prices: str = ""

    def home(self, home: Home) -> Home:
        """Return the house where this world is."""
        return at_uccle(home) if self.kind == "reference" else home

    def open(self, home: Home, seed: int) -> World:
        """Open it for a house that stands in it.

        Raises:
            PemsError: A file cannot be read.
        """
        if self.kind == "reference":
            return reference_world(home, Path(self.data), seed=seed)
        if self.kind == "own":
            return own_world(home, Path(self.weather), Path(self.prices), seed=seed)
        return GeneratedWorld(seed=seed, latitude=home.site.latitude, longitude=home.site.longitude)

    def digest(self) -> dict[str, str]:
        """Return what the files say that the world is made of."""
        files = [Path(self.weather), Path(self.prices)] if self.kind == "own" else []
        if self.kind == "reference":
            files = [file for part in ("weather", "ote_cz") for file in sorted(Path(self.data, part).glob("*.csv"))]
        stats = {file: file.stat() for file in files if file.is_file()}
        return {file.name: _file_digest(file, stat.st_mtime_ns, stat.st_size) for file, stat in stats.items()}


@lru_cache(maxsize=64)
def _file_digest(path: Path, changed_ns: int, size: int) -> str:
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Job:
    """One arm in one stretch, for the house of a file.

    Attributes:
        home_file: What runs the house is told.
        built_file: The house, by whose bands, limits and prices the run is counted; None for `home_file`.
    """

    home_file: Path
    world: WorldChoice
    arm: Arm
    stretch: Stretch
    built_file: Path | None = None

    def homes(self) -> tuple[Home, Home]:
        """Return what runs the house is told, and the house, where this job's world is.

        Raises:
            PemsError: A file cannot be read.
        """
        told = self.world.home(load_home(self.home_file))
        return told, told if self.built_file is None else self.world.home(load_home(self.built_file))

    def key(self, version: str) -> str:
        """Name of its result."""
        home, built = self.homes()
        content = {
            "schema": _SCHEMA,
            "home": home.model_dump(mode="json"),
            "built": built.model_dump(mode="json"),
            "world": {**vars(self.world), "data": self.world.digest()},
            "stretch": {**vars(self.stretch), "start": self.stretch.start.isoformat()},
            "version": version,
        }
        digest = blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()
        return f"{self.stretch.start:%Y%m%d}-{self.stretch.days}d-s{self.stretch.seed}-{self.arm}-{digest}"


def code_version() -> str:
    """Return a digest of the source of everything that takes part in a run."""
    digest = blake2b(digest_size=8)
    for package in _PACKAGES:
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def stretches(whole: Stretch, days: int) -> list[Stretch]:
    """Cut a stretch into ones of at most so many days; each settles anew and can run beside the others."""
    return [
        replace(whole, start=whole.start + timedelta(days=first), days=min(days, whole.days - first))
        for first in range(0, whole.days, days)
    ]


def read_result(folder: Path, key: str) -> dict[str, Any] | None:
    """Return a finished result; None where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / f"{key}.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PemsError(f"{folder / key}.json is broken: {error}", remedy="delete it and start again") from error
    return found


def finish(
    jobs: Sequence[Job], folder: Path, *, processes: int, version: str, say: Callable[[str], None]
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Run the jobs that have no result yet, and yield each as it is there.

    Args:
        jobs: What is wanted.
        folder: Where results are and go.
        processes: How many run at once; 1 runs them in this process.
        version: Of the code (see `code_version`).
        say: Is told how far it is.

    Raises:
        PemsError: A result on disk is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[tuple[Job, str]] = []
    for job in jobs:
        key = job.key(version)
        found = read_result(folder, key)
        if found is None:
            waiting.append((job, key))
        else:
            say(f"{job.arm} of {job.stretch.start:%Y-%m-%d}: finished before")
            yield job, found
    progress = _Progress(folder, waiting, say)
    if processes <= 1:
        for job, key in waiting:
            yield job, _work(job, folder, key, progress.look)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool:
        running: dict[Future[dict[str, Any]], Job] = {pool.submit(_work, job, folder, key): job for job, key in waiting}
        try:
            while running:
                done, _ = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                progress.look()
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _work(job: Job, folder: Path, key: str, each_day: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run a job and write its result; runs in a process of its own, or in the caller's."""
    _quiet()
    home, built = job.homes()
    world = job.world.open(built, job.stretch.seed)
    mark = _mark(folder, key)

    def day_done(day: int) -> None:
        mark.write_text(str(day))
        each_day()

    told = asyncio.run(run_arm(home, world, job.arm, job.stretch, built=built, day_done=day_done))
    scratch = folder / f"{key}.tmp"
    scratch.write_text(json.dumps(told))
    scratch.replace(folder / f"{key}.json")
    mark.unlink(missing_ok=True)
    return told


def _quiet() -> None:
    """Leave out the services' log: it is written for one house, not for months of many."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _mark(folder: Path, key: str) -> Path:
    return folder / f"{key}.days"


class _Progress:
    """Tells how many days of the house are done and how long the rest will take."""

    def __init__(self, folder: Path, waiting: Sequence[tuple[Job, str]], say: Callable[[str], None]) -> None:
        self._folder, self._waiting, self._say = folder, waiting, say
        self._began, self._told = time.perf_counter(), 0
        for _, key in waiting:
            _mark(folder, key).unlink(missing_ok=True)

    def look(self) -> None:
        """Say something if a day has been finished since the last look."""
        total = sum(job.stretch.days + job.stretch.settle_days for job, _ in self._waiting)
        done = sum(self._days(job, key) for job, key in self._waiting)
        if done <= self._told:
            return
        self._told = done
        took_s = time.perf_counter() - self._began
        left_s = took_s / done * (total - done)
        self._say(f"{done} of {total} arm-days, {took_s / done:.1f} s each, {_minutes(left_s)} left")

    def _days(self, job: Job, key: str) -> int:
        if (self._folder / f"{key}.json").exists():
            return job.stretch.days + job.stretch.settle_days
        try:
            return int(_mark(self._folder, key).read_text() or 0)
        except FileNotFoundError:
            return 0


def _minutes(seconds: float) -> str:
    return f"{seconds / 60.0:.0f} min" if seconds >= 60.0 else f"{seconds:.0f} s"
