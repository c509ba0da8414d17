"""Many days with faults in processes of this machine, each day's result kept, so that an interrupted run goes on."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.errors import PemsError
from pems_common.home import Home
from pems_lab.arms.jobs import WorldChoice
from pems_lab.faults.day import run_day
from pems_lab.faults.draw import Season, draw_day
from pems_lab.faults.figures import COLUMNS, summarise

__all__ = ["DayStudy", "finish_days", "summary_of", "worst_cases"]

_SCHEMA = 1


@dataclass(frozen=True)
class DayStudy:
    """Days with faults of one seed.

    Attributes:
        home: The site, standing in its world.
        world: Which world.
        seed: Of the study.
        season: Which dates.
    """

    home: Home
    world: WorldChoice
    seed: int
    season: Season = "year"

    def key(self, version: str) -> str:
        """Name of everything that decides its results; `version` is of the code (`arm_jobs.code_version`)."""
        content = {
            "schema": _SCHEMA,
            "home": self.home.model_dump(mode="json"),
            "world": {"kind": self.world.kind, "files": self.world.digest()},
            "version": version,
        }
        digest = blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()
        return f"{self.world.kind}-{self.season}-s{self.seed}-{digest}"

    def run(self, number: int) -> dict[str, Any]:
        """Live through one of its days and return it as JSON data (`DayResult.told`), with the time it took [s]."""
        began = time.perf_counter(), time.process_time()
        day = draw_day(self.home, self.seed, number, season=self.season)
        told = run_day(self.home, self.world.open(self.home, day.house_seed), day).told()
        took_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
        return {**told, "took": {"wall_s": round(took_s, 1), "cpu_s": round(cpu_s, 1)}}


def finish_days(
    study: DayStudy, numbers: Sequence[int], folder: Path, *, processes: int, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Live through the days that have no result yet, and yield each day's as it is there.

    Args:
        study: Whose days.
        numbers: Of the days.
        folder: Where their results are and go, one file a day.
        processes: How many run at once; 1 runs them in this process.
        say: Is told how far it is.

    Raises:
        PemsError: A result on disk is broken, or the world cannot be opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = []
    for number in numbers:
        found = _read(folder, number)
        if found is None:
            waiting.append(number)
        else:
            yield found
    if len(waiting) < len(numbers):
        say(f"{len(numbers) - len(waiting)} of {len(numbers)} days were finished before")
    if waiting:
        say(f"{len(waiting)} days to live through, {min(processes, len(waiting))} at a time")
    progress = _Progress(len(waiting), say)
    if processes <= 1:
        for number in waiting:
            told = _work(study, number, folder)
            progress.done(told)
            yield told
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: set[Future[dict[str, Any]]] = {pool.submit(_work, study, number, folder) for number in waiting}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    told = future.result()
                    progress.done(told)
                    yield told
        finally:
            pool.shutdown(cancel_futures=True)


def _work(study: DayStudy, number: int, folder: Path) -> dict[str, Any]:
    told = study.run(number)
    scratch = folder / f"{number}.tmp"
    scratch.write_text(json.dumps(told))
    scratch.replace(_file(folder, number))
    return told


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.json"


def _read(folder: Path, number: int) -> dict[str, Any] | None:
    path = _file(folder, number)
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PemsError(f"{path} is broken: {error}", remedy="delete it and start again") from error
    return found


class _Progress:
    """Tells after each day how many are done and how long the rest will take."""

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self._total, self._say, self._done = total, say, 0
        self._began = time.perf_counter()

    def done(self, told: Mapping[str, Any]) -> None:
        """One more day is finished."""
        self._done += 1
        took_s = time.perf_counter() - self._began
        left_min = took_s / self._done * (self._total - self._done) / 60.0
        kinds = ", ".join(fault["kind"] for fault in told["day"]["faults"]) or "no fault"
        number, cpu_s = told["day"]["number"], told["took"]["cpu_s"]
        self._say(f"{self._done} of {self._total}: day {number} ({kinds}) took {cpu_s:.0f} s; {left_min:.0f} min left")


def _table(days: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    return {
        name: np.array([np.nan if day["figures"][name] is None else day["figures"][name] for day in days], dtype=float)
        for name in COLUMNS
    }


def summary_of(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say what days say together (`fault_figures.summarise`); numbers in it are those of the items."""
    numbers = [int(day["day"]["number"]) for day in days]
    told = summarise(_table(days))
    told["worst"] = {name: [(numbers[i], value) for i, value in rows] for name, rows in told["worst"].items()}
    cpu_s = [float(day["took"]["cpu_s"]) for day in days]
    told["cpu_s_per_day"] = round(float(np.mean(cpu_s)), 1)
    return told


def worst_cases(days: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the days that are among the worst by any number, in the order of their numbers."""
    wanted = {number for rows in summary["worst"].values() for number, _ in rows}
    return sorted((day for day in days if day["day"]["number"] in wanted), key=lambda day: int(day["day"]["number"]))
