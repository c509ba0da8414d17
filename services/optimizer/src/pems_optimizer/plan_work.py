"""The work of a plan request: read what is known, plan, publish, keep what the plan was made from.

A request is worked on once at most: the first worker marks it. Losing it loses nothing, the planner asks again after
its deadline, or sooner where the mark says that the worker died or gave up.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
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
from pems_optimizer.adapters.case_memory import CaseMemory
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.adapters.request_marks import InMemoryMarks, RequestMarks
from pems_optimizer.domain.assemble import InputProblem, Known
from pems_optimizer.domain.plan_case import NotedTime, PlanCase, case_of
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.planning import Ask, MadePlan, make_rule_plan, plan_with_making
from pems_optimizer.domain.problem_store import StoreError
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.domain.risk import plan_risk
from pems_optimizer.domain.strategy_value import VALUE_KIND
from pems_optimizer.domain.warm_start import LastSearch
from pems_optimizer.plan_case_versions import this_program
from pems_optimizer.requests import PlanRequest

__all__ = ["MakePlan", "Worker", "evaluate_plan", "read_known", "rule_plan_now", "solve_request"]

B = TypeVar("B", bound=Body)
_log = get_logger("plan")


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
    value = await bus.latest("score", site, VALUE_KIND)
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
        strategy_value=_read(value, Score),
    )
    inputs = PlanInputs(
        forecast_id="" if forecast is None else forecast.id,
        prices_id="" if prices is None else prices.id,
        telemetry_id="" if telemetry is None else telemetry.id,
        thermal={room: body.version for room, body in thermals.items()},
    )
    return known, inputs


class MakePlan(Protocol):
    """Makes a plan: `domain.planning.plan_with_making`."""

    def __call__(
        self, home: Home, known: Known, inputs: PlanInputs, ask: Ask, *, elapsed_s: Callable[[], float]
    ) -> MadePlan:
        """Make it."""


async def _nothing(_: Plan) -> None:
    pass


@dataclass(frozen=True)
class Worker:
    """Who works on requests, and with what.

    Attributes:
        name: Of this worker, as Flower shows it.
        make: Makes plans; what `domain.planning` has where None.
        plans: Keeps what plans were made from; nothing does where None.
        marks: Where it says how far it is; nowhere where None.
        then: Called with each plan that is out, the newest, and kept; its certificate is asked for there.
        cases: Keeps everything that decided a plan, so that it can be made again; nothing does where None.
    """

    name: str = "inline"
    make: MakePlan | None = None
    plans: PlanMemory | None = None
    marks: RequestMarks | None = None
    then: Callable[[Plan], Awaitable[None]] = _nothing
    cases: CaseMemory | None = None


async def solve_request(
    home: Home, clock: Clock, bus: Bus, request: PlanRequest, *, source: str, worker: Worker | None = None
) -> Plan:
    """Do the work of a request and publish the plan.

    An unforeseen error leads to the rule plan, marked, with the error in its reasons.

    Raises:
        PermanentError: It is for another site or configuration, too late, or another worker has it.
        InputProblem: There is no usable forecast.
        UnavailableError: The bus did not take the plan.
    """
    worker = worker or Worker()
    marks = worker.marks or InMemoryMarks()
    if not await marks.begin(request.request_id, worker.name):
        raise PermanentError(f"request {request.request_id} has been worked on already")
    try:
        _refuse_foreign(home, clock, request)
        plan, record, case = await _make(home, clock, bus, request, worker.make or plan_with_making, worker.plans)
        envelope = wrap(plan, site=request.site, clock=clock, source=source, cause=request.request_id)
        newest = await bus.publish(envelope)
    except Exception as error:
        await marks.end(request.request_id, str(error) or type(error).__name__)
        raise
    _log.info(
        "plan made",
        plan=plan.plan_id,
        trigger=request.trigger,
        status=plan.solver.status,
        total_czk=round(plan.cost.total, 2),
        baseline_czk=plan.baseline_total_czk,
        solve_s=plan.solver.solve_s,
        violations=len(plan.violations),
        newest=newest,
    )
    await marks.end(request.request_id, "" if newest else "a newer plan was there")
    if newest and record is not None and worker.plans is not None and await _kept(worker.plans, record):
        await worker.then(plan)
    if newest and case is not None and worker.cases is not None:
        await _keep_case(worker.cases, plan, case)
    return plan


def _refuse_foreign(home: Home, clock: Clock, request: PlanRequest) -> None:
    if request.site != home.site.id or request.config_hash != home.config_hash():
        raise PermanentError(
            f"request {request.request_id} is for another site or configuration",
            remedy="start planner and workers with the same home.yaml",
        )
    if clock.wall_now() > request.expires_at:
        raise PermanentError(f"request {request.request_id} expired at {request.expires_at.isoformat()}")


async def _make(
    home: Home, clock: Clock, bus: Bus, request: PlanRequest, make: MakePlan, plans: PlanMemory | None
) -> tuple[Plan, PlanRecord | None, Callable[[], PlanCase] | None]:
    """Plan with what is known now; without a record and a case where the rules stand in for an error."""
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
    known = replace(known, remembered=request.remembered, last=await _last(plans, request.site))
    time = NotedTime(lambda: clock.monotonic() - began, ask.limit_s)
    try:
        made = make(home, known, inputs, ask, elapsed_s=time)
    except InputProblem:
        raise
    except Exception as error:
        _log.error("planning failed, the rules stand in", request=request.request_id, exc_info=error)
        return make_rule_plan(home, known, inputs, ask, f"{type(error).__name__}: {error}"[:200]), None, None
    record = PlanRecord(
        site=request.site,
        plan_id=made.plan.plan_id,
        plan_no=made.plan.plan_no,
        config_hash=request.config_hash,
        issued_at=made.plan.issued_at,
        objective_czk=made.chosen.cost.total,
        peak_w=made.chosen.peak_w,
        problem=made.problem,
        decision=made.chosen.decision,
        correlation={} if known.forecast is None else dict(known.forecast.correlation),
        solver_memory=made.memory,
    )
    return made.plan, record, lambda: case_of(home, known, inputs, ask, time.told(), made, made_by=this_program())


async def _last(plans: PlanMemory | None, site: str) -> LastSearch | None:
    """Return what the search for the last plan left; without it the next one begins cold."""
    if plans is None:
        return None
    try:
        record = await plans.newest(site)
    except UnavailableError as error:
        _log.warning("the last plan's making cannot be read", error=str(error))
        return None
    return None if record is None else LastSearch.of(record)


async def _kept(plans: PlanMemory, record: PlanRecord) -> bool:
    try:
        await plans.keep(record)
    except (StoreError, UnavailableError) as error:
        _log.warning("the plan's making is not kept", plan=record.plan_id, error=str(error))
        return False
    return True


async def _keep_case(cases: CaseMemory, plan: Plan, case: Callable[[], PlanCase]) -> None:
    """Keep a plan's case. The plan is out: whatever goes wrong here is told, and harms nothing."""
    try:
        await cases.keep(case())
    except (StoreError, UnavailableError) as error:
        _log.warning("this plan cannot be made again later", plan=plan.plan_id, error=str(error))
    except Exception as error:
        _log.error("the case of this plan cannot be put together", plan=plan.plan_id, exc_info=error)


async def rule_plan_now(
    home: Home, clock: Clock, bus: Bus, ask: Ask, *, remembered: Remembered, source: str, why: str
) -> Plan:
    """Publish the rule plan.

    Raises:
        PemsError: There is no usable forecast, or the bus did not take it.
    """
    known, inputs = await read_known(bus, home.site.id)
    plan = make_rule_plan(home, replace(known, remembered=remembered), inputs, ask, why)
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
