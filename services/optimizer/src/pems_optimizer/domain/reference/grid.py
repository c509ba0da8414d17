"""Rules G1 to G6, G8 and V4: balance, breaker, export, PV held back, inverter and peak, in one course of the days."""

from dataclasses import dataclass

from pems_optimizer.domain.problem import Scenario
from pems_optimizer.domain.reference.battery import Battery, add_battery
from pems_optimizer.domain.reference.car import Car
from pems_optimizer.domain.reference.model import Model, Series, Term, total

__all__ = ["CourseFlow", "add_course", "add_heating_limit"]


@dataclass(frozen=True)
class CourseFlow:
    """Flows of one course [W], and all its money.

    Attributes:
        import_w: Import, that above the breaker included.
        export_w: Export.
        held_back_w: PV that is not made.
        net_load_w: What the house draws less what the roof could give.
        draw_max_w: Most import that can occur in each slot.
        feed_max_w: Most export and held back PV that can occur in each slot.
        battery: The battery, None where there is none.
        money: Everything that this course costs.
    """

    given: Scenario
    import_w: Series
    export_w: Series
    held_back_w: Series
    net_load_w: Series
    draw_max_w: list[float]
    feed_max_w: list[float]
    battery: Battery | None
    money: list[Term]


def add_course(
    model: Model, name: str, given: Scenario, devices_w: Series, devices_max_w: float, car: Car | None
) -> CourseFlow:
    """Add one course.

    Args:
        model: The model.
        name: Of the course's variables.
        given: PV, load and prices.
        devices_w: What is decided before the courses part draws, per slot.
        devices_max_w: The most of it.
        car: The car, whose power is in `devices_w`.
    """
    p, grid, w = model.problem, model.problem.grid, model.problem.weights
    spec = p.battery
    by_intents = spec is not None and spec.control == "intents"
    battery = None if spec is None else add_battery(model, name, spec)
    most_in = [0.0] * p.slots if battery is None else battery.charge_max_w
    most_out = [0.0] * p.slots if battery is None else battery.discharge_max_w
    pv, load = given.pv_w.tolist(), given.load_w.tolist()
    buy, sell = given.buy.tolist(), given.sell.tolist()
    within, over = model.numbers(f"{name}_import_w", 0.0, grid.import_max_w), model.numbers(f"{name}_over_w")
    export, held_back = model.numbers(f"{name}_export_w"), model.numbers(f"{name}_held_back_w")
    exports = model.choices(f"{name}_exports")
    peak = model.number(f"{name}_peak_w")
    drawn: Series = [within[t] + over[t] for t in range(p.slots)]
    net: Series = [devices_w[t] + (load[t] - pv[t]) for t in range(p.slots)]
    draw_max = [max(0.0, load[t]) + devices_max_w + most_in[t] for t in range(p.slots)]
    feed_max = [pv[t] + most_out[t] + max(0.0, -load[t]) for t in range(p.slots)]
    money: list[Term] = [] if battery is None else [*battery.money]
    for t in range(p.slots):
        gives = 0.0 if battery is None else battery.discharge_w[t] - battery.charge_w[t]
        model.demand(drawn[t] - export[t] == net[t] + held_back[t] - gives)  # G1
        if grid.pv_curtailable:
            model.demand(export[t] <= grid.export_max_w)  # G3
        elif not by_intents:
            model.demand(held_back[t] == 0)  # G5; with intents I6 has an exception
        # G4: one way at a time.
        model.demand(drawn[t] <= draw_max[t] * (1 - exports[t]), export[t] <= feed_max[t] * exports[t])
        model.demand(held_back[t] <= pv[t])  # G5
        if battery is not None:  # G6
            model.demand(battery.discharge_w[t] - held_back[t] <= max(grid.inverter_max_w - pv[t], 0.0))
        model.demand(peak >= drawn[t] - grid.peak_so_far_w)  # G8
        if car is not None and not by_intents:
            model.demand(car.power_w[t] <= drawn[t] + pv[t] - held_back[t])  # V4
        paid = buy[t] * drawn[t] - sell[t] * export[t]
        wasted = w.export_czk_kwh * (export[t] + held_back[t])
        money.append(p.kwh * (paid + wasted + w.overload_czk_kwh * over[t]))  # G2, O2
    money.append(w.peak_czk_kw / 1000.0 * peak)  # G8
    return CourseFlow(given, drawn, export, held_back, net, draw_max, feed_max, battery, money)


def add_heating_limit(model: Model, heating_w: Series) -> None:
    """Charge what all relays together draw above their limit (G7)."""
    p = model.problem
    over = model.numbers("heating_over_w")
    for t in range(p.slots):
        model.demand(over[t] >= heating_w[t] - p.grid.heating_max_w)
    model.own_money.append(p.weights.overload_czk_kwh * p.kwh * total(over))
