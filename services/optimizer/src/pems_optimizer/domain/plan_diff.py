"""What a new plan does otherwise than the one it replaces, and why that pays: a few plain lines."""

from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem
from pems_optimizer.domain.scoring import Verified

__all__ = ["plan_changes"]

_SHOWN_H = 24.0
_LINES = 6
_TINY_CZK = 0.01
_TINY_W = 50.0
_PRICE_TELLS_CZK_KWH = 0.02
_PARTS = ("energy", "wear", "peak", "comfort", "switching")


@dataclass(frozen=True)
class _Change:
    """A device's power in both plans over the slots looked at (n,) [W]."""

    name: str
    old_w: Floats
    new_w: Floats

    @property
    def moved_w(self) -> float:
        """How much is different."""
        return float(np.abs(self.new_w - self.old_w).sum())

    def told(self, price: Floats, kwh: float) -> str:
        """Say what is different, and what speaks for it: the price it moves to, or that it is more or less."""
        more, less = np.maximum(self.new_w - self.old_w, 0.0), np.maximum(self.old_w - self.new_w, 0.0)
        added, left_out = float(more.sum()) * kwh, float(less.sum()) * kwh
        if added < 0.1 * left_out:
            return f"{self.name}: {left_out - added:.1f} kWh less in the next {_SHOWN_H:.0f} h"
        if left_out < 0.1 * added:
            return f"{self.name}: {added - left_out:.1f} kWh more in the next {_SHOWN_H:.0f} h"
        gain = float(price @ less / less.sum() - price @ more / more.sum())
        if gain > _PRICE_TELLS_CZK_KWH:
            why = f"there energy is {gain:.2f} CZK/kWh cheaper"
        elif gain < -_PRICE_TELLS_CZK_KWH:
            why = f"though energy is {-gain:.2f} CZK/kWh dearer there: for comfort, peak or limits"
        else:
            why = "at the same price: for comfort, peak or limits"
        return f"{self.name}: {min(added, left_out):.1f} kWh at other times, {why}"


def _switched(name: str, old_on: Bools, new_on: Bools, power_w: float) -> _Change:
    return _Change(name, old_on.astype(np.float64) * power_w, new_on.astype(np.float64) * power_w)


def _money(old: Verified, new: Verified) -> str:
    """Say which parts of the cost fall and which rise."""
    parts = [(part, getattr(old.cost, part) - getattr(new.cost, part)) for part in _PARTS]
    parts = sorted((p for p in parts if abs(p[1]) >= _TINY_CZK), key=lambda p: -p[1])
    said = [f"{part} {'saves' if gain > 0 else 'costs'} {abs(gain):.2f}" for part, gain in parts]
    return f"in CZK: {', '.join(said)}" if said else ""


def plan_changes(problem: PlanningProblem, old: Verified, new: Verified) -> tuple[str, ...]:
    """Return at most seven lines: the money by its parts, then what moved most of the next day's energy.

    Args:
        problem: The problem that both were verified on.
        old: The running plan, moved on.
        new: What replaces it.
    """
    window = slice(problem.frozen, min(problem.slots, problem.frozen + round(_SHOWN_H / problem.dt_h)))
    before, after = old.decision, new.decision
    changes = [
        _switched(name, before.relay_on[window, r], after.relay_on[window, r], float(problem.rooms.heater_w[r]))
        for r, name in enumerate(problem.rooms.names)
    ]
    if problem.water is not None:
        changes.append(_switched("water", before.water_on[window], after.water_on[window], problem.water.electric_w))
    if problem.ev is not None:
        changes.append(_Change("ev", before.ev_w[window], after.ev_w[window]))
    for k, spec in enumerate(problem.appliances):
        old_on, new_on = before.appliances[k][window], after.appliances[k][window]
        changes.append(_switched(spec.name, old_on, new_on, spec.power_w))
    told = [c for c in sorted(changes, key=lambda c: -c.moved_w) if c.moved_w >= _TINY_W]
    lines = [_money(old, new), *(c.told(problem.buy[window], problem.kwh) for c in told[:_LINES])]
    intents = zip(old.flow.intent[window], new.flow.intent[window], strict=True)
    differ = sum(a != b for a, b in intents)
    if differ:
        lines = [*lines[:_LINES], f"battery: another intent in {differ} of {window.stop - window.start} slots"]
    return tuple(line for line in lines if line)
