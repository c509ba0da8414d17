"""What is known of the house at one tick, and what can be wished of each device. Frozen values only.

Seconds in here are house seconds on the monotonic clock, never differences of wall-clock readings.
"""

from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from pems_common.messages import Clamp, Intent

__all__ = [
    "BatteryState",
    "BatteryWish",
    "EvState",
    "EvWish",
    "HouseState",
    "Limited",
    "RelayState",
    "RoomState",
    "RoomWish",
    "WaterState",
    "WaterWish",
    "Wish",
    "describe",
]


@dataclass(frozen=True)
class RelayState:
    """An on/off output. `on` is None until known; `held_s` is how long it has been so (inf: for ever)."""

    on: bool | None = None
    held_s: float = inf


@dataclass(frozen=True)
class RoomState:
    """A room; `fresh` says whether the temperature is known and recent enough to act on."""

    temperature_c: float | None = None
    fresh: bool = False
    relay: RelayState = RelayState()


@dataclass(frozen=True)
class BatteryState:
    """Battery and meter as the inverter told them last (grid + = import, battery + = discharge) [W, %, house s]."""

    fresh: bool = False
    soc_pct: float | None = None
    power_w: float = 0.0
    grid_w: float = 0.0
    pv_w: float = 0.0
    load_w: float = 0.0
    temperature_c: float | None = None
    heard_s_ago: float = 0.0


@dataclass(frozen=True)
class EvState:
    """The car at the charger."""

    fresh: bool = False
    connected: bool = False
    soc_pct: float | None = None
    power_w: float = 0.0


@dataclass(frozen=True)
class WaterState:
    """The water heater; `power_w` is electric draw."""

    fresh: bool = False
    temperature_c: float | None = None
    power_w: float = 0.0
    relay: RelayState = RelayState()


@dataclass(frozen=True)
class HouseState:
    """Everything measured, at house time `at` (UTC).

    Attributes:
        controlled_w: What each controlled load (rooms, EV, water) drew when the meter was read last [W].
        outdoor_c: Outdoor temperature, None where unknown or older than some hours.
    """

    at: datetime
    rooms: dict[str, RoomState]
    battery: BatteryState = BatteryState()
    ev: EvState = EvState()
    water: WaterState = WaterState()
    outdoor_c: float | None = None
    controlled_w: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RoomWish:
    """A relay on or off."""

    on: bool


@dataclass(frozen=True)
class BatteryWish:
    """What the battery shall do.

    Attributes:
        intent: See HOUSE rules in docs/architecture.md.
        power_w: For charging from or discharging to the grid, >= 0.
        stop_soc_pct: Where charging or discharging ends; None for the limit of the battery.
        until: When the wish is known to change; None where unknown.
        export: Whether PV may be exported; False curtails it to what the house takes.
    """

    intent: Intent
    power_w: float = 0.0
    stop_soc_pct: float | None = None
    until: datetime | None = None
    export: bool = True


@dataclass(frozen=True)
class EvWish:
    """Charging power [W]; 0 is off."""

    power_w: float


@dataclass(frozen=True)
class WaterWish:
    """Water heater allowed to heat or not."""

    on: bool


Wish = RoomWish | BatteryWish | EvWish | WaterWish


@dataclass(frozen=True)
class Limited:
    """A wish after the hard limits, and each limit that changed it."""

    wish: Wish
    clamps: tuple[Clamp, ...] = field(default=())


def describe(wish: Wish) -> tuple[str, dict[str, float | str | bool]]:
    """Return (action, params) of a wish, as commands and screens show it."""
    match wish:
        case RoomWish(on) | WaterWish(on):
            return ("on" if on else "off"), {}
        case EvWish(power_w):
            return ("charge", {"power_w": round(power_w)}) if power_w > 0 else ("off", {})
        case BatteryWish(intent, power_w, stop, _, export):
            params: dict[str, float | str | bool] = {} if export else {"export": False}
            if intent in {"charge_from_grid", "discharge_to_grid"}:
                params["power_w"] = round(power_w)
                if stop is not None:
                    params["stop_soc_pct"] = round(stop)
            return intent, params
