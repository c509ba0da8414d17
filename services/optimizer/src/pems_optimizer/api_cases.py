"""REST of the plans' cases: everything that decided a plan, to make it again elsewhere (`./pems replay`)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import AwareDatetime, BaseModel

from pems_common.errors import UnavailableError
from pems_optimizer.adapters.case_store import SqliteCases
from pems_optimizer.domain.plan_case import is_whole

__all__ = ["CaseRow", "make_case_router"]

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class CaseRow(BaseModel):
    """A case in a list.

    Attributes:
        issued_at: House time of the plan.
        bytes: As it is sent.
    """

    plan_id: str
    plan_no: int
    issued_at: datetime
    bytes: int


def make_case_router(store: SqliteCases, require_read: Callable[..., Awaitable[Any]]) -> APIRouter:
    """Make the routes. They stand before those of single plans, whose ids would hide the list.

    Args:
        store: Where cases are kept.
        require_read: Dependency that lets only holders of a key pass: a case tells all about a house.
    """
    router = APIRouter(prefix="/v1/plans", tags=["plans"], dependencies=[Depends(require_read)])

    @router.get("/cases", summary="Plans that can be made again, the oldest first; with a limit, the newest of them")
    async def cases(
        start: Annotated[AwareDatetime | None, Query(alias="from", description="issued at or after")] = None,
        end: Annotated[AwareDatetime | None, Query(alias="to", description="issued before")] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 1_000,
    ) -> list[CaseRow]:
        try:
            found = await _asked(lambda: store.listed(start or _FIRST, end or _LAST, most=limit))
        except OverflowError as error:
            raise HTTPException(422, "from and to are instants between the years 1 and 9999, in UTC too") from error
        return [CaseRow(**vars(kept)) for kept in found]

    @router.get(
        "/{plan_id}/case",
        summary="Everything that decided a plan, as the bytes that ./pems replay reads",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}, 410: {"description": "It is damaged"}},
    )
    async def case(plan_id: Annotated[str, Path(max_length=64)]) -> Response:
        packed = await _asked(lambda: store.packed(plan_id))
        if packed is None:
            raise HTTPException(
                404,
                {
                    "detail": f"the case of plan {plan_id} is not kept",
                    "remedy": "GET /v1/plans/cases lists those that are; a new one comes some seconds after its plan",
                },
            )
        if not is_whole(packed):
            raise HTTPException(410, f"the case of plan {plan_id} is damaged")
        return Response(packed, media_type="application/octet-stream")

    return router


async def _asked(question: Callable[[], Any]) -> Any:
    try:
        return await asyncio.to_thread(question)
    except UnavailableError as error:
        raise HTTPException(503, {"detail": error.message, "remedy": error.remedy}) from error
