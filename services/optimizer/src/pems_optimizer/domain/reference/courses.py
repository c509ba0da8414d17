"""Rules U1 to U3: the courses that the days may take, with their probabilities."""

from dataclasses import replace

import numpy as np

from pems_optimizer.domain.problem import PlanningProblem, Scenario

__all__ = ["courses_counted", "robust_courses"]


def robust_courses(problem: PlanningProblem) -> tuple[Scenario, ...]:
    """Return the expected course, and it with less PV, more load, higher prices by the problem's spread (U2)."""
    p, f = problem, problem.uncertainty.spread
    base = Scenario("base", 0.25, p.pv_w, p.load_w, p.buy, p.sell)
    return (
        base,
        replace(base, name="less_pv", pv_w=p.pv_w * (1.0 - f)),
        replace(base, name="more_load", load_w=p.load_w * (1.0 + f)),
        replace(base, name="dearer", buy=p.buy + f * np.abs(p.buy), sell=p.sell + f * np.abs(p.sell)),
    )


def courses_counted(problem: PlanningProblem) -> tuple[Scenario, ...]:
    """Return the courses that a plan counts with (U1): one where the strategy is `point`."""
    known = problem.uncertainty
    if known.strategy == "robust":
        return known.scenarios or robust_courses(problem)
    if known.strategy == "scenarios" and known.scenarios:
        return known.scenarios
    return (Scenario("expected", 1.0, problem.pv_w, problem.load_w, problem.buy, problem.sell),)
