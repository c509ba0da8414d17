"""The present moment: where power flows, which mode rules each device and why, and whether everything lives."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pems_common.home import Home
from pems_common.messages import Mode, Telemetry
from pems_monitor.domain.state import HouseState

__all__ = [
    "PLAN_TRUSTED",
    "DeviceRow",
    "Flows",
    "Headline",
    "PlanAge",
    "base_load_w",
    "device_rows",
    "flows",
    "headline",
    "heating_power_w",
    "plan_age",
    "room_modes",
    "source_labels",
]

PLAN_TRUSTED = timedelta(hours=2)  # house time, as the controller counts it
_STALE = timedelta(minutes=3)  # house time; telemetry comes every 10 s of house time or slower when scaled

PlanAge = Literal["none", "fresh", "late", "expired"]


@dataclass(frozen=True)
class Flows:
    """Powers now [W]: grid + = import, battery + = discharge, the others >= 0; None where unknown.

    Attributes:
        house_w: What the house draws without heating, car and water.
        heating_w: Sum of the relays that are on, by the rooms' rated power.
        stale: True when the readings are old or the inverter is silent.
    """

    pv_w: float | None
    grid_w: float | None
    battery_w: float | None
    soc_pct: float | None
    house_w: float | None
    heating_w: float | None
    rooms_on: int
    ev_w: float | None
    ev_connected: bool
    ev_soc_pct: float | None
    water_w: float | None
    water_c: float | None
    outdoor_c: float | None
    stale: bool


@dataclass(frozen=True)
class DeviceRow:
    """Mode of one device and the controller's reason (a code, see `why.py`)."""

    device: str
    mode: Mode
    since: datetime
    why: str
    until: datetime | None
    action: dict[str, object]


@dataclass(frozen=True)
class Headline:
    """The one line that tells whether all is well.

    Attributes:
        mode: The house's mode (the worst of its devices), None before the controller reported.
        by_plan: Live devices that follow the plan.
        by_rules: Live devices that follow simple rules.
        silent: The controller has not reported for a while.
        plan: How old the plan is, in words of trust.
        plan_age: Since `issued_at`; None without a plan.
    """

    mode: Mode | None
    by_plan: int
    by_rules: int
    silent: bool
    armed: bool
    shadow: bool
    plan: PlanAge
    plan_age: timedelta | None
    fallback: bool

    @property
    def mostly_planned(self) -> bool:
        """The house counts as on its rules, though most of its devices follow the plan."""
        return self.mode == "rule_based" and self.by_plan > self.by_rules


def heating_power_w(telemetry: Telemetry, home: Home) -> float | None:
    """Power of all heating relays that are on [W]; None where no relay state is known."""
    known = [
        home.rooms[name].heat_w if reading.relay_on else 0.0
        for name, reading in telemetry.rooms.items()
        if reading.relay_on is not None and name in home.rooms
    ]
    return sum(known) if known else None


def base_load_w(telemetry: Telemetry, home: Home) -> float | None:
    """What the house draws without heating, car and water [W], never below 0; None where load is unknown."""
    if telemetry.load_power_w is None:
        return None
    controlled_w = heating_power_w(telemetry, home) or 0.0
    controlled_w += telemetry.ev.power_w if telemetry.ev else 0.0
    controlled_w += telemetry.water.power_w if telemetry.water else 0.0
    return max(0.0, telemetry.load_power_w - controlled_w)


def flows(state: HouseState, home: Home, now: datetime) -> Flows | None:
    """Powers of this moment; None before the first telemetry."""
    telemetry = state.telemetry
    if telemetry is None:
        return None
    age = now - state.telemetry_at if state.telemetry_at else _STALE * 2
    return Flows(
        pv_w=telemetry.pv_power_w,
        grid_w=telemetry.grid_power_w,
        battery_w=telemetry.battery_power_w if home.battery else None,
        soc_pct=telemetry.battery_soc_pct if home.battery else None,
        house_w=base_load_w(telemetry, home),
        heating_w=heating_power_w(telemetry, home),
        rooms_on=sum(1 for r in telemetry.rooms.values() if r.relay_on),
        ev_w=telemetry.ev.power_w if telemetry.ev else None,
        ev_connected=bool(telemetry.ev and telemetry.ev.connected),
        ev_soc_pct=telemetry.ev.soc_pct if telemetry.ev else None,
        water_w=telemetry.water.power_w if telemetry.water else None,
        water_c=telemetry.water.temperature_c if telemetry.water else None,
        outdoor_c=telemetry.outdoor_temperature_c,
        stale=not telemetry.inverter_online or age > _STALE,
    )


def plan_age(state: HouseState, now: datetime) -> tuple[PlanAge, timedelta | None]:
    """How old the plan is: fresh up to 75 min (it comes hourly), late up to 2 h, then expired."""
    if state.plan is None:
        return "none", None
    age = now - state.plan.issued_at
    if age > PLAN_TRUSTED or now >= state.plan.valid_until:
        return "expired", age
    return ("late" if age > timedelta(minutes=75) else "fresh"), age


def headline(state: HouseState, now: datetime, *, status_silent_after: timedelta) -> Headline:
    """Summary of mode, plan and arming."""
    trust, age = plan_age(state, now)
    status = state.status
    modes = Counter(device.mode for device in status.devices.values()) if status else Counter[Mode]()
    silent = status is None or state.status_at is None or now - state.status_at > status_silent_after
    return Headline(
        mode=status.house_mode if status else None,
        by_plan=modes["mpc"],
        by_rules=modes["rule_based"],
        silent=silent,
        armed=bool(status and status.armed),
        shadow=bool(status and status.shadow),
        plan=trust,
        plan_age=age,
        fallback=bool(state.plan and state.plan.fallback_mode),
    )


def device_rows(state: HouseState) -> list[DeviceRow]:
    """Modes of the devices that are no rooms, in a fixed order; unknown kinds follow."""
    if state.status is None:
        return []
    order = {"battery": 0, "ev": 1, "water": 2}
    names = [name for name in state.status.devices if not name.startswith("room:")]
    rows = []
    for name in sorted(names, key=lambda n: (order.get(n, 9), n)):
        mode = state.status.devices[name]
        rows.append(DeviceRow(name, mode.mode, mode.since, mode.why, mode.until, dict(mode.action)))
    return rows


def room_modes(state: HouseState) -> dict[Mode, int]:
    """How many rooms are in each mode, the most common first."""
    modes = [d.mode for name, d in state.status.devices.items() if name.startswith("room:")] if state.status else []
    return dict(Counter(modes).most_common())


def source_labels(state: HouseState) -> tuple[str, ...]:
    """Where prices and weather come from, as their messages say; `world_` marks those of a scaled run."""
    labels = []
    if state.prices is not None and state.prices.source:
        labels.append(state.prices.source)
    labels.extend(w.provider for w in state.weather.values() if w.provider)
    return tuple(dict.fromkeys(label.removeprefix("world_") for label in labels))
