"""Battery and car of a planning problem, and what a person has fixed about them."""

from datetime import timedelta
from typing import get_args

import numpy as np

from pems_common.home import Battery, Home
from pems_common.home.tariff import minutes_of
from pems_common.messages import Intent, OverrideEntry
from pems_common.timegrid import SLOT
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.known import Known
from pems_optimizer.domain.problem import BatterySpec, EvSpec, Floats, Note
from pems_optimizer.domain.running import RunningPlan

__all__ = ["battery_spec", "car_spec"]

_SOC_GUESS_PCT = 50.0
_COLD_NOTE_SHARE = 0.95


def _power_shares(battery: Battery, known: Known, slots: int) -> tuple[Floats, Floats, list[Note]]:
    """Return the part of charging and discharging power that the battery's temperature leaves, empty where all.

    The temperature now is taken for the whole horizon: cells follow their room within half a day.
    """
    everything = np.empty(0)
    now_c = None if known.telemetry is None else known.telemetry.battery_temperature_c
    if battery.cold is None or now_c is None:
        return everything, everything, []
    charge, discharge = battery.cold.charge_share(now_c), battery.cold.discharge_share(now_c)
    notes = []
    if charge < _COLD_NOTE_SHARE:
        notes.append(Note("battery_cold", {"temperature_c": round(now_c, 1), "charge_share": round(charge, 2)}))
    return (
        everything if charge == 1.0 else np.full(slots, charge),
        everything if discharge == 1.0 else np.full(slots, discharge),
        notes,
    )


def battery_spec(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    horizon: Horizon,
    value_czk_wh: float,
) -> tuple[BatterySpec | None, list[Note]]:
    """Describe the battery at the start of the horizon; without a reading its SoC is assumed, and noted."""
    battery = home.battery
    notes: list[Note] = []
    if battery is None:
        return None, []
    soc = None if known.telemetry is None else known.telemetry.battery_soc_pct
    if soc is None:
        soc = None if running is None else running.soc_pct(horizon.start)
        soc = _SOC_GUESS_PCT if soc is None else soc
        notes.append(Note("soc_unknown", {"assumed_pct": soc}))
    forced: list[Intent] = []
    for t in range(horizon.frozen):
        intent = None if running is None else running.intent(horizon.at(t))
        forced.append(intent or "self_consume")
    if entry is not None and entry.action in get_args(Intent):
        held: Intent = next(i for i in get_args(Intent) if i == entry.action)
        forced = [held] * max(horizon.frozen, horizon.slots_until(entry.until))
    before = None if running is None else running.intent(horizon.at(-1))
    limit = min(battery.power_max_w, home.control.limits.battery_max_w)
    charge_share, discharge_share, cold = _power_shares(battery, known, horizon.slots)
    wh_pct, taper = battery.capacity_wh / 100.0, battery.taper
    charge_efficiency, discharge_efficiency = battery.legs
    spec = BatterySpec(
        capacity_wh=battery.capacity_wh,
        energy_wh=wh_pct * min(max(soc, 0.0), 100.0),
        min_wh=wh_pct * battery.soc_min_pct,
        max_wh=wh_pct * battery.soc_max_pct,
        charge_max_w=limit,
        discharge_max_w=limit,
        dispatch_min_w=min(battery.dispatch_min_w, limit) if battery.control == "intents" else 0.0,
        charge_efficiency=charge_efficiency,
        discharge_efficiency=discharge_efficiency,
        wear_czk_kwh=battery.wear_czk_kwh,
        end_value_czk_wh=value_czk_wh,
        control=battery.control,
        intent_now=before or "",
        forced=len(forced),
        forced_intent=tuple(forced),
        charge_share=charge_share,
        discharge_share=discharge_share,
        taper_from_wh=np.inf if taper is None else wh_pct * taper.from_soc_pct,
        taper_full_w=0.0 if taper is None else min(taper.full_w, limit),
        reserve_wh=wh_pct * battery.reserve_pct,
        reserve_czk_kwh_h=battery.reserve_czk_kwh_h if battery.reserve_pct > battery.soc_min_pct else 0.0,
    )
    return spec, [*notes, *cold]


def car_spec(
    home: Home, known: Known, running: RunningPlan | None, entry: OverrideEntry | None, horizon: Horizon
) -> EvSpec | None:
    """Describe the car; None where it is away, full, or its hour has come.

    Without its SoC a day's usual need less what this session has brought is assumed.
    """
    ev, reading = home.ev, None if known.telemetry is None else known.telemetry.ev
    if ev is None or reading is None or not reading.connected:
        return None
    if reading.soc_pct is None:
        need = max(0.0, ev.usual_wh_day / ev.efficiency - reading.session_wh)
    else:
        need = max(0.0, ev.target_soc_pct - reading.soc_pct) / 100.0 * ev.capacity_wh / ev.efficiency
    frozen, minutes = horizon.frozen, minutes_of(ev.ready_by)
    local = horizon.at(frozen).astimezone(horizon.zone)
    ready = local.replace(hour=minutes // 60 % 24, minute=minutes % 60, second=0, microsecond=0)
    if ready <= local:
        ready = (local + timedelta(days=1)).replace(hour=ready.hour, minute=ready.minute, second=0, microsecond=0)
    deadline = min(horizon.slots, max(0, int((ready - horizon.start) // SLOT)))
    forced = [running.ev_w(horizon.at(t)) if running is not None else None for t in range(frozen)]
    powers = np.array([reading.power_w if w is None else w for w in forced], dtype=np.float64)
    if entry is not None:
        wish = entry.params.get("power_w", 0.0) if entry.action == "charge" else 0.0
        length = max(frozen, horizon.slots_until(entry.until))
        powers = np.full(length, float(wish))
        if length >= deadline:  # a person decides over the whole time that is left
            wanted = float(powers[:deadline].sum()) * horizon.dt_h
            return EvSpec(wanted, deadline, ev.power_min_w, ev.power_max_w, powers[:deadline], ev.short_czk_kwh)
    if need < 50.0 or deadline <= frozen:
        return None
    powers = np.minimum(powers, ev.power_max_w)
    return EvSpec(need, deadline, ev.power_min_w, ev.power_max_w, powers, ev.short_czk_kwh)
