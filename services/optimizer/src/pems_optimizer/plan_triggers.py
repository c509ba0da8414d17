"""What makes a new plan worth asking for: the hour, a person, and events in forecast, prices, house and overrides.

Events are compared with what the last request was made with, and are held back by a least interval.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_common.messages import Body, Envelope, Forecast, Plan, Prices, Telemetry, read_body, type_of
from pems_optimizer.domain.events import forecast_moved, off_plan, prices_moved

__all__ = ["PlanTriggers"]

_log = get_logger("planner")
B = TypeVar("B", bound=Body)

LEAST_INTERVAL = timedelta(minutes=10)  # house time between requests for events
_FRESH_OVERRIDE = timedelta(minutes=5)  # house time
_FRESH_TELEMETRY = timedelta(minutes=10)  # house time
# Asked for by the clock or a person: not held back by the least interval.
_PROMPT = frozenset({"hourly", "restart", "request", "retry"})


@dataclass
class _Used:
    """What the last request was made with, to see later what has changed."""

    forecast: Forecast | None = None
    prices: Prices | None = None
    ev_connected: bool | None = None


class PlanTriggers:
    """Collects reasons for a plan until one is asked for."""

    def __init__(self, site: str, clock: Clock, bus: Bus) -> None:
        """Begin without any reason.

        Args:
            site: Site id.
            clock: House time.
            bus: Where state is read.
        """
        self._site, self._clock, self._bus = site, clock, bus
        self._pending: dict[str, str] = {}  # trigger -> detail
        self._used = _Used()
        self._last_asked: datetime | None = None
        self._next_hour: datetime | None = None

    def want(self, trigger: str, detail: str) -> None:
        """Add a reason, or renew it."""
        if trigger not in self._pending:
            _log.info("plan wanted", trigger=trigger, detail=detail)
        self._pending[trigger] = detail

    def drop(self, trigger: str) -> None:
        """Take a reason back."""
        self._pending.pop(trigger, None)

    def due(self, now: datetime) -> bool:
        """Whether a plan is wanted and may be asked for now."""
        if not self._pending:
            return False
        if self._last_asked is None or any(trigger in _PROMPT for trigger in self._pending):
            return True
        return now - self._last_asked >= LEAST_INTERVAL

    def take(self, now: datetime) -> str:
        """Return the reasons as one word, joined by +, and start afresh."""
        trigger = "+".join(sorted(self._pending)) or "request"
        self._pending.clear()
        self._last_asked = now
        return trigger

    def watch_the_clock(self, now: datetime) -> None:
        """Want a plan at each full hour of house time."""
        if self._next_hour is not None and now < self._next_hour:
            return
        if self._next_hour is not None:
            self.want("hourly", "")
        self._next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    async def on_state(self, poke: Envelope) -> None:
        """Look at a new forecast, prices or override."""
        if poke.type == "forecast":
            new = await self._latest(Forecast)
            if new is not None and self._used.forecast is not None:
                why = forecast_moved(self._used.forecast, new, self._clock.now())
                if why:
                    self.want("forecast", why)
        elif poke.type == "prices":
            known = await self._latest(Prices)
            if known is not None and self._used.forecast is not None:
                why = prices_moved(self._used.prices, known, self._clock.now())
                if why:
                    self.want("prices", why)
        elif poke.type == "override" and poke.at >= self._clock.now() - _FRESH_OVERRIDE:
            self.want("override", f"{poke.subject} was set or released by hand")

    async def look_at_the_house(self, plan: Plan | None) -> None:
        """Compare the house with its plan."""
        envelope = await self._bus.latest("telemetry", self._site)
        if envelope is None or plan is None:
            return
        try:
            telemetry = read_body(envelope, Telemetry)
        except PermanentError:
            return
        now = self._clock.now()
        if now - envelope.at > _FRESH_TELEMETRY:
            return
        connected = None if telemetry.ev is None else telemetry.ev.connected
        if connected is not None and self._used.ev_connected is not None and connected != self._used.ev_connected:
            self.want("ev", "the car has come" if connected else "the car has left")
        # Against a plan that is older than the last request this was seen already.
        if plan.issued_at >= (self._last_asked or plan.issued_at) and (why := off_plan(plan, telemetry, now)):
            self.want("off_plan", why)

    async def remember_inputs(self, forecast: Envelope) -> None:
        """Keep what the request about to be made is made with."""
        prices = await self._bus.latest("prices", self._site)
        telemetry = await self._bus.latest("telemetry", self._site)
        try:
            self._used.forecast = read_body(forecast, Forecast)
            self._used.prices = None if prices is None else read_body(prices, Prices)
            ev = None if telemetry is None else read_body(telemetry, Telemetry).ev
            self._used.ev_connected = None if ev is None else ev.connected
        except PermanentError as error:
            _log.error("unreadable input", error=str(error))

    async def _latest(self, cls: type[B]) -> B | None:
        envelope = await self._bus.latest(type_of(cls).name, self._site)
        if envelope is None:
            return None
        try:
            return read_body(envelope, cls)
        except PermanentError as error:
            _log.error("unreadable state", type=envelope.type, error=str(error))
            return None
