"""What the inverter can do in a slot, and what follows from it: one formula for whole tables and for single states.

An action is an intent with a power level (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding leaves the battery alone, off takes PV away too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["CHARGE", "DISCHARGE", "FORBIDDEN", "HOLD", "OFF", "SELF", "Action", "BatteryActions", "Table"]

SELF, HOLD, CHARGE, DISCHARGE, OFF = range(5)
FORBIDDEN = 1e7


class Action(NamedTuple):
    """An intent's class, and its power where it has one [W]."""

    way: int
    level_w: float


class _Slot(NamedTuple):
    """What a slot brings: floats for one slot, (T, 1) for all; any, as the formula takes both.

    `export_cap_w` is the surplus that is exported (0 where exporting costs), `pv_off_w` the import up to which PV is
    curtailed whole because importing pays (-inf elsewhere).
    """

    load_w: Any
    pv_w: Any
    ev_w: Any
    buy: Any
    sell: Any
    export_cap_w: Any
    pv_off_w: Any
    charge_max_w: Any
    discharge_max_w: Any


@dataclass(frozen=True)
class Table:
    """Every action from every stored energy in some slots (slots, A, N)."""

    cost: Floats
    after_wh: Floats


class BatteryActions:
    """Actions of one battery in one house."""

    def __init__(
        self, problem: PlanningProblem, battery: BatterySpec, load_w: Floats, ev_w: Floats, peak_w: float
    ) -> None:
        """Prepare.

        Args:
            problem: The problem.
            battery: Its battery.
            load_w: Everything the house draws, car included (T,).
            ev_w: The car's part of it (T,).
            peak_w: Import above this is charged half the peak price in each slot.
        """
        self.problem, self.battery, self.load_w = problem, battery, load_w
        least, most_in, most_out = battery.dispatch_min_w, battery.charge_max_w, battery.discharge_max_w
        ins = sorted({min(least, most_in), 0.5 * (min(least, most_in) + most_in), most_in})
        actions = [Action(SELF, 0.0), Action(HOLD, 0.0), *(Action(CHARGE, level) for level in ins)]
        actions += [Action(DISCHARGE, level) for level in sorted({min(least, most_out), most_out})]
        if problem.buy.min() < 0.0:
            actions.append(Action(OFF, 0.0))
        self.actions = tuple(actions)
        self.ways = np.array([action.way for action in actions])
        self._peak_w = peak_w
        grid, weights = problem.grid, problem.weights
        if grid.pv_curtailable:
            export_cap = np.where(problem.sell < 0.0, 0.0, grid.export_max_w)
            pv_off = np.where(problem.buy + weights.export_czk_kwh < 0.0, grid.import_max_w, -np.inf)
        else:
            export_cap, pv_off = np.full(problem.slots, np.inf), np.full(problem.slots, -np.inf)
        limits = battery.charge_limit_w(problem.slots), battery.discharge_limit_w(problem.slots)
        columns = (load_w, problem.pv_w, ev_w, problem.buy, problem.sell, export_cap, pv_off, *limits)
        self._all = _Slot(*(column[:, None] for column in columns))
        self._each = [_Slot(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def energies_wh(self, points: int) -> Floats:
        """Return stored energies over the whole range (points,)."""
        battery = self.battery
        low = min(battery.min_wh, battery.energy_wh)
        return np.linspace(low, max(battery.max_wh, battery.energy_wh, low + 1.0), points)

    def table(self, energy_wh: Floats, first: int, end: int) -> Table:
        """Evaluate every action in slots `first` to `end` from every stored energy (N,)."""
        slots = _Slot(*(column[first:end] for column in self._all))
        cost = np.empty((end - first, len(self.actions), len(energy_wh)))
        after = np.empty_like(cost)
        for a, action in enumerate(self.actions):
            _, cost[:, a], after[:, a] = self._follow(action, slots, energy_wh, np.minimum, np.maximum)
        return Table(cost, after)

    def follow(self, t: int, action: int, energy_wh: float) -> tuple[float, float, float]:
        """Return battery power [W] (+ = discharge), stage cost [CZK] and stored energy after slot `t` [Wh]."""
        power, cost, after = self._follow(self.actions[action], self._each[t], energy_wh, min, max)
        return float(power), float(cost), float(after)

    def _follow(
        self, action: Action, slot: _Slot, energy_wh: Any, least: Callable[..., Any], most: Callable[..., Any]
    ) -> tuple[Any, Any, Any]:
        """Follow an action, with `min` and `max` on floats or their numpy twins on arrays."""
        p, b, w, dt = self.problem, self.battery, self.problem.weights, self.problem.dt_h
        way, level = action
        load, pv = slot.load_w, slot.pv_w
        takes = least(slot.charge_max_w, most(b.max_wh - energy_wh, 0.0) / (b.charge_efficiency * dt))
        if b.tapers:
            fall = (b.charge_max_w - b.taper_full_w) / (b.max_wh - b.taper_from_wh)
            takes = most(least(takes, b.charge_max_w - fall * most(energy_wh - b.taper_from_wh, 0.0)), 0.0)
        gives = least(slot.discharge_max_w, most(energy_wh - b.min_wh, 0.0) * b.discharge_efficiency / dt)
        gives = least(gives, most(p.grid.inverter_max_w - pv, 0.0))
        deficit = load - pv
        bad: Any = False
        if way == SELF:
            power = least(most(deficit, -takes), gives)
        elif way == CHARGE:
            power, bad = -least(takes, level), takes < 0.5 * level
        elif way == DISCHARGE:
            power = least(gives, level)
            bad = (gives < 0.9 * level) | (level < deficit + 100.0) | (power > deficit + p.grid.export_max_w)
        else:
            power = 0.0 * (energy_wh + load)
        # The car is never charged from the house battery: it may not discharge while the car charges.
        bad = bad | ((slot.ev_w > 1.0) & (power > 1.0))
        need = load - power
        drawn = most(need, 0.0)
        curtailed = pv if way == OFF else most(most(pv - drawn, 0.0) - slot.export_cap_w, 0.0)
        if way not in (SELF, OFF):
            curtailed = most(curtailed, least(pv, slot.pv_off_w - drawn))
        grid = need - (pv - curtailed)
        imported, exported, given = most(grid, 0.0), most(-grid, 0.0), most(power, 0.0)
        cost = p.kwh * (
            imported * slot.buy
            - exported * slot.sell
            + (exported + curtailed) * w.export_czk_kwh
            + given * b.wear_czk_kwh
            + most(imported - p.grid.import_max_w, 0.0) * w.overload_czk_kwh
        )
        cost = cost + 0.5 * w.peak_czk_kw / 1000.0 * most(imported - self._peak_w, 0.0) + FORBIDDEN * bad
        after = energy_wh - (given / b.discharge_efficiency + least(power, 0.0) * b.charge_efficiency) * dt
        if b.reserve_czk_kwh_h > 0.0:
            cost = cost + most(b.reserve_wh - after, 0.0) * (b.reserve_czk_kwh_h * p.kwh)
        return power, cost, after
