"""Battery, car and water heater of a planning problem, and what a person has fixed about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import get_args

import numpy as np

from pems_common.home import Home
from pems_common.home.tariff import minutes_of
from pems_common.messages import Forecast, Intent, OverrideEntry, Plan, Prices, Status, Telemetry, Thermal
from pems_common.timegrid import SLOT
from pems_optimizer.domain.problem import BatterySpec, EvSpec, Floats, Note, WaterSpec
from pems_optimizer.domain.running import RunningPlan

__all__ = ["Known", "battery_spec", "car_spec", "fixed_state", "running_overrides", "slots_until", "water_spec"]

_EV_GUESS_WH = 8_000.0
# Share of the day's hot water by local hour of use: mornings, noon, evenings.
_WATER_USE = {6: 0.12, 7: 0.16, 8: 0.07, 12: 0.05, 13: 0.05, 18: 0.10, 19: 0.15, 20: 0.15, 21: 0.10, 22: 0.05}


@dataclass(frozen=True)
class Known:
    """Everything known when a plan is asked for; only the forecast is indispensable."""

    forecast: Forecast | None
    prices: Prices | None = None
    telemetry: Telemetry | None = None
    thermals: Mapping[str, Thermal] = field(default_factory=dict)
    status: Status | None = None
    running: Plan | None = None


def running_overrides(status: Status | None, now: datetime) -> dict[str, OverrideEntry]:
    """Return the overrides that have not ended, by device."""
    entries = () if status is None else status.overrides
    return {entry.device: entry for entry in entries if entry.until > now}


def fixed_state(entry: OverrideEntry | None) -> bool | None:
    """Return what an override holds a relay at; None where it does not."""
    if entry is None:
        return None
    if entry.action in {"on", "off"}:
        return entry.action == "on"
    return None


def slots_until(until: datetime, start: datetime, slots: int) -> int:
    """Return how many of `slots` slots from `start` on begin before `until`."""
    return min(slots, max(0, -((start - until) // SLOT)))


def battery_spec(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    problem_start: datetime,
    frozen: int,
    slots: int,
    value: float,
) -> tuple[BatterySpec | None, list[Note]]:
    """Describe the battery at the start of the horizon; without a reading its SoC is assumed, and noted."""
    battery = home.battery
    notes: list[Note] = []
    if battery is None:
        return None, []
    soc = None if known.telemetry is None else known.telemetry.battery_soc_pct
    if soc is None:
        soc = None if running is None else running.soc_pct(problem_start)
        notes.append(Note("soc_unknown", {"assumed_pct": 50.0 if soc is None else soc}))
        soc = 50.0 if soc is None else soc
    forced: list[Intent] = []
    for t in range(frozen):
        intent = None if running is None else running.intent(problem_start + t * SLOT)
        forced.append(intent or "self_consume")
    if entry is not None and entry.action in get_args(Intent):
        held: Intent = next(i for i in get_args(Intent) if i == entry.action)
        forced = [held] * max(frozen, slots_until(entry.until, problem_start, slots))
    before = None if running is None else running.intent(problem_start - SLOT)
    limit = min(battery.power_max_w, home.control.limits.battery_max_w)
    spec = BatterySpec(
        capacity_wh=battery.capacity_wh,
        energy_wh=battery.capacity_wh * min(max(soc, 0.0), 100.0) / 100.0,
        min_wh=battery.capacity_wh * battery.soc_min_pct / 100.0,
        max_wh=battery.capacity_wh * battery.soc_max_pct / 100.0,
        charge_max_w=limit,
        discharge_max_w=limit,
        dispatch_min_w=min(battery.dispatch_min_w, limit),
        charge_efficiency=battery.leg_efficiency,
        discharge_efficiency=battery.leg_efficiency,
        wear_czk_kwh=battery.wear_czk_kwh,
        end_value_czk_wh=value,
        intent_now=before or "",
        forced=len(forced),
        forced_intent=tuple(forced),
    )
    return spec, notes


def car_spec(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    start: datetime,
    frozen: int,
    slots: int,
) -> EvSpec | None:
    """Describe the car; None where it is away, full, or its hour has come.

    Without its SoC a day's usual need less what this session has brought is assumed.
    """
    ev, reading = home.ev, None if known.telemetry is None else known.telemetry.ev
    if ev is None or reading is None or not reading.connected:
        return None
    if reading.soc_pct is None:
        need = max(0.0, _EV_GUESS_WH / ev.efficiency - reading.session_wh)
    else:
        need = max(0.0, ev.target_soc_pct - reading.soc_pct) / 100.0 * ev.capacity_wh / ev.efficiency
    minutes = minutes_of(ev.ready_by)
    local = (start + frozen * SLOT).astimezone(home.site.zone)
    ready = local.replace(hour=minutes // 60 % 24, minute=minutes % 60, second=0, microsecond=0)
    if ready <= local:
        ready = (local + timedelta(days=1)).replace(hour=ready.hour, minute=ready.minute, second=0, microsecond=0)
    deadline = min(slots, max(0, int((ready - start) // SLOT)))
    forced = [running.ev_w(start + t * SLOT) if running is not None else None for t in range(frozen)]
    powers = np.array([reading.power_w if w is None else w for w in forced], dtype=np.float64)
    if entry is not None:
        wish = entry.params.get("power_w", 0.0) if entry.action == "charge" else 0.0
        length = max(frozen, slots_until(entry.until, start, slots))
        powers = np.full(length, float(wish))
        if length >= deadline:  # a person decides over the whole time that is left
            return EvSpec(
                float(powers[:deadline].sum()) * 0.25, deadline, ev.power_min_w, ev.power_max_w, powers[:deadline]
            )
    if need < 50.0 or deadline <= frozen:
        return None
    return EvSpec(need, deadline, ev.power_min_w, ev.power_max_w, np.minimum(powers, ev.power_max_w))


def water_spec(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    start: datetime,
    frozen: int,
    slots: int,
    price: float,
) -> tuple[WaterSpec | None, Floats, list[Note]]:
    """Return the tank, or the load it probably is where its temperature is unknown."""
    heater, nothing = home.water, np.zeros(slots)
    if heater is None:
        return None, nothing, []
    reading = None if known.telemetry is None else known.telemetry.water
    local_hours = [(start + t * SLOT).astimezone(home.site.zone).hour for t in range(slots)]
    drain = np.array([_WATER_USE.get(h, 0.0) for h in local_hours]) * heater.use_wh_day + heater.standing_loss_w
    electric = heater.power_w / heater.cop
    if reading is None or reading.temperature_c is None:
        mean = heater.use_wh_day / 24.0 + heater.standing_loss_w
        return None, np.full(slots, mean / heater.cop), [Note("water_left_to_thermostat", {"why": "no_temperature"})]
    on_now = reading.power_w > 0.2 * electric
    forced = [running.water_on(start + t * SLOT) if running is not None else None for t in range(frozen)]
    prefix = [on_now if w is None else w for w in forced]
    state = fixed_state(entry)
    if entry is not None and state is not None:
        prefix = [state] * max(frozen, slots_until(entry.until, start, slots))
    capacity = heater.volume_l * 1.163  # Wh/K of a litre of water
    spec = WaterSpec(
        heat_w=heater.power_w,
        electric_w=electric,
        capacity_wh_k=capacity,
        temperature_c=reading.temperature_c,
        low_c=np.full(slots, heater.min_c + 1.0),
        high_c=np.full(slots, heater.target_c),
        drain_w=drain,
        on_now=on_now,
        slots_in_state=1000,
        end_value_czk_k=price * capacity / 1000.0 / heater.cop,
        forced=len(prefix),
        forced_on=tuple(prefix),
    )
    return spec, nothing, []
