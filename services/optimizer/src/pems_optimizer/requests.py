"""A plan request as it travels to a worker, and the work itself: read what is known, plan, publish.

A request names the plan it is for, so doing it twice publishes the same plan twice, and losing it loses nothing:
the planner asks again after its deadline.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol, Self, TypeVar

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import (
    Body,
    Envelope,
    Forecast,
    Plan,
    PlanInputs,
    Prices,
    Score,
    Status,
    Telemetry,
    Thermal,
    read_body,
    wrap,
)
from pems_common.timegrid import parse_instant
from pems_optimizer.domain.assemble import InputProblem, Known
from pems_optimizer.domain.planning import Ask, make_plan, make_rule_plan
from pems_optimizer.domain.risk import plan_risk

__all__ = ["PlanRequest", "SolvePort", "evaluate_plan", "read_known", "rule_plan_now", "solve_request"]

B = TypeVar("B", bound=Body)
_log = get_logger("plan")


@dataclass(frozen=True)
class PlanRequest:
    """One wish for a plan.

    Attributes:
        request_id: Its own id.
        plan_id: Id that the plan will have.
        plan_no: Number that the plan will have.
        config_hash: Configuration that the planner saw.
        trigger: Why it is asked for.
        asked_at: House time of asking.
        decide_from: First slot boundary that the plan can still decide.
        expires_at: Wall time after which nobody waits for it.
        limit_s: Wall seconds for the work.
    """

    request_id: str
    plan_id: str
    plan_no: int
    site: str
    config_hash: str
    trigger: str
    asked_at: datetime
    decide_from: datetime
    expires_at: datetime
    limit_s: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read plain JSON data.

        Raises:
            PermanentError: Something is missing or malformed.
        """
        try:
            return cls(
                request_id=str(data["request_id"]),
                plan_id=str(data["plan_id"]),
                plan_no=int(data["plan_no"]),
                site=str(data["site"]),
                config_hash=str(data["config_hash"]),
                trigger=str(data["trigger"]),
                asked_at=parse_instant(data["asked_at"]),
                decide_from=parse_instant(data["decide_from"]),
                expires_at=parse_instant(data["expires_at"]),
                limit_s=float(data["limit_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"malformed plan request: {error}") from error


class SolvePort(Protocol):
    """Where the planner sends its wishes; plans come back over the bus."""

    async def submit(self, request: PlanRequest) -> None:
        """Ask for a plan.

        Raises:
            UnavailableError: The request could not be handed over.
        """

    async def evaluate(self, site: str, plan_id: str) -> None:
        """Ask for a plan to be judged on sampled days; nobody waits for it, losing it is fine."""


def _read(envelope: Envelope | None, cls: type[B]) -> B | None:
    """Read a body; one that cannot be read counts as absent, and is told."""
    if envelope is None:
        return None
    try:
        return read_body(envelope, cls)
    except PermanentError as error:
        _log.error("unreadable state", type=envelope.type, id=envelope.id, error=str(error))
        return None


async def read_known(bus: Bus, site: str) -> tuple[Known, PlanInputs]:
    """Read the latest state of everything a plan needs, with the ids of what was read."""
    forecast = await bus.latest("forecast", site)
    prices = await bus.latest("prices", site)
    telemetry = await bus.latest("telemetry", site)
    status = await bus.latest("status", site)
    plan = await bus.latest("plan", site)
    thermals = {
        room: body
        for room, envelope in (await bus.latest_all("thermal", site)).items()
        if (body := _read(envelope, Thermal)) is not None
    }
    known = Known(
        forecast=_read(forecast, Forecast),
        prices=_read(prices, Prices),
        telemetry=_read(telemetry, Telemetry),
        thermals=thermals,
        status=_read(status, Status),
        running=_read(plan, Plan),
    )
    inputs = PlanInputs(
        forecast_id="" if forecast is None else forecast.id,
        prices_id="" if prices is None else prices.id,
        telemetry_id="" if telemetry is None else telemetry.id,
        thermal={room: body.version for room, body in thermals.items()},
    )
    return known, inputs


async def solve_request(home: Home, clock: Clock, bus: Bus, request: PlanRequest, *, source: str) -> Plan:
    """Do the work of a request and publish the plan.

    An unforeseen error leads to the rule plan, marked, with the error in its reasons.

    Raises:
        PermanentError: It is for another site or configuration, or too late.
        InputProblem: There is no usable forecast.
        UnavailableError: The bus did not take the plan.
    """
    if request.site != home.site.id or request.config_hash != home.config_hash():
        raise PermanentError(
            f"request {request.request_id} is for another site or configuration",
            remedy="start planner and workers with the same home.yaml",
        )
    if clock.wall_now() > request.expires_at:
        raise PermanentError(f"request {request.request_id} expired at {request.expires_at.isoformat()}")
    began = clock.monotonic()
    left_s = (request.expires_at - clock.wall_now()).total_seconds()
    ask = Ask(
        plan_id=request.plan_id,
        plan_no=request.plan_no,
        now=clock.now(),
        decide_from=request.decide_from,
        limit_s=min(request.limit_s, max(0.5, left_s - 0.5)),
    )
    known, inputs = await read_known(bus, request.site)
    try:
        plan = make_plan(home, known, inputs, ask, elapsed_s=lambda: clock.monotonic() - began)
    except InputProblem:
        raise
    except Exception as error:
        _log.error("planning failed, the rules stand in", request=request.request_id, exc_info=error)
        plan = make_rule_plan(home, known, inputs, ask, f"{type(error).__name__}: {error}"[:200])
    taken = await bus.publish(wrap(plan, site=request.site, clock=clock, source=source, cause=request.request_id))
    _log.info(
        "plan made",
        plan=plan.plan_id,
        trigger=request.trigger,
        status=plan.solver.status,
        total_czk=round(plan.cost.total, 2),
        baseline_czk=plan.baseline_total_czk,
        solve_s=plan.solver.solve_s,
        violations=len(plan.violations),
        newest=taken,
    )
    return plan


async def rule_plan_now(home: Home, clock: Clock, bus: Bus, ask: Ask, *, source: str, why: str) -> Plan:
    """Publish the rule plan.

    Raises:
        PemsError: There is no usable forecast, or the bus did not take it.
    """
    known, inputs = await read_known(bus, home.site.id)
    plan = make_rule_plan(home, known, inputs, ask, why)
    await bus.publish(wrap(plan, site=home.site.id, clock=clock, source=source))
    return plan


async def evaluate_plan(
    home: Home, clock: Clock, bus: Bus, plan_id: str, *, source: str, draws: int, limit_s: float
) -> Score | None:
    """Judge the newest plan on sampled days and publish the score; None where it is no longer the newest."""
    known, _ = await read_known(bus, home.site.id)
    if known.running is None or known.running.plan_id != plan_id:
        return None
    began = clock.monotonic()
    try:
        score = plan_risk(
            home,
            known,
            now=clock.now(),
            draws=draws,
            has_time=lambda: clock.monotonic() - began < limit_s,
        )
    except PemsError as error:
        _log.warning("plan not evaluated", plan=plan_id, error=str(error))
        return None
    if score is not None:
        await bus.publish(wrap(score, site=home.site.id, clock=clock, source=source))
    return score
