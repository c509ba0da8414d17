"""How large a planning problem is for the solver, and how coarse it has to be made to be solved in time.

Work is counted in device slots: slots times switched devices, and more with each course of the days. On one core of
the machine the design was measured on, solving took 0.3 to 0.7 ms per unit over 3,000 to 18,000 units: 16 rooms over
48 h are 3,072, with 5-min slots 9,216, and ten scenarios count as much as four and a half houses.
"""

from math import ceil

from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["LARGEST_WORK", "coarse_factor", "work_of"]

LARGEST_WORK = 12_000  # device slots that one core solves within the usual limit of 5 s
_PER_COURSE = 0.4  # what each further course of the days adds
_LONGEST_SLOT_H = 1.0


def work_of(problem: PlanningProblem) -> float:
    """Return the size of a problem in device slots."""
    devices = problem.rooms.count + (problem.water is not None) + len(problem.appliances)
    courses = max(1, len(problem.uncertainty.scenarios))
    return problem.slots * max(1, devices) * (1.0 + _PER_COURSE * (courses - 1))


def coarse_factor(problem: PlanningProblem, largest: float = LARGEST_WORK) -> int:
    """Return how many slots should become one for the work to be at most `largest`; 1 where it is small enough.

    Slots get no longer than an hour, or than a quarter of the horizon: a problem too large even then is solved so.
    """
    longest = max(1, min(int(_LONGEST_SLOT_H / problem.dt_h), problem.slots // 4))
    return min(longest, max(1, ceil(work_of(problem) / largest)))
