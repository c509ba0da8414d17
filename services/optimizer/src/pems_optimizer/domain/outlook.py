"""What a plan says of the courses it counts with: its cost in each, on average and in the bad tail.

Beside them stands what perfect knowledge would have cost.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pems_common.messages import ScenarioCost
from pems_optimizer.domain.house_lp import expected_course
from pems_optimizer.domain.judging import cost_in, in_course, tail_mean
from pems_optimizer.domain.plan_search import PlanSearch
from pems_optimizer.domain.problem import Note, PlanningProblem
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.thermal_response import RoomPath

__all__ = ["plan_outlook"]


def _perfect_czk(problem: PlanningProblem, memory: Mapping[str, np.ndarray]) -> float | None:
    """Cost of a course that was known beforehand: the remembered schedules mixed freely, so a little too low."""
    if "air_c" not in memory:
        return None
    path = RoomPath(memory["air_c"], memory["mass_c"])
    course = (expected_course(problem),)
    search = PlanSearch(problem, courses=course, path=path, warmth_czk_k=memory["warmth_czk_k"])
    if search.recall(memory) is None:
        return None
    done = search.market.lp.solve()
    return None if done is None else done.objective


def plan_outlook(
    problem: PlanningProblem, plan: Verified, memory: Mapping[str, np.ndarray], has_time: Callable[[], bool]
) -> tuple[tuple[ScenarioCost, ...], tuple[Note, ...]]:
    """Return the plan's cost in each course, and a note on them; empty where there is no time for all.

    The note's code is `uncertainty`: `expected_czk`, `tail_czk` (mean of the worst `tail` of the probability), and
    `perfect_czk`, what would be paid on average if each course were known beforehand.
    """
    known = problem.uncertainty
    costs, perfect = [], []
    for course in known.scenarios:
        if not has_time():
            return (), ()
        costs.append(cost_in(problem, course, plan))
        perfect.append(_perfect_czk(in_course(problem, course), memory))
    if not costs:
        return (), ()
    weights, totals = np.array([c.probability for c in known.scenarios]), np.array(costs)
    told: dict[str, float | str] = {
        "strategy": known.strategy,
        "expected_czk": round(float(weights @ totals), 3),
        "tail_czk": round(tail_mean(totals, weights, known.cvar_tail), 3),
        "worst_czk": round(float(totals.max()), 3),
    }
    best = [value for value in perfect if value is not None]
    if len(best) == len(perfect):
        told["perfect_czk"] = round(float(weights @ np.array(best)), 3)
    named = tuple(
        ScenarioCost(name=course.name, probability=course.probability, total=round(cost, 3))
        for course, cost in zip(known.scenarios, costs, strict=True)
    )
    return named, (Note("uncertainty", told),)
