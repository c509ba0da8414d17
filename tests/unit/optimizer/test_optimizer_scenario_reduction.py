"""Sampled days follow the bands; a few weighted days stand for them with the same mean and about the same spread."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import first_house, small_home, small_problem

from pems_common.home import Uncertainty
from pems_optimizer.domain.day_sampler import TO_P10, Courses, sample_days, slow_errors, turned
from pems_optimizer.domain.scenario_reduction import forward_selection, reduce_days
from pems_optimizer.domain.uncertainty import robust_scenarios, uncertainty_for

CORRELATION = {"pv": 0.97, "load": 0.8, "price": 0.98}


@pytest.fixture(scope="module")
def problem():
    return small_problem(first_house())


@pytest.fixture(scope="module")
def days(problem) -> Courses:
    return sample_days(problem, draws=300, seed=3, correlation=CORRELATION)


def test_the_marginals_of_sampled_days_are_the_bands(problem):
    many = sample_days(problem, draws=4000, seed=1, correlation=CORRELATION)
    for name, of in (("load_w", many.load_w), ("buy", many.buy), ("sell", many.sell)):
        low, high = problem.bands[name]
        inside = ((of >= low - 1e-9) & (of <= high + 1e-9)).mean(axis=0)
        assert inside.mean() == pytest.approx(0.8, abs=0.01)
        assert np.abs(inside - 0.8).max() < 0.05
        assert np.median(of, axis=0) == pytest.approx(getattr(problem, name), rel=0.05, abs=5.0)


def test_skewed_bands_give_skewed_days():
    day = small_problem()
    skewed = replace(day, bands={**day.bands, "load_w": (day.load_w, day.load_w + 1000.0)})
    days = sample_days(skewed, draws=500, seed=1, correlation={})
    assert (days.load_w >= day.load_w - 1e-9).all()
    assert np.quantile(days.load_w - day.load_w, 0.9) == pytest.approx(1000.0, rel=0.1)


def test_what_is_known_has_no_spread(problem):
    known = replace(problem, bands={**problem.bands, "buy": (problem.buy, problem.buy)})
    days = sample_days(known, draws=50, seed=1, correlation={})
    assert np.allclose(days.buy, problem.buy)
    unbanded = sample_days(replace(problem, bands={}), draws=4, seed=1, correlation={})
    assert np.allclose(unbanded.pv_w, problem.pv_w)


def test_errors_move_as_slowly_as_the_forecast_says_and_apart_from_each_other():
    errors = slow_errors(np.random.default_rng(2), 400, 192, CORRELATION)
    for kind, rho in CORRELATION.items():
        e = errors[kind]
        assert e.std() == pytest.approx(1.0, abs=0.05)
        assert np.corrcoef(e[:, :-1].ravel(), e[:, 1:].ravel())[0, 1] == pytest.approx(rho, abs=0.02)
    assert abs(np.corrcoef(errors["pv"].ravel(), errors["load"].ravel())[0, 1]) < 0.1


def test_powers_stay_possible(problem):
    wide = {**problem.bands, "pv_w": (problem.pv_w - 5000.0, problem.pv_w + 9e9), "load_w": (problem.load_w - 9e9,) * 2}
    days = sample_days(replace(problem, bands=wide), draws=20, seed=1, correlation={})
    assert days.pv_w.min() == 0.0
    assert days.pv_w.max() == problem.grid.inverter_max_w
    assert days.load_w.min() == 0.0


def test_a_bad_day_is_less_sun_more_load_and_dearer(problem):
    bad = turned(problem, {"pv": TO_P10, "load": TO_P10, "price": TO_P10})
    assert np.allclose(bad.pv_w, problem.bands["pv_w"][0])
    assert np.allclose(bad.load_w, problem.bands["load_w"][1])
    assert np.allclose(bad.buy, problem.bands["buy"][1])


@pytest.mark.parametrize("count", [3, 6, 10])
def test_a_few_days_keep_mean_and_spread(problem, days, count):
    few = reduce_days(problem, days, count)
    weight = np.array([s.probability for s in few.scenarios])
    assert len(weight) == count
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    assert weight.min() > 0.0
    assert few.energy_error_wh < 0.005 * days.pv_w.sum(axis=1).mean() * 0.25
    assert few.price_error_czk_kwh < 1e-9
    for name in ("pv_w", "load_w", "buy", "sell"):
        rows = np.array([getattr(s, name) for s in few.scenarios])
        every = getattr(days, name)
        assert weight @ rows == pytest.approx(every.mean(axis=0), rel=0.02, abs=2.0 if name.endswith("_w") else 1e-9)
        assert rows.min() >= 0.0 or name in {"buy", "sell"}
        wide = (weight @ (rows - weight @ rows) ** 2).mean() ** 0.5 / every.var(axis=0).mean() ** 0.5
        assert 0.7 < wide < 1.4


def test_more_days_stand_nearer(problem, days):
    distances = [reduce_days(problem, days, count).distance_czk for count in (1, 3, 6, 10)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > distances[-1] * 1.05


def test_the_same_seed_gives_the_same_days_and_another_one_others(problem):
    one, again, other = (
        reduce_days(problem, sample_days(problem, draws=100, seed=s, correlation=CORRELATION), 4) for s in (5, 5, 6)
    )
    assert [s.probability for s in one.scenarios] == [s.probability for s in again.scenarios]
    assert all(np.array_equal(a.buy, b.buy) for a, b in zip(one.scenarios, again.scenarios, strict=True))
    assert not np.array_equal(one.scenarios[0].buy, other.scenarios[0].buy)


def test_selection_finds_the_middles_of_clusters_with_their_weights():
    points = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 5.3, 9.0])
    index, weight = forward_selection(np.abs(points[:, None] - points), 3)
    found = dict(zip(points[index].tolist(), weight.tolist(), strict=True))
    assert found.pop(9.0) == pytest.approx(1 / 8)
    assert {round(p): w for p, w in found.items()} == {0: pytest.approx(3 / 8), 5: pytest.approx(4 / 8)}
    index, weight = forward_selection(np.zeros((2, 2)), 5)
    assert len(index) == 2
    assert weight.sum() == 1.0


def test_the_greedy_choice_is_near_the_best_one(problem):
    from itertools import combinations

    from pems_optimizer.domain.scenario_reduction import _distance_czk

    distance = _distance_czk(problem, sample_days(problem, draws=14, seed=4, correlation=CORRELATION))
    index, _ = forward_selection(distance, 3)
    best = min(distance[:, list(c)].min(axis=1).mean() for c in combinations(range(14), 3))
    assert distance[:, index].min(axis=1).mean() <= 1.1 * best


def test_robust_courses_are_those_of_the_specification(problem):
    priced = replace(problem, buy=np.where(np.arange(problem.slots) % 2, -1.0, 2.0))
    base, pv, load, price = robust_scenarios(priced, 0.1)
    assert np.array_equal(base.buy, priced.buy)
    assert np.allclose(pv.pv_w, 0.9 * priced.pv_w)
    assert np.allclose(load.load_w, 1.1 * priced.load_w)
    assert set(np.round(price.buy, 9)) == {-0.9, 2.2}
    assert sum(s.probability for s in (base, pv, load, price)) == 1.0
    for course, moved in ((pv, {"pv_w"}), (load, {"load_w"}), (price, {"buy", "sell"})):
        for name in {"pv_w", "load_w", "buy", "sell"} - moved:
            assert np.array_equal(getattr(course, name), getattr(priced, name))


@pytest.mark.parametrize(("strategy", "courses"), [("point", 0), ("robust", 4), ("scenarios", 5)])
def test_the_home_says_how_the_unknown_counts(strategy, courses):
    home = small_home()
    wish = Uncertainty(strategy=strategy, scenarios=5, samples=60, shared_slots=3)
    home = home.model_copy(update={"optimization": home.optimization.model_copy(update={"uncertainty": wish})})
    problem = small_problem(home)
    assert problem.uncertainty.strategy == strategy
    assert len(problem.uncertainty.scenarios) == courses
    assert problem.uncertainty.shared_slots == 3
    later = uncertainty_for(home, replace(problem, frozen=2), {}, 1)
    assert later.shared_slots == 5, "the frozen slots are the same in any case"
    if strategy == "scenarios":
        again = small_problem(home).uncertainty.scenarios
        assert all(np.array_equal(a.pv_w, b.pv_w) for a, b in zip(problem.uncertainty.scenarios, again, strict=True))
