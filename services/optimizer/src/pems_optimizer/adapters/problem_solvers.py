"""Where problem files are solved for the REST API: in one thread of this process, one at a time."""

import asyncio
from typing import Any, Protocol

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_optimizer.domain.problem_file.solve_file import solve_problem_file

__all__ = ["ProblemSolver", "ThreadSolver"]

_LONG_AGO_S = 1e6


class ProblemSolver(Protocol):
    """Takes a problem and gives its answer, both as JSON data."""

    async def solve(self, data: Any) -> dict[str, Any]:
        """Solve a problem.

        Raises:
            ProblemFileError: It is no problem that can be solved.
            UnavailableError: There is no free solver now.
        """


class ThreadSolver:
    """Solves beside the event loop; a second problem at the same time is refused, not queued."""

    def __init__(self, clock: Clock, *, limit_s: float = 20.0) -> None:
        """Solve with at most `limit_s` wall seconds a problem."""
        self._clock, self._limit_s = clock, limit_s
        self._work: asyncio.Future[dict[str, Any]] | None = None

    async def solve(self, data: Any) -> dict[str, Any]:
        """Solve a problem; who stops waiting stops the work at its next look at the time.

        Raises:
            ProblemFileError: It is no problem that can be solved.
            UnavailableError: Another problem is being solved.
        """
        if self._work is not None and not self._work.done():
            raise UnavailableError("another problem is being solved", remedy="try again in a few seconds")
        began, abandoned = self._clock.monotonic(), False

        def elapsed_s() -> float:
            return _LONG_AGO_S if abandoned else self._clock.monotonic() - began

        self._work = asyncio.ensure_future(asyncio.to_thread(solve_problem_file, data, elapsed_s, self._limit_s))
        try:
            return await asyncio.shield(self._work)
        except asyncio.CancelledError:
            abandoned = True
            self._work.add_done_callback(lambda work: work.cancelled() or work.exception())
            raise
