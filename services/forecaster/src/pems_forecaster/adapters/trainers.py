"""Where trainings run: in a process of their own, or (lockstep, tests) in the caller's."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.errors import PermanentError, UnavailableError
from pems_common.home import Home
from pems_forecaster.domain.drift import drifted
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Progress
from pems_forecaster.train_child import BUSY, TOO_LITTLE
from pems_forecaster.training import TrainingResult, train_model

__all__ = ["InlineTrainer", "ProcessTrainer"]

LIMIT_S = 900.0
_DRIFT_LIMIT_S = 60.0


class InlineTrainer:
    """Trains at once."""

    async def train(self, kind: str, home: Home, lessons: Lessons, folder: Path, progress: Progress) -> TrainingResult:
        """See `Trainer`."""
        return train_model(kind, home, lessons, folder, threads=1, progress=progress)

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
        job = folder / "job.npz"
        head = {
            "kind": kind,
            "home": home.model_dump(mode="json"),
            "threads": self._threads,
            "memory_mb": self._memory_mb,
            "lock": str(self._lock),
        }
        await asyncio.to_thread(_write_job, job, head, lessons)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pems_forecaster.train_child",
            str(job),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(self._limit_s):
                result, last = await _listen(child, progress)
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


def _write_job(job: Path, head: dict[str, Any], lessons: Lessons) -> None:
    job.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"head": np.array(json.dumps(head)), **lessons.arrays()}
    np.savez(job, **arrays)


async def _listen(child: asyncio.subprocess.Process, progress: Progress) -> tuple[TrainingResult | None, str]:
    """Follow the child's lines: progress, at last what it made, and the last line that is neither."""
    result, last = None, ""
    if child.stdout is not None:
        async for line in child.stdout:
            try:
                said = json.loads(line)
                if "result" in said:
                    result = TrainingResult.from_json(said["result"])
                else:
                    progress(float(said["share"]), str(said["what"]))
            except (ValueError, KeyError, TypeError):  # an error, or a library that prints
                last = line.decode(errors="replace").strip() or last
    return result, last
