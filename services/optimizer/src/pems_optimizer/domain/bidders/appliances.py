"""A machine that has to run for some slots in a window: the cheapest start, or the cheapest slots."""

import numpy as np

from pems_optimizer.domain.bidders.port import Column, Wish
from pems_optimizer.domain.house_lp import Prices
from pems_optimizer.domain.problem import ApplianceSpec, Bools, Floats
from pems_optimizer.domain.scoring import appliance_money, start_count

__all__ = ["ApplianceBidder"]


class ApplianceBidder:
    """Exact for both kinds, by dynamic programming over (slots run, running or not)."""

    heats = False

    def __init__(self, spec: ApplianceSpec, slots: int) -> None:
        self.spec, self._slots = spec, slots
        self.name = f"appliance:{spec.name}"

    def price(self, prices: Prices) -> Floats:
        """Any load's price."""
        return prices.load

    def column(self, on: Bools) -> Column:
        """Return a schedule with its own cost."""
        return Column(np.asarray(on * self.spec.power_w, dtype=np.float64), sum(appliance_money(self.spec, on)))

    def allows(self, on: Bools) -> bool:
        """Whether a schedule keeps what is forced and the window, and runs through where it must."""
        spec = self.spec
        first = spec.forced
        if on[:first].tolist() != list(spec.forced_on[: len(on)]) or on[max(first, spec.deadline) :].any():
            return False
        if on[first : max(first, spec.earliest)].any() or int(on.sum()) > max(spec.run_slots, int(on[:first].sum())):
            return False
        runs = start_count(on, spec.on_now) + int(spec.on_now and bool(on[:1].all()))
        return spec.interruptible or (runs <= 1 and (not on[first:].any() or int(on.sum()) == spec.run_slots))

    def bid(self, price: Floats, wish: Wish | None = None) -> Column:
        """Return the best schedule at a price (T,)."""
        return self.column(self._best(price, wish))

    def floor_czk(self, price: Floats, fineness: int) -> float:
        """Return the cost of the best schedule: the search is exact."""
        best = self.bid(price)
        return best.own_czk + float(price @ best.power_w)

    def _best(self, price: Floats, wish: Wish | None) -> Bools:
        """Search over how many slots have been run (0..L) and whether it runs now."""
        spec, n = self.spec, self._slots
        length = spec.run_slots
        cost = price * spec.power_w
        worth = np.full((n + 1, length + 1, 2), np.inf)
        worth[n] = ((length - np.arange(length + 1)) * spec.missing_czk)[:, None]
        if not spec.interruptible and spec.forced < n:
            worth[n, 1:length, 1] = np.inf  # a run that the horizon cuts is no run (A4)
        choice = np.zeros((n, length + 1, 2), dtype=np.bool_)
        for t in range(n - 1, -1, -1):
            may = self._may(t, wish)
            later = worth[t + 1]
            for before in (0, 1):
                stay = later[:, 0].copy() if False in may else np.full(length + 1, np.inf)
                if before and not spec.interruptible and t > spec.forced:
                    stay[1:length] = np.inf  # once begun it runs through, but for what was forced
                run = np.full(length + 1, np.inf)
                if True in may:
                    run[:length] = later[1:, 1] + cost[t] + (0.0 if before else spec.start_czk)
                    if t < spec.forced:  # a run that nobody needs may be forced too
                        run[length] = later[length, 1] + cost[t]
                if not before and not spec.interruptible and t >= spec.forced:
                    run[1:length] = np.inf  # no second start
                choice[t, :, before] = run < stay
                worth[t, :, before] = np.minimum(run, stay)
        on = np.zeros(n, dtype=np.bool_)
        done, running = 0, int(spec.on_now)
        for t in range(n):
            on[t] = choice[t, done, running]
            done, running = min(length, done + int(on[t])), int(on[t])
        return on

    def _may(self, t: int, wish: Wish | None) -> tuple[bool, ...]:
        spec = self.spec
        if t < spec.forced:
            return (spec.forced_on[t],)
        if not spec.earliest <= t < spec.deadline:
            return (False,)
        if wish is not None and wish.slot == t:
            return (wish.on,)
        return (False, True)
