"""What the inverter can do in a slot, and what follows from it.

An action is an intent with a power level (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding leaves the battery alone, off takes PV away too.
"""

from typing import NamedTuple

import numpy as np

from pems_optimizer.domain.battery_kernel import CHARGE, DISCHARGE, HOLD, OFF, SELF, Rules, Slot, follow
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["Action", "BatteryActions"]


class Action(NamedTuple):
    """An intent's class, and its power where it has one [W]."""

    way: int
    level_w: float


class BatteryActions:
    """Actions of one battery in one house.

    Attributes:
        actions: What can be done; those of a way stand together.
        ways: Way of each (A,).
        levels_w: Power of each (A,) [W].
        slots: What each slot brings, in the order of `Slot` (T, 9).
        rules: What holds in all of them.
    """

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
        if battery.can_be_off(problem.buy):
            actions.append(Action(OFF, 0.0))
        self.actions = tuple(actions)
        self.ways = np.array([action.way for action in actions])
        self.levels_w = np.array([action.level_w for action in actions], dtype=np.float64)
        grid, weights = problem.grid, problem.weights
        if grid.pv_curtailable:
            export_cap = np.where(problem.sell < 0.0, 0.0, grid.export_max_w)
            pv_off = np.where(problem.buy + weights.export_czk_kwh < 0.0, grid.import_max_w, -np.inf)
        else:
            export_cap, pv_off = np.full(problem.slots, np.inf), np.full(problem.slots, -np.inf)
        limits = battery.charge_limit_w(problem.slots), battery.discharge_limit_w(problem.slots)
        columns = (load_w, problem.pv_w, ev_w, problem.buy, problem.sell, export_cap, pv_off, *limits)
        self.slots = np.column_stack(columns).astype(np.float64)
        rules = Rules(
            dt_h=problem.dt_h,
            kwh=problem.kwh,
            min_wh=battery.min_wh,
            max_wh=battery.max_wh,
            charge_efficiency=battery.charge_efficiency,
            discharge_efficiency=battery.discharge_efficiency,
            full_charge_w=battery.charge_max_w,
            taper_from_wh=battery.taper_from_wh,
            taper_per_h=battery.taper_per_h,
            wear_czk_kwh=battery.wear_czk_kwh,
            reserve_wh=battery.reserve_wh,
            reserve_czk_kwh_h=battery.reserve_czk_kwh_h,
            inverter_max_w=grid.inverter_max_w,
            import_max_w=grid.import_max_w,
            export_max_w=grid.export_max_w,
            export_czk_kwh=weights.export_czk_kwh,
            overload_czk_kwh=weights.overload_czk_kwh,
            peak_w=peak_w,
            peak_czk_w=0.5 * weights.peak_czk_kw / 1000.0,
        )
        self.rules = Rules(*map(float, rules))  # a whole number among them would be another type to the kernel

    def energies_wh(self, points: int) -> Floats:
        """Return stored energies over the whole range (points,)."""
        battery = self.battery
        low = min(battery.min_wh, battery.energy_wh)
        return np.linspace(low, max(battery.max_wh, battery.energy_wh, low + 1.0), points)

    def follow(self, t: int, action: int, energy_wh: float) -> tuple[float, float, float]:
        """Return battery power [W] (+ = discharge), stage cost [CZK] and stored energy after slot `t` [Wh]."""
        return follow(*self.actions[action], Slot(*self.slots[t].tolist()), energy_wh, self.rules)
