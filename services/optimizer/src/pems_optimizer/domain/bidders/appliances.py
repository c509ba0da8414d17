"""A machine that has to run for some slots in a window: the cheapest start, or the cheapest slots."""

import numpy as np

from pems_optimizer.domain.appliance_kernel import best_run
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
        spec, n = self.spec, self._slots
        slots = np.arange(n)
        may_on = (slots >= spec.earliest) & (slots < spec.deadline)
        may_off = np.ones(n, dtype=np.bool_)
        if wish is not None and may_on[wish.slot]:
            may_on[wish.slot], may_off[wish.slot] = wish.on, not wish.on
        forced = np.array(spec.forced_on[: min(spec.forced, n)], dtype=np.bool_)
        may_on[: len(forced)], may_off[: len(forced)] = forced, ~forced
        return np.asarray(
            best_run(
                price * spec.power_w,
                may_off,
                may_on,
                spec.run_slots,
                float(spec.start_czk),
                float(spec.missing_czk),
                spec.interruptible,
                spec.forced,
                spec.on_now,
            )
        )
