"""From messages to a planning problem, with plain errors and named degradation.

Whatever is missing but can be done without is replaced and noted; only a plan without any forecast is refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from pems_common.comfort import comfort_target_c
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.messages import Forecast, OverrideEntry, Series, Thermal
from pems_common.timegrid import SLOT, slot_start
from pems_optimizer.domain.flexible_devices import (
    Known,
    battery_spec,
    car_spec,
    fixed_state,
    running_overrides,
    slots_until,
    water_spec,
)
from pems_optimizer.domain.problem import Floats, GridSpec, Note, PlanningProblem
from pems_optimizer.domain.profiles import weights_of
from pems_optimizer.domain.room_arrays import RelayHistory, RoomInputs, build_rooms
from pems_optimizer.domain.running import RunningPlan

__all__ = ["InputProblem", "Known", "assemble"]

_LEAST_SLOTS = 24
_IMPORT_MARGIN = 0.95


class InputProblem(PemsError):
    """No plan can be made from what is known."""


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
    state = fixed_state(entry)
    if entry is not None and state is not None:
        length = max(frozen, slots_until(entry.until, start, slots))
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
    overrides = running_overrides(known.status, now)
    battery, battery_notes = battery_spec(home, known, running, overrides.get("battery"), start, frozen, slots, stored)
    water, water_load, water_notes = water_spec(
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
            held[name] = (float(wish), slots_until(entry.until, start, slots))
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
        ev=car_spec(home, known, running, overrides.get("ev"), start, frozen, slots),
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
        charger_known=home.ev is not None and known.telemetry is not None and known.telemetry.ev is not None,
    )
