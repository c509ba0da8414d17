"""What a person can set by hand: actions by device, their one value, and how long it may last."""

from dataclasses import dataclass
from typing import Literal

from pems_common.home import Home

__all__ = ["DURATIONS_MIN", "ActionChoice", "Setting", "choices", "default_value"]

# 15 min .. 24 h
DURATIONS_MIN = (15, 30, 60, 120, 180, 240, 360, 480, 720, 1440)


@dataclass(frozen=True)
class Setting:
    """The value of an action: its parameter, unit on the screen, limits and step.

    Attributes:
        scale: Screen value times scale is the parameter (kW on screens, W inside).
    """

    param: Literal["target_c", "power_w"]
    label: str
    low: float
    high: float
    step: float
    default: float
    scale: float = 1.0


@dataclass(frozen=True)
class ActionChoice:
    """One thing a device can be told; `text` is the key of its name."""

    action: str
    text: str
    setting: Setting | None = None


def _power(low_w: float, high_w: float, default_w: float) -> Setting:
    return Setting("power_w", "over.value_kw", low_w / 1000, high_w / 1000, 0.1, default_w / 1000, scale=1000.0)


def choices(home: Home, device: str) -> tuple[ActionChoice, ...]:
    """What a device can be told, the most useful first; empty for an unknown device."""
    if device not in home.device_names:
        return ()
    kind, _, name = device.partition(":")
    if kind == "room":
        limits = home.control.limits
        target = Setting("target_c", "over.value_c", limits.room_min_c, limits.room_max_c, 0.5, home.rooms[name].day_c)
        return (
            ActionChoice("heat", "action.target", target),
            ActionChoice("on", "action.on"),
            ActionChoice("off", "action.off"),
        )
    if kind == "battery" and home.battery is not None:
        top_w = min(home.control.limits.battery_max_w, home.battery.power_max_w)
        powered = _power(home.battery.dispatch_min_w, top_w, top_w)
        return (
            ActionChoice("self_consume", "action.self_consume"),
            ActionChoice("charge_from_grid", "action.charge_from_grid", powered),
            ActionChoice("hold", "action.hold"),
            ActionChoice("discharge_to_grid", "action.discharge_to_grid", powered),
            ActionChoice("export_pv", "action.export_pv"),
        )
    if kind == "ev" and home.ev is not None:
        charge = _power(home.ev.power_min_w, home.ev.power_max_w, home.ev.power_max_w)
        return (ActionChoice("charge", "action.charge", charge), ActionChoice("off", "action.off"))
    return (ActionChoice("on", "action.water_on"), ActionChoice("off", "action.off"))


def default_value(choice: ActionChoice) -> float | None:
    """The value first offered, on the screen's scale."""
    return None if choice.setting is None else choice.setting.default
