"""The work on one chunk of a study: claim it, work through its items while holding on to it, set its result once."""

import os
from collections.abc import Callable, Mapping

from pems_common.clock import Clock
from pems_common.logs import get_logger
from pems_optimizer.adapters.study_store import LEASE_S, Claim, StudyStore
from pems_optimizer.study import Study
from pems_optimizer.study_kinds import KINDS, StudyKind

__all__ = ["chunk_owner", "owner_is_dead", "work_on_chunk"]

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
        values = await _values(clock, store, study, chunk, owner, _opened(kinds, study, data))
    except _WorkError as error:
        _log.error("a chunk cannot be worked out", study=study_id, chunk=chunk, exc_info=error.__cause__)
        await store.fail(study_id, chunk, str(error))
        return False
    return await store.finish(study_id, chunk, owner, values)


class _WorkError(Exception):
    """The work itself went wrong, not the store."""


async def _claimed(store: StudyStore, study_id: str, chunk: int, owner: str, worker: str) -> Claim:
    claim = await store.claim(study_id, chunk, owner)
    if claim.state == "held" and owner_is_dead(claim.holder, worker):
        await store.release(study_id, chunk, claim.holder)
        claim = await store.claim(study_id, chunk, owner)
    return claim


def _opened(kinds: Mapping[str, StudyKind], study: Study, data: bytes) -> Callable[[int], float]:
    try:
        return kinds[study.kind].open(data, study.params)
    except Exception as error:
        raise _WorkError(f"{type(error).__name__}: {error}") from error


async def _values(
    clock: Clock, store: StudyStore, study: Study, chunk: int, owner: str, item: Callable[[int], float]
) -> list[float]:
    values: list[float] = []
    renewed = clock.monotonic()
    for number in study.span(chunk):
        if clock.monotonic() - renewed > LEASE_S / 4:
            await store.renew(study.study_id, chunk, owner)
            renewed = clock.monotonic()
        try:
            values.append(float(item(number)))
        except Exception as error:
            raise _WorkError(f"item {number}: {type(error).__name__}: {error}") from error
    return values
