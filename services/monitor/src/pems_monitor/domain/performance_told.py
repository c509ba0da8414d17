"""What forecasts and plans said beforehand, reduced to what is compared with what was measured."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pems_common.messages import Band, Envelope, Forecast, Plan, read_body

__all__ = ["LEADS_H", "Foreseen", "PlanTold", "Told", "read_forecast", "read_plan", "told_by"]

LEADS_H = (24, 6)
"""How long before its hour a forecast has to be known to be judged [h]: a day ahead, and some hours ahead."""

_OLDEST = timedelta(hours=3)  # beyond the lead; nothing newer means that nothing was said
_SLOT_S = 900


@dataclass(frozen=True)
class Foreseen:
    """A forecast's bands.

    Attributes:
        at: When it was told.
        bands: `pv` and `load` [W].
    """

    at: datetime
    bands: Mapping[str, Band]


@dataclass(frozen=True)
class PlanTold:
    """A plan in short.

    Attributes:
        at: When it was issued.
        start: Of its first slot.
        step_s: Length of its slots [s].
        room_c: Air temperature at the end of each slot by room [C].
        relay_on: Heating in each slot by room.
        solve_s: How long it was solved for [s].
        saving_czk_day: What the rules would have cost beyond it, by its own forecast, per day; None where unknown.
        fallback: Whether a plan of the rules stood in for the optimizer.
    """

    at: datetime
    start: datetime
    step_s: int
    room_c: Mapping[str, Sequence[float]]
    relay_on: Mapping[str, Sequence[bool]]
    solve_s: float
    saving_czk_day: float | None
    fallback: bool

    def slot(self, instant: datetime) -> int | None:
        """Index of the slot that begins at the instant; None where none does."""
        index, rest = divmod((instant - self.start).total_seconds(), self.step_s)
        return int(index) if rest == 0 and index >= 0 and self.step_s == _SLOT_S else None


T = TypeVar("T", Foreseen, PlanTold)


@dataclass(frozen=True)
class Told(Generic[T]):
    """What was told, oldest first."""

    items: Sequence[T]

    def before(self, instant: datetime, lead_h: int) -> T | None:
        """The newest that was told `lead_h` before the instant's hour began, at most 3 h older; None without one."""
        mark = told_by(instant, lead_h)
        place = bisect_right(self.items, mark, key=lambda item: item.at)
        found = self.items[place - 1] if place else None
        return found if found is not None and found.at > mark - _OLDEST else None


def told_by(instant: datetime, lead_h: int) -> datetime:
    """By when a forecast for the instant had to be told: `lead_h` before its hour began."""
    return instant.replace(minute=0, second=0, microsecond=0) - timedelta(hours=lead_h)


def read_forecast(envelope: Envelope) -> Foreseen:
    """Read a forecast.

    Raises:
        PermanentError: It cannot be read.
    """
    forecast = read_body(envelope, Forecast)
    return Foreseen(envelope.at, {"pv": forecast.pv_power_w, "load": forecast.load_power_w})


def read_plan(envelope: Envelope) -> PlanTold:
    """Read a plan.

    Raises:
        PermanentError: It cannot be read.
    """
    plan = read_body(envelope, Plan)
    days = plan.slots * plan.step_s / 86_400
    saving = None if plan.baseline_total_czk is None else (plan.baseline_total_czk - plan.cost.total) / days
    return PlanTold(
        at=plan.issued_at,
        start=plan.start,
        step_s=plan.step_s,
        room_c={name: room.temperature_c for name, room in plan.rooms.items()},
        relay_on={name: room.relay_on for name, room in plan.rooms.items()},
        solve_s=plan.solver.solve_s,
        saving_czk_day=saving,
        fallback=plan.fallback_mode,
    )
