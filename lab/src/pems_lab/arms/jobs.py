"""Arms as work that can be interrupted (`resumable`).

A job is one arm in one stretch. Its result is named after all that decides it: home, house, world, stretch, arm, and
the source of everything that runs.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pems_common
import pems_controller
import pems_forecaster
import pems_house
import pems_ingest
import pems_lab
import pems_optimizer
from pems_common.home import Home, load_home
from pems_common.world import World
from pems_common.world.generated import GeneratedWorld
from pems_lab.arms.run import Arm, Stretch, run_arm
from pems_lab.reference_world import at_uccle, own_world, reference_world
from pems_lab.resumable import Tell

__all__ = ["Job", "WorldChoice", "code_version", "stretches"]

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

    @property
    def weight(self) -> int:
        """Days of work."""
        return self.stretch.days + self.stretch.settle_days

    def done(self, tell: Tell) -> dict[str, Any]:
        """Run it."""
        home, built = self.homes()
        world = self.world.open(built, self.stretch.seed)
        return asyncio.run(run_arm(home, world, self.arm, self.stretch, built=built, day_done=tell))


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
