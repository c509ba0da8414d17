"""Possible courses of the days ahead, drawn from the forecast's bands.

Each of PV, load and price is a Gaussian copula over its slots: a standard normal error that moves slowly (AR(1) with
the lag-1 correlation that the forecast tells) picks the quantile in every slot. The marginal of a slot is a
split normal through P10, P50 and P90 (Fechner 1897; Wallis 2014, doi:10.1214/13-STS417): below and above the middle it
has its own width. PV, load and price err independently of each other; the price of import and of export err together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain.problem import Floats, PlanningProblem

__all__ = ["KINDS", "TO_P10", "Courses", "moved_in_band", "sample_days", "slow_errors", "turned"]

KINDS = ("pv", "load", "price")
TO_P10 = 1.2816  # standard deviations from the median to P10 and P90
_USUAL_CORRELATION = {"temperature": 0.99}  # weather that is colder than told stays so for a day; else 0.95
_MOST_CORRELATION = 0.995


@dataclass(frozen=True)
class Courses:
    """Courses of the inputs: powers [W] and prices [CZK/kWh], one (T,) or many (N, T)."""

    pv_w: Floats
    load_w: Floats
    buy: Floats
    sell: Floats


def moved_in_band(middle: Floats, band: tuple[Floats, Floats], amount: Floats | float) -> Floats:
    """Return a quantity moved by standard deviations of the split normal through its P10, middle and P90.

    Args:
        middle: Its median (T,).
        band: Its P10 and P90 (T,).
        amount: Standard deviations, a number or an array that ends in (T,).
    """
    low, high = band
    z = np.asarray(amount, dtype=np.float64) / TO_P10
    up, down = np.maximum(high - middle, 0.0), np.maximum(middle - low, 0.0)
    return np.asarray(middle + np.maximum(z, 0.0) * up + np.minimum(z, 0.0) * down)


def turned(problem: PlanningProblem, badness: Mapping[str, Floats | float]) -> Courses:
    """Return the problem's inputs moved by standard deviations.

    Args:
        problem: The problem with its bands.
        badness: Of `pv`, `load` and `price`, a number or an array that ends in (T,); + is worse for who buys.
    """

    def moved(name: str, middle: Floats, amount: Floats | float) -> Floats:
        return moved_in_band(middle, problem.bands.get(name, (middle, middle)), amount)

    return Courses(
        pv_w=np.clip(moved("pv_w", problem.pv_w, -np.asarray(badness["pv"])), 0.0, problem.grid.inverter_max_w),
        load_w=np.maximum(moved("load_w", problem.load_w, badness["load"]), 0.0),
        buy=moved("buy", problem.buy, badness["price"]),
        sell=moved("sell", problem.sell, badness["price"]),
    )


def slow_errors(
    rng: np.random.Generator,
    draws: int,
    slots: int,
    correlation: Mapping[str, float],
    *,
    kinds: Sequence[str] = KINDS,
) -> dict[str, Floats]:
    """Draw standard normal errors of each kind that move slowly (N, T)."""
    rho = np.array([correlation.get(kind, _USUAL_CORRELATION.get(kind, 0.95)) for kind in kinds])[:, None]
    rho = np.clip(rho, 0.0, _MOST_CORRELATION)
    fresh = rng.normal(size=(slots, len(kinds), draws))
    fresh[1:] *= np.sqrt(1.0 - rho * rho)
    for t in range(1, slots):
        fresh[t] += rho * fresh[t - 1]
    return {kind: np.ascontiguousarray(fresh[:, k].T) for k, kind in enumerate(kinds)}


def sample_days(problem: PlanningProblem, *, draws: int, seed: int, correlation: Mapping[str, float]) -> Courses:
    """Draw courses of all inputs (N, T), each with its mirror image, so that the errors' mean is exactly zero.

    Args:
        problem: The problem with its bands.
        draws: Number of courses; made even.
        seed: The same seed gives the same days.
        correlation: Lag-1 correlation of the errors of `pv`, `load` and `price`.
    """
    errors = slow_errors(np.random.default_rng(seed), (draws + 1) // 2, problem.slots, correlation)
    return turned(problem, {kind: np.concatenate([error, -error]) for kind, error in errors.items()})
