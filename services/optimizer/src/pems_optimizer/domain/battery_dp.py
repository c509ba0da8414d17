"""The battery's plan for an inverter with modes, by dynamic programming over the stored energy.

The inverter knows intents, not set-points (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding and exporting PV leave the battery alone. So the
choice per slot is one of few actions, the state is the stored energy and the last intent, and no charging and
discharging at once can appear, at negative prices either.
"""

import numpy as np

from pems_optimizer.domain.battery_actions import BatteryActions
from pems_optimizer.domain.battery_flow import HouseFlow, flow_of_actions, flow_without_battery, way_of
from pems_optimizer.domain.battery_kernel import values, walk
from pems_optimizer.domain.problem import Floats, PlanningProblem

__all__ = ["plan_battery"]


def plan_battery(
    problem: PlanningProblem,
    load_w: Floats,
    ev_w: Floats,
    peak_w: float,
    *,
    points: int = 81,
    wish: tuple[int, str] | None = None,
) -> HouseFlow:
    """Choose the battery's intent in every slot.

    Args:
        problem: The problem; without a battery the flow is settled without one.
        load_w: Everything the house draws, car included (T,).
        ev_w: The car's part of it (T,).
        peak_w: Import above this is charged the peak price in each slot, so that the choice respects a peak.
        points: Grid points of the stored energy.
        wish: A slot and the intent it must have.
    """
    battery = problem.battery
    if battery is None:
        return flow_without_battery(problem, load_w)
    house = BatteryActions(problem, battery, load_w, ev_w, max(peak_w, problem.grid.peak_so_far_w))
    wishes = dict(enumerate(battery.forced_intent[: battery.forced]))
    if wish is not None:
        wishes[wish[0]] = wish[1]
    must = np.full(problem.slots, -1)
    for t, intent in wishes.items():
        if t < problem.slots and way_of(intent) in house.ways:
            must[t] = way_of(intent)
    energy_wh, change_czk = house.energies_wh(points), float(problem.weights.intent_czk)
    actions = house.slots, house.ways, house.levels_w, must, energy_wh
    value = values(*actions, float(battery.end_value_czk_wh), change_czk, house.rules)
    last = way_of(battery.intent_now) if battery.intent_now else -1
    chosen, power_w, stored_wh = walk(value, *actions, change_czk, house.rules, float(battery.energy_wh), last)
    return flow_of_actions(problem, house, chosen, power_w, stored_wh)
