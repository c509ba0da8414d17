"""The planner: decides when a plan is asked for, and is the only one who asks again.

At most one request is under way. It has a deadline in wall time; after two failures in a row the planner publishes
the rule plan itself, raises an alert, and keeps asking until a worker answers. Reasons for a plan are collected in
`plan_triggers`, the books of requests and deadlines are kept in `request_ledger`, what was seen on the bus in
`plan_history`.
"""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.messages import Certificate, Envelope, Plan
from pems_common.timegrid import SLOT, next_slot_start
from pems_optimizer.adapters.planner_memory import Memory, NoMemory, PlannerMemory
from pems_optimizer.adapters.request_marks import InMemoryMarks, RequestMarks
from pems_optimizer.plan_history import PlanHistory
from pems_optimizer.plan_triggers import PlanTriggers
from pems_optimizer.planner_alerts import PlannerAlerts
from pems_optimizer.request_fates import Failure, fate_at_deadline, known_fate
from pems_optimizer.request_ledger import FAILURES_TO_RULES, RequestLedger, RequestView
from pems_optimizer.requests import PlanRequest, SolvePort
from pems_optimizer.stand_in import RuleStandIn
from pems_optimizer.telemetry_memory import TelemetryMemory

__all__ = ["PlannerHandlers", "RequestView"]

_log = get_logger("planner")

NO_FORECAST_PATIENCE = timedelta(minutes=30)  # house time


class PlannerHandlers:
    """Implements `Service` for the optimizer."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        bus: Bus,
        solver: SolvePort,
        *,
        memory: PlannerMemory | None = None,
        marks: RequestMarks | None = None,
        source: str = "optimizer",
        inline: bool = False,
    ) -> None:
        """Wire the planner.

        Args:
            home: The site.
            clock: House and wall time.
            bus: Where state is read and plans appear.
            solver: Where requests go.
            memory: Keeps the last plan number and what was seen of telemetry.
            marks: Where workers say how far they are with a request.
            source: Name of this process in messages.
            inline: Whether `solver` answers before `submit` returns, so plans can start at once.
        """
        self._home, self._clock, self._bus, self._solver = home, clock, bus, solver
        self._memory: PlannerMemory = memory or NoMemory()
        self._source = source
        self._site = home.site.id
        self._inline = inline
        self._plan_no = 0
        self._marks: RequestMarks = marks or InMemoryMarks()
        self._history = PlanHistory(self._site, bus)
        self._past = TelemetryMemory(home, clock, bus)
        self._triggers = PlanTriggers(self._site, clock, bus)
        self._ledger = RequestLedger(clock, inline=inline)
        self._alerts = PlannerAlerts(self._site, clock, bus, source)
        self._stand_in = RuleStandIn(home, clock, bus, source, self._new_number)
        self._started_at: datetime | None = None
        self._asking = asyncio.Lock()  # a person's wish comes between ticks

    # --- Service ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the service."""
        return "optimizer"

    @property
    def tick_every(self) -> timedelta:
        """House time between ticks."""
        return timedelta(seconds=30)

    @property
    def watches(self) -> Collection[str]:
        """State types that may make a new plan worth it, and what came of the last one."""
        return ("forecast", "prices", "override", "plan", "certificate")

    async def start(self) -> None:
        """Load what was kept and ask for a plan as soon as there is a forecast."""
        kept = self._memory.load()
        self._plan_no = max(self._plan_no, kept.plan_no)
        self._past.remembered = kept.remembered
        self._started_at = self._clock.now()
        await self._see_plan()
        await self._history.look_at_certificate()
        self._triggers.want("restart", "the planner has started")

    async def on_state(self, poke: Envelope) -> None:
        """Look at what is new."""
        if poke.type == "plan":
            await self._see_plan()
        elif poke.type == "certificate":
            await self._history.look_at_certificate(poke)
        else:
            await self._triggers.on_state(poke)

    async def tick(self) -> None:
        """Do what is due."""
        now = self._clock.now()
        if await self._past.look():
            self._save()
        await self._see_plan()
        if (failure := await self._lost()) is not None:
            await self._failed(failure)
        self._triggers.watch_the_clock(now)
        await self._triggers.look_at_the_house(self.plan)
        if self._ledger.may_retry() and self._triggers.due(now):
            async with self._asking:
                if self._ledger.under_way is None:
                    await self._ask()

    async def stop(self) -> None:
        """Keep what the next start needs."""
        self._save()

    # --- for the API --------------------------------------------------------------------------

    @property
    def plan(self) -> Plan | None:
        """The newest plan."""
        return self._history.plan

    @property
    def plans(self) -> list[Plan]:
        """The last plans, newest first."""
        return self._history.plans

    @property
    def newest_certificate(self) -> Certificate | None:
        """The last certificate; it may be of the plan before the newest."""
        return self._history.newest_certificate

    def certificate(self, plan_id: str) -> Certificate | None:
        """The certificate of one of the last plans; None where it has none (yet)."""
        return self._history.certificate(plan_id)

    @property
    def expected_solve_s(self) -> float:
        """Wall seconds from asking to having a plan, as seen lately."""
        return self._ledger.expected_s

    def request(self, request_id: str) -> RequestView | None:
        """What became of a request."""
        return self._ledger.view(request_id)

    async def ask_now(self, who: str) -> RequestView:
        """Ask for a plan because a person wants one; joins a request that is under way.

        Raises:
            UnavailableError: There is no forecast yet, or the queue does not take requests.
        """
        async with self._asking:
            if self._ledger.under_way is not None:
                return self._ledger.under_way
            self._triggers.want("request", f"asked for by {who}")
            view = await self._ask()
        if view is None:
            self._triggers.drop("request")
            raise UnavailableError("no plan can be asked for now: there is no forecast yet")
        if view.state == "failed":
            raise UnavailableError(f"the request could not be handed over: {view.detail}")
        return view

    # --- inside -------------------------------------------------------------------------------

    async def _see_plan(self) -> None:
        """Take note of the newest plan on the bus."""
        plan = await self._history.look()
        if plan is None:
            return
        if plan.plan_no > self._plan_no:
            self._plan_no = plan.plan_no
            self._save()
        if plan.solver.name != "rules" or self._ledger.is_for(plan):
            await self._came(plan)

    async def _came(self, plan: Plan) -> None:
        """A worker has answered."""
        if self._ledger.is_for(plan):
            self._ledger.answered(plan)
        elif self._started_at is not None and plan.issued_at < self._started_at:
            return  # from before this planner's time: says nothing about the workers
        self._ledger.workers_live()
        self._stand_in.not_needed()
        await self._alerts.working()
        if not plan.fallback_mode:
            await self._solver.evaluate(self._site, plan.plan_id)

    def _new_number(self, now: datetime) -> int:
        self._plan_no = max(self._plan_no + 1, int(now.timestamp() * 1000))
        self._save()
        return self._plan_no

    def _save(self) -> None:
        self._memory.save(Memory(self._plan_no, self._past.remembered))

    async def _ask(self) -> RequestView | None:
        """Hand over a request; None when there is nothing to plan with yet."""
        now = self._clock.now()
        forecast = await self._bus.latest("forecast", self._site)
        if forecast is None:
            if self._started_at is not None and now - self._started_at > NO_FORECAST_PATIENCE:
                await self._alerts.raise_once(
                    "optimizer.no_forecast",
                    "No forecast has arrived, so no plan can be made.",
                    "Check the forecaster and its weather source.",
                )
            return None
        await self._alerts.clear("optimizer.no_forecast")
        await self._triggers.remember_inputs(forecast)
        expected = timedelta(seconds=(self._ledger.expected_s + (0.0 if self._inline else 1.0)) * self._clock.speed)
        limit_s = self._home.optimization.time_limit_s
        request = PlanRequest(
            request_id=new_id(self._clock.wall_now()),
            plan_id=new_id(self._clock.wall_now()),
            plan_no=self._new_number(now),
            site=self._site,
            config_hash=self._home.config_hash(),
            trigger=self._triggers.take(now),
            asked_at=now,
            decide_from=next_slot_start(now + min(expected, 2 * SLOT)),
            expires_at=self._clock.wall_now() + timedelta(seconds=self._ledger.deadline_s(limit_s)),
            limit_s=limit_s,
            remembered=self._past.remembered,
        )
        view = self._ledger.opened(request)
        _log.info(
            "plan asked for", request=request.request_id, trigger=request.trigger, decide_from=request.decide_from
        )
        try:
            await self._solver.submit(request)
        except UnavailableError as error:
            await self._failed(Failure("silent", error.message))
            return view
        await self._see_plan()
        return view

    async def _lost(self) -> Failure | None:
        """Say whether the request under way has led to nothing."""
        request = self._ledger.request
        if request is None:
            return None
        if self._ledger.overdue():
            return await fate_at_deadline(self._marks, request.request_id)
        return await known_fate(self._marks, request.request_id)

    async def _failed(self, failure: Failure) -> None:
        """A request has led to nothing: ask again, and after two failures let the rules stand in."""
        self._ledger.failed(failure)
        _log.warning("no plan", failures=self._ledger.failures, kind=failure.kind, why=failure.why)
        self._triggers.want("retry", failure.why)
        if self._ledger.failures < FAILURES_TO_RULES:
            return
        await self._alerts.failing(failure)
        if await self._stand_in.step_in(failure.why, self._past.remembered):
            await self._see_plan()
