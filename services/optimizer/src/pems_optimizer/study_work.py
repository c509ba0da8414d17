"""The work on one chunk of a study: claim it, work through its items while holding on to it, set its result once.

Items are worked on in a thread, so that the lease is renewed however long one takes. A store that is away meanwhile
costs nothing but, perhaps, that another worker does the same; its result is waited with for a while.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.logs import get_logger
from pems_optimizer.adapters.study_store import LEASE_S, Claim, StudyStore
from pems_optimizer.study import Row, Study
from pems_optimizer.study_kind import ItemWork, StudyKind
from pems_optimizer.study_kinds import KINDS

__all__ = ["chunk_owner", "owner_is_dead", "work_on_chunk"]

T = TypeVar("T")
RENEW_EVERY_S = LEASE_S / 4
FINISH_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # wall time between tries to hand in a result
_log = get_logger("study")


def chunk_owner(worker: str, pid: int) -> str:
    """Name of a process of a worker, as owner of a lease."""
    return f"{worker}|{pid}"


def owner_is_dead(owner: str, worker: str) -> bool:
    """Tell whether an owner was a process of this very worker and is gone: its lease need not be waited for."""
    name, _, pid = owner.rpartition("|")
    if name != worker or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)  # asks only
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


async def work_on_chunk(
    clock: Clock,
    store: StudyStore,
    study_id: str,
    chunk: int,
    *,
    worker: str,
    kinds: Mapping[str, StudyKind] = KINDS,
) -> bool:
    """Work on a chunk unless it is done or another worker is at it; True where this gave its result.

    An error of the work itself gives the chunk up: it would come again.

    Raises:
        UnavailableError: The store is away; the chunk comes again.
    """
    owner = chunk_owner(worker, os.getpid())
    claim = await _claimed(store, study_id, chunk, owner, worker)
    if claim.state != "mine":
        _log.info("chunk left alone", study=study_id, chunk=chunk, state=claim.state, holder=claim.holder)
        return False
    study, data = await store.study(study_id), await store.data(study_id)
    if study is None or data is None:
        return False
    try:
        async with _holding(clock, store, study_id, chunk, owner):
            rows = await _beside(lambda: _opened_and_worked(kinds, study, data, chunk))
    except _WorkError as error:
        _log.error("a chunk cannot be worked out", study=study_id, chunk=chunk, exc_info=error.__cause__)
        await store.fail(study_id, chunk, str(error))
        return False
    return await _finished(clock, store, study_id, chunk, owner, rows)


class _WorkError(Exception):
    """The work itself went wrong, not the store."""


async def _claimed(store: StudyStore, study_id: str, chunk: int, owner: str, worker: str) -> Claim:
    claim = await store.claim(study_id, chunk, owner)
    if claim.state == "held" and owner_is_dead(claim.holder, worker):
        await store.release(study_id, chunk, claim.holder)
        claim = await store.claim(study_id, chunk, owner)
    return claim


async def _beside(work: Callable[[], T]) -> T:
    """Do the work in a thread that nobody waits for: a process that is told to end does so in the middle of an item."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def tell(set_it: Callable[[Any], None], what: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if found.done() else set_it(what))

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # raised again where it is awaited
            tell(found.set_exception, error)
        else:
            tell(found.set_result, result)

    threading.Thread(target=run, name="study", daemon=True).start()
    return await found


@asynccontextmanager
async def _holding(clock: Clock, store: StudyStore, study_id: str, chunk: int, owner: str) -> AsyncIterator[None]:
    """Renew the lease of a chunk for as long as this lasts."""

    async def renew() -> None:
        while True:
            await clock.sleep_wall(RENEW_EVERY_S)
            try:
                await store.renew(study_id, chunk, owner)
            except UnavailableError as error:
                _log.warning("a chunk's lease is not renewed", study=study_id, chunk=chunk, error=str(error))

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})


async def _finished(clock: Clock, store: StudyStore, study_id: str, chunk: int, owner: str, rows: list[Row]) -> bool:
    """Hand in a result; what took minutes is not thrown away because the store is away for seconds."""
    for wait_s in FINISH_WAITS_S:
        try:
            return await store.finish(study_id, chunk, owner, rows)
        except UnavailableError as error:
            _log.warning("a chunk's result waits", study=study_id, chunk=chunk, error=str(error))
            await clock.sleep_wall(wait_s)
    return await store.finish(study_id, chunk, owner, rows)


def _opened_and_worked(kinds: Mapping[str, StudyKind], study: Study, data: bytes, chunk: int) -> list[Row]:
    try:
        work = kinds[study.kind].open(data, study.params)
    except Exception as error:
        raise _WorkError(f"{type(error).__name__}: {error}") from error
    return [_worked(study, number, work) for number in study.span(chunk)]


def _worked(study: Study, number: int, work: ItemWork) -> Row:
    try:
        row = tuple(float(value) for value in work(number))
        if len(row) != len(study.columns):
            raise ValueError(f"{len(row)} numbers for {len(study.columns)} columns")
        return row
    except Exception as error:
        raise _WorkError(f"item {number}: {type(error).__name__}: {error}") from error
