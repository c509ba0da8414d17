"""Random batteries, cars, hot water tanks and machines, odd ones among them."""

from typing import Literal, get_args

import numpy as np
from benchmarks.invariants.random_rooms import Slots

from pems_common.messages import Intent
from pems_optimizer.domain.problem import ApplianceSpec, BatterySpec, EvSpec, WaterSpec

__all__ = ["random_battery", "random_car", "random_machines", "random_tank"]


def random_battery(rng: np.random.Generator, slots: Slots, *, outside: bool) -> BatterySpec:
    """Draw a battery, by set-points or by intents; `outside` its limits or not."""
    capacity = float(rng.choice([5_000.0, 10_000.0, 20_000.0]))
    low, high = 0.01 * capacity * rng.uniform(5.0, 25.0), 0.01 * capacity * rng.uniform(85.0, 100.0)
    if rng.random() < 0.03:
        high = low  # nothing to be done with it
    energy = rng.choice([0.3 * low, 0.5 * (capacity + high)]) if outside else rng.uniform(low, high)
    power, leg = float(rng.choice([2_500.0, 5_300.0])), rng.uniform(0.88, 1.0)
    control: Literal["intents", "setpoint"] = "intents" if rng.random() < 0.5 else "setpoint"
    intents = get_args(Intent)
    forced = slots.frozen if control == "intents" else 0
    tapers, cold, reserve = rng.random(3) < (0.4, 0.2, 0.3)
    return BatterySpec(
        capacity_wh=capacity,
        energy_wh=float(energy),
        min_wh=float(low),
        max_wh=float(high),
        charge_max_w=power,
        discharge_max_w=power,
        dispatch_min_w=float(rng.choice([0.0, 1_000.0, 2_450.0])),
        charge_efficiency=float(leg),
        discharge_efficiency=float(leg),
        wear_czk_kwh=float(rng.choice([0.0, 1.0])),
        end_value_czk_wh=float(rng.choice([0.0, 0.002, 0.004])),
        control=control,
        intent_now=str(rng.choice(["", "self_consume", "hold"])),
        forced=forced,
        forced_intent=tuple(str(rng.choice(intents[:4])) for _ in range(forced)),
        charge_share=rng.uniform(0.1, 1.0, slots.count) if cold else np.empty(0),
        discharge_share=rng.uniform(0.3, 1.0, slots.count) if cold else np.empty(0),
        taper_from_wh=0.9 * high if tapers else np.inf,
        taper_full_w=0.2 * power,
        reserve_wh=0.4 * capacity if reserve else 0.0,
        reserve_czk_kwh_h=0.1 if reserve else 0.0,
    )


def random_car(rng: np.random.Generator, slots: Slots) -> EvSpec:
    """Draw a car; some need more than they can get."""
    high = float(rng.choice([3_700.0, 11_000.0]))
    forced = np.full(slots.frozen, float(rng.choice([0.0, 0.0, high])))
    return EvSpec(
        need_wh=float(rng.uniform(100.0, 20_000.0)),
        deadline=int(rng.integers(slots.frozen, slots.count + 1)),
        power_min_w=1_400.0,
        power_max_w=high,
        forced_w=forced,
        short_czk_kwh=float(rng.choice([3.0, 15.0])),
    )


def random_tank(rng: np.random.Generator, slots: Slots) -> WaterSpec:
    """Draw a tank; some have to be heated through, some are too cold."""
    low, high = np.full(slots.count, 45.0), np.full(slots.count, 55.0)
    if rng.random() < 0.3:
        last = int(rng.integers(slots.count))
        low[last], high[max(0, last - 8) : last + 1] = 60.0, 61.0
    on_now = bool(rng.random() < 0.3)
    state = on_now if rng.random() < 0.7 else not on_now
    return WaterSpec(
        heat_w=float(rng.choice([2_000.0, 4_000.0])),
        electric_w=float(rng.choice([700.0, 2_000.0])),
        capacity_wh_k=232.6,
        temperature_c=float(rng.uniform(35.0, 58.0)),
        low_c=low,
        high_c=high,
        drain_w=np.where(rng.random(slots.count) < 0.08, 1_500.0, rng.uniform(50.0, 120.0)),
        on_now=on_now,
        slots_in_state=int(rng.choice([0, 1, 1000])),
        end_value_czk_k=float(rng.uniform(0.0, 1.0)),
        min_on=1 if slots.dt_h > 0.25 else 2,
        min_off=1 if slots.dt_h > 0.25 else 2,
        forced=slots.frozen,
        forced_on=(state,) * slots.frozen,
    )


def random_machines(rng: np.random.Generator, slots: Slots) -> tuple[ApplianceSpec, ...]:
    """Draw up to three machines; some do not fit their windows."""
    machines = []
    for k in range(int(rng.integers(0, 4))):
        earliest = int(rng.integers(0, slots.count))
        deadline = int(rng.integers(earliest, slots.count + 1))
        length = int(rng.integers(1, max(2, min(8, slots.count // 2))))
        begun = slots.frozen > 0 and rng.random() < 0.3
        whole = not bool(rng.random() < 0.4)
        forced = (True,) * (length if whole else min(length, slots.frozen)) if begun else (False,) * slots.frozen
        machines.append(
            ApplianceSpec(
                name=f"machine_{k}",
                power_w=float(rng.uniform(300.0, 3_000.0)),
                run_slots=length,
                earliest=0 if begun else earliest,
                deadline=max(deadline, len(forced)) if begun else deadline,
                interruptible=not whole,
                start_czk=float(rng.choice([0.0, 0.2])),
                missing_czk=float(rng.choice([0.5, 50.0])),
                forced=len(forced),
                forced_on=forced,
                on_now=begun and bool(rng.random() < 0.5),
            )
        )
    return tuple(machines)
