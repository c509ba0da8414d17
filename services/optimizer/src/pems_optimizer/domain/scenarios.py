"""What a plan costs when things turn out otherwise: relays stay as planned, battery and grid react.

Three named days from the bands, and sampled days whose errors move slowly (AR(1) with the forecast's own
correlation), as a fan of costs around the plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pems_common.messages import ScenarioCost
from pems_optimizer.domain.day_sampler import TO_P10, slow_errors, turned
from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.problem import Floats, PlanningProblem
from pems_optimizer.domain.scoring import Decision, Verified

__all__ = ["named_scenarios", "sampled_costs"]

# Swanson's rule: P10, P50, P90 weigh 0.3, 0.4, 0.3 (Hurst, Brown, Swanson 2000, AAPG Bulletin 84).
_NAMED = (("bad_day", 0.3, 1.0), ("expected_day", 0.4, 0.0), ("good_day", 0.3, -1.0))


def _turned(problem: PlanningProblem, badness: Mapping[str, Floats | float]) -> PlanningProblem:
    """Return the problem with its inputs moved by standard deviations: + is worse for the bill."""
    course = turned(problem, badness)
    return replace(problem, pv_w=course.pv_w, load_w=course.load_w, buy=course.buy, sell=course.sell)


def named_scenarios(problem: PlanningProblem, plan: Verified, has_time: Callable[[], bool]) -> tuple[ScenarioCost, ...]:
    """Cost of the plan's relays on a bad, an expected and a good day; empty when there is no time for all."""
    out = []
    for name, probability, direction in _NAMED:
        if not has_time():
            return ()
        if direction == 0.0:
            total = plan.cost.total
        else:
            amount = direction * TO_P10
            turned = _turned(problem, {"pv": amount, "load": amount, "price": amount})
            total = run_decision(turned, plan.decision, plan.peak_w, thorough=False).cost.total
        out.append(ScenarioCost(name=name, probability=probability, total=round(total, 3)))
    return tuple(out)


def sampled_costs(
    problem: PlanningProblem,
    decision: Decision,
    peak_w: float,
    *,
    draws: int,
    seed: int,
    correlation: Mapping[str, float],
    has_time: Callable[[], bool] = lambda: True,
) -> Floats:
    """Return the cost of a decision on sampled days [CZK], one per draw; fewer when the time is up.

    Args:
        problem: The problem the decision was made for.
        decision: Relays, water and car, kept as they are.
        peak_w: Import that the battery tries to stay below.
        draws: Days to sample.
        seed: Of the random numbers.
        correlation: Lag-1 correlation of the errors of `pv`, `load` and `price`.
        has_time: Asked before each draw.
    """
    rng, totals = np.random.default_rng(seed), []
    for _ in range(draws):
        if not has_time():
            break
        badness = {kind: error[0] for kind, error in slow_errors(rng, 1, problem.slots, correlation).items()}
        totals.append(run_decision(_turned(problem, badness), decision, peak_w, thorough=False).cost.total)
    return np.array(totals)
