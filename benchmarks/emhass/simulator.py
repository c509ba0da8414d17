"""What a schedule really costs: one account for both planners, which knows neither of them.

A schedule says when each machine runs and what the battery should do. The battery does what its limits allow, PV is
held back where that pays or where nothing else can be done with it, the grid settles the rest. A run that was missed
and import above the limit are charged at the day's dearest price, so that nobody wins by leaving something out.
"""

from dataclasses import dataclass

import numpy as np
from benchmarks.emhass.case import DT_H, Day, Floats, House, Load
from numpy.typing import NDArray

__all__ = ["Account", "Schedule", "idle_schedule", "settle"]

_KWH = DT_H / 1000.0


@dataclass(frozen=True)
class Schedule:
    """On or off of each machine (L, T), and battery power [W] (T,), + = discharge."""

    on: NDArray[np.bool_]
    battery_w: Floats


@dataclass(frozen=True)
class Account:
    """A day's bill.

    Attributes:
        cost_czk: Everything: import and export, charges, less what the battery has gained in worth.
        energy_czk: Import and export alone.
        charge_czk: For missed runs and import above the limit.
        missed_kwh: Energy of runs that a machine did not get, or not in its window, or not in one piece.
        extra_kwh: Energy of machines that ran longer than they had to.
        overload_kwh: Import above the limit.
        unserved_kwh: What the battery was to do and could not.
        end_wh: Stored at the end.
    """

    cost_czk: float
    energy_czk: float
    charge_czk: float
    missed_kwh: float
    extra_kwh: float
    overload_kwh: float
    unserved_kwh: float
    end_wh: float

    @property
    def faultless(self) -> bool:
        """Whether the schedule could be carried out as it was."""
        return max(self.missed_kwh, self.extra_kwh, self.overload_kwh, self.unserved_kwh) < 0.001


def idle_schedule(loads: tuple[Load, ...], slots: int) -> Schedule:
    """What happens without any planner: each machine runs as soon as it may, the battery does nothing."""
    on = np.zeros((len(loads), slots), dtype=np.bool_)
    for k, load in enumerate(loads):
        on[k, load.earliest : load.earliest + load.run_slots] = True
    return Schedule(on, np.zeros(slots))


def _longest_run(on: NDArray[np.bool_]) -> int:
    best = length = 0
    for running in on.tolist():
        length = length + 1 if running else 0
        best = max(best, length)
    return best


def _slots_got(load: Load, on: NDArray[np.bool_]) -> int:
    """Slots of a run that count: within the window, and of one piece where it has to be."""
    window = on[load.earliest : load.deadline]
    return min(load.run_slots, _longest_run(window) if load.one_piece else int(window.sum()))


def _battery(house: House, wish_w: Floats) -> tuple[Floats, float]:
    """What the battery does of a wish [W] (T,), and what it stores at the end [Wh]."""
    done_w, energy_wh = np.zeros_like(wish_w), house.start_wh
    for t, wish in enumerate(np.clip(wish_w, -house.battery_max_w, house.battery_max_w).tolist()):
        most = (energy_wh - house.min_wh) * house.efficiency / DT_H
        least = -(house.max_wh - energy_wh) / house.efficiency / DT_H
        power = min(max(wish, least), most)
        energy_wh -= DT_H * (power / house.efficiency if power > 0.0 else power * house.efficiency)
        done_w[t] = power
    return done_w, energy_wh


def _money(day: Day, grid_w: Floats) -> Floats:
    return np.asarray(_KWH * np.where(grid_w > 0.0, day.buy, day.sell) * grid_w, dtype=np.float64)


def _grid(day: Day, house: House, need_w: Floats) -> Floats:
    """Grid power [W] (T,) for a need before PV, with PV held back where that is the cheapest.

    Within a slot money is piecewise linear in what is held back, so the best is at a corner: none, export just gone,
    or all that import has room for. What can neither be used nor exported is held back always.
    """
    all_w = need_w - day.pv_w
    forced = np.clip(-house.export_max_w - all_w, 0.0, day.pv_w)
    no_export = np.clip(-all_w, forced, day.pv_w)
    most = np.clip(house.import_max_w - all_w, forced, day.pv_w)
    held = np.stack([forced, no_export, most])
    best = np.argmin(np.stack([_money(day, all_w + w) for w in held]), axis=0)
    return np.asarray(all_w + held[best, np.arange(len(all_w))], dtype=np.float64)


def settle(day: Day, house: House, loads: tuple[Load, ...], schedule: Schedule) -> Account:
    """Carry out a schedule and make the bill.

    Args:
        day: Powers and prices.
        house: Battery and limits.
        loads: What had to run.
        schedule: What was planned.
    """
    power_w = np.array([load.power_w for load in loads])
    battery_w, end_wh = _battery(house, schedule.battery_w)
    grid_w = _grid(day, house, day.load_w + power_w @ schedule.on - battery_w)
    got = [_slots_got(load, on) for load, on in zip(loads, schedule.on, strict=True)]
    missed = sum(load.power_w * (load.run_slots - n) for load, n in zip(loads, got, strict=True)) * _KWH
    ran = [int(on.sum()) for on in schedule.on]
    extra = sum(load.power_w * max(0, n - load.run_slots) for load, n in zip(loads, ran, strict=True)) * _KWH
    overload = float(np.maximum(grid_w - house.import_max_w, 0.0).sum()) * _KWH
    energy, charge = float(_money(day, grid_w).sum()), float(day.buy.max()) * (missed + overload)
    worth = house.end_value_share * float(day.buy[-1]) / 1000.0
    return Account(
        cost_czk=energy + charge - worth * (end_wh - house.start_wh),
        energy_czk=energy,
        charge_czk=charge,
        missed_kwh=missed,
        extra_kwh=extra,
        overload_kwh=overload,
        unserved_kwh=float(np.abs(schedule.battery_w - battery_w).sum()) * _KWH,
        end_wh=end_wh,
    )
