"""REST of the question "why?": what it would cost if a device did something else in a slot."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pems_common.errors import PemsError, UnavailableError
from pems_common.home import Home
from pems_common.messages import Plan
from pems_optimizer.handlers import PlannerHandlers
from pems_optimizer.why import LONGEST_WAIT_S, PlanForgottenError, WhyPort

__all__ = ["WhyAnswer", "WhyWish", "make_why_router"]


class WhyWish(BaseModel):
    """What should be otherwise.

    Attributes:
        device: `room:<name>`, `water`, `appliance:<name>`, `ev` or `battery`.
        action: `on` or `off`; for the battery an intent.
        slot: Slot of the plan; or `at`, an instant in it.
        wait_s: Wall seconds to wait for the answer.
    """

    model_config = ConfigDict(extra="forbid")

    device: str = Field(max_length=80)
    action: str = Field(max_length=40)
    slot: int | None = Field(default=None, ge=0, le=10_000)
    at: AwareDatetime | None = None
    wait_s: float = Field(default=3.0, ge=1.0, le=LONGEST_WAIT_S)


class WhyAnswer(BaseModel):
    """What it would cost; positive is more than the plan.

    Attributes:
        possible: Whether it can be done at all.
        total_czk: Money and comfort together.
        money_czk: Money alone.
        comfort_czk: Comfort as money.
        below_k_h: Change of all rooms' K h below their bands.
        parts: Energy, wear, peak, comfort, switching.
        rule: What decides: `energy`, `wear`, `peak`, `comfort`, `switching`, `as_planned`, `no_difference`,
            `kept_for_stability` or `fixed`.
        sentence: The same in one sentence, `en` and `cs`.
    """

    plan_id: str
    device: str
    slot: int
    action: str
    possible: bool
    total_czk: float | None = None
    money_czk: float | None = None
    comfort_czk: float | None = None
    below_k_h: float | None = None
    parts: dict[str, float] = {}
    rule: str
    sentence: dict[str, str]


def _slot(plan: Plan, wish: WhyWish) -> int:
    if (wish.slot is None) == (wish.at is None):
        raise HTTPException(422, "give either slot or at")
    if wish.slot is not None:
        return wish.slot
    at: datetime = wish.at  # type: ignore[assignment]
    slot = int((at - plan.start).total_seconds() // plan.step_s)
    if not 0 <= slot < plan.slots:
        raise HTTPException(
            422, f"at {at.isoformat()} is not within the plan, which begins at {plan.start.isoformat()}"
        )
    return slot


def make_why_router(
    planner: PlannerHandlers, home: Home, why: WhyPort, require_write: Callable[..., Awaitable[Any]]
) -> APIRouter:
    """Make the route.

    Args:
        planner: Knows the last plans.
        home: The site.
        why: Who works it out.
        require_write: Dependency that lets only holders of a writing key pass: an answer takes a worker's time.
    """
    router = APIRouter(prefix="/v1", tags=["plans"])

    @router.post(
        "/plans/{plan_id}/why",
        summary="What it would cost if a device did something else in a slot",
        dependencies=[Depends(require_write)],
    )
    async def ask(plan_id: Annotated[str, Path(max_length=64)], wish: WhyWish) -> WhyAnswer:
        wanted = planner.plan if plan_id == "latest" else None
        plan = wanted or next((known for known in planner.plans if known.plan_id == plan_id), None)
        if plan is None:
            raise HTTPException(404, f"plan {plan_id} is not among the last plans")
        question = {"device": wish.device, "slot": _slot(plan, wish), "action": wish.action, "zone": home.site.timezone}
        try:
            answer = await why.ask_why(plan.plan_id, question, wish.wait_s)
        except PlanForgottenError as error:
            raise HTTPException(404, str(error)) from None
        except UnavailableError:
            raise
        except PemsError as error:
            raise HTTPException(422, str(error)) from None
        return WhyAnswer(plan_id=plan.plan_id, **answer)

    return router
