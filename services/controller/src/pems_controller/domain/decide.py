"""One tick's decision for the whole house: for each device its mode, what it shall do, and which limits changed that.

Pure: the same inputs give the same decision, so any tick can be replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pems_common.home import Home
from pems_common.messages import Clamp, Mode, Thermal
from pems_controller.domain import overrides, safety
from pems_controller.domain.ladder import Conditions, Decision, decide
from pems_controller.domain.limits import ImportKeep, apply_limits
from pems_controller.domain.overrides import Override
from pems_controller.domain.plan_follow import HeldPlan, plan_wish, trust
from pems_controller.domain.prices import PriceView
from pems_controller.domain.rules import RuleInputs, rule_wish
from pems_controller.domain.state import HouseState, Limited, Wish

__all__ = ["Decided", "HouseInputs", "decide_house", "in_rollout"]

DecidedBy = Literal["override", "plan", "rules", "limits", "hand_back"]
_BY: dict[Mode, DecidedBy] = {"manual": "override", "mpc": "plan", "rule_based": "rules", "safety": "limits"}


@dataclass(frozen=True)
class HouseInputs:
    """Everything a decision depends on beside home.yaml.

    Attributes:
        state: What is measured.
        mono_s: House seconds on the monotonic clock, for the age of plans.
        armed: Both keys are turned, and nobody disarmed.
        stopping: PEMS is going down.
        outranked: A newer controller lives.
        overrides: Running overrides by device.
        plan: The plan that applies now.
        config_hash: Of home.yaml.
        prices: Known prices.
        thermal: Room models.
        broken: Rooms whose hard limit was broken at the last tick (for hysteresis).
        floor_held_s: How long the battery has been held at its lower limit.
    """

    state: HouseState
    mono_s: float
    armed: bool
    stopping: bool
    outranked: bool
    overrides: Mapping[str, Override]
    plan: HeldPlan | None
    config_hash: str
    prices: PriceView
    thermal: Mapping[str, Thermal]
    broken: frozenset[str] = frozenset()
    floor_held_s: float | None = None


@dataclass(frozen=True)
class Decided:
    """What was decided for one device."""

    device: str
    decision: Decision
    wish: Wish
    clamps: tuple[Clamp, ...]
    decided_by: DecidedBy
    until: datetime | None = None


def in_rollout(home: Home, device: str) -> bool:
    """Tell whether a device may be commanded at all: listed, and behind an interface that can be written."""
    if device == "battery" and not home.devices.inverter.writable:
        return False
    return "*" in home.control.rollout or device in home.control.rollout


def _known_and_broken(home: Home, device: str, inputs: HouseInputs) -> tuple[bool, bool]:
    """Whether the device's own state is known, and whether a hard limit is broken for it."""
    kind, _, name = device.partition(":")
    state = inputs.state
    if kind == "room":
        room = state.rooms[name]
        known = room.fresh and room.temperature_c is not None
        broken = safety.room_limit_broken(home, room.temperature_c, was_broken=device in inputs.broken)
        return known, known and broken
    if kind == "battery":
        known = state.battery.fresh and state.battery.soc_pct is not None
        return known, known and safety.battery_limit_broken(state.battery.temperature_c)
    return (state.ev.fresh if kind == "ev" else state.water.fresh), False


def _decide_one(home: Home, device: str, inputs: HouseInputs) -> tuple[Decision, Wish, datetime | None]:
    known, broken = _known_and_broken(home, device, inputs)
    override = inputs.overrides.get(device)
    if override is not None and override.until <= inputs.state.at:
        override = None
    kind, _, name = device.partition(":")
    thermal = inputs.thermal.get(name) if kind == "room" else None
    decision = decide(
        Conditions(
            armed=inputs.armed,
            shadow=home.control.shadow,
            in_rollout=in_rollout(home, device),
            stopping=inputs.stopping,
            outranked=inputs.outranked,
            state_known=known,
            limit_broken=broken,
            overridden=override is not None,
            plan=trust(home, inputs.config_hash, inputs.plan, device, inputs.state, inputs.mono_s, thermal),
        )
    )
    if decision.acts_as == "safety":
        return decision, safety.safety_wish(home, device, inputs.state), None
    if decision.acts_as == "manual" and override is not None:
        return decision, overrides.wish_of(override, inputs.state), override.until
    if decision.acts_as == "mpc" and inputs.plan is not None:
        return decision, plan_wish(inputs.plan.plan, device, inputs.state), None
    return decision, rule_wish(home, device, RuleInputs(inputs.state, inputs.prices, inputs.thermal)), None


def decide_house(home: Home, inputs: HouseInputs) -> dict[str, Decided]:
    """Decide for every device, and bring what is wished inside the hard limits.

    Devices that are not live are limited as if everything were (their decision is only recorded); the live ones
    are limited among themselves, with the others as part of what the meter shows.
    """
    first = {device: _decide_one(home, device, inputs) for device in home.device_names}
    wishes = {device: wish for device, (_, wish, _) in first.items()}
    live = {device: wish for device, wish in wishes.items() if first[device][0].live}
    keep_w = None if inputs.plan is None else inputs.plan.plan.import_keep_w
    followers = frozenset(device for device, (decision, _, _) in first.items() if decision.acts_as == "mpc")
    keep = None if keep_w is None else ImportKeep(keep_w, followers)
    limited: dict[str, Limited] = {}
    if len(live) < len(wishes):
        limited.update(apply_limits(home, inputs.state, wishes, floor_held_s=inputs.floor_held_s, keep=keep))
    if live:
        limited.update(apply_limits(home, inputs.state, live, floor_held_s=inputs.floor_held_s, keep=keep))
    return {
        device: Decided(device, decision, limited[device].wish, limited[device].clamps, _BY[decision.acts_as], until)
        for device, (decision, _, until) in first.items()
    }
