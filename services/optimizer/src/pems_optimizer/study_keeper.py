"""Keeps studies going: makes them, sends their chunks, and sends again what was lost with a worker or a broker.

Celery's own redelivery of a killed worker's message takes the broker's visibility timeout; here a chunk that was
begun and is held by nobody is sent again seconds later. Sending twice does no harm.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.adapters.study_store import StudyStore
from pems_optimizer.domain.problem import Floats
from pems_optimizer.study import Study, StudyError, StudyProgress
from pems_optimizer.study_kind import StudyKind, by_column
from pems_optimizer.study_kinds import KINDS

__all__ = ["SendChunks", "StudyKeeper", "StudyReport"]

LOOK_EVERY_S = 2.0  # wall time
QUIET_S = 20.0  # wall time without any progress after which all missing chunks are sent again; doubles each time
LONGEST_QUIET_S = 600.0
MOST_OPEN = 20
_USUAL_CHUNK_ITEMS = 50
_USUAL_CHUNK_S = 600.0  # at most: what a dead worker costs
_log = get_logger("study")


class SendChunks(Protocol):
    """Hands chunks of a study to the workers."""

    async def __call__(self, study: Study, chunks: Collection[int]) -> None:
        """Send them.

        Raises:
            UnavailableError: The queue did not take them all.
        """


@dataclass(frozen=True)
class StudyReport:
    """A study as it stands.

    Attributes:
        summary: What all items say together, JSON data; None until it is done.
        values: By column, one number per item (N,); where asked for and done.
    """

    study: Study
    progress: StudyProgress
    summary: dict[str, Any] | None = None
    values: dict[str, Floats] | None = None

    @property
    def state(self) -> str:
        """`running`, `done`, or `failed` where at least one chunk was given up."""
        if self.progress.failed:
            return "failed"
        return "running" if self.progress.missing(self.study) else "done"

    @property
    def done_items(self) -> int:
        """Items with a result."""
        return sum(len(self.study.span(chunk)) for chunk in self.progress.done)


@dataclass
class _Watched:
    since: float
    seen: tuple[int, ...] = ()
    quiet_s: float = QUIET_S
    sent_again: dict[int, int] = field(default_factory=dict)  # chunk -> its tries when it was sent again


class StudyKeeper:
    """Makes studies, tells how they are, and looks after them (`run`, in the planner's process)."""

    def __init__(
        self,
        site: str,
        clock: Clock,
        store: StudyStore,
        plans: PlanMemory,
        send: SendChunks,
        *,
        kinds: Mapping[str, StudyKind] = KINDS,
    ) -> None:
        """Look after the studies of `store`.

        Args:
            site: Site of new studies.
            clock: Wall time.
            store: Where studies are kept.
            plans: What studies may be about.
            send: Hands chunks to the workers.
            kinds: Kinds of studies there are.
        """
        self._site, self._clock, self._store, self._plans = site, clock, store, plans
        self._send, self._kinds = send, kinds
        self._watched: dict[str, _Watched] = {}

    async def create(self, kind: str, params: dict[str, Any], *, items: int, chunk_items: int | None = None) -> Study:
        """Make a study and send it off.

        Args:
            kind: Which.
            params: Of the kind.
            items: How many.
            chunk_items: Items that a worker does at a time; as many as take ten minutes at most, and 50 at most, where
                None.

        Raises:
            StudyError: There is no such kind, it cannot be imported, or its parameters or sizes are wrong.
            PemsError: What it is about is not known.
            UnavailableError: The store is away, or too many studies are open.
        """
        if kind not in self._kinds:
            raise StudyError(f"there is no kind of study {kind!r:.60}", remedy=f"there are: {', '.join(self._kinds)}")
        now, how = self._clock.wall_now(), self._kinds[kind]
        if chunk_items is None:
            chunk_items = max(1, min(_USUAL_CHUNK_ITEMS, int(_USUAL_CHUNK_S // how.item_limit_s)))
        if len(await self._store.open_ids()) >= MOST_OPEN:
            raise UnavailableError(f"{MOST_OPEN} studies are under way", remedy="wait until one of them is done")
        needed = await how.prepare(self._plans, self._site, params)
        study = Study(new_id(now), self._site, kind, params, needed.columns, items, chunk_items, how.item_limit_s, now)
        await self._store.create(study, needed.data)
        _log.info("study begun", study=study.study_id, kind=kind, items=items, chunks=study.chunks)
        await self._sent(study, range(study.chunks))
        return study

    async def report(self, study_id: str, *, with_values: bool = False) -> StudyReport | None:
        """Tell how a study is; None where it is not known.

        Raises:
            StudyError: What it says cannot be told, because its kind cannot be imported any more.
            UnavailableError: The store is away.
        """
        study = await self._store.study(study_id)
        if study is None or study.kind not in self._kinds:
            return None
        progress = await self._store.progress(study)
        if progress.failed or progress.missing(study):
            return StudyReport(study, progress)
        rows, kind = await self._store.rows(study), self._kinds[study.kind]
        values = await asyncio.to_thread(by_column, study.columns, rows)
        summary = await asyncio.to_thread(kind.summarise, values)
        return StudyReport(study, progress, summary, values if with_values else None)

    async def run(self) -> None:
        """Look after all open studies, for ever."""
        while True:
            try:
                await self.look()
            except UnavailableError as error:
                _log.warning("studies are not looked after now", why=str(error))
            await self._clock.sleep_wall(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once after all open studies.

        Raises:
            UnavailableError: The store is away.
        """
        open_ids = await self._store.open_ids()
        for gone in set(self._watched) - set(open_ids):
            del self._watched[gone]
        for study_id in open_ids:
            study = await self._store.study(study_id)
            progress = None if study is None else await self._store.progress(study)
            if study is None or progress is None or not progress.missing(study):
                await self._store.close(study_id)
                _log.info("study over", study=study_id, known=study is not None)
                continue
            await self._send_lost(study, progress)

    async def _send_lost(self, study: Study, progress: StudyProgress) -> None:
        now, tries = self._clock.monotonic(), progress.tries or {}
        watched = self._watched.setdefault(study.study_id, _Watched(now))
        missing = progress.missing(study)
        seen = (len(progress.done), len(missing), sum(tries.values()))
        if seen != watched.seen or progress.held:
            watched.since, watched.seen, watched.quiet_s = now, seen, QUIET_S
        left = {
            chunk
            for chunk in missing - progress.held
            if tries.get(chunk, 0) > 0 and watched.sent_again.get(chunk) != tries[chunk]
        }
        if left:
            watched.sent_again |= {chunk: tries[chunk] for chunk in left}
            await self._sent(study, sorted(left))
        elif now - watched.since > watched.quiet_s:
            watched.since, watched.quiet_s = now, min(2 * watched.quiet_s, LONGEST_QUIET_S)
            await self._sent(study, sorted(missing))

    async def _sent(self, study: Study, chunks: Collection[int]) -> None:
        """Send chunks; what the queue does not take now is sent again by `look`."""
        try:
            await self._send(study, chunks)
        except UnavailableError as error:
            _log.warning("chunks could not be sent", study=study.study_id, error=str(error))
