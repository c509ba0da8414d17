"""From a checked problem file to the planning problem that every solver takes. Money becomes CZK on the way."""

from dataclasses import replace

import numpy as np

from pems_optimizer.domain.problem import (
    ApplianceSpec,
    BatterySpec,
    Bools,
    EvSpec,
    Floats,
    GridSpec,
    PlanningProblem,
    Scenario,
    Uncertainty,
    WaterSpec,
)
from pems_optimizer.domain.problem_file.devices import Appliance, Battery, Car, Water
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.room_arrays import HeatWorth, room_set
from pems_optimizer.domain.problem_file.series import as_array, most_of
from pems_optimizer.domain.problem_file.weights import weights_in_czk

__all__ = ["planning_problem"]

_SPARE_W = 1000.0  # beyond what could ever flow
_WH_K_PER_LITRE = 1.163
_LONG_SLOTS = 1000
_CHEAP_QUANTILE = 0.3
_SURPLUS_W = 500.0
# Swanson's rule: P10, P50, P90 weigh 0.3, 0.4, 0.3 (Hurst, Brown, Swanson 2000, AAPG Bulletin 84).
_THREE_DAYS = (("bad_day", 0.3, -1), ("expected_day", 0.4, 0), ("good_day", 0.3, 1))


def planning_problem(document: ProblemDocument) -> PlanningProblem:
    """Build the planning problem of a file in which `mistakes_of` found none."""
    slots, money = document.slots, document.money
    buy, sell = as_array(document.buy_per_kwh, slots) * money, as_array(document.sell_per_kwh, slots) * money
    pv, load = as_array(document.pv_w, slots), as_array(document.load_w, slots)
    outdoor = as_array(document.outdoor_c, slots)
    mean_price, cheap_price = _prices_of_a_day(document, pv, load, buy, sell)
    problem = PlanningProblem(
        start=document.start,
        slots=slots,
        frozen=0,
        pv_w=pv,
        load_w=load,
        buy=buy,
        sell=sell,
        outdoor_c=outdoor,
        cheap=_cheap(document, buy),
        heating_season=float(outdoor.mean()) < 12.0,
        rooms=room_set(document, HeatWorth(max(0.0, mean_price), 0.9 * max(0.0, cheap_price))),
        battery=None if document.battery is None else _battery(document, document.battery, mean_price, cheap_price),
        ev=None if document.ev is None else _car(document, document.ev),
        water=None if document.water is None else _water(document, document.water, max(0.0, mean_price)),
        grid=_grid(document),
        weights=weights_in_czk(document),
        bands=_bands(document),
        step=document.step,
        charger_known=document.ev is not None,
        appliances=tuple(_appliance(document, appliance) for appliance in document.appliances),
    )
    return replace(problem, uncertainty=_uncertainty(document, problem))


def _grid(document: ProblemDocument) -> GridSpec:
    """Limits; where none is given, the most that could ever flow (a program with larger ones is harder to solve)."""
    grid, battery = document.grid, document.battery
    spare = 1.0 + document.uncertainty.spread
    scenarios, bands = document.uncertainty.scenarios, document.bands
    pv = [document.pv_w, *(s.pv_w for s in scenarios), *(b.p90 for b in (bands.pv_w,) if b is not None)]
    load = [document.load_w, *(s.load_w for s in scenarios), *(b.p90 for b in (bands.load_w,) if b is not None)]
    made_w = spare * max(most_of(series) for series in pv if series is not None)
    heat_w = sum(room.heater_w for room in document.rooms)
    drawn_w = (
        spare * max(most_of(series) for series in load if series is not None)
        + heat_w
        + (0.0 if document.ev is None else document.ev.power_max_w)
        + (0.0 if document.water is None else document.water.electric_w)
        + sum(appliance.power_w for appliance in document.appliances)
    )
    if battery is not None:
        made_w += most_of(battery.discharge_max_w)
        drawn_w += most_of(battery.charge_max_w)

    def limit(given_w: float | None, natural_w: float) -> float:
        most_w = max(natural_w, 0.0) + _SPARE_W
        return most_w if given_w is None else min(given_w, most_w)

    return GridSpec(
        import_max_w=limit(grid.import_max_w, drawn_w),
        export_max_w=limit(grid.export_max_w, made_w),
        heating_max_w=limit(grid.heating_max_w, heat_w),
        inverter_max_w=limit(grid.inverter_max_w, made_w),
        pv_curtailable=grid.pv_curtailable,
        peak_so_far_w=grid.peak_so_far_w,
    )


def _prices_of_a_day(
    document: ProblemDocument, pv_w: Floats, load_w: Floats, buy: Floats, sell: Floats
) -> tuple[float, float]:
    """Return mean and cheap price of the last day: what energy left at the end will save or could be had for."""
    a_day = max(1, round(24 * 60 / document.step_minutes))
    effective = np.where(pv_w > load_w + _SURPLUS_W, np.maximum(sell, 0.0), buy)[-a_day:]
    return float(effective.mean()), float(np.quantile(effective, _CHEAP_QUANTILE))


def _cheap(document: ProblemDocument, buy: Floats) -> Bools:
    """Slots at or below the 30 % quantile of their local day, as the rules see it."""
    days = np.array(
        [(document.start + t * document.step).astimezone(document.timezone).toordinal() for t in range(len(buy))]
    )
    cheap = np.zeros(len(buy), dtype=np.bool_)
    for day in np.unique(days):
        members = days == day
        cheap[members] = buy[members] <= np.quantile(buy[members], _CHEAP_QUANTILE)
    return cheap


def _battery(document: ProblemDocument, battery: Battery, mean_price: float, cheap_price: float) -> BatterySpec:
    slots, money, capacity = document.slots, document.money, battery.capacity_wh
    wear = battery.wear_per_kwh * money
    saved = min(battery.discharge_efficiency * (mean_price - wear), cheap_price / battery.charge_efficiency)
    value = max(0.0, saved) if battery.end_value_per_kwh is None else battery.end_value_per_kwh * money
    charge, discharge = most_of(battery.charge_max_w), most_of(battery.discharge_max_w)
    spec = BatterySpec(
        capacity_wh=capacity,
        energy_wh=capacity * battery.soc_pct / 100.0,
        min_wh=capacity * battery.soc_min_pct / 100.0,
        max_wh=capacity * battery.soc_max_pct / 100.0,
        charge_max_w=charge,
        discharge_max_w=discharge,
        dispatch_min_w=battery.dispatch_min_w,
        charge_efficiency=battery.charge_efficiency,
        discharge_efficiency=battery.discharge_efficiency,
        wear_czk_kwh=wear,
        end_value_czk_wh=value / 1000.0,
        control=battery.control,
    )
    if isinstance(battery.charge_max_w, tuple):
        spec = replace(spec, charge_share=as_array(battery.charge_max_w, slots) / max(charge, 1e-9))
    if isinstance(battery.discharge_max_w, tuple):
        spec = replace(spec, discharge_share=as_array(battery.discharge_max_w, slots) / max(discharge, 1e-9))
    if battery.taper is not None:
        taper = battery.taper
        spec = replace(spec, taper_from_wh=capacity * taper.from_soc_pct / 100.0, taper_full_w=taper.full_w)
    if battery.reserve is not None:
        kept = battery.reserve
        spec = replace(spec, reserve_wh=capacity * kept.soc_pct / 100.0, reserve_czk_kwh_h=kept.per_kwh_h * money)
    return spec


def _car(document: ProblemDocument, ev: Car) -> EvSpec:
    spec = EvSpec(
        need_wh=ev.need_wh,
        deadline=document.end_slot(ev.ready_at),
        power_min_w=ev.power_min_w,
        power_max_w=ev.power_max_w,
        forced_w=np.zeros(document.first_slot(ev.plugged_at)),
    )
    return spec if ev.short_per_kwh is None else replace(spec, short_czk_kwh=ev.short_per_kwh * document.money)


def _water(document: ProblemDocument, water: Water, mean_price: float) -> WaterSpec:
    slots, money, step = document.slots, document.money, document.step_minutes
    capacity = water.volume_l * _WH_K_PER_LITRE
    worth = mean_price * capacity / 1000.0 * water.electric_w / water.heat_w
    minutes = water.minutes_in_state
    spec = WaterSpec(
        heat_w=water.heat_w,
        electric_w=water.electric_w,
        capacity_wh_k=capacity,
        temperature_c=water.temperature_c,
        low_c=as_array(water.low_c, slots),
        high_c=np.full(slots, water.high_c),
        drain_w=as_array(water.drain_w, slots),
        on_now=water.on_now,
        slots_in_state=_LONG_SLOTS if minutes is None else minutes // step,
        end_value_czk_k=worth if water.end_value_per_k is None else water.end_value_per_k * money,
        min_on=max(1, -(-water.min_on_minutes // step)),
        min_off=max(1, -(-water.min_off_minutes // step)),
    )
    return spec if water.below_per_k_h is None else replace(spec, below_czk_k_h=water.below_per_k_h * money)


def _appliance(document: ProblemDocument, appliance: Appliance) -> ApplianceSpec:
    spec = ApplianceSpec(
        name=appliance.name,
        power_w=appliance.power_w,
        run_slots=-(-appliance.run_minutes // document.step_minutes),
        earliest=document.first_slot(appliance.earliest_at),
        deadline=document.end_slot(appliance.ready_at),
        interruptible=appliance.interruptible,
        start_czk=appliance.per_start * document.money,
        on_now=appliance.on_now,
    )
    missing = appliance.missing_per_slot
    return spec if missing is None else replace(spec, missing_czk=missing * document.money)


def _bands(document: ProblemDocument) -> dict[str, tuple[Floats, Floats]]:
    slots, money, bands = document.slots, document.money, document.bands
    given = {
        "pv_w": (bands.pv_w, 1.0),
        "load_w": (bands.load_w, 1.0),
        "buy": (bands.buy_per_kwh, money),
        "sell": (bands.sell_per_kwh, money),
    }
    return {
        name: (as_array(band.p10, slots) * scale, as_array(band.p90, slots) * scale)
        for name, (band, scale) in given.items()
        if band is not None
    }


def _uncertainty(document: ProblemDocument, problem: PlanningProblem) -> Uncertainty:
    given = document.uncertainty
    scenarios: tuple[Scenario, ...] = ()
    if given.strategy == "scenarios":
        scenarios = _listed(document, problem) if given.scenarios else _three_days(problem)
    return Uncertainty(
        strategy=given.strategy,
        spread=given.spread,
        scenarios=scenarios,
        shared_slots=given.shared_slots,
        cvar_share=given.cvar_share,
        cvar_tail=given.cvar_tail,
    )


def _listed(document: ProblemDocument, problem: PlanningProblem) -> tuple[Scenario, ...]:
    slots, money = document.slots, document.money

    def course(value: object, expected: Floats, scale: float = 1.0) -> Floats:
        return expected if value is None else as_array(value, slots) * scale

    return tuple(
        Scenario(
            name=part.name,
            probability=part.probability,
            pv_w=course(part.pv_w, problem.pv_w),
            load_w=course(part.load_w, problem.load_w),
            buy=course(part.buy_per_kwh, problem.buy, money),
            sell=course(part.sell_per_kwh, problem.sell, money),
        )
        for part in document.uncertainty.scenarios
    )


def _three_days(problem: PlanningProblem) -> tuple[Scenario, ...]:
    """A bad, an expected and a good day, all quantities at once at the edge of their bands."""

    def course(name: str, expected: Floats, direction: int) -> Floats:
        if direction == 0 or name not in problem.bands:
            return expected
        return problem.bands[name][0 if direction < 0 else 1]

    return tuple(
        Scenario(
            name=name,
            probability=probability,
            pv_w=course("pv_w", problem.pv_w, luck),
            load_w=course("load_w", problem.load_w, -luck),
            buy=course("buy", problem.buy, -luck),
            sell=course("sell", problem.sell, -luck),
        )
        for name, probability, luck in _THREE_DAYS
    )
