"""From some hundred sampled days to a few weighted ones that cost about the same whatever is decided.

Fast forward selection (Heitsch and Römisch 2003, doi:10.1023/A:1021805924152): one after the other the day is taken
that leaves the sampled days nearest to those taken, on average; each sampled day then gives its probability to the
nearest one taken. Days are as far apart as the bills they bring: what differs in net load counts at the price of those
hours, what differs in price counts with the energy the house takes in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_optimizer.domain.day_sampler import Courses
from pems_optimizer.domain.problem import Floats, PlanningProblem, Scenario

__all__ = ["Reduction", "forward_selection", "reduce_days"]

_GROUP_H = 6.0  # hours within which battery and slabs shift energy freely
_LEAST_PRICE_CZK_KWH = 0.5
_LEAST_ENERGY_W = 300.0
_WIDEST = 2.0
_MEAN_ROUNDS = 4


@dataclass(frozen=True)
class Reduction:
    """Weighted days, and how well they stand for the sampled ones.

    Attributes:
        scenarios: From the dearest to the cheapest.
        distance_czk: Mean distance of a sampled day to the day that stands for it (Kantorovich distance).
        energy_error_wh: Largest difference in the mean energy of PV or load over the horizon, after correction.
        price_error_czk_kwh: Largest difference in a slot's mean price, after correction.
    """

    scenarios: tuple[Scenario, ...]
    distance_czk: float
    energy_error_wh: float
    price_error_czk_kwh: float


def forward_selection(distance: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
    """Choose `count` of N equally probable points with the least mean distance of all to the nearest chosen one.

    Args:
        distance: Between points (N, N).
        count: How many; at most N are taken.

    Returns:
        Indices of the chosen ones (K,), and their probabilities (K,).
    """
    n = len(distance)
    nearest, chosen = np.full(n, np.inf), list[int]()
    for _ in range(min(count, n)):
        left = np.minimum(nearest[:, None], distance).sum(axis=0)
        left[chosen] = np.inf
        best = int(np.argmin(left))
        chosen.append(best)
        nearest = np.minimum(nearest, distance[:, best])
    index = np.array(chosen, dtype=np.int64)
    owner = np.argmin(distance[:, index], axis=1)
    return index, np.bincount(owner, minlength=len(index)) / n


def _taken_w(problem: PlanningProblem) -> Floats:
    """Return about what the house takes in each slot (T,) [W], devices included: what prices are weighed with."""
    rooms = problem.rooms
    heat = (rooms.outward_w_k * rooms.low_c - rooms.air_input_w).sum(axis=1) if rooms.count else np.zeros(problem.slots)
    taken = np.abs(problem.load_w - problem.pv_w) + np.clip(heat, 0.0, rooms.heater_w.sum())
    if problem.ev is not None and problem.ev.deadline > 0:
        until = problem.ev.deadline
        taken[:until] += problem.ev.need_wh / (until * problem.dt_h)
    return np.maximum(taken, _LEAST_ENERGY_W)


def _distance_czk(problem: PlanningProblem, days: Courses) -> Floats:
    """Return the money between every two days (N, N) [CZK]."""
    starts = np.arange(0, problem.slots, max(1, round(_GROUP_H / problem.dt_h)))
    slots = np.diff(np.append(starts, problem.slots))

    def mean(series: Floats) -> Floats:
        return np.asarray(np.add.reduceat(series, starts, axis=-1) / slots)

    kwh = slots * problem.kwh
    price = np.maximum(np.abs(mean(problem.buy)), _LEAST_PRICE_CZK_KWH)
    energy = mean(_taken_w(problem)) * kwh
    features = np.concatenate([mean(days.load_w - days.pv_w) * kwh * price, mean(days.buy) * energy], axis=1)
    distance = np.zeros((len(features), len(features)))
    for column in features.T:
        distance += np.abs(column[:, None] - column[None, :])
    return distance


def _deviation(rows: Floats, probability: Floats) -> float:
    """Size of the deviations from the mean: of single slots, times that of the whole horizon."""
    off = rows - probability @ rows
    return float((probability @ (off**2)).sum() ** 0.5 * (probability @ off.sum(axis=1) ** 2) ** 0.5)


def _stand_ins(of: Floats, index: NDArray[np.int64], probability: Floats, low: float, high: float) -> Floats:
    """Return the chosen rows (K, T) with the mean of all, and deviating from it about as far as all do.

    Chosen days lie nearer to the middle than those they stand for, so their deviations are widened.
    """
    mean, rows = of.mean(axis=0), of[index]
    even = np.full(len(of), 1.0 / len(of))
    found = _deviation(rows, probability)
    wider = 1.0 if found <= 0.0 else min(_WIDEST, max(1.0, (_deviation(of, even) / found) ** 0.5))
    rows = mean + wider * (rows - probability @ rows)
    for _ in range(_MEAN_ROUNDS):  # what a limit cuts off is missing in the mean
        rows = np.clip(rows, low, high)
        rows = rows + (mean - probability @ rows)
    return np.asarray(np.clip(rows, low, high))


def reduce_days(problem: PlanningProblem, days: Courses, count: int) -> Reduction:
    """Reduce equally probable days (N, T) to `count` weighted ones with the same expectation.

    Powers cannot be moved below zero, so a small error of their mean may stay; it is told.
    """
    distance = _distance_czk(problem, days)
    index, probability = forward_selection(distance, count)
    rows = Courses(
        pv_w=_stand_ins(days.pv_w, index, probability, 0.0, problem.grid.inverter_max_w),
        load_w=_stand_ins(days.load_w, index, probability, 0.0, np.inf),
        buy=_stand_ins(days.buy, index, probability, -np.inf, np.inf),
        sell=_stand_ins(days.sell, index, probability, -np.inf, np.inf),
    )
    bill = ((rows.load_w - rows.pv_w + _taken_w(problem)) * rows.buy).sum(axis=1)
    scenarios = tuple(
        Scenario(f"day_{number}", float(probability[k]), rows.pv_w[k], rows.load_w[k], rows.buy[k], rows.sell[k])
        for number, k in enumerate(np.argsort(-bill, kind="stable").tolist(), start=1)
    )
    energy = [probability @ rows.pv_w - days.pv_w.mean(axis=0), probability @ rows.load_w - days.load_w.mean(axis=0)]
    prices = [probability @ rows.buy - days.buy.mean(axis=0), probability @ rows.sell - days.sell.mean(axis=0)]
    return Reduction(
        scenarios,
        distance_czk=float(distance[:, index].min(axis=1).mean()),
        energy_error_wh=max(abs(float(error.sum())) for error in energy) * problem.dt_h,
        price_error_czk_kwh=max(float(np.abs(error).max(initial=0.0)) for error in prices),
    )
