"""The relaxed dispatch: balance, prices as derivatives, the car and the battery kept apart."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_home, small_problem

from pems_optimizer.domain.dispatch_lp import DispatchLp, price_to_run


@pytest.fixture(scope="module")
def problem():
    return small_problem()


def test_it_balances_and_respects_limits(problem):
    d = DispatchLp(problem).solve(problem.load_w + 1500.0)
    left = d.import_w + d.overload_w + problem.pv_w + d.discharge_w - d.export_w - d.curtail_w - d.charge_w - d.ev_w
    assert np.allclose(left, problem.load_w + 1500.0, atol=1e-4)
    assert d.import_w.max() <= problem.grid.import_max_w + 1e-6
    assert d.peak_w == pytest.approx((d.import_w + d.overload_w).max(), abs=1e-4)


def test_the_car_gets_its_energy_in_time_and_not_from_the_battery(problem):
    d = DispatchLp(problem).solve(problem.load_w)
    ev = problem.ev
    assert d.ev_w[: ev.deadline].sum() * 0.25 == pytest.approx(ev.need_wh, rel=1e-6)
    assert d.ev_w[ev.deadline :].max() == 0.0
    assert (d.ev_w <= d.import_w + d.overload_w + problem.pv_w - d.curtail_w + 1e-4).all()


def test_the_price_is_what_one_more_watt_costs(problem):
    lp = DispatchLp(problem)
    load = problem.load_w + 1500.0
    base = lp.solve(load)
    for slot in (3, 40, 90, 150):
        bump = load.copy()
        bump[slot] += 10.0
        slope = (lp.solve(bump).money - base.money) / 10.0
        assert slope == pytest.approx(base.price[slot], abs=2e-4)


def test_beyond_the_surplus_import_is_priced(problem):
    n = problem.slots
    sunny = replace(problem, pv_w=np.full(n, 3000.0), battery=None, ev=None)
    d = DispatchLp(sunny).solve(np.full(n, 2500.0))
    small, large = price_to_run(sunny, d, 400.0), price_to_run(sunny, d, 2500.0)
    assert (large / 2500.0 > small / 400.0).all()


def test_beyond_the_breaker_there_is_a_wall(problem):
    d = DispatchLp(problem).solve(np.full(problem.slots, problem.grid.import_max_w + 6000.0))
    cost = price_to_run(problem, d, 1000.0)
    assert (cost >= 0.25 * problem.weights.overload_czk_kwh * 0.99).all()


def test_no_time_left_gives_nothing_or_an_answer_soon(problem):
    lp = DispatchLp(problem, time_left_s=lambda: -1.0)
    answer = lp.solve(problem.load_w)
    assert answer is None or answer.money == answer.money


def test_a_house_with_neither_battery_nor_car_nor_pv():
    home = small_home(ev=None, battery=None)
    bare = small_problem(home, sun=0.0)
    d = DispatchLp(bare).solve(bare.load_w)
    assert np.allclose(d.import_w, bare.load_w)
