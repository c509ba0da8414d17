"""Polishing by what the house really does, for inverters with modes.

The market's battery takes any power. One with modes often cannot, above all when a peak has to be shaved, so that what
the market takes for a gain may be a loss. Here a change is kept only where the house, dispatched and simulated, gains.
"""

from collections.abc import Sequence

from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.plan_search import PlanSearch
from pems_optimizer.domain.problem import Floats
from pems_optimizer.domain.scoring import Verified

__all__ = ["run_for_real", "sweep"]

_BY_WEIGHT, _BY_PRICE = 3, 2  # of a device's offers are tried


def run_for_real(search: PlanSearch, ev_w: Floats, peak_w: float, *, thorough: bool = True) -> Verified:
    """Dispatch and simulate the house with the schedules that are fixed, and account for it.

    Args:
        search: The search, every device fixed.
        ev_w: The car's power (T,) [W].
        peak_w: Import that intents are chosen around [W].
        thorough: Whether the battery's plan is a fine one; a coarse one takes a third of the time.
    """
    return run_decision(search.problem, search.decision(ev_w), peak_w, thorough=thorough)


def sweep(search: PlanSearch, best: Verified, devices: Sequence[int]) -> Verified:
    """Let devices in turn do something else where the house really gains; `best` is the plan of what is fixed."""
    market, ev_w = search.market, best.decision.ev_w
    own = dict(market.fixed)
    market.lp.limit_ev(ev_w, ev_w)
    least = run_for_real(search, ev_w, best.peak_w, thorough=False).cost.total
    for device in devices:
        if search.out_of_time():
            break
        if market.refresh is not None:
            market.refresh(device)
        chosen = market.fixed[device]
        mixed = market.mix(device, tries=1)
        if mixed is None:
            market.fix(device, chosen)
            break
        for number in market.promising(device, mixed, chosen, by_weight=_BY_WEIGHT, by_price=_BY_PRICE):
            if search.out_of_time():
                break
            market.fix(device, number)
            cost = run_for_real(search, ev_w, best.peak_w, thorough=False).cost.total
            if cost < least:
                least, chosen = cost, number
        market.fix(device, chosen)
    market.lp.free_ev()
    found = run_for_real(search, ev_w, best.peak_w)
    if found.cost.total < best.cost.total:
        return found
    market.fix_all(own)
    return best
