"""The rooms as rows: how warm, how warm it should be, what the relay does and will do, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pems_common.comfort import comfort_band_c, comfort_target_c
from pems_common.home import Home
from pems_common.messages import DeviceMode, OverrideEntry, Plan, RoomReading
from pems_common.timegrid import slot_index, slot_start
from pems_monitor.domain.now import PLAN_TRUSTED
from pems_monitor.domain.state import HouseState

__all__ = ["Comfort", "OnSpan", "RoomRow", "override_rows", "room_rows"]

_STRIP = timedelta(hours=24)

Comfort = str  # below | inside | above | unknown


@dataclass(frozen=True)
class OnSpan:
    """A share of the next 24 h in which the relay is planned on: 0 is now, 1 is 24 h ahead."""

    begin: float
    end: float


@dataclass(frozen=True)
class RoomRow:
    """One room.

    Attributes:
        comfort: below, inside or above the band, or unknown.
        next_switch_at: When the plan switches the relay next; None when it does not, or without a trusted plan.
        next_on: What it switches to.
        strip: Planned heating over the next 24 h.
        left: A trusted plan leaves the room to its thermostat.
    """

    name: str
    temperature_c: float | None
    target_c: float
    low_c: float
    high_c: float
    comfort: Comfort
    relay_on: bool | None
    relay_w: float
    window_open: bool
    next_switch_at: datetime | None
    next_on: bool | None
    mode: DeviceMode | None
    override: OverrideEntry | None
    strip: tuple[OnSpan, ...]
    left: bool = False


def _comfort(temperature_c: float | None, low_c: float, high_c: float) -> Comfort:
    if temperature_c is None:
        return "unknown"
    if temperature_c < low_c:
        return "below"
    return "above" if temperature_c > high_c else "inside"


def _next_switch(plan: Plan, relays: Sequence[bool], now: datetime) -> tuple[datetime | None, bool | None]:
    step = timedelta(seconds=plan.step_s)
    here = slot_index(plan.start, slot_start(now), step)
    if not 0 <= here < len(relays):
        here = 0 if here < 0 and relays else -1
    if here < 0:
        return None, None
    for i in range(here + 1, len(relays)):
        if relays[i] != relays[here]:
            return plan.start + i * step, relays[i]
    return None, None


def _strip(plan: Plan, relays: Sequence[bool], now: datetime) -> tuple[OnSpan, ...]:
    step = timedelta(seconds=plan.step_s)
    spans: list[OnSpan] = []
    for i, on in enumerate(relays):
        begin = (plan.start + i * step - now) / _STRIP
        end = (plan.start + (i + 1) * step - now) / _STRIP
        if not on or end <= 0 or begin >= 1:
            continue
        begin, end = max(0.0, begin), min(1.0, end)
        if spans and abs(spans[-1].end - begin) < 1e-9:
            spans[-1] = OnSpan(spans[-1].begin, end)
        else:
            spans.append(OnSpan(begin, end))
    return tuple(spans)


def room_rows(state: HouseState, home: Home, now: datetime) -> list[RoomRow]:
    """One row per room of home.yaml, in its order; a room without readings still has its target."""
    readings = state.telemetry.rooms if state.telemetry else {}
    modes = state.status.devices if state.status else {}
    overrides = {entry.device: entry for entry in override_rows(state, now)}
    plan = state.plan
    trusted = plan is not None and now - plan.issued_at <= PLAN_TRUSTED
    rows = []
    for name, room in home.rooms.items():
        reading = readings.get(name, RoomReading())
        low_c, high_c = comfort_band_c(home, name, now)
        planned = plan.rooms.get(name) if plan is not None and trusted else None
        at, on = _next_switch(plan, planned.relay_on, now) if plan and planned else (None, None)
        rows.append(
            RoomRow(
                name=name,
                temperature_c=reading.temperature_c,
                target_c=comfort_target_c(home, name, now),
                low_c=low_c,
                high_c=high_c,
                comfort=_comfort(reading.temperature_c, low_c, high_c),
                relay_on=reading.relay_on,
                relay_w=room.heat_w,
                window_open=bool(reading.window_open),
                next_switch_at=at,
                next_on=on,
                mode=modes.get(f"room:{name}"),
                override=overrides.get(f"room:{name}"),
                strip=_strip(plan, planned.relay_on, now) if plan and planned else (),
                left=trusted and planned is None,
            )
        )
    return rows


def override_rows(state: HouseState, now: datetime) -> list[OverrideEntry]:
    """Overrides that still run, the first to end first."""
    if state.status is None:
        return []
    return sorted((o for o in state.status.overrides if o.until > now), key=lambda o: (o.until, o.device))
