"""REST of the certificates: how far a plan is from the best there can be, as soon as it is known."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from pems_common.messages import Certificate
from pems_optimizer.handlers import PlannerHandlers

__all__ = ["make_certificate_router"]


def make_certificate_router(planner: PlannerHandlers) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1", tags=["plans"])

    @router.get("/plans/{plan_id}/certificate", summary="Bound and gap of one of the last plans; 404 until it is found")
    async def one_certificate(plan_id: Annotated[str, Path(max_length=64)]) -> Certificate:
        certificate = planner.certificate(plan_id)
        if certificate is not None:
            return certificate
        if any(plan.plan_id == plan_id for plan in planner.plans):
            raise HTTPException(404, f"plan {plan_id} has no certificate (yet): it follows a plan within a minute")
        raise HTTPException(404, f"plan {plan_id} is not among the last plans")

    @router.get("/certificate", summary="The newest certificate; it may be of the plan before the newest")
    async def newest() -> Certificate:
        if planner.newest_certificate is None:
            raise HTTPException(404, "no certificate has been found yet")
        return planner.newest_certificate

    return router
