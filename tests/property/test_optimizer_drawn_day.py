"""Whatever errors are drawn: powers and sun stay possible, and a warmer or brighter world never cools a room."""

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.optimizer.optimizer_cases import small_problem

from pems_optimizer.domain.drawn_day import DayErrors, drawn_problem
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.thermal_response import simulate_rooms

QUICK = settings(max_examples=60, deadline=None)
amounts = st.floats(-6.0, 6.0)


@cache
def house(banded: bool) -> PlanningProblem:
    problem = small_problem()
    return problem if banded else replace(problem, bands={})


def errors_of(problem: PlanningProblem, sky: float, load: float, price: float, warmth: float, seed: int) -> DayErrors:
    rough = np.random.default_rng(seed).normal(size=(4, problem.slots))
    return DayErrors(*(amount + row for amount, row in zip((sky, load, price, warmth), rough, strict=True)))


@QUICK
@given(st.booleans(), amounts, amounts, amounts, amounts, st.integers(0, 99))
def test_a_drawn_day_is_possible(banded, sky, load, price, warmth, seed):
    problem = house(banded)
    day = drawn_problem(problem, errors_of(problem, sky, load, price, warmth, seed))
    assert ((day.pv_w >= 0.0) & (day.pv_w <= problem.grid.inverter_max_w)).all()
    assert (day.load_w >= 0.0).all()
    shaded = problem.rooms.air_input_w - problem.rooms.sun_w
    shaded = shaded + (day.outdoor_c - problem.outdoor_c)[:, None] * problem.rooms.outward_w_k
    assert (day.rooms.air_input_w >= shaded - 1e-6).all(), "the sun takes no heat away"
    assert np.isfinite(np.concatenate([day.buy, day.sell, day.outdoor_c, day.rooms.air_input_w.ravel()])).all()


@QUICK
@given(st.booleans(), amounts, amounts, st.floats(0.0, 3.0), st.integers(0, 99), st.sampled_from(["sky", "warmth"]))
def test_a_warmer_or_brighter_world_never_cools_a_room(banded, sky, warmth, more, seed, which):
    problem = house(banded)
    errors = errors_of(problem, sky, 0.0, 0.0, warmth, seed)
    milder = replace(errors, **{which: getattr(errors, which) + more})
    off = np.zeros((problem.slots, problem.rooms.count), dtype=np.bool_)
    one, other = (simulate_rooms(drawn_problem(problem, e).rooms, off).air_c for e in (errors, milder))
    assert (other >= one - 1e-9).all()
