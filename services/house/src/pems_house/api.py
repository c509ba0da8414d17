"""REST of the simulated house: the truth for judges, the state for the curious, faults for drills."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from pems_common.auth import Auth
from pems_common.errors import PemsError
from pems_house.domain.faults import FaultKind
from pems_house.handlers import HouseHandlers

__all__ = ["NewFault", "create_router"]


class NewFault(BaseModel):
    """A fault to switch on; `minutes` of house time, for ever when absent."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: FaultKind
    room: str | None = Field(default=None, max_length=100)
    value: float | None = Field(default=None, ge=-86_400, le=86_400)
    minutes: float | None = Field(default=None, gt=0, le=60 * 24 * 366)


def create_router(house: HouseHandlers, auth: Auth) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["house"])
    write = [Depends(auth.require_write)]

    @router.get("/truth", summary="What really happened since the start")
    async def truth() -> dict[str, Any]:
        return house.truth()

    @router.get("/state", summary="State of the house now")
    async def state() -> dict[str, Any]:
        return house.state()

    @router.get("/faults", summary="Faults that are on")
    async def faults() -> list[dict[str, Any]]:
        return [fault.shown() for fault in house.faults.on]

    @router.post("/faults", status_code=201, dependencies=write, summary="Switch a fault on")
    async def add(fault: NewFault) -> dict[str, Any]:
        try:
            added = house.add_fault(fault.kind, room=fault.room, value=fault.value, minutes=fault.minutes)
        except PemsError as error:
            raise HTTPException(422, {"detail": error.message, "remedy": error.remedy}) from error
        return added.shown()

    @router.delete("/faults", status_code=204, dependencies=write, summary="Take all faults back")
    async def clear() -> None:
        house.faults.clear()

    @router.delete("/faults/{fault_id}", status_code=204, dependencies=write, summary="Take a fault back")
    async def remove(fault_id: Annotated[int, Field(ge=1)]) -> None:
        if not house.faults.remove(fault_id):
            raise HTTPException(404, f"no fault {fault_id}")

    return router
