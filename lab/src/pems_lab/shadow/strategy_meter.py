"""The value of uncertainty: what a strategy that looks at several courses costs less than `point`, week by week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_common.messages import Score
from pems_lab.paired import DayPair, mean_interval
from pems_lab.shadow.days import with_strategy
from pems_optimizer.domain.strategy_value import LEAST_DAYS, VALUE_KIND, Strategy

__all__ = ["SEASON_DAYS", "WeekGain", "meter_homes", "strategy_score", "weeks"]

SEASON_DAYS = 56
"""What a strategy brings differs between winter and summer: a verdict is of the last eight weeks."""


@dataclass(frozen=True)
class WeekGain:
    """A calendar week: its Monday, days that both lived, and what the strategy saved in them [CZK a day]."""

    monday: str
    days: int
    gain_czk_day: float


def meter_homes(home: Home, strategy: Strategy) -> tuple[Home, Home]:
    """Return the home with `point`, and with a strategy that no verdict switches off.

    Raises:
        PermanentError: The strategy is `point` itself.
    """
    if strategy == "point":
        raise PermanentError("point is what strategies are measured against", remedy="name robust or scenarios")
    return with_strategy(home, "point"), with_strategy(home, strategy)


def weeks(pairs: Sequence[DayPair]) -> list[WeekGain]:
    """Return what each calendar week brought, in order."""
    by_week: dict[str, list[float]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.day):
        day = date.fromisoformat(pair.day)
        monday = (day - timedelta(days=day.weekday())).isoformat()
        by_week.setdefault(monday, []).append(pair.live.cost_czk - pair.candidate.cost_czk)
    return [WeekGain(monday, len(gains), sum(gains) / len(gains)) for monday, gains in by_week.items()]


def strategy_score(pairs: Sequence[DayPair], strategy: Strategy) -> Score | None:
    """Return the verdict that plans read (`strategy_value`): of the last eight weeks; None before four are lived.

    Args:
        pairs: Days with `point` as the live configuration and the strategy as the candidate.
        strategy: Which.
    """
    ordered = sorted(pairs, key=lambda pair: pair.day)
    if not ordered:
        return None
    last = date.fromisoformat(ordered[-1].day)
    recent = [p for p in ordered if (last - date.fromisoformat(p.day)).days < SEASON_DAYS]
    interval = mean_interval([p.live.cost_czk - p.candidate.cost_czk for p in recent])
    if interval is None or len(recent) < LEAST_DAYS:
        return None
    metrics = {
        "days": float(len(recent)),
        "gain_czk_day": round(interval.mean, 4),
        "gain_low_czk_day": round(interval.low, 4),
        "gain_high_czk_day": round(interval.high, 4),
    }
    window = f"{recent[0].day}/{recent[-1].day}"
    return Score(kind=VALUE_KIND, window=window, metrics=metrics, model=strategy, baseline="point")
