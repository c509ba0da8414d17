"""How far from the best a plan can be: a bound that no plan of the same problem can be below.

The master's duals make the problem fall apart into devices (Lagrange). Master value, less what its columns were
worth, plus what no schedule of each device can be below (`relay_floor`) bounds the whole. Battery intents and the
car's least power are relaxed in it, so it holds for them too. Where rooms warm each other the devices do not fall
apart: neighbours are held where the search left them and their warmth is priced, which gives an *estimate*.
Lasdon 1970; Geoffrion 1974, doi:10.1007/BFb0120690.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pems_optimizer.domain.bidders.relays import RelayBidder
from pems_optimizer.domain.house_lp import Dispatch
from pems_optimizer.domain.plan_search import PlanSearch
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Decision
from pems_optimizer.domain.thermal_response import RoomPath

__all__ = ["Bound", "certify"]

_ROUNDS = 16
_THREADS = 2
_GRID_ONE_STATE, _GRID = (512, 1), (256, 17)
_FINENESS_ONE_STATE, _FINENESS = (250, 1000, 2000), (100, 250)  # finer while there is time
_ROUNDING = 1e-6  # of the objective: what HiGHS's tolerances may have cost


@dataclass(frozen=True)
class Bound:
    """A bound on the objective [CZK].

    Attributes:
        value_czk: No plan of this problem costs less (`proven`), or probably none does (`estimate`).
        kind: Which of the two.
    """

    value_czk: float
    kind: Literal["proven", "estimate"]


def certify(
    problem: PlanningProblem,
    decision: Decision,
    memory: Mapping[str, np.ndarray],
    objective: float,
    elapsed_s: Callable[[], float],
    limit_s: float,
) -> Bound:
    """Bound the objective of a problem, beginning with what its solver remembers.

    Args:
        problem: The problem.
        decision: The plan's.
        memory: The solver's (`Solved.memory`); without any there is no bound.
        objective: Of the plan [CZK].
        elapsed_s: Wall seconds since the work began.
        limit_s: Wall seconds for the work; finer grids are left out when it is short.
    """
    if "air_c" not in memory:
        return Bound(-np.inf, "estimate")
    path = RoomPath(memory["air_c"], memory["mass_c"])
    search = PlanSearch(
        problem,
        lambda: 0.5 * limit_s - elapsed_s(),
        path=path,
        warmth_czk_k=memory["warmth_czk_k"],
        grid=_GRID,
    )
    one_state = search.one_state
    if one_state:
        search.use_grid(_GRID_ONE_STATE)
    search.offer(decision)
    prices = search.recall(memory) or search.first_prices()
    priced = search.market.trade(prices, _ROUNDS, tolerance=1e-6) or search.market.lp.solve()
    if priced is None:
        return Bound(-np.inf, "estimate")
    best = -np.inf
    grids = (0,) if search.coupled else _FINENESS_ONE_STATE if one_state else _FINENESS
    took_s = 0.0
    for fineness in grids:
        began = elapsed_s()
        if best > -np.inf and began + 3.0 * took_s > limit_s:
            break
        best = max(best, _lagrange_czk(search, priced, fineness))
        took_s = elapsed_s() - began
    best -= _ROUNDING * abs(best)
    if len(search.market.lp.courses) > 1:
        # The plan's objective is that of the expected course: compare like with like, all courses with all courses.
        best += objective - _fixed_czk(problem, search, decision)
    if search.coupled:
        return Bound(min(best, objective), "estimate")  # the plan itself is that good
    return Bound(best, "proven")


def _lagrange_czk(search: PlanSearch, priced: Dispatch, fineness: int) -> float:
    """Return the bound at the master's duals; fineness 0 for the devices' own opinion of their best."""

    def floor(device: int) -> float:
        bidder, dual = search.market.bidders[device], float(priced.prices.device[device])
        price = bidder.price(priced.prices)
        if fineness == 0 and isinstance(bidder, RelayBidder):
            return min(bidder.estimate_czk(price), dual) - dual
        return bidder.floor_czk(price, fineness or _FINENESS[0]) - dual

    # The compiled loops let go of the interpreter's lock.
    with ThreadPoolExecutor(_THREADS) as pool:
        return priced.objective + sum(pool.map(floor, range(len(search.market.bidders))))


def _fixed_czk(problem: PlanningProblem, search: PlanSearch, decision: Decision) -> float:
    """Return the master's objective over all courses when every device does what the plan says; inf where unknown."""
    search.fix(decision)
    search.market.lp.limit_ev(decision.ev_w, decision.ev_w)
    done = search.market.lp.solve()
    return np.inf if done is None else search.market.worth(done)
