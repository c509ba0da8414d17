"""Where trainings run: in a process of their own, or (lockstep, tests) in the caller's."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pems_common.errors import PermanentError, UnavailableError
from pems_common.home import Home
from pems_forecaster.domain.drift import drifted
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Progress
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.room_fit.kept import fit_from_json, series_arrays
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.train_child import BUSY, ROOMS, TOO_LITTLE
from pems_forecaster.training import TrainingResult, identify_rooms, train_model

__all__ = ["InlineTrainer", "ProcessTrainer"]

T = TypeVar("T")
LIMIT_S = 900.0
_DRIFT_LIMIT_S = 60.0
_LONGEST_LINE = 8_000_000  # what was found of many rooms


class InlineTrainer:
    """Trains at once."""

    async def train(self, kind: str, home: Home, lessons: Lessons, folder: Path, progress: Progress) -> TrainingResult:
        """See `Trainer`."""
        return train_model(kind, home, lessons, folder, threads=1, progress=progress)

    async def identify(
        self, home: Home, series: HouseSeries, folder: Path, progress: Progress
    ) -> Mapping[str, RoomFit]:
        """See `Trainer`."""
        return identify_rooms(home, series, progress=progress)

    async def drifted(self, skills: Sequence[float]) -> bool:
        """See `Trainer`."""
        return drifted(skills)


class ProcessTrainer:
    """Trains in a child process with little priority, bounded memory and time; its death harms nobody.

    The child holds a lock file of the registry while it lives: one training at a time per site, whoever started it.
    """

    def __init__(self, lock: Path, *, threads: int, memory_mb: int, limit_s: float = LIMIT_S) -> None:
        """Prepare.

        Args:
            lock: The lock file.
            threads: Processor threads of a training.
            memory_mb: Bound of the child's data.
            limit_s: Wall time after which it is ended.
        """
        self._lock, self._threads, self._memory_mb, self._limit_s = lock, threads, memory_mb, limit_s

    async def train(self, kind: str, home: Home, lessons: Lessons, folder: Path, progress: Progress) -> TrainingResult:
        """See `Trainer`."""
        return await self._in_child(kind, home, lessons.arrays(), folder, progress, TrainingResult.from_json)

    async def identify(
        self, home: Home, series: HouseSeries, folder: Path, progress: Progress
    ) -> Mapping[str, RoomFit]:
        """See `Trainer`."""
        return await self._in_child(ROOMS, home, series_arrays(series), folder, progress, _fits)

    async def _in_child(
        self,
        kind: str,
        home: Home,
        arrays: Mapping[str, Any],
        folder: Path,
        progress: Progress,
        read: Callable[[Any], T],
    ) -> T:
        """Have a child do it; `read` makes its answer of plain data."""
        job = folder / "job.npz"
        head = {
            "kind": kind,
            "home": home.model_dump(mode="json"),
            "threads": self._threads,
            "memory_mb": self._memory_mb,
            "lock": str(self._lock),
        }
        await asyncio.to_thread(_write_job, job, head, arrays)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pems_forecaster.train_child",
            str(job),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
        )
        try:
            async with asyncio.timeout(self._limit_s):
                result, last = await _listen(child, progress, read)
                code = await child.wait()
        except TimeoutError:
            raise PermanentError(
                f"the {kind} training took longer than {self._limit_s:.0f} s", remedy="give it more threads"
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
            job.unlink(missing_ok=True)
        if code == 0 and result is not None:
            return result
        last = last or f"exit code {code}"
        if code == BUSY:
            raise UnavailableError("another training of this site is under way")
        if code == TOO_LITTLE:
            raise PermanentError(last, remedy="it is tried again with more data")
        raise PermanentError(f"the {kind} training failed: {last}", remedy="see memory and log; it is tried again")

    async def drifted(self, skills: Sequence[float]) -> bool:
        """See `Trainer`."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pems_forecaster.drift_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_DRIFT_LIMIT_S):
                said, _ = await child.communicate(json.dumps(list(skills)).encode())
            return bool(json.loads(said))
        except (TimeoutError, ValueError) as error:
            raise UnavailableError(f"the drift test did not end: {error!r}") from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


def _fits(data: Any) -> dict[str, RoomFit]:
    return {room: fit_from_json(fit) for room, fit in data.items()}


def _write_job(job: Path, head: dict[str, Any], arrays: Mapping[str, Any]) -> None:
    job.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"head": np.array(json.dumps(head)), **arrays}
    np.savez(job, **content)


async def _listen(
    child: asyncio.subprocess.Process, progress: Progress, read: Callable[[Any], T]
) -> tuple[T | None, str]:
    """Follow the child's lines: progress, at last what it made, and the last line that is neither."""
    result, last = None, ""
    if child.stdout is not None:
        async for line in child.stdout:
            try:
                said = json.loads(line)
                if "result" in said:
                    result = read(said["result"])
                else:
                    progress(float(said["share"]), str(said["what"]))
            except (ValueError, KeyError, TypeError, AttributeError):  # an error, or a library that prints
                last = line.decode(errors="replace").strip() or last
    return result, last
