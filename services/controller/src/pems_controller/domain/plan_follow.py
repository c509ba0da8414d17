"""Following a plan: whether it is trusted for a device now, and what it says in the present slot.

A plan expires by two clocks: 2 h after the moment its `plan_id` was seen first (monotonic, so a stepped clock or a
re-sent old plan gains nothing) and 2 h after `issued_at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor

from pems_common.home import Home
from pems_common.messages import BatteryPlan, Plan, RoomPlan, Thermal
from pems_controller.domain.ladder import PlanTrust
from pems_controller.domain.state import BatteryWish, EvWish, HouseState, RoomState, RoomWish, WaterWish, Wish

__all__ = ["TRUSTED_FOR", "HeldPlan", "choose", "plan_age_s", "plan_wish", "refuse", "trust"]

TRUSTED_FOR = timedelta(hours=2)
_CLOCK_SLACK = timedelta(seconds=60)
_GUARD_ABOVE_PLAN_K = 0.5
_GUARD_HYSTERESIS_K = 0.2
_STEP_S = 900
_SLOTS_MAX = 96 * 4
_PLAN_DECIDES = frozenset({"prior", "control"})  # tiers of a room's model


@dataclass(frozen=True)
class HeldPlan:
    """A plan and when it was seen first: house time, and house seconds on the monotonic clock of this process."""

    plan: Plan
    first_seen_at: datetime
    first_seen_s: float


def refuse(plan: Plan, config_hash: str, now: datetime) -> str:
    """Return why a plan that just came is not even kept; empty when it is fine."""
    if plan.config_hash != config_hash:
        return "plan_for_other_config"
    if plan.issued_at > now + _CLOCK_SLACK:
        return "plan_from_future"
    if now - plan.issued_at >= TRUSTED_FOR:
        return "plan_too_old"
    if plan.step_s != _STEP_S or not 1 <= plan.slots <= _SLOTS_MAX:
        return "plan_malformed"
    series: list[Sequence[object]] = [s for s in (plan.ev_power_w, plan.water_on, plan.pv_limit_w) if s]
    for room in plan.rooms.values():
        series += [room.relay_on, room.temperature_c, room.comfort_low_c, room.comfort_high_c]
    if plan.battery is not None:
        series += [plan.battery.intent, plan.battery.power_w, plan.battery.soc_pct]
    return "plan_malformed" if any(len(s) != plan.slots for s in series) else ""


def plan_age_s(held: HeldPlan, now: datetime, mono_s: float) -> float:
    """Return the greater of both ages [house s]: since first sight, and since it was issued."""
    return max(mono_s - held.first_seen_s, (now - held.plan.issued_at).total_seconds())


def _slot(plan: Plan, at: datetime) -> int | None:
    """Index of the slot that holds an instant, None outside the plan."""
    index = (at - plan.start) // timedelta(seconds=plan.step_s)
    return index if 0 <= index < plan.slots else None


def choose(plans: Sequence[HeldPlan], now: datetime, mono_s: float) -> HeldPlan | None:
    """Return the newest plan that has begun and is fresh: until a new plan's first slot the old one still holds.

    Where none is fresh, the newest that has begun: its reason against is then shown.
    """
    begun = [h for h in sorted(plans, key=lambda h: -h.plan.plan_no) if _slot(h.plan, now) is not None]
    fresh = [h for h in begun if plan_age_s(h, now, mono_s) < TRUSTED_FOR.total_seconds()]
    return next(iter(fresh or begun), None)


def _expected(values: Sequence[float], index: int, plan: Plan, now: datetime) -> float:
    """Interpolate values that hold at slot ends; in the first slot there is only its end."""
    end = values[index]
    if index == 0:
        return end
    start_at = plan.start + index * timedelta(seconds=plan.step_s)
    share = (now - start_at).total_seconds() / plan.step_s
    return values[index - 1] + (end - values[index - 1]) * share


def _covers(plan: Plan, device: str) -> bool:
    kind, _, name = device.partition(":")
    return {
        "room": name in plan.rooms,
        "battery": plan.battery is not None,
        "ev": bool(plan.ev_power_w),
        "water": bool(plan.water_on),
    }[kind]


def trust(
    home: Home,
    config_hash: str,
    held: HeldPlan | None,
    device: str,
    state: HouseState,
    mono_s: float,
    thermal: Thermal | None = None,
) -> PlanTrust:
    """Check every condition under which the plan is followed for a device.

    A room whose model fell to tier `observe` or `suggest` after the plan was made leaves the plan at once: the next
    plan, which leaves it to the rules too, may be an hour away. Minimum times of its relay hold as ever.
    """
    model_trusted = thermal is None or thermal.tier in _PLAN_DECIDES
    if held is None:
        return PlanTrust(model_trusted=model_trusted)
    plan, now = held.plan, state.at
    index = _slot(plan, now)
    if index is None or not _covers(plan, device):
        return PlanTrust(model_trusted=model_trusted)
    kind, _, name = device.partition(":")
    in_tolerance = True
    if kind == "room":
        measured = state.rooms[name].temperature_c
        expected = _expected(plan.rooms[name].temperature_c, index, plan, now)
        in_tolerance = measured is not None and abs(measured - expected) <= home.control.room_tolerance_c
    elif kind == "battery" and plan.battery is not None:
        soc = state.battery.soc_pct
        expected = _expected(plan.battery.soc_pct, index, plan, now)
        in_tolerance = soc is not None and abs(soc - expected) <= home.control.soc_tolerance_pct
    return PlanTrust(
        present=True,
        same_config=plan.config_hash == config_hash,
        not_from_future=plan.issued_at <= now + _CLOCK_SLACK,
        fresh=plan_age_s(held, now, mono_s) < TRUSTED_FOR.total_seconds(),
        in_control=plan.start + index * timedelta(seconds=plan.step_s) < plan.control_until,
        in_tolerance=in_tolerance,
        model_trusted=model_trusted,
    )


def _room(room: RoomState, plan: Plan, rows: RoomPlan, index: int, now: datetime) -> RoomWish:
    """The planned relay, guarded inside the slot: off above the band or the prediction, on below the band."""
    planned, measured = rows.relay_on[index], room.temperature_c
    if measured is None:
        return RoomWish(planned)
    on = bool(room.relay.on)
    if planned:
        expected = _expected(rows.temperature_c, index, plan, now)
        top = min(rows.comfort_high_c[index], expected + _GUARD_ABOVE_PLAN_K)
        return RoomWish(measured <= (top if on else top - _GUARD_HYSTERESIS_K))
    low = rows.comfort_low_c[index]
    return RoomWish(measured < (low + _GUARD_HYSTERESIS_K if on else low))


def _battery(plan: Plan, rows: BatteryPlan, index: int) -> BatteryWish:
    """Intent and power of the slot; the run of equal intents gives its end and the SoC at which to stop."""
    intent, last = rows.intent[index], index
    while last + 1 < plan.slots and rows.intent[last + 1] == intent:
        last += 1
    until = plan.start + (last + 1) * timedelta(seconds=plan.step_s)
    stop: float | None = None
    if intent == "charge_from_grid":
        stop = ceil(max(rows.soc_pct[index : last + 1])) + 1.0
    elif intent == "discharge_to_grid":
        stop = floor(min(rows.soc_pct[index : last + 1])) - 1.0
    limit = plan.pv_limit_w[index] if plan.pv_limit_w else None
    return BatteryWish(intent, abs(rows.power_w[index]), stop, until, export=limit is None)


def plan_wish(plan: Plan, device: str, state: HouseState) -> Wish:
    """Return what a trusted plan says for a device now.

    Raises:
        LookupError: The plan says nothing about it (`trust` was not asked).
    """
    index = _slot(plan, state.at)
    if index is None or not _covers(plan, device):
        raise LookupError(device)
    kind, _, name = device.partition(":")
    if kind == "room":
        return _room(state.rooms[name], plan, plan.rooms[name], index, state.at)
    if kind == "battery" and plan.battery is not None:
        return _battery(plan, plan.battery, index)
    return EvWish(max(0.0, plan.ev_power_w[index])) if kind == "ev" else WaterWish(plan.water_on[index])
