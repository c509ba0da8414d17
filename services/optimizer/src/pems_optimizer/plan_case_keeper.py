"""Takes the cases that workers leave in Redis into the planner's own file.

A case that cannot be read is told and dropped; while the file is away or its disk is full, cases wait in Redis for a
day, and planning goes on.
"""

import asyncio

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_optimizer.adapters.case_memory import WaitingCases
from pems_optimizer.adapters.case_store import SqliteCases
from pems_optimizer.domain.plan_case import read_case
from pems_optimizer.domain.problem_store import StoreError

__all__ = ["CaseKeeper"]

LOOK_EVERY_S = 5.0  # wall time
SILENT_S = 600.0  # wall time between two warnings
_log = get_logger("planner")


class CaseKeeper:
    """Moves cases (`run`, in the planner's process)."""

    def __init__(self, site: str, clock: Clock, waiting: WaitingCases, store: SqliteCases) -> None:
        """Take the site's cases from `waiting` to `store`."""
        self._site, self._clock, self._waiting, self._store = site, clock, waiting, store
        self._warned_mono = -SILENT_S

    async def run(self) -> None:
        """Look for cases, for ever."""
        while True:
            try:
                await self.look()
            except UnavailableError as error:
                if self._clock.monotonic() - self._warned_mono >= SILENT_S:
                    self._warned_mono = self._clock.monotonic()
                    _log.warning("plans' cases are not kept now", why=str(error))
            await self._clock.sleep_wall(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take what waits.

        Raises:
            UnavailableError: Redis is away, or the file cannot be written.
        """
        for plan_id in await self._waiting.waiting(self._site):
            packed = await self._waiting.packed(self._site, plan_id)
            if packed is not None:
                await asyncio.to_thread(self._take, plan_id, packed)
            await self._waiting.forget(self._site, plan_id)

    def _take(self, plan_id: str, packed: bytes) -> None:
        try:
            case = read_case(packed)
        except StoreError as error:
            _log.error("a plan's case cannot be read and is dropped", plan=plan_id, error=str(error))
            return
        self._store.keep(case, packed)
