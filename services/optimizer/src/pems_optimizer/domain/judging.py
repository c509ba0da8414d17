"""What a plan costs by the measure of the home's strategy: the one figure by which plans are compared.

`point`: its cost on the expected course. `robust`: on the worst course. `scenarios`: the expectation over the courses,
with a share of its bad tail. Relays, water and car stay as planned, battery and grid react.
"""

from dataclasses import replace

import numpy as np

from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.problem import Floats, PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.scoring import Verified

__all__ = ["cost_in", "in_course", "judged_czk", "tail_mean"]


def in_course(problem: PlanningProblem, course: Scenario) -> PlanningProblem:
    """Return the problem as if this course were sure to come."""
    return replace(
        problem, pv_w=course.pv_w, load_w=course.load_w, buy=course.buy, sell=course.sell, uncertainty=Uncertainty()
    )


def cost_in(problem: PlanningProblem, course: Scenario, plan: Verified) -> float:
    """Return what a plan costs in a course [CZK]."""
    return run_decision(in_course(problem, course), plan.decision, plan.peak_w, thorough=False).cost.total


def tail_mean(costs: Floats, probabilities: Floats, tail: float) -> float:
    """Return the mean of the worst `tail` of the probability (CVaR)."""
    left, total = tail, 0.0
    for k in np.argsort(-costs).tolist():
        share = min(left, float(probabilities[k]))
        total += share * float(costs[k])
        left -= share
        if left <= 1e-12:
            break
    return total / max(tail - left, 1e-12)


def judged_czk(problem: PlanningProblem, plan: Verified) -> float:
    """Return a plan's cost by the measure of the problem's strategy [CZK]."""
    known = problem.uncertainty
    if known.strategy == "point" or not known.scenarios:
        return plan.cost.total
    costs = np.array([cost_in(problem, course, plan) for course in known.scenarios])
    if known.strategy == "robust":
        return float(costs.max())
    weights = np.array([course.probability for course in known.scenarios])
    mean = float(weights @ costs)
    return (1.0 - known.cvar_share) * mean + known.cvar_share * tail_mean(costs, weights, known.cvar_tail)
