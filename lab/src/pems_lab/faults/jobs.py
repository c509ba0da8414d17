"""Many days with faults in processes of this machine, each day's result kept, so that an interrupted run goes on."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.home import Home
from pems_lab.arms.jobs import WorldChoice
from pems_lab.faults.day import run_day
from pems_lab.faults.draw import Season, draw_day
from pems_lab.faults.figures import COLUMNS, summarise
from pems_lab.resumable import Tell, finish

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
        """Name of everything that decides its results; `version` is of the code (`arms.jobs.code_version`)."""
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


@dataclass(frozen=True)
class _Day:
    """One day of a study."""

    study: DayStudy
    number: int

    @property
    def weight(self) -> int:
        return 1

    def key(self, version: str) -> str:
        """Name of its result in the folder of its study, which is of one version."""
        return f"{self.number:05d}"

    def done(self, tell: Tell) -> dict[str, Any]:
        return self.study.run(self.number)


def finish_days(
    study: DayStudy, numbers: Sequence[int], folder: Path, *, processes: int, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Live through the days that have no result yet, and yield each day's as it is there.

    Args:
        study: Whose days.
        numbers: Of the days.
        folder: Where their results are and go, one file a day; of this study alone.
        processes: How many run at once; 1 runs them in this process.
        say: Is told how far it is.

    Raises:
        PemsError: A result on disk is broken, or the world cannot be opened.
    """
    days = [_Day(study, number) for number in numbers]
    for day, told in finish(days, folder, processes=processes, version="", say=say):
        kinds = ", ".join(fault["kind"] for fault in told["day"]["faults"]) or "no fault"
        say(f"day {day.number} ({kinds}) took {told['took']['cpu_s']:.0f} s")
        yield told


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
