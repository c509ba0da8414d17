"""What the inverter can do in a slot, and what follows from it.

An action is an intent with a power level (HOUSE.md): self-consumption follows the house, grid charging and
discharging to the grid do at least their least power, holding leaves the battery alone, off takes PV away too.

`follow` is plain arithmetic on numbers: `battery_kernel` compiles it for the many states of a plan.
"""

from typing import NamedTuple

import numpy as np

from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["CHARGE", "DISCHARGE", "FORBIDDEN", "HOLD", "OFF", "SELF", "Action", "BatteryActions", "Rules", "follow"]

SELF, HOLD, CHARGE, DISCHARGE, OFF = range(5)
FORBIDDEN = 1e7


class Action(NamedTuple):
    """An intent's class, and its power where it has one [W]."""

    way: int
    level_w: float


class Slot(NamedTuple):
    """What a slot brings.

    `export_cap_w` is the surplus that is exported (0 where exporting costs), `pv_off_w` the import up to which PV is
    curtailed whole because importing pays (-inf elsewhere).
    """

    load_w: float
    pv_w: float
    ev_w: float
    buy: float
    sell: float
    export_cap_w: float
    pv_off_w: float
    charge_max_w: float
    discharge_max_w: float


class Rules(NamedTuple):
    """What holds in all slots: limits [W], [Wh] and prices of battery and grid.

    Attributes:
        taper_per_h: Fall of the charging power per stored energy above `taper_from_wh` (0: no taper).
        peak_w: Import above this is charged `peak_czk_w` in each slot.
    """

    dt_h: float
    kwh: float
    min_wh: float
    max_wh: float
    charge_efficiency: float
    discharge_efficiency: float
    full_charge_w: float
    taper_from_wh: float
    taper_per_h: float
    wear_czk_kwh: float
    reserve_wh: float
    reserve_czk_kwh_h: float
    inverter_max_w: float
    import_max_w: float
    export_max_w: float
    export_czk_kwh: float
    overload_czk_kwh: float
    peak_w: float
    peak_czk_w: float


def follow(way: int, level_w: float, slot: Slot, energy_wh: float, rules: Rules) -> tuple[float, float, float]:
    """Follow an action through a slot.

    Returns:
        Battery power [W] (+ = discharge), stage cost [CZK] (`FORBIDDEN` on top where it cannot be done), and stored
        energy afterwards [Wh].
    """
    load, pv = slot.load_w, slot.pv_w
    takes = min(slot.charge_max_w, max(rules.max_wh - energy_wh, 0.0) / (rules.charge_efficiency * rules.dt_h))
    if rules.taper_per_h > 0.0:
        tapered = rules.full_charge_w - rules.taper_per_h * max(energy_wh - rules.taper_from_wh, 0.0)
        takes = max(min(takes, tapered), 0.0)
    gives = min(slot.discharge_max_w, max(energy_wh - rules.min_wh, 0.0) * rules.discharge_efficiency / rules.dt_h)
    gives = min(gives, max(rules.inverter_max_w - pv, 0.0))
    deficit = load - pv
    bad = False
    power = 0.0
    if way == SELF:
        power = min(max(deficit, -takes), gives)
    elif way == CHARGE:
        power, bad = -min(takes, level_w), takes < 0.5 * level_w
    elif way == DISCHARGE:
        power = min(gives, level_w)
        bad = gives < 0.9 * level_w or level_w < deficit + 100.0 or power > deficit + rules.export_max_w
    # The car is never charged from the house battery: it may not discharge while the car charges.
    bad = bad or (slot.ev_w > 1.0 and power > 1.0)
    need = load - power
    drawn = max(need, 0.0)
    curtailed = pv if way == OFF else max(max(pv - drawn, 0.0) - slot.export_cap_w, 0.0)
    if way not in (SELF, OFF):
        curtailed = max(curtailed, min(pv, slot.pv_off_w - drawn))
    grid = need - (pv - curtailed)
    imported, exported, given = max(grid, 0.0), max(-grid, 0.0), max(power, 0.0)
    cost = rules.kwh * (
        imported * slot.buy
        - exported * slot.sell
        + (exported + curtailed) * rules.export_czk_kwh
        + given * rules.wear_czk_kwh
        + max(imported - rules.import_max_w, 0.0) * rules.overload_czk_kwh
    )
    cost += rules.peak_czk_w * max(imported - rules.peak_w, 0.0)
    if bad:
        cost += FORBIDDEN
    after = energy_wh - (given / rules.discharge_efficiency + min(power, 0.0) * rules.charge_efficiency) * rules.dt_h
    cost += max(rules.reserve_wh - after, 0.0) * (rules.reserve_czk_kwh_h * rules.kwh)
    return power, cost, after


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
        if problem.buy.min() < 0.0:
            actions.append(Action(OFF, 0.0))
        self.actions = tuple(actions)
        self.ways = np.array([action.way for action in actions])
        self.levels_w = np.array([action.level_w for action in actions])
        grid, weights = problem.grid, problem.weights
        if grid.pv_curtailable:
            export_cap = np.where(problem.sell < 0.0, 0.0, grid.export_max_w)
            pv_off = np.where(problem.buy + weights.export_czk_kwh < 0.0, grid.import_max_w, -np.inf)
        else:
            export_cap, pv_off = np.full(problem.slots, np.inf), np.full(problem.slots, -np.inf)
        limits = battery.charge_limit_w(problem.slots), battery.discharge_limit_w(problem.slots)
        columns = (load_w, problem.pv_w, ev_w, problem.buy, problem.sell, export_cap, pv_off, *limits)
        self.slots = np.column_stack(columns)
        self.rules = Rules(
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

    def energies_wh(self, points: int) -> Floats:
        """Return stored energies over the whole range (points,)."""
        battery = self.battery
        low = min(battery.min_wh, battery.energy_wh)
        return np.linspace(low, max(battery.max_wh, battery.energy_wh, low + 1.0), points)

    def follow(self, t: int, action: int, energy_wh: float) -> tuple[float, float, float]:
        """Return battery power [W] (+ = discharge), stage cost [CZK] and stored energy after slot `t` [Wh]."""
        return follow(*self.actions[action], Slot(*self.slots[t].tolist()), energy_wh, self.rules)
