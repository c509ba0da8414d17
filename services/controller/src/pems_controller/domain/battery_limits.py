"""Hard limits of the battery: power, and the state of charge that must not be left.

In load_first the inverter discharges to cover the house whatever its SoC, so the lower limit is kept by a hold.
"""

from dataclasses import replace

from pems_common.home import Battery, Home
from pems_common.messages import Clamp
from pems_controller.domain.state import BatteryState, BatteryWish, Limited

__all__ = ["FLOOR_DWELL_S", "FLOOR_LEAVE_PCT", "at_floor", "limit_battery"]

FLOOR_DWELL_S = 1_800.0
_FLOOR_ENTER_PCT = 2.0  # a hold pinned there does not charge; 60 s of full discharge take 0.8 %
FLOOR_LEAVE_PCT = 4.0
_SURPLUS_W = 300.0
_LOWEST_PCT = 1.0  # so near the limit one minute of a heater switched on beside a thin sun would break it
_SURPLUS_LOWEST_W = 1_500.0
_DISCHARGING = frozenset({"self_consume", "discharge_to_grid"})


def at_floor(battery: Battery, state: BatteryState, floor_held_s: float | None) -> bool:
    """Tell whether the battery must not discharge: near its lower limit, and not about to be charged by the sun.

    Once held it stays so until the SoC is 4 % above the limit, or the sun has come after half an hour at least:
    registers are not for flicking.
    """
    if not state.fresh or state.soc_pct is None:
        return False
    above = state.soc_pct - battery.soc_min_pct
    sunny = state.pv_w - state.load_w >= (_SURPLUS_W if above >= _LOWEST_PCT else _SURPLUS_LOWEST_W)
    if floor_held_s is None:
        return above <= _FLOOR_ENTER_PCT and not sunny
    return above <= FLOOR_LEAVE_PCT and not (sunny and floor_held_s >= FLOOR_DWELL_S)


def limit_battery(
    home: Home, battery: Battery, state: BatteryState, wish: BatteryWish, floor_held_s: float | None
) -> Limited:
    """Bring a battery wish inside its limits."""
    clamps: list[Clamp] = []
    # Only self-consumption charges from the sun; told to discharge, the battery does so in the sun as well.
    seen = state if wish.intent == "self_consume" else replace(state, pv_w=0.0)
    if wish.intent in _DISCHARGING and at_floor(battery, seen, floor_held_s):
        clamps.append(Clamp(limit="soc_min_pct", asked=wish.intent, sent="hold"))
        wish = replace(wish, intent="hold", power_w=0.0, stop_soc_pct=None)
    if wish.intent not in {"charge_from_grid", "discharge_to_grid"}:
        return Limited(replace(wish, power_w=0.0, stop_soc_pct=None), tuple(clamps))
    top_w = min(home.control.limits.battery_max_w, battery.power_max_w)
    power_w = min(top_w, max(battery.dispatch_min_w, wish.power_w))
    if power_w != wish.power_w:
        clamps.append(Clamp(limit="battery_power_w", asked=wish.power_w, sent=power_w))
    default = battery.soc_max_pct if wish.intent == "charge_from_grid" else battery.soc_min_pct
    asked = default if wish.stop_soc_pct is None else wish.stop_soc_pct
    stop = max(battery.soc_min_pct, min(battery.soc_max_pct, asked))
    if stop != asked:
        clamps.append(Clamp(limit="soc_pct", asked=asked, sent=stop))
    return Limited(replace(wish, power_w=power_w, stop_soc_pct=stop), tuple(clamps))
