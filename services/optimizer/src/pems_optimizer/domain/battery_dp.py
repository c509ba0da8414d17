"""What the inverter really does in each slot: battery intents by dynamic programming over the stored energy.

The inverter knows intents, not set-points (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding and exporting PV leave the battery alone. So the
choice per slot is one of few actions, the state is the stored energy and the last intent, and no charging and
discharging at once can appear, at negative prices either. PV is curtailed where exporting would cost.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["FlowMoney", "HouseFlow", "flow_without_battery", "follow_intents", "plan_battery"]

_SELF, _HOLD, _CHARGE, _DISCHARGE, _OFF = range(5)
_CLASSES = 5
_FORBIDDEN = 1e7


@dataclass(frozen=True)
class FlowMoney:
    """Money of a flow [CZK]: what is paid, the price of exporting, wear, peak, overload, intent changes."""

    net_cost: float
    export_term: float
    wear: float
    peak: float
    overload: float
    switching: float
    end_value: float

    @property
    def total(self) -> float:
        """Everything that the dispatch can change."""
        return (
            self.net_cost + self.export_term + self.wear + self.peak + self.overload + self.switching - self.end_value
        )


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


@dataclass(frozen=True)
class _Actions:
    """Actions on the energy grid: (T, A, N) arrays, one class per action."""

    classes: np.ndarray
    level_w: Floats


def _money(
    problem: PlanningProblem,
    battery_w: Floats,
    grid_w: Floats,
    pv_used_w: Floats,
    intents: tuple[str, ...],
    end_wh: float,
) -> FlowMoney:
    kwh, w, battery = problem.kwh, problem.weights, problem.battery
    imported, exported = np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0)
    over = np.maximum(imported - problem.grid.import_max_w, 0.0)
    return FlowMoney(
        net_cost=float((imported * problem.buy - exported * problem.sell).sum() * kwh),
        export_term=float((exported + problem.pv_w - pv_used_w).sum() * kwh * w.export_czk_kwh),
        wear=0.0 if battery is None else float(np.maximum(battery_w, 0.0).sum() * kwh * battery.wear_czk_kwh),
        peak=float(imported.max(initial=0.0) / 1000.0 * w.peak_czk_kw),
        overload=float(over.sum() * kwh * w.overload_czk_kwh),
        switching=float(_changes(problem, intents) * w.intent_czk),
        end_value=0.0 if battery is None else battery.end_value_czk_wh * end_wh,
    )


def _class_of(intent: str) -> int:
    return {
        "charge_from_grid": _CHARGE,
        "discharge_to_grid": _DISCHARGE,
        "hold": _HOLD,
        "export_pv": _HOLD,
        "off": _OFF,
    }.get(intent, _SELF)


def _changes(problem: PlanningProblem, intents: tuple[str, ...]) -> int:
    before = problem.battery.intent_now if problem.battery is not None else ""
    classes = [_class_of(i) for i in intents]
    last = _class_of(before) if before else (classes[0] if classes else _SELF)
    changes = 0
    for c in classes:
        changes += c != last
        last = c
    return changes


def flow_without_battery(problem: PlanningProblem, load_w: Floats) -> HouseFlow:
    """Return the flow of a house whose battery rests or is absent; PV is curtailed where exporting costs."""
    pv_used, grid, limited = _settle(problem, load_w, np.zeros_like(load_w), np.ones(len(load_w), dtype=np.bool_))
    empty = np.zeros_like(load_w)
    intents: tuple[Intent, ...] = ()
    return HouseFlow(intents, empty, empty, grid, pv_used, limited, _money(problem, empty, grid, pv_used, intents, 0.0))


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


class _Table:
    """Stage costs and landings of every action on the grid of stored energy."""

    def __init__(
        self, problem: PlanningProblem, battery: BatterySpec, load_w: Floats, ev_w: Floats, peak_w: float, points: int
    ) -> None:
        self.problem, self.battery = problem, battery
        self.load_w, self.ev_w, self.peak_w = load_w, ev_w, peak_w
        low = min(battery.min_wh, battery.energy_wh)
        high = max(battery.max_wh, battery.energy_wh)
        self.grid = np.linspace(low, high, points)
        least, most_in, most_out = battery.dispatch_min_w, battery.charge_max_w, battery.discharge_max_w
        ways: list[tuple[int, float]] = [(_SELF, 0.0), (_HOLD, 0.0)]
        ways += [
            (_CHARGE, level) for level in sorted({min(least, most_in), 0.5 * (min(least, most_in) + most_in), most_in})
        ]
        ways += [(_DISCHARGE, level) for level in sorted({min(least, most_out), most_out})]
        if problem.buy.min() < 0.0:
            ways.append((_OFF, 0.0))
        self.classes = np.array([c for c, _ in ways])
        self.levels = np.array([level for _, level in ways])
        n, a = problem.slots, len(ways)
        slots = np.arange(n)[:, None, None]
        self.power, self.cost = self.evaluate(slots, np.arange(a)[None, :, None], self.grid[None, None, :])
        self.after = self.land(self.power, self.grid[None, None, :])

    def land(self, power_w: Floats, energy_wh: Floats) -> Floats:
        """Stored energy after a slot with battery power (+ = discharge)."""
        dt, leg = self.problem.dt_h, self.battery.leg
        return energy_wh - np.where(power_w > 0.0, power_w / leg, power_w * leg) * dt

    def evaluate(self, t: np.ndarray, a: np.ndarray, energy_wh: Floats) -> tuple[Floats, Floats]:
        """Return battery power and stage cost of action `a` in slot `t` from `energy_wh` (broadcast)."""
        p, b, dt = self.problem, self.battery, self.problem.dt_h
        way, level = self.classes[a], self.levels[a]
        load, pv, ev = self.load_w[t], p.pv_w[t], self.ev_w[t]
        takes = np.minimum(b.charge_max_w, np.maximum(b.max_wh - energy_wh, 0.0) / (b.leg * dt))
        gives = np.minimum(b.discharge_max_w, np.maximum(energy_wh - b.min_wh, 0.0) * b.leg / dt)
        gives = np.minimum(gives, np.maximum(p.grid.inverter_max_w - pv, 0.0))
        deficit = load - pv
        power = np.where(way == _SELF, np.clip(deficit, -takes, gives), 0.0)
        power = np.where(way == _CHARGE, -np.minimum(takes, level), power)
        power = np.where(way == _DISCHARGE, np.minimum(gives, level), power)
        bad = (way == _CHARGE) & (takes < 0.5 * self.levels[a])
        bad = bad | ((way == _DISCHARGE) & ((gives < 0.9 * self.levels[a]) | (level < deficit + 100.0)))
        # The car is never charged from the house battery: it may not discharge while the car charges.
        bad = bad | ((ev > 1.0) & (power > 1.0))
        pv_here = np.where(way == _OFF, 0.0, pv)
        need = load - power
        surplus = np.maximum(pv_here - np.maximum(need, 0.0), 0.0)
        curtailed = np.where(way == _OFF, pv, 0.0)
        if p.grid.pv_curtailable:
            curtailed = curtailed + np.where(p.sell[t] < 0.0, surplus, np.maximum(surplus - p.grid.export_max_w, 0.0))
            whole = (way != _SELF) & (way != _OFF) & (p.buy[t] + p.weights.export_czk_kwh < 0.0)
            spare = np.maximum(p.grid.import_max_w - np.maximum(need, 0.0), 0.0)
            curtailed = np.where(whole, np.maximum(curtailed, np.minimum(pv, spare)), curtailed)
        grid = need - (pv - curtailed)
        w, kwh = p.weights, p.kwh
        imported, exported = np.maximum(grid, 0.0), np.maximum(-grid, 0.0)
        cost = kwh * (
            imported * p.buy[t]
            - exported * p.sell[t]
            + (exported + curtailed) * w.export_czk_kwh
            + np.maximum(power, 0.0) * b.wear_czk_kwh
            + np.maximum(imported - p.grid.import_max_w, 0.0) * w.overload_czk_kwh
        )
        cost = cost + 0.5 * w.peak_czk_kw / 1000.0 * np.maximum(imported - self.peak_w, 0.0)
        return np.broadcast_to(power, cost.shape), cost + np.where(bad, _FORBIDDEN, 0.0)


def _forced_classes(battery: BatterySpec) -> list[int]:
    return [_class_of(i) for i in battery.forced_intent[: battery.forced]]


def _values(table: _Table) -> Floats:
    problem, battery = table.problem, table.battery
    n, points = problem.slots, len(table.grid)
    step = table.grid[1] - table.grid[0]
    at = np.clip((table.after - table.grid[0]) / step, 0.0, points - 1.0)
    index = np.minimum(at.astype(np.int64), points - 2)
    weight = at - index
    flat = index + (table.classes * points)[None, :, None]
    values = np.empty((n + 1, _CLASSES, points))
    values[n] = -battery.end_value_czk_wh * table.grid
    change = problem.weights.intent_czk
    groups = [np.flatnonzero(table.classes == c) for c in range(_CLASSES)]
    for t in range(n - 1, -1, -1):
        later = values[t + 1].ravel()
        left = later.take(flat[t])
        worth = left + weight[t] * (later.take(flat[t] + 1) - left) + table.cost[t]
        best = worth.min(axis=0) + change
        for c, members in enumerate(groups):
            if len(members) == 0:
                values[t, c] = best
            else:
                np.minimum(
                    best, worth[members].min(axis=0) if len(members) > 1 else worth[members[0]], out=values[t, c]
                )
    return values


def plan_battery(
    problem: PlanningProblem, load_w: Floats, ev_w: Floats, peak_w: float, *, points: int = 81
) -> HouseFlow:
    """Choose the battery's intent in every slot.

    Args:
        problem: The problem; without a battery the flow is settled without one.
        load_w: Everything the house draws, car included (T,).
        ev_w: The car's part of it (T,).
        peak_w: Import above this is charged the peak price in each slot, so that the choice respects a peak.
        points: Grid points of the stored energy.
    """
    battery = problem.battery
    if battery is None:
        return flow_without_battery(problem, load_w)
    table = _Table(problem, battery, load_w, ev_w, peak_w, points)
    values = _values(table)
    actions = np.arange(len(table.classes))
    forced = _forced_classes(battery)
    energy = battery.energy_wh
    last = _class_of(battery.intent_now) if battery.intent_now else -1
    step, low = float(table.grid[1] - table.grid[0]), float(table.grid[0])
    chosen = np.empty(problem.slots, dtype=np.int64)
    powers, stored = np.empty(problem.slots), np.empty(problem.slots)
    for t in range(problem.slots):
        power, cost = table.evaluate(np.array(t), actions, np.array(energy))
        after = table.land(power, np.array(energy))
        at = np.clip((after - low) / step, 0.0, len(table.grid) - 1.0)
        k = np.minimum(at.astype(np.int64), len(table.grid) - 2)
        later = values[t + 1]
        left = later[table.classes, k]
        worth = cost + left + (at - k) * (later[table.classes, k + 1] - left)
        if last >= 0:
            worth = worth + problem.weights.intent_czk * (table.classes != last)
        if t < len(forced) and (table.classes == forced[t]).any():
            worth = np.where(table.classes == forced[t], worth - 2.0 * _FORBIDDEN, worth)
        a = int(np.argmin(worth))
        energy = float(after[a])
        chosen[t], powers[t], stored[t] = a, power[a], energy
        last = int(table.classes[a])
    return _read_off(problem, table, chosen, powers, stored)


def _read_off(problem: PlanningProblem, table: _Table, chosen: np.ndarray, power: Floats, soc: Floats) -> HouseFlow:
    """Turn chosen actions, their battery power and the stored energy after each into the flow of the house."""
    classes = table.classes[chosen]
    pv_used, grid, limited = _settle(problem, table.load_w, power, (classes != _SELF) & (classes != _OFF))
    off = classes == _OFF
    pv_used = np.where(off, 0.0, pv_used)
    grid = np.where(off, table.load_w, grid)
    limited = limited & ~off
    surplus = problem.pv_w > table.load_w
    names: list[Intent] = []
    for c, much in zip(classes.tolist(), surplus.tolist(), strict=True):
        if c == _HOLD:
            names.append("export_pv" if much else "hold")
        else:
            names.append(
                cast(
                    Intent,
                    {_SELF: "self_consume", _CHARGE: "charge_from_grid", _DISCHARGE: "discharge_to_grid"}.get(c, "off"),
                )
            )
    intents = tuple(names)
    money = _money(problem, power, grid, pv_used, intents, float(soc[-1]))
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
    table = _Table(problem, problem.battery, load_w, ev_w, float("inf"), 3)
    energy = problem.battery.energy_wh
    chosen = np.empty(problem.slots, dtype=np.int64)
    powers, stored = np.empty(problem.slots), np.empty(problem.slots)
    for t, intent in enumerate(intents):
        members = np.flatnonzero(table.classes == _class_of(intent))
        if len(members) == 0:
            members = np.array([0])
        a = int(members[int(np.argmin(np.abs(table.levels[members] - abs(float(power_w[t])))))])
        power, _ = table.evaluate(np.array(t), np.array(a), np.array(energy))
        energy = float(table.land(power, np.array(energy)))
        chosen[t], powers[t], stored[t] = a, float(power), energy
    return _read_off(problem, table, chosen, powers, stored)
