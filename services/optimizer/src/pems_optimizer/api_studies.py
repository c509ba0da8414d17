"""REST of studies: begin one, and read how far it is and what came of it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from math import isfinite
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from pems_optimizer.study import MOST_CHUNK_ITEMS, MOST_ITEMS
from pems_optimizer.study_keeper import StudyKeeper, StudyReport

__all__ = ["StudyAnswer", "StudyWish", "make_study_router"]

_MOST_REASONS = 10


class StudyWish(BaseModel):
    """What to study.

    Attributes:
        kind: `plan_fan`: cost and comfort of a plan on sampled days; `closed_loop_days`, where the laboratory is
            installed.
        params: Of the kind. `plan_fan` has `plan_id` (the newest where absent), `seed` and `relays`
            (docs/montecarlo.md).
        chunk_items: Items that a worker does at a time; as the kind wants it where absent. Results do not depend on it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=60)
    params: dict[str, Any] = {}
    items: int = Field(default=1000, ge=1, le=MOST_ITEMS)
    chunk_items: int | None = Field(default=None, ge=1, le=MOST_CHUNK_ITEMS)


class StudyAnswer(BaseModel):
    """A study as it stands.

    Attributes:
        state: running, done, or failed where at least one chunk was given up.
        failures: Chunk -> why it was given up (the first ten).
        columns: Names of an item's numbers.
        summary: What all items say together, once they are done.
        values: By column, one number per item, where asked for and done; null where one does not apply.
    """

    study_id: str
    kind: str
    params: dict[str, Any]
    state: str
    created_at: datetime
    columns: tuple[str, ...]
    items: int
    done_items: int
    chunks: int
    done_chunks: int
    failures: dict[int, str]
    summary: dict[str, Any] | None
    values: dict[str, list[float | None]] | None

    @classmethod
    def of(cls, report: StudyReport) -> "StudyAnswer":
        """Copy the keeper's report."""
        study, progress = report.study, report.progress
        failures = sorted((progress.failed or {}).items())[:_MOST_REASONS]
        values = None if report.values is None else {name: told.tolist() for name, told in report.values.items()}
        return cls(
            study_id=study.study_id,
            kind=study.kind,
            params=study.params,
            state=report.state,
            created_at=study.created_at,
            columns=study.columns,
            items=study.items,
            done_items=report.done_items,
            chunks=study.chunks,
            done_chunks=len(progress.done),
            failures=dict(failures),
            summary=_finite(report.summary),
            values=_finite(values),
        )


def _finite(data: Any) -> Any:
    """Return JSON data with null for each number that JSON does not know (not a number, infinite)."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def make_study_router(keeper: StudyKeeper, require_write: Callable[..., Awaitable[Any]]) -> APIRouter:
    """Make the routes.

    Args:
        keeper: Makes and tells of studies.
        require_write: Dependency that lets only holders of a writing key pass.
    """
    router = APIRouter(prefix="/v1", tags=["studies"])

    async def report_of(study_id: str, with_values: bool) -> StudyReport:
        report = await keeper.report(study_id, with_values=with_values)
        if report is None:
            raise HTTPException(404, f"study {study_id} is not known: studies are kept for a day")
        return report

    @router.post("/studies", status_code=202, summary="Begin a study", dependencies=[Depends(require_write)])
    async def begin(wish: StudyWish, response: Response) -> StudyAnswer:
        study = await keeper.create(wish.kind, wish.params, items=wish.items, chunk_items=wish.chunk_items)
        response.headers["Location"] = f"/v1/studies/{study.study_id}"
        return StudyAnswer.of(await report_of(study.study_id, False))

    @router.get("/studies/{study_id}", summary="How far a study is, and what came of it")
    async def one_study(
        study_id: Annotated[str, Path(max_length=64)], values: Annotated[bool, Query()] = False
    ) -> StudyAnswer:
        return StudyAnswer.of(await report_of(study_id, values))

    return router
