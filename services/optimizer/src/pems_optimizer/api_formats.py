"""REST for programs that know other energy managers: the newest plan as EMHASS has it, tariffs as evcc has them."""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Body, Forecast, Plan, Prices, read_body
from pems_optimizer.api import ScheduleRow, schedule_rows
from pems_optimizer.domain.emhass_plan import emhass_plan, emhass_sensors
from pems_optimizer.domain.tariff_series import planner_rates, rates_ahead
from pems_optimizer.handlers import PlannerHandlers

__all__ = ["make_formats_router"]

B = TypeVar("B", bound=Body)
_log = get_logger("api")
_NOT_CARRIED = {
    "co2": "PEMS knows no carbon intensity",
    "temperature": "take the outdoor temperature from the forecaster's /v1/forecast",
}


def make_formats_router(planner: PlannerHandlers, home: Home, bus: Bus, clock: Clock) -> APIRouter:
    """Make the routes. Include them before those of `api`: `latest` would be taken for the id of a plan there.

    Args:
        planner: The planner.
        home: The site.
        bus: Where the newest forecast and prices are read.
        clock: House time.
    """
    router = APIRouter(prefix="/v1", tags=["formats"])
    site = home.site.id

    async def newest(kind: str, cls: type[B]) -> B | None:
        envelope = await bus.latest(kind, site)
        try:
            return None if envelope is None else read_body(envelope, cls)
        except PermanentError as error:
            _log.error("unreadable state", type=kind, error=str(error))
            return None

    @router.get("/plans/latest", response_model=None, summary="The newest plan, in a format of your choice")
    async def latest(
        format: Annotated[Literal["plan", "schedule", "emhass", "emhass_sensors"], Query()] = "plan",
    ) -> Plan | list[ScheduleRow] | dict[str, Any]:
        plan = planner.plan
        if plan is None:
            raise HTTPException(404, "no plan has been made yet")
        if format == "plan":
            return plan
        if format == "schedule":
            return schedule_rows(plan, home)
        forecast, prices = await newest("forecast", Forecast), await newest("prices", Prices)
        if format == "emhass":
            return emhass_plan(plan, home, forecast, prices)
        return emhass_sensors(plan, home, forecast, prices, clock.now())

    @router.get("/tariffs/{usage}", response_model=None, summary="Prices or PV ahead as evcc's rates")
    async def tariff(
        usage: Literal["grid", "feedin", "solar", "co2", "planner", "temperature"],
        format: Annotated[Literal["evcc", "list"], Query(description="list: for evcc's own custom tariff")] = "evcc",
    ) -> list[dict[str, Any]] | dict[str, Any]:
        if usage == "co2" or usage == "temperature":
            raise HTTPException(404, f"tariff not available: {_NOT_CARRIED[usage]}")
        if usage == "planner":
            plan = planner.plan
            rates = [] if plan is None else planner_rates(plan, clock.now(), home.site.zone)
            missing = "no plan with a price of energy per slot has been made for now"
        else:
            forecast, prices = await newest("forecast", Forecast), await newest("prices", Prices)
            rates = rates_ahead(usage, clock.now(), home.site.zone, forecast, prices)
            missing = "neither prices nor a forecast have arrived"
        if not rates:
            raise HTTPException(404, f"tariff not available: {missing}")
        return rates if format == "list" else {"rates": rates}

    return router
