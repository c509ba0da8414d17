"""REST of the optimizer: the newest plan, the same as readable rows, older plans, and asking for a new one."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel

from pems_common.home import Home
from pems_common.messages import Plan, Reason
from pems_optimizer.handlers import PlannerHandlers, RequestView

__all__ = ["PlanSummary", "ScheduleRow", "make_router"]


class ScheduleRow(BaseModel):
    """One slot for people.

    Attributes:
        local_time: Start of the slot where the house stands.
        relays_on: Rooms that are heated.
        outlook: Beyond what the plan may control: only to look at.
        reasons: Codes of `reasons` in the plan.
    """

    slot: int
    start: datetime
    local_time: str
    relays_on: list[str]
    heating_rooms: int
    battery: str | None
    battery_power_w: float | None
    soc_pct: float | None
    grid_power_w: float | None
    ev_power_w: float
    water_on: bool
    outlook: bool
    reasons: list[str]


class PlanSummary(BaseModel):
    """A plan in a list."""

    plan_id: str
    plan_no: int
    issued_at: datetime
    start: datetime
    status: str
    fallback_mode: bool
    total_czk: float
    net_cost_czk: float
    baseline_total_czk: float | None
    solve_s: float
    violations: int
    diff: tuple[str, ...]


class RequestAnswer(BaseModel):
    """State of a request for a plan."""

    request_id: str
    plan_id: str
    trigger: str
    asked_at: datetime
    state: str
    detail: str
    took_s: float | None

    @classmethod
    def of(cls, view: RequestView) -> "RequestAnswer":
        """Copy the planner's view."""
        return cls(
            request_id=view.request_id,
            plan_id=view.plan_id,
            trigger=view.trigger,
            asked_at=view.asked_at,
            state=view.state,
            detail=view.detail,
            took_s=view.took_s,
        )


def schedule_rows(plan: Plan, home: Home) -> list[ScheduleRow]:
    """Return one row per slot of a plan."""
    rows = []
    for t in range(plan.slots):
        start = plan.start + timedelta(seconds=t * plan.step_s)
        on = [name for name, room in plan.rooms.items() if room.relay_on[t]]
        battery = plan.battery
        reasons: tuple[Reason, ...] = plan.reasons.get(str(t), ())
        rows.append(
            ScheduleRow(
                slot=t,
                start=start,
                local_time=start.astimezone(home.site.zone).strftime("%a %H:%M"),
                relays_on=on,
                heating_rooms=len(on),
                battery=None if battery is None else battery.intent[t],
                battery_power_w=None if battery is None else battery.power_w[t],
                soc_pct=None if battery is None else battery.soc_pct[t],
                grid_power_w=plan.grid_power_w[t] if plan.grid_power_w else None,
                ev_power_w=plan.ev_power_w[t] if plan.ev_power_w else 0.0,
                water_on=bool(plan.water_on[t]) if plan.water_on else False,
                outlook=start >= plan.control_until,
                reasons=[reason.code for reason in reasons],
            )
        )
    return rows


def _summary(plan: Plan) -> PlanSummary:
    return PlanSummary(
        plan_id=plan.plan_id,
        plan_no=plan.plan_no,
        issued_at=plan.issued_at,
        start=plan.start,
        status=plan.solver.status,
        fallback_mode=plan.fallback_mode,
        total_czk=plan.cost.total,
        net_cost_czk=plan.net_cost_czk,
        baseline_total_czk=plan.baseline_total_czk,
        solve_s=plan.solver.solve_s,
        violations=len(plan.violations),
        diff=plan.diff,
    )


def make_router(planner: PlannerHandlers, home: Home, require_write: Callable[..., Awaitable[Any]]) -> APIRouter:
    """Make the routes.

    Args:
        planner: The planner.
        home: The site.
        require_write: Dependency that lets only holders of a writing key pass.
    """
    router = APIRouter(prefix="/v1", tags=["plans"])

    def newest() -> Plan:
        if planner.plan is None:
            raise HTTPException(404, "no plan has been made yet")
        return planner.plan

    @router.get("/plan", summary="The newest plan, whole")
    async def plan() -> Plan:
        return newest()

    @router.get("/schedule", summary="The newest plan, one plain row per slot")
    async def schedule(hours: Annotated[int, Query(ge=1, le=96)] = 48) -> list[ScheduleRow]:
        rows = schedule_rows(newest(), home)
        return rows[: hours * 4]

    @router.get("/plans", summary="The last plans, newest first")
    async def plans(limit: Annotated[int, Query(ge=1, le=60)] = 24) -> list[PlanSummary]:
        return [_summary(p) for p in planner.plans[:limit]]

    @router.get("/plans/{plan_id}", summary="One of the last plans, whole")
    async def one_plan(plan_id: Annotated[str, Path(max_length=64)]) -> Plan:
        for known in planner.plans:
            if known.plan_id == plan_id:
                return known
        raise HTTPException(404, f"plan {plan_id} is not among the last plans")

    @router.post("/plans", status_code=202, summary="Ask for a new plan", dependencies=[Depends(require_write)])
    async def ask(request: Request, response: Response) -> RequestAnswer:
        view = await planner.ask_now("a person or program")
        response.headers["Location"] = f"/v1/requests/{view.request_id}"
        return RequestAnswer.of(view)

    @router.get("/requests/{request_id}", summary="What became of a request")
    async def one_request(request_id: Annotated[str, Path(max_length=64)]) -> RequestAnswer:
        view = planner.request(request_id)
        if view is None:
            raise HTTPException(404, f"request {request_id} is not known")
        return RequestAnswer.of(view)

    return router
