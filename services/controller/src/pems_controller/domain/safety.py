"""Safety mode: what a device does when its own state is unknown or one of its hard limits is broken."""

from datetime import datetime

from pems_common.home import Home
from pems_controller.domain.battery_limits import FLOOR_LEAVE_PCT
from pems_controller.domain.state import BatteryWish, EvWish, HouseState, RoomWish, WaterWish, Wish

__all__ = ["battery_limit_broken", "room_limit_broken", "safety_duty", "safety_wish"]

DUTY_BASE_C = 18.0
DUTY_PER_K = 0.7 / 33.0
DUTY_MAX = 0.7
_LEAVE_K = 0.2
_BATTERY_C = (-10.0, 55.0)


def safety_duty(outdoor_c: float | None, at: datetime) -> float:
    """Share of each hour a room is heated when its temperature is unknown, 0..0.7.

    duty = 0.7 * (18 - outdoor) / 33, within 0..0.7: none at 18 C outside, 0.38 at 0 C, 0.7 at -15 C, which
    keeps an average room of the first house near its target. Without an outdoor reading 0 C is assumed from
    October to April and 15 C else.
    """
    if outdoor_c is None:
        outdoor_c = 0.0 if at.month in {10, 11, 12, 1, 2, 3, 4} else 15.0
    return max(0.0, min(DUTY_MAX, (DUTY_BASE_C - outdoor_c) * DUTY_PER_K))


def room_limit_broken(home: Home, temperature_c: float | None, *, was_broken: bool) -> bool:
    """Tell whether a known temperature is outside the hard limits; 0.2 K inside them ends it."""
    if temperature_c is None:
        return False
    inside = _LEAVE_K if was_broken else 0.0
    limits = home.control.limits
    return temperature_c < limits.room_min_c + inside or temperature_c > limits.room_max_c - inside


def battery_limit_broken(temperature_c: float | None) -> bool:
    """Tell whether the battery is too cold or too hot to be told anything but its own mode.

    A low SoC is no such case: load_first would take it lower still; the SoC limit holds the battery instead.
    """
    return temperature_c is not None and not _BATTERY_C[0] <= temperature_c <= _BATTERY_C[1]


def _room(home: Home, name: str, state: HouseState) -> RoomWish:
    room = state.rooms[name]
    if room.fresh and room.temperature_c is not None:
        middle = (home.control.limits.room_min_c + home.control.limits.room_max_c) / 2
        return RoomWish(room.temperature_c < middle)
    on_minutes = 60 * safety_duty(state.outdoor_c, state.at)
    least = max(home.control.limits.relay_min_on_minutes, home.control.limits.relay_min_off_minutes)
    if on_minutes < least / 2:
        return RoomWish(False)
    on_minutes = min(max(on_minutes, least), 60 - least)
    # Rooms start at different minutes, so that they do not all heat at once.
    offset = 60 * list(home.rooms).index(name) / max(1, len(home.rooms))
    return RoomWish((state.at.minute + state.at.second / 60 + offset) % 60 < on_minutes)


def _lost_near_floor(home: Home, state: HouseState) -> bool:
    battery, last = home.battery, state.battery
    if battery is None or last.fresh or last.soc_pct is None:
        return False
    # In load_first it may have been emptied since with all its power.
    emptied_pct = 100.0 * battery.power_max_w * last.heard_s_ago / 3600.0 / battery.capacity_wh
    return last.soc_pct - emptied_pct <= battery.soc_min_pct + FLOOR_LEAVE_PCT


def safety_wish(home: Home, device: str, state: HouseState) -> Wish:
    """Room: on below 16 C, off above 25 C, else the duty; battery: back to load_first; EV and water: off.

    A battery whose state is unknown holds from when it could have come near its lower limit: load_first would empty it
    further, unseen. So it stays until its state is back.
    """
    kind, _, name = device.partition(":")
    if kind == "room":
        return _room(home, name, state)
    if kind == "battery":
        return BatteryWish("hold" if _lost_near_floor(home, state) else "self_consume")
    return EvWish(0.0) if kind == "ev" else WaterWish(False)
