"""Numbers and series of a problem file as what they mean in a slot, and as arrays."""

from typing import Any

import numpy as np

from pems_optimizer.domain.problem import Floats

__all__ = ["as_array", "at_slot", "first_below", "most_of"]


def at_slot(value: Any, t: int) -> float:
    """Return slot `t` of a number or series; the last value where a series is too short (told elsewhere)."""
    if isinstance(value, tuple):
        return float(value[min(t, len(value) - 1)]) if value else 0.0
    return float(value)


def first_below(low: Any, high: Any, gap: float = 0.0) -> int | None:
    """Return the first slot in which high is not at least `gap` above low; None where there is none."""
    longest = max(len(v) if isinstance(v, tuple) else 1 for v in (low, high))
    return next((t for t in range(longest) if at_slot(high, t) < at_slot(low, t) + gap - 1e-9), None)


def most_of(value: Any) -> float:
    """Return a number, or the greatest of a series."""
    return float(max(value, default=0.0)) if isinstance(value, tuple) else float(value)


def as_array(value: Any, slots: int) -> Floats:
    """Return a number or series as one value per slot (T,)."""
    return np.array(value, dtype=np.float64) if isinstance(value, tuple) else np.full(slots, float(value))
