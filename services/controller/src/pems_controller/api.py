"""REST of the controller: status, plan, overrides, audit, arming. Writing needs an API key."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from pems_common.clock import Clock
from pems_common.messages import OverrideEntry, Plan, Status
from pems_common.timegrid import require_utc
from pems_controller.domain.overrides import OverrideProblem
from pems_controller.handlers import ControllerHandlers

__all__ = ["ArmingRequest", "OverrideRequest", "build_router"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class OverrideRequest(_Request):
    """An override: what, with which parameters, until when (or for how many house minutes), by whom."""

    action: str = Field(max_length=40)
    params: dict[str, Any] = Field(default={}, max_length=8)
    minutes: float | None = Field(default=None, gt=0, le=7 * 1440)
    until: AwareDatetime | None = None
    by: str = Field(default="person", max_length=80)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.minutes is None) == (self.until is None):
            raise ValueError("give either minutes or until")
        return self

    def end(self, clock: Clock) -> datetime:
        """When it ends, UTC."""
        if self.until is not None:
            return require_utc(self.until)
        return clock.now() + timedelta(minutes=self.minutes or 0.0)


class ArmingRequest(_Request):
    """Arm or disarm."""

    armed: bool
    by: str = Field(default="person", max_length=80)


class AuditEntry(BaseModel):
    """One line of the audit."""

    id: int
    at: datetime
    kind: str
    device: str
    data: dict[str, Any]


def build_router(
    handlers: ControllerHandlers, clock: Clock, require_write: Callable[..., Awaitable[object]]
) -> APIRouter:
    """Build the routes; `require_write` is the dependency that checks the API key."""
    router = APIRouter(prefix="/v1", tags=["controller"])
    write = [Depends(require_write)]
    Device = Annotated[str, Path(max_length=80, description="room:<name>, battery, ev or water")]

    @router.get("/status", summary="Modes, overrides, last actions, limits")
    async def status() -> Status:
        if handlers.status is None:
            raise HTTPException(503, "the first tick is still to come", headers={"Retry-After": "2"})
        return handlers.status

    @router.get("/plan", summary="The newest plan that was accepted")
    async def plan() -> Plan:
        if handlers.newest_plan is None:
            raise HTTPException(404, "no plan has been accepted yet")
        return handlers.newest_plan

    @router.get("/overrides", summary="Running overrides")
    async def overrides() -> list[OverrideEntry]:
        return [OverrideEntry(**vars(o)) for o in handlers.desk.running()]

    @router.put("/overrides/{device}", dependencies=write, summary="Override a device for a time")
    async def put_override(device: Device, request: OverrideRequest) -> OverrideEntry:
        try:
            given = handlers.desk.give(device, request.action, request.params, request.end(clock), request.by)
        except KeyError:
            raise HTTPException(404, f"there is no device {device!r} in this house")
        except OverrideProblem as problem:
            raise HTTPException(422, str(problem))
        await handlers.tick()
        return OverrideEntry(**vars(given))

    @router.delete("/overrides/{device}", dependencies=write, status_code=204, summary="End an override")
    async def delete_override(device: Device, by: Annotated[str, Query(max_length=80)] = "person") -> None:
        if not handlers.desk.end(device, by=by):
            raise HTTPException(404, f"there is no override for {device!r}")
        await handlers.tick()

    @router.get("/audit", summary="What was decided and done, newest first")
    async def audit(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before_id: Annotated[int | None, Query(ge=1)] = None,
        device: Annotated[str | None, Query(max_length=80)] = None,
    ) -> list[AuditEntry]:
        rows = handlers.audit(limit=limit, before_id=before_id, device=device)
        return [AuditEntry(**vars(row)) for row in rows]

    @router.put("/arming", dependencies=write, summary="Arm or disarm; disarming hands every device back")
    async def put_arming(request: ArmingRequest) -> dict[str, bool]:
        if request.armed and not handlers.keys_turned:
            raise HTTPException(
                409, "arming needs both keys: control.armed: true in home.yaml, and PEMS_ARM=yes in the environment"
            )
        handlers.set_armed(request.armed, by=request.by)
        await handlers.tick()
        return {"armed": handlers.armed}

    return router
