"""Alerts that the planner raises once and clears once."""

from collections.abc import Mapping

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.messages import Alert, wrap
from pems_optimizer.request_fates import Failure, FailureKind

__all__ = ["PlannerAlerts"]

_FAILURES: Mapping[FailureKind, tuple[str, str, str]] = {
    "silent": (
        "optimizer.silent",
        "The planner got no plan from the workers, so the rules are followed.",
        "Check that the optimizer's worker and Redis run.",
    ),
    "died": (
        "optimizer.worker_died",
        "A worker died while solving, twice in a row, so the rules are followed.",
        "Check the worker's memory limit and its log. It is tried again, at a slower pace.",
    ),
    "gave_up": (
        "optimizer.gave_up",
        "The workers cannot make a plan from what is known, so the rules are followed.",
        "Check the forecast, and that planner and workers run with the same home.yaml.",
    ),
}
"""Code, text and remedy for each kind of failure; what exactly happened follows the text."""


class PlannerAlerts:
    """Remembers which alerts stand, so that each is told once."""

    def __init__(self, site: str, clock: Clock, bus: Bus, source: str) -> None:
        """Begin without any.

        Args:
            site: Site id.
            clock: House time.
            bus: Where alerts go.
            source: Name of this process in messages.
        """
        self._site, self._clock, self._bus, self._source = site, clock, bus, source
        self._standing: set[str] = set()

    async def failing(self, failure: Failure) -> None:
        """Tell that no plan comes and why; the alert of another cause is cleared."""
        for kind, (code, text, remedy) in _FAILURES.items():
            if kind == failure.kind:
                await self.raise_once(code, f"{text} {failure.why[:200]}", remedy)
            else:
                await self.clear(code)

    async def working(self) -> None:
        """Tell that plans come again."""
        for code, _, _ in _FAILURES.values():
            await self.clear(code)

    async def raise_once(self, code: str, text: str, remedy: str) -> None:
        """Raise an alert unless it stands."""
        if code in self._standing:
            return
        alert = Alert(code=code, severity="warning", text=text, remedy=remedy, raised_at=self._clock.now())
        if await self._tell(alert):
            self._standing.add(code)

    async def clear(self, code: str) -> None:
        """Clear an alert if it stands."""
        if code not in self._standing:
            return
        now = self._clock.now()
        alert = Alert(code=code, severity="info", text="All is well again.", raised_at=now, cleared_at=now)
        if await self._tell(alert):
            self._standing.discard(code)

    async def _tell(self, alert: Alert) -> bool:
        try:
            await self._bus.publish(wrap(alert, site=self._site, clock=self._clock, source=self._source))
        except UnavailableError:
            return False
        return True
