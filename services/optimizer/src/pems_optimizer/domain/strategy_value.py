"""Whether a strategy that looks at several courses pays here: what the meter of `./pems shadow` found, read by plans.

The meter lets two twins live through each day, one with the strategy of home.yaml and one with `point`, and publishes a
score of kind `strategy_value` (docs/shadow.md). Where the whole interval of the gain lies at or below zero after four
weeks, `point` plans instead, until the meter finds otherwise.
"""

from datetime import date, datetime, timedelta
from typing import Literal

from pems_common.home import Home
from pems_common.messages import Score
from pems_optimizer.domain.problem import Note

__all__ = ["LEAST_DAYS", "VALUE_KIND", "Strategy", "strategy_to_use"]

Strategy = Literal["point", "robust", "scenarios"]

VALUE_KIND = "strategy_value"
LEAST_DAYS = 28
_HOLDS = timedelta(days=60)  # what was found longer ago says nothing of this season


def _last_day(window: str) -> date | None:
    """Last day of a window `first/last`; None where it is none."""
    try:
        return date.fromisoformat(window.rpartition("/")[2])
    except ValueError:
        return None


def strategy_to_use(home: Home, value: Score | None, now: datetime) -> tuple[Strategy, tuple[Note, ...]]:
    """Return the strategy to plan with, and why it is not the one that home.yaml asks for.

    Args:
        home: The site.
        value: The newest verdict; None where there is none.
        now: House time.

    Returns:
        The strategy, and where it is off a note `strategy_off`: `strategy`, `days`, `low_czk_day`, `high_czk_day`.
    """
    wish = home.optimization.uncertainty
    asked: Strategy = wish.strategy
    if asked == "point" or not wish.only_if_it_pays or value is None:
        return asked, ()
    if value.kind != VALUE_KIND or value.model != asked or value.baseline != "point":
        return asked, ()
    last = _last_day(value.window)
    if last is None or now.astimezone(home.site.zone).date() - last > _HOLDS:
        return asked, ()
    days, high = value.metrics.get("days", 0.0), value.metrics.get("gain_high_czk_day")
    if high is None or days < LEAST_DAYS or high > 0.0:
        return asked, ()
    low = value.metrics.get("gain_low_czk_day", high)
    told: dict[str, float | str] = {"strategy": asked, "days": days, "low_czk_day": low, "high_czk_day": high}
    return "point", (Note("strategy_off", told),)
