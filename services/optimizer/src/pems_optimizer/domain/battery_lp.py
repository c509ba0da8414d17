"""The battery's columns and rows in the house's linear program: rules B1 to B8 of docs/planning-problem.md.

The program is relaxed: B4 (one way at a time) is left to its caller, and where the battery begins outside its limits
B3 holds only as far as lines can say it, until `keep_inside` says the rest with whole numbers.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import highspy
import numpy as np

from pems_optimizer.domain.lp_arrays import Indices, LpArrays
from pems_optimizer.domain.problem import BatterySpec, Floats, PlanningProblem

__all__ = ["AddColumns", "battery_columns", "battery_rows", "keep_inside", "leaves_limits"]

_KW = 1e-3  # the program's powers are kW, its energies kWh
_TINY = 1.0  # W, Wh


class AddColumns(Protocol):
    """Adds columns to a course: how many, their cost, lower and upper bound."""

    def __call__(
        self, count: int, cost: Floats | float = 0.0, lower: Floats | float = 0.0, upper: Any = np.inf
    ) -> Indices:
        """Return their indices."""


def battery_columns(problem: PlanningProblem, add: AddColumns) -> dict[str, Indices]:
    """Add power in, power out and stored energy, (T,) each; without a battery they are zero."""
    n, battery = problem.slots, problem.battery
    if battery is None:
        return {name: add(n, upper=0.0) for name in ("charge", "discharge", "energy")}
    value = np.zeros(n)
    value[-1] = -battery.end_value_czk_wh / _KW
    low, high = min(battery.min_wh, battery.energy_wh), max(battery.max_wh, battery.energy_wh)
    return {
        "charge": add(n, upper=_KW * battery.charge_limit_w(n)),
        "discharge": add(n, battery.wear_czk_kwh * problem.dt_h, upper=_KW * battery.discharge_limit_w(n)),
        "energy": add(n, value, lower=_KW * low, upper=_KW * high),
    }


def battery_rows(
    lp: LpArrays, problem: PlanningProblem, pv_w: Floats, flow: Mapping[str, Indices], add: AddColumns
) -> None:
    """Add what the battery keeps to in a course of the days.

    Args:
        lp: The program.
        problem: The problem, with a battery.
        pv_w: PV in this course (T,) [W].
        flow: The course's columns by name.
        add: Adds columns to the course.
    """
    p, n, battery = problem, problem.slots, problem.battery
    assert battery is not None  # noqa: S101  (told apart by the caller)
    start = np.zeros(n)
    start[0] = _KW * battery.energy_wh
    lp.add_rows(
        n,
        [
            (flow["energy"], 1.0),
            (flow["energy"][:-1], -1.0),
            (flow["charge"], -battery.charge_efficiency * p.dt_h),
            (flow["discharge"], p.dt_h / battery.discharge_efficiency),
        ],
        lower=start,
        upper=start,
    )
    if pv_w.max(initial=0.0) + battery.discharge_max_w > p.grid.inverter_max_w:
        room = np.maximum(p.grid.inverter_max_w - pv_w, 0.0)
        lp.add_rows(n, [(flow["discharge"], 1.0), (flow["curtail"], -1.0)], upper=_KW * room)
    if battery.tapers:
        fall = battery.taper_per_h
        if battery.energy_wh > battery.max_wh:
            # Nothing goes in above full, which no line says: the lowest one that asks for no less than nothing.
            fall = min(fall, battery.charge_max_w / (battery.energy_wh - battery.taper_from_wh))
        top = np.full(n, battery.charge_max_w + fall * battery.taper_from_wh)
        top[0] -= fall * battery.energy_wh
        top[0] = max(top[0], 0.0)
        lp.add_rows(n, [(flow["charge"], 1.0), (flow["energy"][:-1], fall)], upper=_KW * top)
    if battery.reserve_czk_kwh_h > 0.0:
        lacking = add(n, battery.reserve_czk_kwh_h * p.dt_h)
        lp.add_rows(n, [(flow["energy"], 1.0), (lacking, 1.0)], lower=_KW * battery.reserve_wh)


def leaves_limits(battery: BatterySpec, charge_w: Floats, discharge_w: Floats, energy_wh: Floats) -> bool:
    """Say whether a course (T,) of a battery that begins outside its limits breaks B3 or B5.

    Only there can it: from inside, the bounds of the stored energy say the same.
    """
    if battery.energy_wh < battery.min_wh:
        return bool(np.any((discharge_w > _TINY) & (energy_wh < battery.min_wh - _TINY)))
    if battery.energy_wh <= battery.max_wh:
        return False
    most_w = np.full(len(charge_w), battery.charge_max_w)
    if battery.tapers:
        before = np.concatenate([[battery.energy_wh], energy_wh[:-1]])
        most_w -= battery.taper_per_h * np.maximum(before - battery.taper_from_wh, 0.0)
    return bool(np.any((charge_w > _TINY) & ((energy_wh > battery.max_wh + _TINY) | (charge_w > most_w + _TINY))))


def keep_inside(highs: Any, problem: PlanningProblem, flow: Mapping[str, Indices]) -> None:
    """Let a battery that begins outside its limits come back to them at most once, and never go on outwards (B3, B5).

    One whole number per slot, 1 from where it is inside for good; only then may it discharge (from below) or
    charge (from above).
    """
    n, battery = problem.slots, problem.battery
    assert battery is not None  # noqa: S101  (told apart by the caller)
    first = highs.getNumCol()
    highs.addCols(n, np.zeros(n), np.zeros(n), np.ones(n), 0, np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0))
    inside = np.arange(first, first + n)
    highs.changeColsIntegrality(n, inside.astype(np.int32), np.full(n, highspy.HighsVarType.kInteger))

    def demand(slot: int, terms: list[tuple[str, float]], factor: float, upper: float) -> None:
        """Columns of a slot and the slot's number, together at most `upper`."""
        columns = [*(flow[name][slot] for name, _ in terms), inside[slot]]
        factors = [*(value for _, value in terms), factor]
        highs.addRow(-np.inf, upper, len(columns), np.array(columns, np.int32), np.array(factors))

    start = _KW * battery.energy_wh
    below = battery.energy_wh < battery.min_wh
    way = _KW * abs(battery.energy_wh - (battery.min_wh if below else battery.max_wh))
    for t in range(n):
        if below:
            demand(t, [("energy", -1.0)], way, -start)
            demand(t, [("discharge", 1.0)], -_KW * battery.discharge_max_w, 0.0)
        else:
            demand(t, [("energy", 1.0)], way, start)
            demand(t, [("charge", 1.0)], -_KW * battery.charge_max_w, 0.0)
        if t > 0:
            pair = np.array([inside[t - 1], inside[t]], np.int32)
            highs.addRow(-np.inf, 0.0, 2, pair, np.array([1.0, -1.0]))
        if t > 0 and not below and battery.tapers:
            fall = battery.taper_per_h
            columns = np.array([flow["charge"][t], flow["energy"][t - 1], inside[t]], np.int32)
            upper = _KW * (battery.charge_max_w + fall * battery.taper_from_wh) + fall * way
            highs.addRow(-np.inf, upper, 3, columns, np.array([1.0, fall, fall * way]))
