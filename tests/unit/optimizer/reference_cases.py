"""Toy problems with one-hour slots and round numbers, so that the best plan can be worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from pems_optimizer.domain.problem import (
    ApplianceSpec,
    BatterySpec,
    EvSpec,
    GridSpec,
    PlanningProblem,
    RoomSet,
    Uncertainty,
    WaterSpec,
    Weights,
)
from pems_optimizer.domain.reference_model import solve_reference

__all__ = ["appliance", "battery", "car", "czk", "rooms", "tank", "toy"]

_FREE = Weights(
    export_czk_kwh=0.0,
    peak_czk_kw=0.0,
    below_czk_k_h=10.0,
    above_czk_k_h=10.0,
    start_czk=0.0,
    intent_czk=0.0,
    overload_czk_kwh=50.0,
)
_WIDE = GridSpec(
    import_max_w=1e5, export_max_w=1e5, heating_max_w=1e5, inverter_max_w=1e5, pv_curtailable=True, peak_so_far_w=0.0
)


def series(value, slots):
    return np.broadcast_to(np.asarray(value, dtype=float), (slots,)).copy()


def rooms(slots, count=1, *, low=0.0, high=40.0, start=20.0, forced=(), air_in_w=0.0, **change):
    """Rooms without losses or neighbours: an hour of 1,000 W warms the air by 1 K. `low`, `high` per slot."""
    band = np.broadcast_to(series(low, slots)[:, None], (slots, count)).copy()
    top = np.broadcast_to(series(high, slots)[:, None], (slots, count)).copy()
    forced_on = np.zeros((slots, count), dtype=bool)
    forced_on[: len(forced)] = np.array(forced, dtype=bool).reshape(-1, 1)
    plain = RoomSet(
        names=tuple(f"room{r}" for r in range(count)),
        heater_w=np.full(count, 1000.0),
        a=np.broadcast_to(np.eye(2), (count, 2, 2)).copy(),
        b_air=np.tile([1e-3, 0.0], (count, 1)),
        b_mass=np.tile([0.0, 1e-3], (count, 1)),
        outward_w_k=np.zeros(count),
        coupling_w_k=np.zeros((count, count)),
        joint_a=np.eye(2 * count),
        joint_b=1e-3 * np.eye(2 * count),
        heat_to_mass=np.zeros(count),
        capacity_wh_k=np.full((count, 2), 1000.0),
        air_c=np.full(count, start),
        mass_c=np.full(count, 20.0),
        air_input_w=np.full((slots, count), air_in_w),
        low_c=band,
        high_c=top,
        band_low_c=band,
        band_high_c=top,
        target_c=band,
        priority=np.ones(count),
        relay_on=np.zeros(count, dtype=bool),
        slots_in_state=np.full(count, 100),
        forced=np.full(count, len(forced)),
        forced_on=forced_on,
        min_on=1,
        min_off=1,
        starts_max=np.full(count, 99),
        end_reference_c=np.zeros(count),
        end_value_czk_k=np.zeros(count),
        end_bonus_czk_k=np.zeros(count),
    )
    given = {name: np.array(value) if isinstance(value, list) else value for name, value in change.items()}
    return replace(plain, **given)


def battery(**change):
    """10 kWh, empty, 5 kW both ways, without losses, wear and end value; takes any power."""
    plain = BatterySpec(
        capacity_wh=10_000.0,
        energy_wh=0.0,
        min_wh=0.0,
        max_wh=10_000.0,
        charge_max_w=5000.0,
        discharge_max_w=5000.0,
        dispatch_min_w=2000.0,
        charge_efficiency=1.0,
        discharge_efficiency=1.0,
        wear_czk_kwh=0.0,
        end_value_czk_wh=0.0,
        control="setpoint",
    )
    return replace(plain, **change)


def car(need_wh, deadline, *, forced=(), low=1400.0, high=3000.0, short=15.0):
    return EvSpec(need_wh, deadline, low, high, np.array(forced, dtype=float), short_czk_kwh=short)


def tank(slots, *, low=0.0, high=60.0, drain_w=0.0, **change):
    """At 50 C; an hour of heating takes 1 kWh of electricity and warms by 2 K."""
    plain = WaterSpec(
        heat_w=2000.0,
        electric_w=1000.0,
        capacity_wh_k=1000.0,
        temperature_c=50.0,
        low_c=series(low, slots),
        high_c=series(high, slots),
        drain_w=series(drain_w, slots),
        on_now=False,
        slots_in_state=100,
        end_value_czk_k=0.0,
        below_czk_k_h=10.0,
        min_on=1,
        min_off=1,
    )
    return replace(plain, **change)


def appliance(run_slots, deadline, **change):
    plain = ApplianceSpec(
        name="machine", power_w=1000.0, run_slots=run_slots, earliest=0, deadline=deadline, missing_czk=50.0
    )
    return replace(plain, **change)


def toy(slots=1, *, buy=2.0, sell=0.0, pv=0.0, load=0.0, heated=None, grid=None, weights=None, **parts):
    """A house in which nothing costs anything but energy, comfort (10 CZK per K h) and overload (50 CZK/kWh)."""
    return PlanningProblem(
        start=datetime(2026, 1, 15, tzinfo=UTC),
        slots=slots,
        frozen=0,
        pv_w=series(pv, slots),
        load_w=series(load, slots),
        buy=series(buy, slots),
        sell=series(sell, slots),
        outdoor_c=np.zeros(slots),
        cheap=np.zeros(slots, dtype=bool),
        heating_season=False,
        rooms=rooms(slots, 0) if heated is None else heated,
        battery=parts.get("battery"),
        ev=parts.get("ev"),
        water=parts.get("water"),
        grid=replace(_WIDE, **(grid or {})),
        weights=replace(_FREE, **(weights or {})),
        step=timedelta(hours=1),
        appliances=parts.get("appliances", ()),
        uncertainty=parts.get("uncertainty", Uncertainty()),
    )


def czk(problem, **how):
    """The least cost, to the tenth of a heller."""
    solution = solve_reference(problem, **how)
    assert solution.status == "optimal"
    assert solution.bound <= solution.objective + 1e-9
    return round(solution.objective, 3)
