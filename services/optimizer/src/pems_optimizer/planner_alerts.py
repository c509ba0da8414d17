"""Alerts that the planner raises once and clears once."""

from collections.abc import Mapping

from pems_common.standing_alerts import StandingAlerts
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


class PlannerAlerts(StandingAlerts):
    """What stands between the planner and its plans."""

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
