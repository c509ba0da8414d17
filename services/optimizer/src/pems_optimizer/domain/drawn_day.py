"""One possible course of the days ahead, drawn around a planning problem: PV, load, prices, and the weather outside.

PV, load and prices come from the forecast's bands as in `day_sampler`. The weather that the rooms feel is drawn with
them:

- The sun on the facades follows the sky that PV sees: in each slot it is as many per cent above or below its
  expectation as PV is. Where the plant says nothing (no plant, no band, dusk) it keeps the mean width of the slots in
  which it does, else 40 % either way.
- Outdoor temperature has an error of its own that moves slowly, within the forecast's P10 and P90. Where the forecast
  has no such band, its standard deviation grows with lead as the laboratory's weather errs: 0.4 K + 0.025 K/h, at most
  2.5 K.

Draws come in mirror pairs (antithetic variates: Hammersley and Morton 1956, doi:10.1017/S0305004100031455): draw 2k + 1
has the errors of draw 2k with the other sign. Each pair has a seed of its own, made from the study's and its number, so
draws may be made anywhere, in any order and in any portions, and are the same to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pems_optimizer.domain.day_sampler import KINDS, TO_P10, moved_in_band, slow_errors, turned
from pems_optimizer.domain.problem import Floats, PlanningProblem

__all__ = ["DayErrors", "draw_seed", "drawn_errors", "drawn_problem"]

_DRAWN = (*KINDS, "temperature")
_FIRST_K, _GROWTH_K_H, _MOST_K = 0.4, 0.025, 2.5
_USUAL_SUN_WIDTH = 0.4
_LEAST_PV_SHARE = 0.05  # of the horizon's highest: below it percentages say little
_WIDEST_SUN = 2.0


@dataclass(frozen=True)
class DayErrors:
    """Errors of a draw in standard deviations (T,): more PV and sun, load, price, warmth where positive."""

    sky: Floats
    load: Floats
    price: Floats
    warmth: Floats


def draw_seed(seed: int, pair: int) -> int:
    """Return the seed of one pair of draws of a study."""
    return int(np.random.SeedSequence([seed, pair]).generate_state(1, np.uint64)[0])


def drawn_errors(seed: int, draw: int, slots: int, correlation: Mapping[str, float]) -> DayErrors:
    """Draw the errors of a day.

    Args:
        seed: Of the study.
        draw: Number of the draw; 2k and 2k + 1 mirror each other.
        slots: Length T.
        correlation: Lag-1 correlation of the errors of `pv`, `load`, `price` and `temperature`.
    """
    rng = np.random.default_rng(draw_seed(seed, draw // 2))
    sign = -1.0 if draw % 2 else 1.0
    errors = slow_errors(rng, 1, slots, correlation, kinds=_DRAWN)
    pv, load, price, temperature = (sign * errors[kind][0] for kind in _DRAWN)
    return DayErrors(sky=pv, load=load, price=price, warmth=temperature)


def drawn_problem(problem: PlanningProblem, errors: DayErrors) -> PlanningProblem:
    """Return the problem as it is on a drawn day; states, limits and what is decided are those of the problem."""
    course = turned(problem, {"pv": -errors.sky, "load": errors.load, "price": errors.price})
    outdoor_c = moved_in_band(problem.outdoor_c, _outdoor_band(problem), errors.warmth)
    rooms = problem.rooms
    air_input_w = rooms.air_input_w + (outdoor_c - problem.outdoor_c)[:, None] * rooms.outward_w_k
    if len(rooms.sun_w):
        air_input_w = air_input_w + (_sun_factor(problem, errors.sky) - 1.0)[:, None] * rooms.sun_w
    return replace(
        problem,
        pv_w=course.pv_w,
        load_w=course.load_w,
        buy=course.buy,
        sell=course.sell,
        outdoor_c=outdoor_c,
        rooms=replace(rooms, air_input_w=air_input_w),
    )


def _outdoor_band(problem: PlanningProblem) -> tuple[Floats, Floats]:
    """Return P10 and P90 of the outdoor temperature (T,)."""
    band = problem.bands.get("outdoor_c")
    if band is not None and bool((band[1] > band[0]).any()):
        return band
    lead_h = (np.arange(problem.slots) + 0.5) * problem.dt_h
    width = TO_P10 * np.minimum(_FIRST_K + _GROWTH_K_H * lead_h, _MOST_K)
    return problem.outdoor_c - width, problem.outdoor_c + width


def _sun_factor(problem: PlanningProblem, sky: Floats) -> Floats:
    """Return the sun on a drawn day as a share of what is expected (T,), from 0 on."""
    middle = problem.pv_w
    low, high = problem.bands.get("pv_w", (middle, middle))
    tells = middle > _LEAST_PV_SHARE * float(middle.max(initial=0.0))
    safe = np.where(tells, middle, 1.0)
    down, up = np.maximum(middle - low, 0.0), np.maximum(high - middle, 0.0)

    def width(of: Floats) -> Floats:
        energy = float(middle[tells].sum())
        if energy <= 0.0 or not bool((high > low).any()):
            return np.full(problem.slots, _USUAL_SUN_WIDTH)
        return np.asarray(np.where(tells, of / safe, float(of[tells].sum()) / energy))

    ones = np.ones(problem.slots)
    edges = np.maximum(1.0 - width(down), 0.0), np.minimum(1.0 + width(up), _WIDEST_SUN)
    return np.clip(moved_in_band(ones, edges, sky), 0.0, 2.0 * _WIDEST_SUN)
