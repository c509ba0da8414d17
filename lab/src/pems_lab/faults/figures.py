"""The numbers of a day with faults, and what those of many days say together."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "DayFigures", "summarise"]

Floats = NDArray[np.float64]

_WORST_KEPT = 5


@dataclass(frozen=True)
class DayFigures:
    """The numbers of a day with faults.

    Attributes:
        faults: How many there were.
        cost_czk: Paid at the meter less earned, and wear of the battery.
        peak_w: Highest 15-min mean of import.
        below_worst_k_h: Below the comfort band, of the worst room.
        below_sum_k_h: Of all rooms together.
        coldest_c: Lowest air temperature of any room.
        frost_min: Minutes in which a room was below the lower hard limit (`limits.room_min_c`).
        frost_unheated_min: Those in which such a room's relay was off.
        sent_beyond: Ticks and commands beyond a hard limit by what the controller itself sent (`SentWatch`).
        beyond_s: Time beyond a limit of the house, whoever was to blame (`comparison.limit_seconds`).
        beyond_unexplained_s: Without what a fault breaks while it is on or soon after, PEMS having no way to prevent
            it (`Blame`).
        mpc_pct: Share of ticks of devices that followed a plan; of all ticks of a living controller.
        stand_in_pct: Those among them whose plan was the planner's own, by the rules, for want of a worker's.
        rules_pct: That followed the rules.
        safety_pct: In safety.
        silent_pct: Share of all ticks that a dead controller did not make.
        back_min: From the end of faults until the house followed a plan of the solver again, the longest; the rest of
            the day where it did not, NaN where no fault ended.
        soc_min_pct: Lowest state of charge; NaN without a battery.
        plans: Plans published.
        rule_plans: Of the rules.
        exceptions: Unhandled, other than that a server was away.
    """

    faults: float
    cost_czk: float
    peak_w: float
    below_worst_k_h: float
    below_sum_k_h: float
    coldest_c: float
    frost_min: float
    frost_unheated_min: float
    sent_beyond: float
    beyond_s: float
    beyond_unexplained_s: float
    mpc_pct: float
    stand_in_pct: float
    rules_pct: float
    safety_pct: float
    silent_pct: float
    back_min: float
    soc_min_pct: float
    plans: float
    rule_plans: float
    exceptions: float

    def values(self) -> tuple[float, ...]:
        """The numbers in the order of `COLUMNS`."""
        return tuple(float(getattr(self, name)) for name in COLUMNS)


COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(DayFigures))
"""Names of the numbers, in their order."""

_LOW_IS_WORSE = frozenset({"coldest_c", "mpc_pct", "soc_min_pct", "plans"})
_RANKED = tuple(name for name in COLUMNS if name not in ("faults", "plans"))


def summarise(values: Mapping[str, Floats]) -> dict[str, Any]:
    """Say what many days say together.

    Args:
        values: By column, in the order of the items (N,), NaN where one does not apply.

    Returns:
        JSON data: `items`; `days_with` (how many days had frost, commands beyond limits, a house beyond limits for
        no reason of the faults, exceptions); `distribution` by column (mean, p10, p50, p90, and the worst); `worst` by
        column: up to five days as [number of the item, value], the worst first.
    """
    count = len(values["faults"])
    bad = {
        "frost": values["frost_min"] > 0.0,
        "frost_unheated": values["frost_unheated_min"] > 0.0,
        "sent_beyond": values["sent_beyond"] > 0.0,
        "beyond_unexplained": values["beyond_unexplained_s"] > 0.0,
        "exceptions": values["exceptions"] > 0.0,
    }
    return {
        "items": count,
        "days_with": {name: int(np.count_nonzero(which)) for name, which in bad.items()},
        "distribution": {name: _distribution(name, values[name]) for name in COLUMNS},
        "worst": {name: _worst(name, values[name]) for name in _RANKED},
    }


def _distribution(name: str, values: Floats) -> dict[str, float] | None:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return None
    p10, p50, p90 = np.quantile(known, (0.1, 0.5, 0.9))
    worst = known.min() if name in _LOW_IS_WORSE else known.max()
    told = {"mean": known.mean(), "p10": p10, "p50": p50, "p90": p90, "worst": worst}
    return {key: round(float(value), 4) for key, value in told.items()}


def _worst(name: str, values: Floats) -> list[tuple[int, float]]:
    known = np.flatnonzero(~np.isnan(values))
    sign = 1.0 if name in _LOW_IS_WORSE else -1.0
    order = known[np.argsort(sign * values[known], kind="stable")]
    return [(int(item), round(float(values[item]), 4)) for item in order[:_WORST_KEPT]]
