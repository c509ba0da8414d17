"""Hard limits on everything that is sent, whoever asked for it; each change is reported as a clamp.

Order: the room's own temperature limits, minimum on/off times, then what rooms may draw together, then the peak that
the plan keeps below (no limit: for it only what can wait a little waits), then the main breaker. Minimum times give
way in exactly two cases, both only towards off: a room above its upper limit, and too much power at once (heating
limit or breaker) when nothing else is left to switch off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pems_common.comfort import comfort_band_c, comfort_target_c
from pems_common.home import CHARGE_MARGIN_W, Home
from pems_common.messages import Clamp
from pems_controller.domain.battery_limits import limit_battery
from pems_controller.domain.state import (
    BatteryState,
    BatteryWish,
    EvWish,
    HouseState,
    Limited,
    RelayState,
    RoomWish,
    WaterWish,
    Wish,
)

__all__ = ["ImportKeep", "apply_limits", "expected_import_w", "violations"]

IMPORT_MARGIN_W = 2_000.0  # for what the rest of the house switches on between two ticks
_UNKNOWN_HOUSE_W = 2_000.0
_FORCED_NEED = 1_000.0
_CHARGE_STEP_W = 500.0  # charging gives way in steps: each change of the rate is a register write
_KEEP_SLACK_W = 300.0  # a plan may run at its own peak for hours: noise of the meter is not answered
_KEEP_BELOW_K = 0.1  # a room so much below its band is heated, whatever the peak
_KEEP_ROOM_W = 1_000.0  # and the battery, once slowed, is not told otherwise before there is so much room


@dataclass(frozen=True)
class ImportKeep:
    """Import that a plan keeps below.

    Attributes:
        import_w: 15-min mean above which import costs more.
        followers: Devices that follow this plan; others have their own reasons.
    """

    import_w: float
    followers: frozenset[str]


class _Draft:
    """The wishes on their way through the limits."""

    def __init__(self, wishes: Mapping[str, Wish]) -> None:
        self.wishes = dict(wishes)
        self.clamps: dict[str, list[Clamp]] = {device: [] for device in wishes}

    def change(self, device: str, wish: Wish, limit: str, asked: float | str, sent: float | str) -> None:
        if wish != self.wishes[device]:
            self.wishes[device] = wish
            self.clamps[device].append(Clamp(limit=limit, asked=asked, sent=sent))

    def switch(self, device: str, on: bool, limit: str) -> None:
        wish = self.wishes[device]
        if isinstance(wish, RoomWish | WaterWish) and wish.on != on:
            new = RoomWish(on) if isinstance(wish, RoomWish) else WaterWish(on)
            self.change(device, new, limit, "on" if wish.on else "off", "on" if on else "off")


def _locked(relay: RelayState, home: Home) -> bool:
    """Whether the output has not been long enough as it is to be switched."""
    limits = home.control.limits
    least_s = 60.0 * (limits.relay_min_on_minutes if relay.on else limits.relay_min_off_minutes)
    return relay.on is not None and relay.held_s < least_s


def _limit_switching(home: Home, state: HouseState, draft: _Draft) -> None:
    """Temperature limits of rooms, then minimum times of rooms and the water heater."""
    limits = home.control.limits
    for device, wish in list(draft.wishes.items()):
        if isinstance(wish, RoomWish):
            room = state.rooms[device.partition(":")[2]]
            relay = room.relay
            if room.fresh and room.temperature_c is not None:
                if room.temperature_c > limits.room_max_c:
                    draft.switch(device, False, "room_max_c")
                    continue  # the one case where a minimum on time gives way for a room alone
                if room.temperature_c < limits.room_min_c:
                    draft.switch(device, True, "room_min_c")
        elif isinstance(wish, WaterWish):
            relay = state.water.relay
        else:
            continue
        if relay.on is not None and _locked(relay, home):
            draft.switch(device, relay.on, "relay_min_on" if relay.on else "relay_min_off")


def _limit_ev(home: Home, state: HouseState, draft: _Draft) -> None:
    """Charging power is 0 or within what the charger can do; the car never empties the house battery."""
    wish = draft.wishes.get("ev")
    if not isinstance(wish, EvWish) or home.ev is None:
        return
    low, high = home.ev.power_min_w, home.ev.power_max_w
    power_w = 0.0 if wish.power_w < low / 2 else max(low, min(high, wish.power_w))
    draft.change("ev", EvWish(power_w), "ev_power_w", wish.power_w, power_w)
    battery = draft.wishes.get("battery")
    if power_w <= 0 or not state.battery.fresh or not isinstance(battery, BatteryWish):
        return
    surplus_w = state.battery.pv_w - (state.battery.load_w - state.ev.power_w)
    if battery.intent in {"self_consume", "discharge_to_grid"} and surplus_w < power_w:
        hold = replace(battery, intent="hold", power_w=0.0, stop_soc_pct=None)
        draft.change("battery", hold, "ev_not_from_battery", battery.intent, "hold")


def _room_need(home: Home, state: HouseState, device: str) -> float:
    """How much a room needs its heat: kelvin below target times its priority; most below the lower limit."""
    name = device.partition(":")[2]
    room = state.rooms[name]
    if not room.fresh or room.temperature_c is None:
        return 0.0
    need = (comfort_target_c(home, name, state.at) - room.temperature_c) * home.rooms[name].priority
    return need + (_FORCED_NEED if room.temperature_c < home.control.limits.room_min_c else 0.0)


def _rooms_to_shed(home: Home, state: HouseState, draft: _Draft) -> list[str]:
    """Rooms that are to be on, the first to go first: free before locked, lowest need first."""
    on = [d for d, w in draft.wishes.items() if isinstance(w, RoomWish) and w.on]

    def rank(device: str) -> tuple[bool, float]:
        relay = state.rooms[device.partition(":")[2]].relay
        return (relay.on is True and _locked(relay, home), _room_need(home, state, device))

    return sorted(on, key=rank)


def _heating_w(home: Home, wishes: Mapping[str, Wish]) -> float:
    return sum(home.rooms[d.partition(":")[2]].heat_w for d, w in wishes.items() if isinstance(w, RoomWish) and w.on)


def _refills(home: Home, battery: BatteryState) -> bool:
    """Whether a hold charges from the grid: its stop lies above the lower limit, and the SoC does not."""
    facts = home.battery
    return facts is not None and battery.fresh and (battery.soc_pct or 0.0) <= facts.soc_min_pct


def expected_import_w(home: Home, state: HouseState, wishes: Mapping[str, Wish]) -> float:
    """Estimate the import from the grid once the wishes are carried out [W].

    From the meter: what the house drew without its battery and without the controlled loads, plus what those
    would draw now. Discharging counts only as far as it happens already. Without a meter 2 kW, or three times
    the base load if that is more, stand for the rest of the house.
    """
    battery = state.battery
    if battery.fresh:
        total = battery.grid_w + battery.power_w - sum(w for d, w in state.controlled_w.items() if d in wishes)
    else:
        total = max(_UNKNOWN_HOUSE_W, 3 * home.base_load_w)
    total += _heating_w(home, wishes)
    for wish in wishes.values():
        match wish:
            case EvWish(power_w):
                total += power_w
            case WaterWish(on):
                total += home.water.power_w / home.water.cop if on and home.water is not None else 0.0
            case BatteryWish("charge_from_grid", power_w):
                total += power_w
            case BatteryWish("hold") if _refills(home, battery):
                total += home.control.limits.battery_max_w
            case BatteryWish("self_consume"):
                total -= max(0.0, battery.power_w) if battery.fresh else 0.0
            case _:
                pass
    return total


def _limit_battery(home: Home, state: HouseState, draft: _Draft, floor_held_s: float | None) -> None:
    battery = draft.wishes.get("battery")
    if isinstance(battery, BatteryWish) and home.battery is not None:
        limited = limit_battery(home, home.battery, state.battery, battery, floor_held_s)
        draft.wishes["battery"] = limited.wish
        draft.clamps["battery"] += limited.clamps


def _keep_peak(home: Home, state: HouseState, draft: _Draft, keep: ImportKeep) -> None:
    """Let wait what can, where the house draws more than its plan thought: car, battery, rooms about to be heated.

    Charging is slowed and not switched off, so that nothing flaps with each kettle. The battery, whose rate is a
    register, is slowed to the least useful power at once, and comes back when there is room to spare. Rooms that
    are heated already go on; those to be switched on wait while they are hardly below their band.
    """

    def over_w() -> float:
        return expected_import_w(home, state, draft.wishes) - keep.import_w

    ev, battery = draft.wishes.get("ev"), draft.wishes.get("battery")
    if "ev" in keep.followers and home.ev is not None and isinstance(ev, EvWish) and over_w() > _KEEP_SLACK_W:
        slower_w = float(int(max(home.ev.power_min_w, ev.power_w - over_w())))
        if slower_w < ev.power_w:
            draft.change("ev", EvWish(slower_w), "import_keep_w", ev.power_w, slower_w)
    if "battery" in keep.followers and home.battery is not None and isinstance(battery, BatteryWish):
        least_w = max(home.battery.dispatch_min_w, 0.5 * battery.power_w)
        slowed = state.battery.fresh and 0.0 < -state.battery.power_w < 0.5 * (least_w + battery.power_w)
        over = over_w() > (-_KEEP_ROOM_W if slowed else _KEEP_SLACK_W)
        if battery.intent == "charge_from_grid" and least_w < battery.power_w and over:
            draft.change("battery", replace(battery, power_w=least_w), "import_keep_w", battery.power_w, least_w)
    for device in _rooms_to_shed(home, state, draft):
        if over_w() <= _KEEP_SLACK_W:
            break
        if device in keep.followers and _can_wait(home, state, device):
            draft.switch(device, False, "import_keep_w")


def _can_wait(home: Home, state: HouseState, device: str) -> bool:
    """Whether a room that is to be switched on is warm enough to wait for it."""
    name = device.partition(":")[2]
    room = state.rooms[name]
    if room.relay.on is not False or not room.fresh or room.temperature_c is None:
        return False
    low_c, _ = comfort_band_c(home, name, state.at)
    return room.temperature_c >= max(low_c - _KEEP_BELOW_K, home.control.limits.room_min_c)


def _limit_import(home: Home, state: HouseState, draft: _Draft, floor_held_s: float | None) -> None:
    """Main breaker: the car gives way first, then battery charging, water, and rooms by lowest need."""

    def over(margin_w: float) -> float:
        return expected_import_w(home, state, draft.wishes) - (home.grid.import_max_w - margin_w)

    ev, battery = draft.wishes.get("ev"), draft.wishes.get("battery")
    if over(CHARGE_MARGIN_W) > 0 and isinstance(ev, EvWish) and ev.power_w > 0 and home.ev is not None:
        left_w = ev.power_w - over(CHARGE_MARGIN_W)
        power_w = float(int(left_w)) if left_w >= home.ev.power_min_w else 0.0
        draft.change("ev", EvWish(power_w), "import_max_w", ev.power_w, power_w)
    if over(CHARGE_MARGIN_W) > 0 and isinstance(battery, BatteryWish) and battery.intent == "charge_from_grid":
        left_w = (battery.power_w - over(CHARGE_MARGIN_W)) // _CHARGE_STEP_W * _CHARGE_STEP_W
        least_w = home.battery.dispatch_min_w if home.battery is not None else 0.0
        if left_w >= max(least_w, 1.0):
            less = replace(battery, power_w=left_w)
            draft.change("battery", less, "import_max_w", battery.power_w, less.power_w)
        else:
            none = BatteryWish("self_consume", export=battery.export)
            draft.change("battery", none, "import_max_w", battery.intent, none.intent)
            _limit_battery(home, state, draft, floor_held_s)
    if over(IMPORT_MARGIN_W) > 0:
        draft.switch("water", False, "import_max_w") if "water" in draft.wishes else None
    for device in _rooms_to_shed(home, state, draft):
        if over(IMPORT_MARGIN_W) <= 0:
            break
        draft.switch(device, False, "import_max_w")


def apply_limits(
    home: Home,
    state: HouseState,
    wishes: Mapping[str, Wish],
    *,
    floor_held_s: float | None = None,
    keep: ImportKeep | None = None,
) -> dict[str, Limited]:
    """Bring wishes inside the hard limits.

    Args:
        home: The site.
        state: What is measured.
        wishes: One per device that acts.
        floor_held_s: How long the battery has been held at its lower SoC limit [house s]; None when it is not.
        keep: Import that a plan keeps below; None where nothing does.

    Returns:
        The wishes that may be sent, each with the clamps that changed it.
    """
    draft = _Draft(wishes)
    _limit_switching(home, state, draft)
    _limit_ev(home, state, draft)
    _limit_battery(home, state, draft, floor_held_s)
    for device in _rooms_to_shed(home, state, draft):
        if _heating_w(home, draft.wishes) <= home.control.limits.heating_max_w:
            break
        draft.switch(device, False, "heating_max_w")
    if keep is not None:
        _keep_peak(home, state, draft, keep)
    _limit_import(home, state, draft, floor_held_s)
    return {device: Limited(wish, tuple(draft.clamps[device])) for device, wish in draft.wishes.items()}


def violations(home: Home, state: HouseState) -> tuple[str, ...]:
    """Name the hard limits that the house itself breaks now, such as `room_min_c:hosti`."""
    limits = home.control.limits
    found = []
    for name, room in state.rooms.items():
        if room.fresh and room.temperature_c is not None:
            if room.temperature_c < limits.room_min_c:
                found.append(f"room_min_c:{name}")
            elif room.temperature_c > limits.room_max_c:
                found.append(f"room_max_c:{name}")
    battery = state.battery
    if battery.fresh and battery.grid_w > home.grid.import_max_w:
        found.append("import_max_w")
    if battery.fresh and home.battery is not None and (battery.soc_pct or 0.0) < home.battery.soc_min_pct:
        found.append("soc_min_pct:battery")
    return tuple(found)
