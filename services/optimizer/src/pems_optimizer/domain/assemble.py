"""From messages to a planning problem, with plain errors and named degradation.

Whatever is missing but can be done without is replaced and noted; only a plan without any forecast is refused.
"""

from dataclasses import replace
from datetime import datetime

import numpy as np

from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.messages import Forecast, OverrideEntry
from pems_common.timegrid import SLOT, slot_start
from pems_optimizer.domain.daily_runs import daily_runs
from pems_optimizer.domain.flexible_devices import battery_spec, car_spec
from pems_optimizer.domain.forecast_series import PricesAhead, band_around, covered_slots, prices_ahead, series
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.hot_water import TankMoney, water_spec
from pems_optimizer.domain.known import Known, running_overrides
from pems_optimizer.domain.planned_rooms import RoomsFound, find_rooms, relay_history, thermostat_load_w
from pems_optimizer.domain.problem import Floats, GridSpec, Note, PlanningProblem, RoomSet
from pems_optimizer.domain.profiles import weights_of
from pems_optimizer.domain.room_arrays import RelayHistory, RoomInputs, build_rooms
from pems_optimizer.domain.running import RunningPlan
from pems_optimizer.domain.strategy_value import strategy_to_use
from pems_optimizer.domain.uncertainty import uncertainty_for

__all__ = ["InputProblem", "Known", "assemble"]

_LEAST_SLOTS = 24
_DAY_SLOTS = 96
_HEATING_BELOW_C = 12.0
_SURPLUS_W = 500.0


class InputProblem(PemsError):
    """No plan can be made from what is known."""


def _horizon(home: Home, forecast: Forecast, now: datetime, decide_from: datetime) -> Horizon:
    """Return the slots from the one that holds `now` on, as far as the forecast reaches.

    Raises:
        InputProblem: It does not reach far enough.
    """
    start = slot_start(now)
    frozen = max(0, int((decide_from - start) // SLOT))
    wanted = Horizon(start, frozen + home.optimization.horizon_h * 4, frozen, home.site.zone)
    horizon = replace(wanted, slots=covered_slots(forecast, wanted))
    free = horizon.slots - frozen
    if free < _LEAST_SLOTS:
        raise InputProblem(
            f"the forecast of {forecast.issued_at.isoformat()} covers only {free} slots from {decide_from}",
            remedy="check the forecaster service and its weather and price sources",
        )
    return horizon


def _rooms(
    home: Home,
    known: Known,
    found: RoomsFound,
    overrides: dict[str, OverrideEntry],
    running: RunningPlan | None,
    horizon: Horizon,
    inputs: RoomInputs,
) -> RoomSet:
    relays: dict[str, RelayHistory] = {}
    held: dict[str, tuple[float, int]] = {}
    for thermal in found.thermals:
        name = thermal.room
        reading = None if known.telemetry is None else known.telemetry.rooms.get(name)
        entry = overrides.get(f"room:{name}")
        on_now = bool(reading.relay_on) if reading is not None and reading.relay_on is not None else False
        relays[name] = relay_history(name, on_now, running, entry, horizon)
        wish = None if entry is None else entry.params.get("target_c")
        if entry is not None and isinstance(wish, int | float):
            held[name] = (float(wish), horizon.slots_until(entry.until))
    return build_rooms(
        home,
        found.thermals,
        found.air_c,
        found.mass_c,
        relays,
        inputs,
        fixed_air_c=found.fixed_air_c,
        held_target_c=held,
    )


def _bands(
    home: Home,
    forecast: Forecast,
    horizon: Horizon,
    found: RoomsFound,
    prices: PricesAhead,
    pv_w: Floats,
    load_w: Floats,
    outdoor_c: Floats,
) -> dict[str, tuple[Floats, Floats]]:
    """Return P10 and P90 of what is planned with; cold days also raise the load of rooms left to thermostats."""
    most = home.pv.inverter_ac_limit_w
    pv = tuple(np.clip(edge, 0.0, most) for edge in band_around(pv_w, forecast.pv_power_w, horizon))
    cold, warm = band_around(outdoor_c, forecast.outdoor_temperature_c, horizon)
    low, high = band_around(load_w, forecast.load_power_w, horizon)
    rooms = [thermostat_load_w(home, found, horizon, at) for at in (warm, outdoor_c, cold)]
    # Errors of weather and of habits have nothing to do with each other: their squares add up.
    down, up = np.hypot(load_w - low, rooms[1] - rooms[0]), np.hypot(high - load_w, rooms[2] - rooms[1])
    return {
        "pv_w": (pv[0], pv[1]),
        "load_w": (np.maximum(load_w - down, 0.0), load_w + up),
        "buy": band_around(prices.buy, forecast.buy_czk_kwh, horizon, known=prices.buy_known),
        "sell": band_around(prices.sell, forecast.sell_czk_kwh, horizon, known=prices.sell_known),
        "outdoor_c": (cold, warm),
    }


def _stored_czk_wh(home: Home, mean_czk_kwh: float, cheap_czk_kwh: float) -> float:
    """Value of a stored Wh at the end: what it saves at the mean price, and no more than it costs to refill."""
    battery = home.battery
    charge, discharge = (1.0, 1.0) if battery is None else battery.legs
    wear = 0.0 if battery is None else battery.wear_czk_kwh
    return max(0.0, min(discharge * (mean_czk_kwh - wear), cheap_czk_kwh / charge)) / 1000.0


def assemble(
    home: Home, known: Known, *, now: datetime, decide_from: datetime, seed: int | None = None
) -> PlanningProblem:
    """Build the planning problem.

    The grid begins with the slot that holds `now`; slots before `decide_from` keep what the running plan says (or
    the present state), because the new plan is not there yet when they begin.

    Args:
        home: The site.
        known: What is known.
        now: House time of the measurements.
        decide_from: First slot boundary that the new plan can still decide.
        seed: Of the sampled days that scenarios are made from; by default the same forecast gives the same days.

    Raises:
        InputProblem: There is no usable forecast.
    """
    forecast = known.forecast
    if forecast is None:
        raise InputProblem("no forecast has arrived", remedy="check the forecaster service")
    horizon = _horizon(home, forecast, now, decide_from)
    notes = [Note("forecast_degraded", {"why": reason}) for reason in forecast.degraded]
    if known.telemetry is None:
        notes.append(Note("no_telemetry"))
    running = None if known.running is None else RunningPlan(known.running)
    overrides = running_overrides(known.status, now)

    outdoor = series(forecast.outdoor_temperature_c.p50, horizon)
    prices = prices_ahead(forecast, known.prices, horizon)
    pv = np.clip(series(forecast.pv_power_w.p50, horizon), 0.0, home.pv.inverter_ac_limit_w)
    load = np.maximum(series(forecast.load_power_w.p50, horizon), 0.0)
    found = find_rooms(home, known, horizon, float(outdoor[0]))
    worth = np.where(pv > load + _SURPLUS_W, np.maximum(prices.sell, 0.0), prices.buy)
    later = worth[-_DAY_SLOTS:]
    cheap_price, mean_price = float(np.quantile(later, 0.3)), float(later.mean())

    battery, battery_notes = battery_spec(
        home, known, running, overrides.get("battery"), horizon, _stored_czk_wh(home, mean_price, cheap_price)
    )
    tank_money = TankMoney(max(0.0, mean_price), worth)
    water, water_load, water_notes = water_spec(home, known, running, overrides.get("water"), horizon, tank_money)
    load = load + thermostat_load_w(home, found, horizon, outdoor) + water_load
    room_inputs = RoomInputs(
        start=horizon.start,
        slots=horizon.slots,
        step=SLOT,
        outdoor_c=outdoor,
        solar_w_m2={f: np.maximum(series(s, horizon), 0.0) for f, s in forecast.solar_w_m2.items()},
        heat_price_czk_kwh=max(0.0, mean_price),
        cheap_price_czk_kwh=max(0.0, cheap_price),
    )
    problem = PlanningProblem(
        start=horizon.start,
        slots=horizon.slots,
        frozen=horizon.frozen,
        pv_w=pv,
        load_w=load,
        buy=prices.buy,
        sell=prices.sell,
        outdoor_c=outdoor,
        cheap=horizon.cheap_slots(prices.buy),
        heating_season=float(outdoor.mean()) < _HEATING_BELOW_C,
        rooms=_rooms(home, known, found, overrides, running, horizon, room_inputs),
        battery=battery,
        ev=car_spec(home, known, running, overrides.get("ev"), horizon),
        water=water,
        grid=GridSpec(
            import_max_w=home.grid.import_planned_w,
            breaker_w=home.grid.import_max_w,
            export_max_w=home.grid.export_limit_w,
            heating_max_w=home.control.limits.heating_max_w,
            inverter_max_w=home.pv.inverter_ac_limit_w,
            pv_curtailable=home.pv.curtailable,
            # At the end of a month that of the month in which most of the horizon lies.
            peak_so_far_w=known.remembered.peak_so_far_w(home, horizon.at(horizon.slots // 2)),
        ),
        weights=weights_of(home),
        bands=_bands(home, forecast, horizon, found, prices, pv, load, outdoor),
        notes=(*notes, *found.notes, *battery_notes, *water_notes),
        step=SLOT,
        charger_known=home.ev is not None and known.telemetry is not None and known.telemetry.ev is not None,
        appliances=daily_runs(home, running, horizon),
    )
    seed = int(forecast.issued_at.timestamp()) if seed is None else seed
    strategy, off = strategy_to_use(home, known.strategy_value, now)
    uncertainty = uncertainty_for(home, problem, forecast.correlation, seed, strategy=strategy)
    return replace(problem, uncertainty=uncertainty, notes=(*problem.notes, *off))
