"""Slot means of what was measured: the monitor's own for as long as it watched, ingest's history where it has more."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pems_common.home import Home
from pems_common.messages import Telemetry
from pems_common.timegrid import SLOT, slot_range, slot_start
from pems_monitor.domain.now import base_load_w, heating_power_w
from pems_monitor.domain.state import PastSlots

__all__ = ["HISTORY_SERIES", "SlotMeans", "merged_past"]

# Series asked of the history; the derived ones (`heating_power_w`, `base_load_w`) come from rooms and loads.
HISTORY_SERIES = ("pv_power_w", "load_power_w", "grid_power_w", "battery_power_w", "battery_soc_pct")
SHOWN = ("pv_power_w", "base_load_w", "grid_power_w", "battery_power_w", "battery_soc_pct", "heating_power_w")


@dataclass
class _Slot:
    start: datetime
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class SlotMeans:
    """Means per 15-min slot of the telemetry seen, for the last hours."""

    def __init__(self, keep: timedelta = timedelta(hours=13)) -> None:
        """Keep so many hours (house time)."""
        self._slots: deque[_Slot] = deque(maxlen=int(keep / SLOT))

    def add(self, at: datetime, telemetry: Telemetry, home: Home) -> None:
        """Count one telemetry."""
        start = slot_start(at)
        if self._slots and start < self._slots[-1].start:
            return
        if not self._slots or start > self._slots[-1].start:
            self._slots.append(_Slot(start))
        slot = self._slots[-1]
        for name, value in (
            ("pv_power_w", telemetry.pv_power_w),
            ("base_load_w", base_load_w(telemetry, home)),
            ("grid_power_w", telemetry.grid_power_w),
            ("battery_power_w", telemetry.battery_power_w),
            ("battery_soc_pct", telemetry.battery_soc_pct),
            ("heating_power_w", heating_power_w(telemetry, home)),
        ):
            if value is not None:
                slot.sums[name] = slot.sums.get(name, 0.0) + value
                slot.counts[name] = slot.counts.get(name, 0) + 1

    def at(self, name: str, start: datetime) -> float | None:
        """Mean of a slot; None where nothing was seen."""
        for slot in self._slots:
            if slot.start == start:
                count = slot.counts.get(name, 0)
                return slot.sums[name] / count if count else None
        return None


def _derived(history: Mapping[str, list[float | None]], home: Home, i: int) -> dict[str, float | None]:
    """Heating and base load of slot `i` from the history's relays and loads."""

    def value(name: str) -> float | None:
        values = history.get(name, [])
        return values[i] if i < len(values) else None

    relays = {name: value(f"room.{name}.relay_on") for name in home.rooms}
    heating_w = (
        sum(home.rooms[name].heat_w * share for name, share in relays.items() if share is not None)
        if any(share is not None for share in relays.values())
        else None
    )
    load_w = value("load_power_w")
    base_w = None
    if load_w is not None:
        base_w = max(0.0, load_w - (heating_w or 0.0) - (value("ev.power_w") or 0.0) - (value("water.power_w") or 0.0))
    return {"heating_power_w": heating_w, "base_load_w": base_w}


def merged_past(
    means: SlotMeans, history: Mapping[str, list[float | None]], start: datetime, end: datetime, home: Home
) -> PastSlots:
    """Past slots of `[start, end)`: the monitor's own means, filled up from the history.

    Args:
        means: What the monitor saw itself.
        history: Slot means by series on the grid beginning at `start`; may be empty.
        start: A slot boundary.
        end: A slot boundary.
        home: For rated powers.
    """
    slots = slot_range(start, int((end - start) / SLOT))
    columns: dict[str, list[float | None]] = {name: [] for name in SHOWN}
    for i, at in enumerate(slots):
        derived = _derived(history, home, i) if history else {}
        for name in SHOWN:
            own = means.at(name, at)
            if own is None:
                stored = history.get(name, [])
                own = derived.get(name) if name in derived else (stored[i] if i < len(stored) else None)
            columns[name].append(own)
    return PastSlots(start, int(SLOT.total_seconds()), {name: tuple(values) for name, values in columns.items()})
