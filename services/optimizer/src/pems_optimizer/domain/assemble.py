"""From messages to a planning problem, with plain errors and named degradation.

Whatever is missing but can be done without is replaced and noted; only a plan without any forecast is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import get_args

import numpy as np

from pems_common.comfort import comfort_target_c
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.home.tariff import minutes_of
from pems_common.messages import Forecast, Intent, OverrideEntry, Plan, Prices, Series, Status, Telemetry, Thermal
from pems_common.timegrid import SLOT, slot_start
from pems_optimizer.domain.problem import (
    BatterySpec,
    EvSpec,
    Floats,
    GridSpec,
    Note,
    PlanningProblem,
    WaterSpec,
)
from pems_optimizer.domain.profiles import weights_of
from pems_optimizer.domain.room_arrays import RelayHistory, RoomInputs, build_rooms
from pems_optimizer.domain.running import RunningPlan

__all__ = ["InputProblem", "Known", "assemble"]

_LEAST_SLOTS = 24
_EV_GUESS_WH = 8_000.0
_IMPORT_MARGIN = 0.95
# Share of the day's hot water by local hour of use: mornings, noon, evenings.
_WATER_USE = {6: 0.12, 7: 0.16, 8: 0.07, 12: 0.05, 13: 0.05, 18: 0.10, 19: 0.15, 20: 0.15, 21: 0.10, 22: 0.05}


class InputProblem(PemsError):
    """No plan can be made from what is known."""


@dataclass(frozen=True)
class Known:
    """Everything known when a plan is asked for; only the forecast is indispensable."""

    forecast: Forecast | None
    prices: Prices | None = None
    telemetry: Telemetry | None = None
    thermals: Mapping[str, Thermal] = field(default_factory=dict)
    status: Status | None = None
    running: Plan | None = None


def _filled(values: list[float | None], fallback: float) -> Floats:
    """Fill unknown values with those of a day before, else with the fallback."""
    out = np.empty(len(values))
    for t, value in enumerate(values):
        if value is not None:
            out[t] = value
        else:
            out[t] = out[t - 96] if t >= 96 else fallback
    return out


def _mean(values: list[float | None]) -> float:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else 0.0


def _series(series: Series, start: datetime, slots: int) -> Floats:
    values = series.window(start, slots, int(SLOT.total_seconds()))
    return _filled(values, _mean(values))


def _covered(forecast: Forecast, start: datetime, slots: int) -> int:
    """Slots from `start` on for which PV, load and weather are forecast."""
    for t in range(slots):
        at = start + t * SLOT
        if any(
            band.p50.at(at) is None
            for band in (forecast.pv_power_w, forecast.load_power_w, forecast.outdoor_temperature_c)
        ):
            return t
    return slots


def _prices(known: Known, forecast: Forecast, start: datetime, slots: int) -> tuple[Floats, Floats]:
    buy = _series(forecast.buy_czk_kwh.p50, start, slots)
    sell = _series(forecast.sell_czk_kwh.p50, start, slots)
    if known.prices is not None:
        for t in range(slots):
            at = start + t * SLOT
            if at < known.prices.known_until:
                price = known.prices.buy_czk_kwh.at(at)
                buy[t] = buy[t] if price is None else price
                price = known.prices.sell_czk_kwh.at(at)
                sell[t] = sell[t] if price is None else price
    return buy, sell


def _cheap(home: Home, start: datetime, buy: Floats) -> np.ndarray:
    """Slots at or below the 30 % quantile of their local day."""
    days = np.array([(start + t * SLOT).astimezone(home.site.zone).toordinal() for t in range(len(buy))])
    cheap = np.zeros(len(buy), dtype=np.bool_)
    for day in np.unique(days):
        members = days == day
        cheap[members] = buy[members] <= np.quantile(buy[members], 0.3)
    return cheap


def _overrides(status: Status | None, now: datetime) -> dict[str, OverrideEntry]:
    entries = () if status is None else status.overrides
    return {entry.device: entry for entry in entries if entry.until > now}


def _fixed_state(entry: OverrideEntry | None) -> bool | None:
    """Return what an override holds a relay at; None where it does not."""
    if entry is None:
        return None
    if entry.action in {"on", "off"}:
        return entry.action == "on"
    return None


def _slots_until(until: datetime, start: datetime, slots: int) -> int:
    return min(slots, max(0, -((start - until) // SLOT)))


def _relay_history(
    room: str,
    on_now: bool,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    start: datetime,
    frozen: int,
    slots: int,
) -> RelayHistory:
    held = None if running is None else running.slots_in_state(room, start, on_now)
    prefix: list[bool] = []
    for t in range(frozen):
        planned = None if running is None else running.room_on(room, start + t * SLOT)
        prefix.append(on_now if planned is None else planned)
    state = _fixed_state(entry)
    if entry is not None and state is not None:
        length = max(frozen, _slots_until(entry.until, start, slots))
        prefix = [state] * length
    return RelayHistory(on_now, 1000 if held is None else held, len(prefix), tuple(prefix))


@dataclass(frozen=True)
class _RoomsFound:
    thermals: list[Thermal]
    air_c: dict[str, float]
    mass_c: dict[str, float]
    fixed_air_c: dict[str, float]
    unplanned_w: Floats
    notes: list[Note]


def _find_rooms(home: Home, known: Known, start: datetime, outdoor_c: Floats) -> _RoomsFound:
    """Sort rooms into those that are planned and those left to their thermostats."""
    found = _RoomsFound([], {}, {}, {}, np.zeros(len(outdoor_c)), [])
    load = np.zeros(len(outdoor_c))
    for name, room in home.rooms.items():
        thermal = known.thermals.get(name)
        reading = None if known.telemetry is None else known.telemetry.rooms.get(name)
        air = None if reading is None else reading.temperature_c
        state = None if thermal is None else thermal.state
        if state is not None and (
            air is None or (start - state.at < timedelta(minutes=35) and abs(state.air_c - air) < 1)
        ):
            air = state.air_c
        if air is not None:
            found.fixed_air_c[name] = air
        why = ""
        if thermal is None:
            why = "no_model"
        elif thermal.tier == "observe":
            why = "model_not_trusted"
        elif air is None:
            why = "no_temperature"
        if why or thermal is None or air is None:
            found.notes.append(Note("room_left_to_thermostat", {"room": name, "why": why}))
            share = np.clip((20.0 - outdoor_c) / 35.0, 0.0, 1.0) * 0.6
            if thermal is not None:
                loss = 1.0 / thermal.model.rea_k_w
                share = np.clip((comfort_target_c(home, name, start) - outdoor_c) * loss / room.heat_w, 0.0, 1.0)
            load = load + share * room.heat_w
            continue
        model = thermal.model
        if state is not None:
            mass = state.mass_c
        else:
            need = max(0.0, (air - float(outdoor_c[0])) / model.rea_k_w)
            mass = air + model.ria_k_w * min(need, model.heater_w) * model.heat_to_mass
        found.thermals.append(thermal)
        found.air_c[name], found.mass_c[name] = air, mass
    found.unplanned_w[:] = load
    return found


def _battery(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    problem_start: datetime,
    frozen: int,
    slots: int,
    value: float,
) -> tuple[BatterySpec | None, list[Note]]:
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
        forced = [held] * max(frozen, _slots_until(entry.until, problem_start, slots))
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
        leg=battery.leg_efficiency,
        wear_czk_kwh=battery.wear_czk_kwh,
        end_value_czk_wh=value,
        intent_now=before or "",
        forced=len(forced),
        forced_intent=tuple(forced),
    )
    return spec, notes


def _car(
    home: Home,
    known: Known,
    running: RunningPlan | None,
    entry: OverrideEntry | None,
    start: datetime,
    frozen: int,
    slots: int,
) -> EvSpec | None:
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
        length = max(frozen, _slots_until(entry.until, start, slots))
        powers = np.full(length, float(wish))
        if length >= deadline:  # a person decides over the whole time that is left
            return EvSpec(
                float(powers[:deadline].sum()) * 0.25, deadline, ev.power_min_w, ev.power_max_w, powers[:deadline]
            )
    if need < 50.0 or deadline <= frozen:
        return None
    return EvSpec(need, deadline, ev.power_min_w, ev.power_max_w, np.minimum(powers, ev.power_max_w))


def _water(
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
    state = _fixed_state(entry)
    if entry is not None and state is not None:
        prefix = [state] * max(frozen, _slots_until(entry.until, start, slots))
    capacity = heater.volume_l * 1.163  # Wh/K of a litre of water
    spec = WaterSpec(
        heat_w=heater.power_w,
        electric_w=electric,
        capacity_wh_k=capacity,
        temperature_c=reading.temperature_c,
        low_c=heater.min_c + 1.0,
        high_c=heater.target_c,
        drain_w=drain,
        on_now=on_now,
        slots_in_state=1000,
        end_value_czk_k=price * capacity / 1000.0 / heater.cop,
        forced=len(prefix),
        forced_on=tuple(prefix),
    )
    return spec, nothing, []


def assemble(home: Home, known: Known, *, now: datetime, decide_from: datetime) -> PlanningProblem:
    """Build the planning problem.

    The grid begins with the slot that holds `now`; slots before `decide_from` keep what the running plan says (or
    the present state), because the new plan is not there yet when they begin.

    Args:
        home: The site.
        known: What is known.
        now: House time of the measurements.
        decide_from: First slot boundary that the new plan can still decide.

    Raises:
        InputProblem: There is no usable forecast.
    """
    forecast = known.forecast
    if forecast is None:
        raise InputProblem("no forecast has arrived", remedy="check the forecaster service")
    start = slot_start(now)
    frozen = max(0, int((decide_from - start) // SLOT))
    slots = _covered(forecast, start, frozen + home.optimization.horizon_h * 4)
    if slots - frozen < _LEAST_SLOTS:
        raise InputProblem(
            f"the forecast of {forecast.issued_at.isoformat()} covers only {slots - frozen} slots from {decide_from}",
            remedy="check the forecaster service and its weather and price sources",
        )
    notes = [Note("forecast_degraded", {"why": reason}) for reason in forecast.degraded]
    if known.telemetry is None:
        notes.append(Note("no_telemetry"))
    # A rule plan or one for another configuration says nothing about what runs now.
    running = RunningPlan(known.running) if known.running is not None else None
    outdoor = _series(forecast.outdoor_temperature_c.p50, start, slots)
    buy, sell = _prices(known, forecast, start, slots)
    pv = np.maximum(_series(forecast.pv_power_w.p50, start, slots), 0.0)
    load = np.maximum(_series(forecast.load_power_w.p50, start, slots), 0.0)
    found = _find_rooms(home, known, start, outdoor)
    later = slice(max(0, slots - 96), slots)
    effective = np.where(pv > load + 500.0, np.maximum(sell, 0.0), buy)[later]
    cheap_price, mean_price = float(np.quantile(effective, 0.3)), float(effective.mean())
    leg = 1.0 if home.battery is None else home.battery.leg_efficiency
    wear = 0.0 if home.battery is None else home.battery.wear_czk_kwh
    stored = max(0.0, min(leg * (mean_price - wear), cheap_price / leg)) / 1000.0
    overrides = _overrides(known.status, now)
    battery, battery_notes = _battery(home, known, running, overrides.get("battery"), start, frozen, slots, stored)
    water, water_load, water_notes = _water(
        home, known, running, overrides.get("water"), start, frozen, slots, max(0.0, mean_price)
    )
    relays: dict[str, RelayHistory] = {}
    held: dict[str, tuple[float, int]] = {}
    for thermal in found.thermals:
        name = thermal.room
        reading = None if known.telemetry is None else known.telemetry.rooms.get(name)
        entry = overrides.get(f"room:{name}")
        on_now = bool(reading.relay_on) if reading is not None and reading.relay_on is not None else False
        relays[name] = _relay_history(name, on_now, running, entry, start, frozen, slots)
        wish = None if entry is None else entry.params.get("target_c")
        if entry is not None and isinstance(wish, int | float):
            held[name] = (float(wish), _slots_until(entry.until, start, slots))
    step = SLOT
    rooms = build_rooms(
        home,
        found.thermals,
        found.air_c,
        found.mass_c,
        relays,
        RoomInputs(
            start=start,
            slots=slots,
            step=step,
            outdoor_c=outdoor,
            solar_w_m2={f: np.maximum(_series(s, start, slots), 0.0) for f, s in forecast.solar_w_m2.items()},
            heat_price_czk_kwh=max(0.0, mean_price),
            cheap_price_czk_kwh=max(0.0, cheap_price),
        ),
        fixed_air_c=found.fixed_air_c,
        held_target_c=held,
    )
    bands = {
        name: (_series(band.p10, start, slots), _series(band.p90, start, slots))
        for name, band in (
            ("pv_w", forecast.pv_power_w),
            ("load_w", forecast.load_power_w),
            ("buy", forecast.buy_czk_kwh),
            ("sell", forecast.sell_czk_kwh),
        )
    }
    return PlanningProblem(
        start=start,
        slots=slots,
        frozen=frozen,
        pv_w=np.minimum(pv, home.pv.inverter_ac_limit_w),
        load_w=load + found.unplanned_w + water_load,
        buy=buy,
        sell=sell,
        outdoor_c=outdoor,
        cheap=_cheap(home, start, buy),
        heating_season=float(outdoor.mean()) < 12.0,
        rooms=rooms,
        battery=battery,
        ev=_car(home, known, running, overrides.get("ev"), start, frozen, slots),
        water=water,
        grid=GridSpec(
            import_max_w=home.grid.import_max_w * _IMPORT_MARGIN,
            export_max_w=home.grid.export_max_w,
            heating_max_w=home.control.limits.heating_max_w,
            inverter_max_w=home.pv.inverter_ac_limit_w,
            pv_curtailable=home.pv.curtailable,
        ),
        weights=weights_of(home),
        bands=bands,
        notes=(*notes, *found.notes, *battery_notes, *water_notes),
        step=step,
    )
