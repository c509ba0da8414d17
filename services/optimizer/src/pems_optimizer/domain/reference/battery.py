"""Rules B1 to B9: the stored energy, what goes in and out, wear, reserve, and what is left at the end."""

from dataclasses import dataclass

from pems_optimizer.domain.problem import BatterySpec
from pems_optimizer.domain.reference.model import Model, Series, Term, total

__all__ = ["Battery", "add_battery"]


@dataclass(frozen=True)
class Battery:
    """One course's battery: powers at the AC side [W], and stored energy at the end of each slot [Wh].

    Attributes:
        charge_w: In.
        discharge_w: Out.
        stored_wh: Energy.
        charge_max_w: Most in by power limits, taper aside.
        discharge_max_w: Most out by power limits.
        tapered_w: Most in by the taper near full; empty where there is none.
        low_wh: Least energy that can occur.
        high_wh: Most energy that can occur.
        money: Wear, lacking reserve, less what the end is worth.
    """

    charge_w: Series
    discharge_w: Series
    stored_wh: Series
    charge_max_w: list[float]
    discharge_max_w: list[float]
    tapered_w: Series
    low_wh: float
    high_wh: float
    money: list[Term]


def add_battery(model: Model, course: str, spec: BatterySpec) -> Battery:
    """Add the battery in one course of the days."""
    p = model.problem
    charge, discharge = model.numbers(f"{course}_charge_w"), model.numbers(f"{course}_discharge_w")
    low, high = min(spec.min_wh, spec.energy_wh), max(spec.max_wh, spec.energy_wh)
    stored, charging = model.numbers(f"{course}_stored_wh", low, high), model.choices(f"{course}_charging")
    most_in, most_out = spec.charge_limit_w(p.slots).tolist(), spec.discharge_limit_w(p.slots).tolist()
    fall = (spec.charge_max_w - spec.taper_full_w) / (spec.max_wh - spec.taper_from_wh) if spec.tapers else 0.0
    tapered: Series = []
    before: Term = spec.energy_wh
    for t in range(p.slots):
        gained = spec.charge_efficiency * p.dt_h * charge[t] - p.dt_h / spec.discharge_efficiency * discharge[t]
        model.demand(stored[t] == before + gained)  # B1
        # B2 and B4: one way at a time, within its limit.
        model.demand(charge[t] <= most_in[t] * charging[t], discharge[t] <= most_out[t] * (1 - charging[t]))
        # B3: charging ends at the upper limit, discharging at the lower one; a battery outside may stay there.
        model.demand(
            stored[t] <= spec.max_wh + (high - spec.max_wh) * (1 - charging[t]),
            stored[t] >= spec.min_wh - (spec.min_wh - low) * charging[t],
        )
        if spec.tapers:  # B5
            tapered.append(spec.charge_max_w - fall * (before - spec.taper_from_wh))
            model.demand(charge[t] <= tapered[t] + fall * (high - spec.taper_from_wh) * (1 - charging[t]))
        before = stored[t]
    money = [
        spec.wear_czk_kwh * p.kwh * total(discharge),  # B6
        -spec.end_value_czk_wh * stored[-1],  # B8
    ]
    if spec.reserve_czk_kwh_h > 0.0:  # B7
        lacking = model.numbers(f"{course}_lacking_wh")
        for t in range(p.slots):
            model.demand(lacking[t] >= spec.reserve_wh - stored[t])
        money.append(spec.reserve_czk_kwh_h * p.kwh * total(lacking))
    return Battery(charge, discharge, stored, most_in, most_out, tapered, low, high, money)
