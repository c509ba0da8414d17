"""What the solver remembers of the last plan, moved on in time: the beginning of the next search."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["LastSearch", "moved_memory"]

_BY_SLOT = ("price", "heat_price", "car_price")
_NEEDED = ("on", *_BY_SLOT, "device", "names")  # what a search recalls


@dataclass(frozen=True)
class LastSearch:
    """The part of the last plan's making that the next search begins with.

    Attributes:
        config_hash: Of the home it was made for: another one begins cold.
        start: Start of its first slot.
        step: Length of its slots.
        memory: Its schedules and prices; empty where the solver kept nothing.
    """

    config_hash: str
    start: datetime
    step: timedelta
    memory: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, record: PlanRecord) -> "LastSearch":
        """Take it from a plan's record."""
        memory = {name: record.solver_memory[name] for name in _NEEDED if name in record.solver_memory}
        return cls(record.config_hash, record.problem.start, record.problem.step, memory)


def _shifted(values: NDArray[np.generic], by: int, slots: int, day: int) -> NDArray[np.generic]:
    """Drop the first `by` slots of the last axis; what is missing at the end is as a day before."""
    out = values[..., by:][..., :slots]
    while out.shape[-1] < slots:
        back = min(day, out.shape[-1])
        out = np.concatenate([out, out[..., -back:][..., : slots - out.shape[-1]]], axis=-1)
    return out


def moved_memory(
    memory: Mapping[str, NDArray[np.generic]], start: datetime, step: timedelta, problem: PlanningProblem
) -> dict[str, NDArray[np.generic]] | None:
    """Return a solver's memory on the grid of a new problem.

    Args:
        memory: Of an earlier plan (`Solved.memory`); may be empty.
        start: Start of that plan's first slot.
        step: Length of its slots.
        problem: The new problem.

    Returns:
        The memory, or None where nothing of it holds: another slot length, another day, or nothing remembered.
    """
    if not memory or step != problem.step or "on" not in memory:
        return None
    by, rest = divmod(problem.start - start, step)
    old = memory["on"].shape[-1]
    if rest or not 0 <= by < old // 2:
        return None
    day = max(1, int(timedelta(days=1) / step))
    moved = dict(memory)
    for name in ("on", *_BY_SLOT):
        moved[name] = _shifted(memory[name], int(by), problem.slots, day)
    return moved
