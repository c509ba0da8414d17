"""The rule plan that stands in while no plan comes from the workers: published by the planner itself, about hourly."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.timegrid import next_slot_start
from pems_optimizer.domain.planning import Ask
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.plan_work import rule_plan_now

__all__ = ["RULE_PLAN_EVERY", "RuleStandIn"]

RULE_PLAN_EVERY = timedelta(minutes=55)  # house time
_log = get_logger("planner")


class RuleStandIn:
    """Publishes rule plans, not too often."""

    def __init__(self, home: Home, clock: Clock, bus: Bus, source: str, new_number: Callable[[datetime], int]) -> None:
        """Begin without any.

        Args:
            home: The site.
            clock: House time.
            bus: Where plans are published.
            source: Name of this process in messages.
            new_number: Gives the number of a plan made now.
        """
        self._home, self._clock, self._bus, self._source = home, clock, bus, source
        self._new_number = new_number
        self._last: datetime | None = None

    def not_needed(self) -> None:
        """A plan has come: the next rule plan, if any, is due at once."""
        self._last = None

    async def step_in(self, why: str, remembered: Remembered) -> bool:
        """Publish a rule plan where the last one is old; True where one was published."""
        now = self._clock.now()
        if self._last is not None and now - self._last < RULE_PLAN_EVERY:
            return False
        ask = Ask(
            plan_id=new_id(self._clock.wall_now()),
            plan_no=self._new_number(now),
            now=now,
            decide_from=next_slot_start(now),
            limit_s=self._home.optimization.time_limit_s,
        )
        try:
            plan = await rule_plan_now(
                self._home, self._clock, self._bus, ask, remembered=remembered, source=self._source, why=why
            )
        except PemsError as error:
            _log.warning("no rule plan either", why=str(error))
            return False
        self._last = now
        _log.warning("rule plan published", plan=plan.plan_id, why=why)
        return True
