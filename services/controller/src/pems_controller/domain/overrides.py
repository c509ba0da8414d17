"""Overrides: what a person may ask of a device, checked, and what it means for the device at a tick."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, get_args

from pems_common.home import Home
from pems_common.messages import Intent
from pems_controller.domain.rules import thermostat
from pems_controller.domain.state import BatteryWish, EvWish, HouseState, RoomWish, WaterWish, Wish

__all__ = ["LONGEST", "Override", "OverrideProblem", "check", "wish_of"]

LONGEST = timedelta(days=7)
_PERSON_BATTERY = tuple(i for i in get_args(Intent) if i != "off")


@dataclass(frozen=True)
class Override:
    """A running override: `until` is house time, `revision` grows with every change of any override."""

    device: str
    action: str
    params: dict[str, Any]
    until: datetime
    by: str
    revision: int


class OverrideProblem(ValueError):
    """The override cannot be taken; the text says why and what would be possible."""


def _param(params: Mapping[str, Any], name: str, low: float, high: float, default: float | None) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise OverrideProblem(f"params.{name} must be a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise OverrideProblem(f"params.{name} = {value:g} is outside {low:g}..{high:g}")
    return float(value)


def check(home: Home, device: str, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params in full (defaults filled in).

    Raises:
        KeyError: No such device in this house.
        OverrideProblem: The device cannot do that, or a parameter is missing, unknown or impossible.
    """
    if device not in home.device_names:
        raise KeyError(device)
    kind = device.partition(":")[0]
    limits = home.control.limits
    known: dict[str, tuple[str, float, float, float | None] | None]
    if kind == "room":
        known = {"heat": ("target_c", limits.room_min_c, limits.room_max_c, None), "on": None, "off": None}
    elif kind == "battery":
        assert home.battery is not None  # noqa: S101 - device_names has it
        top = min(limits.battery_max_w, home.battery.power_max_w)
        powered = ("power_w", 0.0, top, top)
        known = {i: powered if i in {"charge_from_grid", "discharge_to_grid"} else None for i in _PERSON_BATTERY}
    elif kind == "ev":
        assert home.ev is not None  # noqa: S101
        known = {"charge": ("power_w", home.ev.power_min_w, home.ev.power_max_w, home.ev.power_max_w), "off": None}
    else:
        known = {"on": None, "off": None}
    if action not in known:
        raise OverrideProblem(f"{device} cannot {action!r}; it can: {', '.join(known)}")
    rule = known[action]
    allowed = {rule[0]} if rule else set()
    # The inverter takes a power with any intent; where it means nothing it is accepted and dropped.
    extra = set(params) - allowed - ({"power_w"} if kind == "battery" else set())
    if extra:
        raise OverrideProblem(f"unknown params for {action!r}: {', '.join(sorted(extra))}")
    return {} if rule is None else {rule[0]: _param(params, *rule)}


def wish_of(override: Override, state: HouseState) -> Wish:
    """Return what a checked override asks of its device now, before the limits."""
    kind, _, name = override.device.partition(":")
    action, params = override.action, override.params
    if kind == "room":
        if action != "heat":
            return RoomWish(action == "on")
        room = state.rooms[name]
        return RoomWish(thermostat(room.temperature_c, float(params["target_c"]), room.relay.on))
    if kind == "battery":
        intent: Intent = next(i for i in get_args(Intent) if i == action)
        return BatteryWish(intent, float(params.get("power_w", 0.0)), None, override.until)
    if kind == "ev":
        return EvWish(float(params["power_w"]) if action == "charge" else 0.0)
    return WaterWish(action == "on")
