"""What was measured, as slot means: named series keyed by slot number, a few weeks long.

Readers say until when they may look (`before`): that is what keeps the future out of a forecast.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Ints

__all__ = ["KEEP_DAYS", "LIMITED_SHARE", "SlotHistory"]

KEEP_DAYS = 63
"""Load models look for similar days in the last eight weeks."""
LIMITED_SHARE = 0.3
"""A slot in which PV was held back for longer than this share teaches nothing."""


@dataclass
class SlotHistory:
    """Slot means of the site.

    Series: `load_w` (without controlled loads), `pv_w`, `pv_limited` (1 where PV could not run free),
    `pv_snow` (share of the plant under snow as it was then believed),
    `outdoor_c`, `spot_eur_mwh` (released prices, also of coming slots), `ghi_w_m2`, `cloud_pct`
    (of the weather then believed).
    """

    series: dict[str, dict[int, float]] = field(default_factory=dict)

    def put(self, name: str, slot: int, value: float | None) -> None:
        """Keep a slot's value; None, NaN and infinities are dropped."""
        if value is None or not np.isfinite(value):
            return
        self.series.setdefault(name, {})[slot] = float(value)

    def put_missing(self, name: str, first: int, values: Iterable[float | None]) -> int:
        """Fill in values where nothing is kept yet (a backfill never overrides); returns how many were new."""
        kept = self.series.setdefault(name, {})
        new = 0
        for slot, value in enumerate(values, first):
            if value is not None and np.isfinite(value) and slot not in kept:
                kept[slot] = float(value)
                new += 1
        return new

    def get(self, name: str, slot: int, *, before: int) -> float | None:
        """Value of a slot, None where unknown or not before `before`."""
        return self.series.get(name, {}).get(slot) if slot < before else None

    def at(self, name: str, slots: Ints, *, before: int) -> Floats:
        """Values of many slots, NaN where unknown or not before `before`."""
        kept = self.series.get(name, {})
        return np.array([kept.get(int(n), np.nan) if n < before else np.nan for n in slots], dtype=np.float64)

    def free_pv_w(self, slots: Ints, *, before: int) -> Floats:
        """PV power of many slots, NaN where unknown, not before `before`, or held back."""
        limited = np.nan_to_num(self.at("pv_limited", slots, before=before)) > LIMITED_SHARE
        return np.where(limited, np.nan, self.at("pv_w", slots, before=before))

    def window(self, name: str, first: int, before: int) -> tuple[Ints, Floats]:
        """Known (slots, values) with `first <= slot < before`, oldest first."""
        items = sorted((n, v) for n, v in self.series.get(name, {}).items() if first <= n < before)
        if not items:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        slots, values = zip(*items, strict=True)
        return np.array(slots, dtype=np.int64), np.array(values, dtype=np.float64)

    def prune(self, now: int, days: int = KEEP_DAYS) -> None:
        """Drop what is older than `days`."""
        oldest = now - days * SLOTS_PER_DAY
        for kept in self.series.values():
            for slot in [n for n in kept if n < oldest]:
                del kept[slot]

    def to_json(self) -> dict[str, dict[str, list[float] | list[int]]]:
        """Return plain data for the state file."""
        return {
            name: {"slots": list(kept), "values": [round(v, 3) for v in kept.values()]}
            for name, kept in self.series.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Mapping[str, list[float]]]) -> "SlotHistory":
        """Read plain data of the state file.

        Raises:
            ValueError: Slots and values differ in number.
        """
        history = cls()
        for name, kept in data.items():
            for slot, value in zip(kept["slots"], kept["values"], strict=True):
                history.put(name, int(slot), value)
        return history
