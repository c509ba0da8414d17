"""The planner: decides when a plan is asked for, and is the only one who asks again.

At most one request is under way. It has a deadline in wall time; after two failures in a row the planner publishes
the rule plan itself, raises an alert, and keeps asking until a worker answers.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.home import Home
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.messages import Alert, Body, Envelope, Forecast, Plan, Prices, Telemetry, read_body, type_of, wrap
from pems_common.timegrid import SLOT, next_slot_start
from pems_optimizer.adapters.planner_memory import NoMemory, PlannerMemory
from pems_optimizer.domain.events import forecast_moved, off_plan, prices_known_longer
from pems_optimizer.domain.planning import Ask
from pems_optimizer.requests import PlanRequest, SolvePort, rule_plan_now

__all__ = ["PlannerHandlers", "RequestView"]

_log = get_logger("planner")
B = TypeVar("B", bound=Body)

LEAST_INTERVAL = timedelta(minutes=10)  # house time between requests for events
RULE_PLAN_EVERY = timedelta(minutes=55)  # house time between rule plans while the workers are silent
NO_FORECAST_PATIENCE = timedelta(minutes=30)  # house time
DEADLINE_EXTRA_S = 15.0  # wall time beyond the solver's limit
RETRY_S = 20.0  # wall time between requests while the workers are silent
FAILURES_TO_RULES = 2
_FIRST_EXPECTED_S = 3.0
_KEPT_PLANS = 60
_KEPT_REQUESTS = 200
# Asked for by the clock or a person: not held back by the least interval.
_PROMPT = frozenset({"hourly", "restart", "request", "retry"})


@dataclass
class RequestView:
    """What became of a request, for its REST address.

    Attributes:
        took_s: Wall seconds until the plan was there.
    """

    request_id: str
    plan_id: str
    trigger: str
    asked_at: datetime
    state: Literal["running", "done", "failed"] = "running"
    detail: str = ""
    took_s: float | None = None


@dataclass
class _InFlight:
    request: PlanRequest
    since_mono: float
    deadline_mono: float


@dataclass
class _Used:
    """What the last request was made with, to see later what has changed."""

    forecast: Forecast | None = None
    prices: Prices | None = None
    ev_connected: bool | None = None


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
        source: str = "optimizer",
        inline: bool = False,
    ) -> None:
        """Wire the planner.

        Args:
            home: The site.
            clock: House and wall time.
            bus: Where state is read and plans appear.
            solver: Where requests go.
            memory: Keeps the last plan number.
            source: Name of this process in messages.
            inline: Whether `solver` answers before `submit` returns, so plans can start at once.
        """
        self._home, self._clock, self._bus, self._solver = home, clock, bus, solver
        self._memory: PlannerMemory = memory or NoMemory()
        self._source = source
        self._site = home.site.id
        self._expected_s = 0.0 if inline else _FIRST_EXPECTED_S
        self._inline = inline
        self._plan_no = 0
        self._plan: Plan | None = None
        self._plans: deque[Plan] = deque(maxlen=_KEPT_PLANS)
        self._requests: OrderedDict[str, RequestView] = OrderedDict()
        self._pending: dict[str, str] = {}  # trigger -> detail
        self._in_flight: _InFlight | None = None
        self._used = _Used()
        self._failures = 0
        self._retry_mono = 0.0
        self._last_asked: datetime | None = None
        self._next_hour: datetime | None = None
        self._last_rules: datetime | None = None
        self._started_at: datetime | None = None
        self._alerts: set[str] = set()
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
        """State types that may make a new plan worth it."""
        return ("forecast", "prices", "override", "plan")

    async def start(self) -> None:
        """Load the last plan number and ask for a plan as soon as there is a forecast."""
        self._plan_no = max(self._plan_no, self._memory.load())
        self._started_at = self._clock.now()
        await self._see_plan()
        self._pending["restart"] = "the planner has started"

    async def on_state(self, poke: Envelope) -> None:
        """Look at what is new."""
        if poke.type == "plan":
            await self._see_plan()
        elif poke.type == "forecast":
            new = await self._latest(Forecast)
            if new is not None and self._used.forecast is not None:
                why = forecast_moved(self._used.forecast, new, self._clock.now())
                if why:
                    self._want("forecast", why)
        elif poke.type == "prices":
            known = await self._latest(Prices)
            if known is not None and self._used.forecast is not None and prices_known_longer(self._used.prices, known):
                self._want("prices", f"prices are known until {known.known_until.isoformat()}")
        elif poke.type == "override" and poke.at >= self._clock.now() - timedelta(minutes=5):
            self._want("override", f"{poke.subject} was set or released by hand")

    async def tick(self) -> None:
        """Do what is due."""
        now, mono = self._clock.now(), self._clock.monotonic()
        await self._see_plan()
        if self._in_flight is not None and mono > self._in_flight.deadline_mono:
            await self._failed("no plan came before the deadline")
        if self._next_hour is None or now >= self._next_hour:
            if self._next_hour is not None:
                self._want("hourly", "")
            hour = timedelta(hours=1)
            self._next_hour = now.replace(minute=0, second=0, microsecond=0) + hour
        await self._look_at_the_house()
        if self._pending and mono >= self._retry_mono and self._may_ask(now):
            async with self._asking:
                if self._in_flight is None:
                    await self._ask()

    async def stop(self) -> None:
        """Keep the last plan number."""
        self._memory.save(self._plan_no)

    # --- for the API --------------------------------------------------------------------------

    @property
    def plan(self) -> Plan | None:
        """The newest plan."""
        return self._plan

    @property
    def plans(self) -> list[Plan]:
        """The last plans, newest first."""
        return list(reversed(self._plans))

    @property
    def expected_solve_s(self) -> float:
        """Wall seconds from asking to having a plan, as seen lately."""
        return self._expected_s

    def request(self, request_id: str) -> RequestView | None:
        """What became of a request."""
        return self._requests.get(request_id)

    async def ask_now(self, who: str) -> RequestView:
        """Ask for a plan because a person wants one; joins a request that is under way.

        Raises:
            UnavailableError: There is no forecast yet, or the queue does not take requests.
        """
        async with self._asking:
            if self._in_flight is not None:
                return self._requests[self._in_flight.request.request_id]
            self._pending["request"] = f"asked for by {who}"
            view = await self._ask()
        if view is None:
            self._pending.pop("request", None)
            raise UnavailableError("no plan can be asked for now: there is no forecast yet")
        if view.state == "failed":
            raise UnavailableError(f"the request could not be handed over: {view.detail}")
        return view

    # --- inside -------------------------------------------------------------------------------

    def _want(self, trigger: str, detail: str) -> None:
        if trigger not in self._pending:
            _log.info("plan wanted", trigger=trigger, detail=detail)
        self._pending[trigger] = detail

    def _may_ask(self, now: datetime) -> bool:
        if self._last_asked is None or any(trigger in _PROMPT for trigger in self._pending):
            return True
        return now - self._last_asked >= LEAST_INTERVAL

    async def _latest(self, cls: type[B]) -> B | None:
        envelope = await self._bus.latest(type_of(cls).name, self._site)
        if envelope is None:
            return None
        try:
            return read_body(envelope, cls)
        except PermanentError as error:
            _log.error("unreadable state", type=envelope.type, error=str(error))
            return None

    async def _look_at_the_house(self) -> None:
        """Compare the house with its plan."""
        envelope = await self._bus.latest("telemetry", self._site)
        if envelope is None or self._plan is None:
            return
        try:
            telemetry = read_body(envelope, Telemetry)
        except PermanentError:
            return
        now = self._clock.now()
        if now - envelope.at > timedelta(minutes=10):
            return
        connected = None if telemetry.ev is None else telemetry.ev.connected
        if connected is not None and self._used.ev_connected is not None and connected != self._used.ev_connected:
            self._want("ev", "the car has come" if connected else "the car has left")
        # Against a plan that is older than the last request this was seen already.
        if self._plan.issued_at >= (self._last_asked or self._plan.issued_at) and (
            why := off_plan(self._plan, telemetry, now)
        ):
            self._want("off_plan", why)

    async def _see_plan(self) -> None:
        """Take note of the newest plan on the bus."""
        envelope = await self._bus.latest("plan", self._site)
        if envelope is None or (self._plan is not None and envelope.body.get("plan_id") == self._plan.plan_id):
            return
        try:
            plan = read_body(envelope, Plan)
        except PermanentError as error:
            _log.error("unreadable plan on the bus", error=str(error))
            return
        if self._plan is not None and plan.plan_no < self._plan.plan_no:
            _log.info("late older plan ignored", plan_no=plan.plan_no, newest=self._plan.plan_no)
            return
        self._plan = plan
        self._plans.append(plan)
        if plan.plan_no > self._plan_no:
            self._plan_no = plan.plan_no
            self._memory.save(self._plan_no)
        if plan.solver.name != "rules" or (self._in_flight and plan.plan_id == self._in_flight.request.plan_id):
            await self._came(plan)

    async def _came(self, plan: Plan) -> None:
        """A worker has answered."""
        flying = self._in_flight
        if flying is not None and flying.request.plan_id == plan.plan_id:
            took = self._clock.monotonic() - flying.since_mono
            self._expected_s = took if self._inline else 0.7 * self._expected_s + 0.3 * took
            view = self._requests[flying.request.request_id]
            view.state, view.took_s = "done", round(took, 3)
            view.detail = "the rules stand in" if plan.fallback_mode else ""
            self._in_flight = None
        elif self._started_at is not None and plan.issued_at < self._started_at:
            return  # from before this planner's time: says nothing about the workers
        self._failures = 0
        self._retry_mono = 0.0
        self._last_rules = None
        await self._clear_alert("optimizer.silent")
        if not plan.fallback_mode:
            await self._solver.evaluate(self._site, plan.plan_id)

    def _new_number(self, now: datetime) -> int:
        self._plan_no = max(self._plan_no + 1, int(now.timestamp() * 1000))
        self._memory.save(self._plan_no)
        return self._plan_no

    async def _ask(self) -> RequestView | None:
        """Hand over a request; None when there is nothing to plan with yet."""
        now = self._clock.now()
        forecast = await self._bus.latest("forecast", self._site)
        if forecast is None:
            if self._started_at is not None and now - self._started_at > NO_FORECAST_PATIENCE:
                await self._raise_alert(
                    "optimizer.no_forecast",
                    "No forecast has arrived, so no plan can be made.",
                    "Check the forecaster and its weather source.",
                )
            return None
        await self._clear_alert("optimizer.no_forecast")
        await self._remember_inputs(forecast)
        trigger = "+".join(sorted(self._pending)) or "request"
        expected = timedelta(seconds=(self._expected_s + (0.0 if self._inline else 1.0)) * self._clock.speed)
        limit_s = self._home.optimization.time_limit_s
        deadline_s = limit_s + DEADLINE_EXTRA_S
        request = PlanRequest(
            request_id=new_id(self._clock.wall_now()),
            plan_id=new_id(self._clock.wall_now()),
            plan_no=self._new_number(now),
            site=self._site,
            config_hash=self._home.config_hash(),
            trigger=trigger,
            asked_at=now,
            decide_from=next_slot_start(now + min(expected, 2 * SLOT)),
            expires_at=self._clock.wall_now() + timedelta(seconds=deadline_s),
            limit_s=limit_s,
        )
        view = RequestView(request.request_id, request.plan_id, trigger, now)
        self._requests[request.request_id] = view
        while len(self._requests) > _KEPT_REQUESTS:
            self._requests.popitem(last=False)
        self._pending.clear()
        self._last_asked = now
        mono = self._clock.monotonic()
        self._in_flight = _InFlight(request, mono, mono + deadline_s)
        _log.info("plan asked for", request=request.request_id, trigger=trigger, decide_from=request.decide_from)
        try:
            await self._solver.submit(request)
        except UnavailableError as error:
            await self._failed(error.message)
            return view
        await self._see_plan()
        return view

    async def _remember_inputs(self, forecast: Envelope) -> None:
        prices = await self._bus.latest("prices", self._site)
        telemetry = await self._bus.latest("telemetry", self._site)
        try:
            self._used.forecast = read_body(forecast, Forecast)
            self._used.prices = None if prices is None else read_body(prices, Prices)
            ev = None if telemetry is None else read_body(telemetry, Telemetry).ev
            self._used.ev_connected = None if ev is None else ev.connected
        except PermanentError as error:
            _log.error("unreadable input", error=str(error))

    async def _failed(self, why: str) -> None:
        """A request has led to nothing: ask again, and after two failures let the rules stand in."""
        flying, self._in_flight = self._in_flight, None
        self._failures += 1
        if flying is not None:
            view = self._requests[flying.request.request_id]
            view.state, view.detail = "failed", why
        _log.warning("no plan", failures=self._failures, why=why)
        self._pending["retry"] = why
        if self._failures < FAILURES_TO_RULES:
            return
        self._retry_mono = self._clock.monotonic() + RETRY_S
        await self._raise_alert(
            "optimizer.silent",
            "The planner got no plan from the workers, so the rules are followed.",
            "Check that the optimizer's worker and Redis run.",
        )
        now = self._clock.now()
        if self._last_rules is None or now - self._last_rules >= RULE_PLAN_EVERY:
            await self._publish_rules(now, why)

    async def _publish_rules(self, now: datetime, why: str) -> None:
        ask = Ask(
            plan_id=new_id(self._clock.wall_now()),
            plan_no=self._new_number(now),
            now=now,
            decide_from=next_slot_start(now),
            limit_s=self._home.optimization.time_limit_s,
        )
        try:
            plan = await rule_plan_now(self._home, self._clock, self._bus, ask, source=self._source, why=why)
        except PemsError as error:
            _log.warning("no rule plan either", why=str(error))
            return
        self._last_rules = now
        _log.warning("rule plan published", plan=plan.plan_id, why=why)
        await self._see_plan()

    async def _raise_alert(self, code: str, text: str, remedy: str) -> None:
        if code in self._alerts:
            return
        alert = Alert(code=code, severity="warning", text=text, remedy=remedy, raised_at=self._clock.now())
        if await self._tell(alert):
            self._alerts.add(code)

    async def _clear_alert(self, code: str) -> None:
        if code not in self._alerts:
            return
        now = self._clock.now()
        alert = Alert(code=code, severity="info", text="All is well again.", raised_at=now, cleared_at=now)
        if await self._tell(alert):
            self._alerts.discard(code)

    async def _tell(self, alert: Alert) -> bool:
        try:
            await self._bus.publish(wrap(alert, site=self._site, clock=self._clock, source=self._source))
        except UnavailableError:
            return False
        return True
