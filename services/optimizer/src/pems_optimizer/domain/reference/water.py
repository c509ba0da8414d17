"""Rules W1 to W6: the hot water tank, its own thermostat, and what cold water costs."""

from pems_optimizer.domain.problem import WaterSpec
from pems_optimizer.domain.reference.model import Model, Series, Term, total
from pems_optimizer.domain.reference.switching import Switch, add_switch

__all__ = ["add_water"]


def add_water(model: Model, water: WaterSpec) -> Series:
    """Add the tank; returns the heater's series."""
    p = model.problem
    forced = list(water.forced_on[: min(water.forced, p.slots)])
    switch = Switch(water.on_now, water.slots_in_state, forced, water.min_on, water.min_off)
    on = add_switch(model, "water", switch)  # W3, W5
    low, high = water.low_c.tolist(), water.high_c.tolist()
    most_k = water.heat_w * p.dt_h / water.capacity_wh_k
    drained_k = (water.drain_w * p.dt_h / water.capacity_wh_k).tolist()
    hottest = max(water.temperature_c, *high) + sum(max(0.0, -k) for k in drained_k)
    tank, gained = model.numbers("water_c", None), model.numbers("water_gain", 0.0, most_k)
    heating, below = model.choices("water_heating"), model.numbers("water_below")
    before: Term = water.temperature_c
    for t in range(p.slots):
        # W2: heat goes in only while the switch is on, and not beyond the thermostat. How much less is left open:
        # a colder tank is never worth more, so the cheapest tank is the true one.
        model.demand(heating[t] <= on[t], gained[t] <= most_k * heating[t])
        model.demand(tank[t] <= high[t] + (hottest - high[t]) * (1 - heating[t]))
        model.demand(tank[t] == before - drained_k[t] + gained[t])  # W1
        model.demand(below[t] >= low[t] - tank[t])  # W4
        before = tank[t]
    cooler = model.number("water_cooler")
    model.demand(cooler >= high[-1] - tank[-1])  # W6
    model.own_money.append(water.below_czk_k_h * p.dt_h * total(below) + water.end_value_czk_k * cooler)
    return on
