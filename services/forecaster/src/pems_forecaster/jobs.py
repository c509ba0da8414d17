"""Work beside the forecasts: what was asked for and how far it is, and tasks that never come twice at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pems_common.clock import Clock
from pems_common.ids import new_id
from pems_common.logs import get_logger

__all__ = ["Beside", "Job", "Jobs"]

_KEPT = 30
_log = get_logger("forecaster.jobs")


@dataclass
class Job:
    """Work that was asked for.

    Attributes:
        id: Its name.
        kind: `pv`, `load`, `price` or `rooms`.
        why: `night`, `asked` or `drift`.
        asked_at: House time.
        state: How far it is.
        share: Share done, 0..1.
        what: What is being done, or why it failed.
        version: What came of it.
    """

    id: str
    kind: str
    why: str
    asked_at: datetime
    state: Literal["queued", "running", "done", "failed"] = "queued"
    share: float = 0.0
    what: str = ""
    version: str = ""

    def progress(self, share: float, what: str) -> None:
        """Note how far it is."""
        self.share, self.what = share, what

    def failed(self, what: str) -> None:
        """Note that nothing came of it."""
        self.state, self.what = "failed", what


class Jobs:
    """What was asked for lately."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def ask(self, kind: str, why: str) -> Job:
        """Ask for work; a job of its kind that waits already is returned."""
        for job in self._jobs.values():
            if job.kind == kind and job.state == "queued":
                return job
        job = Job(new_id(self._clock.wall_now()), kind, why, self._clock.now())
        self._jobs[job.id] = job
        while len(self._jobs) > _KEPT:
            self._jobs.popitem(last=False)
        return job

    def all(self) -> list[Job]:
        """Return the newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, wanted: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(wanted)

    def waiting(self) -> Job | None:
        """Return the one that waits longest."""
        return next((job for job in self._jobs.values() if job.state == "queued"), None)


class Beside:
    """Tasks beside everything else, or (lockstep, tests) done at once; none twice at the same time."""

    def __init__(self, *, background: bool) -> None:
        """Begin with none."""
        self._background = background
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def do(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something, unless the like is under way."""
        if name in self._tasks:
            work.close()
        elif self._background:
            self._tasks[name] = asyncio.create_task(work, name=name)
        else:
            await work

    def look(self) -> None:
        """Put away what has ended; what failed is logged."""
        for name in [name for name, task in self._tasks.items() if task.done()]:
            task = self._tasks.pop(name)
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("something failed beside the forecasts", what=name, exc_info=error)

    async def stop(self) -> None:
        """End what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
