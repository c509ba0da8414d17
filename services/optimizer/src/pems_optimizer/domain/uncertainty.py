"""How a plan deals with what is not known, as home.yaml asks for it: the courses of the days a solver counts with."""

from collections.abc import Mapping

import numpy as np

from pems_common.home import Home
from pems_optimizer.domain.day_sampler import sample_days
from pems_optimizer.domain.problem import PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.scenario_reduction import reduce_days
from pems_optimizer.domain.strategy_value import Strategy

__all__ = ["robust_scenarios", "uncertainty_for"]


def robust_scenarios(problem: PlanningProblem, spread: float) -> tuple[Scenario, ...]:
    """Return the four courses of the specification: base, PV less, load more, prices more, each by the share `spread`.

    Negative prices rise too (rule U2). The worst course counts, so probabilities mean nothing; they sum to 1.
    """
    p = problem
    dearer, better = (price + spread * np.abs(price) for price in (p.buy, p.sell))
    return (
        Scenario("base", 0.25, p.pv_w, p.load_w, p.buy, p.sell),
        Scenario("less_pv", 0.25, p.pv_w * (1.0 - spread), p.load_w, p.buy, p.sell),
        Scenario("more_load", 0.25, p.pv_w, p.load_w * (1.0 + spread), p.buy, p.sell),
        Scenario("dearer", 0.25, p.pv_w, p.load_w, dearer, better),
    )


def uncertainty_for(
    home: Home,
    problem: PlanningProblem,
    correlation: Mapping[str, float],
    seed: int,
    *,
    strategy: Strategy | None = None,
) -> Uncertainty:
    """Return what the home asks for, on this problem.

    Args:
        home: The site.
        problem: The problem with its bands.
        correlation: Lag-1 correlation of the errors of `pv`, `load` and `price`.
        seed: Of the sampled days.
        strategy: In place of the one that the home asks for.
    """
    wish = home.optimization.uncertainty
    strategy = strategy or wish.strategy
    scenarios: tuple[Scenario, ...] = ()
    if strategy == "robust":
        scenarios = robust_scenarios(problem, wish.spread)
    elif strategy == "scenarios":
        days = sample_days(problem, draws=wish.samples, seed=seed, correlation=correlation)
        scenarios = reduce_days(problem, days, wish.scenarios).scenarios
    return Uncertainty(
        strategy=strategy,
        spread=wish.spread,
        scenarios=scenarios,
        # Nothing can be changed before the plan begins.
        shared_slots=problem.frozen + wish.shared_slots,
        cvar_share=wish.cvar_share,
        cvar_tail=wish.cvar_tail,
    )
