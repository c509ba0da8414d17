"""What the inverter really does in each slot: battery intents by dynamic programming over the stored energy.

The inverter knows intents, not set-points (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding and exporting PV leave the battery alone. So the
choice per slot is one of few actions, the state is the stored energy and the last intent, and no charging and
discharging at once can appear, at negative prices either. PV is curtailed where exporting would cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.battery_actions import CHARGE, DISCHARGE, FORBIDDEN, HOLD, OFF, SELF, BatteryActions
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["FlowMoney", "HouseFlow", "flow_money", "flow_without_battery", "follow_intents", "plan_battery"]

_WAYS = 5
_BLOCK_SLOTS = 16  # as in relay_dp


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


def _way_of(intent: str) -> int:
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
    classes = [_way_of(i) for i in intents]
    last = _way_of(before) if before else (classes[0] if classes else SELF)
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


def _values(house: BatteryActions, energy_wh: Floats, must: Mapping[int, int]) -> Floats:
    """Return the value of every boundary, last intent and stored energy (T+1, 5, N); `must` binds slots to a way."""
    problem, ways = house.problem, house.ways
    n, points = problem.slots, len(energy_wh)
    low, step = energy_wh[0], energy_wh[1] - energy_wh[0]
    values = np.empty((n + 1, _WAYS, points))
    values[n] = -house.battery.end_value_czk_wh * energy_wh
    change = problem.weights.intent_czk
    groups = [(way, np.flatnonzero(ways == way)) for way in range(_WAYS)]
    spans = [(way, slice(int(m[0]), int(m[-1]) + 1)) for way, m in groups if len(m)]  # actions stand by way
    for end in range(n, 0, -_BLOCK_SLOTS):
        first = max(0, end - _BLOCK_SLOTS)
        table = house.table(energy_wh, first, end)
        at = np.clip((table.after_wh - low) / step, 0.0, points - 1.0)
        index = np.minimum(at.astype(np.int64), points - 2)
        weight = at - index
        left = index + (ways * points)[None, :, None]
        right = left + 1
        for t in range(end - 1, first - 1, -1):
            i = t - first
            later = values[t + 1].ravel()
            worth = later.take(left[i])
            worth += weight[i] * (later.take(right[i]) - worth)
            worth += table.cost[i]
            if t in must:
                worth[ways != must[t]] += FORBIDDEN
            here = values[t]
            here[:] = worth.min(axis=0) + change
            for way, span in spans:
                np.minimum(here[way], worth[span].min(axis=0), out=here[way])
    return values


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
    grid = house.energies_wh(points)
    ways = house.ways.tolist()
    must = {t: way for t, i in enumerate(battery.forced_intent[: battery.forced]) if (way := _way_of(i)) in ways}
    if wish is not None and _way_of(wish[1]) in ways:
        must[wish[0]] = _way_of(wish[1])
    values = _values(house, grid, must)
    energy = battery.energy_wh
    last = _way_of(battery.intent_now) if battery.intent_now else -1
    step, low = float(grid[1] - grid[0]), float(grid[0])
    value_at, change = values.item, problem.weights.intent_czk
    chosen: list[int] = []
    powers, stored = np.empty(problem.slots), np.empty(problem.slots)
    for t in range(problem.slots):
        best, best_worth, best_power, best_after = 0, float("inf"), 0.0, energy
        for a, way in enumerate(ways):
            if t in must and way != must[t]:
                continue
            power, cost, after = house.follow(t, a, energy)
            at = min(max((after - low) / step, 0.0), points - 1.0)
            k = min(int(at), points - 2)
            left = ((t + 1) * _WAYS + way) * points + k
            worth = cost + value_at(left) * (1.0 - at + k) + value_at(left + 1) * (at - k)
            if last >= 0 and way != last:
                worth += change
            if worth < best_worth:
                best, best_worth, best_power, best_after = a, worth, power, after
        energy, last = best_after, ways[best]
        chosen.append(best)
        powers[t], stored[t] = best_power, energy
    return _read_off(problem, house, np.array(chosen), powers, stored)


def _read_off(
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
        way = _way_of(intent)
        members = [a for a, action in enumerate(house.actions) if action.way == way] or [0]
        a = min(members, key=lambda a: abs(house.actions[a].level_w - wanted_w))
        power, _, energy = house.follow(t, a, energy)
        chosen.append(a)
        powers[t], stored[t] = power, energy
    return _read_off(problem, house, np.array(chosen, dtype=np.int64), powers, stored)
