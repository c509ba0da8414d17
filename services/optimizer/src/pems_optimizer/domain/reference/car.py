"""Rules V1 to V3: the car's power, its window, and the energy it wants by the deadline. V4 stands with the grid."""

from dataclasses import dataclass

from pems_optimizer.domain.problem import EvSpec
from pems_optimizer.domain.reference.model import Model, Series, total

__all__ = ["Car", "add_car"]

_DRAWS_W = 1.0  # less is nothing


@dataclass(frozen=True)
class Car:
    """The car's power per slot [W], and 1 where it charges."""

    power_w: Series
    charges: Series


def add_car(model: Model, ev: EvSpec) -> Car:
    """Add the car."""
    p, forced = model.problem, ev.forced_w.tolist()[: model.problem.slots]
    power, charges = model.numbers("car_w"), model.choices("car_charges")
    for t in range(len(forced), p.slots):
        if t >= ev.deadline:
            model.demand(charges[t] == 0)  # V2
        model.demand(power[t] >= ev.power_min_w * charges[t], power[t] <= ev.power_max_w * charges[t])  # V1
    model.fix(power, forced)
    model.fix(charges, [power_w > _DRAWS_W for power_w in forced])
    short = model.number("car_short_wh")
    model.demand(short >= ev.need_wh - p.dt_h * total(power[: ev.deadline]))  # V3
    model.own_money.append(ev.short_czk_kwh / 1000.0 * short)
    return Car(power, charges)
