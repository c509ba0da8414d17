"""What a house does slot by slot when its inverter follows intents, and what that costs.

PV is curtailed where exporting would cost. Which intents are best is `battery_dp`'s matter.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.battery_actions import BatteryActions
from pems_optimizer.domain.battery_kernel import CHARGE, DISCHARGE, HOLD, OFF, SELF
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = [
    "FlowMoney",
    "HouseFlow",
    "flow_money",
    "flow_of_actions",
    "flow_without_battery",
    "follow_intents",
    "way_of",
]


@dataclass(frozen=True)
class FlowMoney:
    """Money of a flow [CZK]: what is paid, the price of exporting, wear, peak, overload, intent changes.

    `end_value` is what is stored at the end, `reserve` what having less than the reserve costs.
    """

    net_cost: float
    export_term: float
    wear: float
    peak: float
    overload: float
    switching: float
    end_value: float
    reserve: float

    @property
    def total(self) -> float:
        """Everything that the dispatch can change."""
        paid = self.net_cost + self.export_term + self.wear + self.peak + self.overload
        return paid + self.switching + self.reserve - self.end_value


@dataclass(frozen=True)
class HouseFlow:
    """Flows of the house per slot [W] (T,), the battery's intents, and their money.

    Attributes:
        soc_wh: Stored energy at the end of each slot.
        grid_w: + = import.
        battery_w: + = discharge.
        pv_used_w: PV after curtailment.
        limited: Slots in which PV is held back.
    """

    intent: tuple[Intent, ...]
    battery_w: Floats
    soc_wh: Floats
    grid_w: Floats
    pv_used_w: Floats
    limited: np.ndarray
    money: FlowMoney


def flow_money(
    problem: PlanningProblem,
    battery_w: Floats,
    grid_w: Floats,
    pv_used_w: Floats,
    intents: tuple[str, ...],
    soc_wh: Floats,
) -> FlowMoney:
    """Account for a flow; `intents` may be empty where changing them costs nothing."""
    kwh, w, battery = problem.kwh, problem.weights, problem.battery
    imported, exported = np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0)
    over = np.maximum(imported - problem.grid.import_max_w, 0.0)
    return FlowMoney(
        net_cost=float((imported * problem.buy - exported * problem.sell).sum() * kwh),
        export_term=float((exported + problem.pv_w - pv_used_w).sum() * kwh * w.export_czk_kwh),
        wear=0.0 if battery is None else float(np.maximum(battery_w, 0.0).sum() * kwh * battery.wear_czk_kwh),
        peak=max(0.0, float(imported.max(initial=0.0)) - problem.grid.peak_so_far_w) / 1000.0 * w.peak_czk_kw,
        overload=float(over.sum() * kwh * w.overload_czk_kwh),
        switching=float(_changes(problem, intents) * w.intent_czk),
        end_value=0.0 if battery is None else battery.end_value_czk_wh * float(soc_wh[-1]),
        reserve=0.0 if battery is None else _lacking_kwh_h(battery, soc_wh, kwh) * battery.reserve_czk_kwh_h,
    )


def _lacking_kwh_h(battery: BatterySpec, soc_wh: Floats, kwh: float) -> float:
    return float(np.maximum(battery.reserve_wh - soc_wh, 0.0).sum()) * kwh


def way_of(intent: str) -> int:
    """Return the class of an intent."""
    return {
        "charge_from_grid": CHARGE,
        "discharge_to_grid": DISCHARGE,
        "hold": HOLD,
        "export_pv": HOLD,
        "off": OFF,
    }.get(intent, SELF)


def _changes(problem: PlanningProblem, intents: tuple[str, ...]) -> int:
    if problem.battery is None or problem.battery.control == "setpoint":
        return 0  # there is nothing to change between (B9)
    before = problem.battery.intent_now
    classes = [way_of(i) for i in intents]
    last = way_of(before) if before else (classes[0] if classes else SELF)
    changes = 0
    for c in classes:
        changes += c != last
        last = c
    return changes


def flow_without_battery(problem: PlanningProblem, load_w: Floats) -> HouseFlow:
    """Return the flow of a house whose battery is absent, or rests; PV is curtailed where exporting costs."""
    pv_used, grid, limited = _settle(problem, load_w, np.zeros_like(load_w), np.ones(len(load_w), dtype=np.bool_))
    empty = np.zeros_like(load_w)
    stored = empty
    intents: tuple[Intent, ...] = ()
    if problem.battery is not None:
        stored = np.full_like(load_w, problem.battery.energy_wh)
        intents = tuple("hold" for _ in range(len(load_w)))
    money = flow_money(problem, empty, grid, pv_used, (), stored)
    return HouseFlow(intents, empty, stored, grid, pv_used, limited, money)


def _settle(
    problem: PlanningProblem, load_w: Floats, battery_w: Floats, free_pv: np.ndarray
) -> tuple[Floats, Floats, np.ndarray]:
    """Return PV used, grid power and where PV is held back, for given battery power.

    Exports that cost more than not making them are curtailed, and so is what the export limit refuses. Where
    importing pays more than using PV (strongly negative prices) PV is curtailed whole, in slots where nothing
    else would jump in (`free_pv`).
    """
    w, pv = problem.weights, problem.pv_w
    need = load_w - battery_w  # what PV and grid have to bring
    surplus = np.maximum(pv - np.maximum(need, 0.0), 0.0)
    export_max = problem.grid.export_max_w
    curtailed = np.zeros_like(pv)
    if problem.grid.pv_curtailable:
        curtailed = np.where(problem.sell < 0.0, surplus, np.maximum(surplus - export_max, 0.0))
        whole = free_pv & (problem.buy + w.export_czk_kwh < 0.0) & (pv > 1.0)
        room = np.maximum(problem.grid.import_max_w - np.maximum(need, 0.0), 0.0)
        curtailed = np.where(whole, np.maximum(curtailed, np.minimum(pv, room)), curtailed)
    pv_used = pv - curtailed
    return pv_used, need - pv_used, curtailed > 1.0


def flow_of_actions(
    problem: PlanningProblem, house: BatteryActions, chosen: np.ndarray, power: Floats, soc: Floats
) -> HouseFlow:
    """Turn chosen actions, their battery power and the stored energy after each into the flow of the house."""
    ways = house.ways[chosen]
    pv_used, grid, limited = _settle(problem, house.load_w, power, (ways != SELF) & (ways != OFF))
    off = ways == OFF
    pv_used = np.where(off, 0.0, pv_used)
    grid = np.where(off, house.load_w, grid)
    limited = limited & ~off
    surplus = problem.pv_w > house.load_w
    names: list[Intent] = []
    for c, much in zip(ways.tolist(), surplus.tolist(), strict=True):
        if c == HOLD:
            names.append("export_pv" if much else "hold")
        else:
            names.append(
                cast(
                    Intent,
                    {SELF: "self_consume", CHARGE: "charge_from_grid", DISCHARGE: "discharge_to_grid"}.get(c, "off"),
                )
            )
    intents = tuple(names)
    money = flow_money(problem, power, grid, pv_used, intents, soc)
    return HouseFlow(intents, power, soc, grid, pv_used, limited, money)


def follow_intents(
    problem: PlanningProblem, load_w: Floats, ev_w: Floats, intents: tuple[Intent, ...], power_w: Floats
) -> HouseFlow:
    """Return the flow when given intents are followed (for rules and for judging an older plan).

    Args:
        problem: The problem.
        load_w: Everything the house draws (T,).
        ev_w: The car's part of it (T,).
        intents: Intent per slot.
        power_w: Power wanted where the intent is charging or discharging (magnitude counts) (T,).
    """
    if problem.battery is None:
        return flow_without_battery(problem, load_w)
    house = BatteryActions(problem, problem.battery, load_w, ev_w, float("inf"))
    energy = problem.battery.energy_wh
    chosen: list[int] = []
    powers, stored = np.empty(problem.slots), np.empty(problem.slots)
    for t, (intent, wanted_w) in enumerate(zip(intents, np.abs(power_w).tolist(), strict=True)):
        way = way_of(intent)
        members = [a for a, action in enumerate(house.actions) if action.way == way] or [0]
        a = min(members, key=lambda a: abs(house.actions[a].level_w - wanted_w))
        power, _, energy = house.follow(t, a, energy)
        chosen.append(a)
        powers[t], stored[t] = power, energy
    return flow_of_actions(problem, house, np.array(chosen, dtype=np.int64), powers, stored)
