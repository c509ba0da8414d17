"""Several courses of the days in one program: shared first slots, the worst course, the bad tail, by hand."""

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import battery, car, toy

from pems_optimizer.domain.house_lp import HouseLp, courses_of, expected_course
from pems_optimizer.domain.problem import Scenario, Uncertainty


def course(name, share, *, buy, load=1000.0, pv=0.0, slots=1):
    full = [np.broadcast_to(np.asarray(v, float), (slots,)).copy() for v in (pv, load, buy, 0.0)]
    return Scenario(name, share, *full)


def uncertain(courses, strategy="scenarios", *, slots=1, parts=None, **how):
    known = Uncertainty(strategy, scenarios=tuple(courses), **{"shared_slots": 0, **how})
    return toy(slots, load=1000.0, uncertainty=known, **(parts or {}))


def czk(problem):
    return round(HouseLp(problem).solve().objective, 3)


TWO = (course("calm", 0.9, buy=1.0), course("dear", 0.1, buy=11.0))


def test_one_course_is_counted_where_there_is_no_doubt_or_no_scenario():
    plain = toy(load=1000.0)
    (only,) = courses_of(plain)
    assert (only.name, only.probability) == ("expected", 1.0)
    assert [c.name for c in courses_of(uncertain((), "robust"))] == ["expected"]
    assert [c.name for c in courses_of(uncertain(TWO, "point"))] == ["expected"]
    assert [c.name for c in courses_of(uncertain(TWO))] == ["calm", "dear"]
    assert expected_course(plain).buy is plain.buy


def test_scenarios_count_by_their_probability():
    assert czk(uncertain(TWO)) == 0.9 * 1.0 + 0.1 * 11.0


def test_robust_counts_the_worst_course_alone():
    assert czk(uncertain(TWO, "robust")) == 11.0
    alone = uncertain(TWO[:1], "robust")
    assert czk(alone) == 1.0


def test_cvar_weighs_the_mean_of_the_worst_tail():
    assert czk(uncertain(TWO, cvar_share=0.5, cvar_tail=0.1)) == 0.5 * 2.0 + 0.5 * 11.0
    wide = 0.5 * 2.0 + 0.5 * (0.1 * 11.0 + 0.1 * 1.0) / 0.2
    assert czk(uncertain(TWO, cvar_share=0.5, cvar_tail=0.2)) == round(wide, 3)


def _evening(buy):
    return course(f"evening at {buy}", 0.5, buy=[1.0, buy], load=[0.0, 1000.0], slots=2)


def test_in_the_first_slots_the_battery_does_the_same_in_all_courses():
    """A kWh bought for 1 saves 10 in one of two evenings: apart it is bought in that course only."""
    evenings = (_evening(10.0), _evening(0.0))
    apart = uncertain(evenings, slots=2, parts={"battery": battery()})
    assert czk(apart) == 0.5
    shared = uncertain(evenings, slots=2, parts={"battery": battery()}, shared_slots=1)
    assert czk(shared) == 1.0
    flows = HouseLp(shared).solve().flows
    assert flows[0].charge_w[0] == pytest.approx(flows[1].charge_w[0])


def test_the_price_of_energy_is_that_of_all_courses_together():
    problem = uncertain(TWO)
    prices = HouseLp(problem).solve().prices
    assert prices.load / problem.kwh == pytest.approx([2.0])


def test_each_course_has_its_own_load_and_the_car_is_one():
    problem = uncertain(TWO, parts={"ev": car(1000.0, 1, low=0.0)})
    lp = HouseLp(problem)
    lp.set_load([np.zeros(1), np.array([2000.0])])
    done = lp.solve()
    assert done.ev_w == pytest.approx([1000.0])
    assert [flow.import_w[0] for flow in done.flows] == pytest.approx([1000.0, 3000.0])
    assert done.objective == pytest.approx(0.9 * 1.0 + 0.1 * 33.0)


def test_circles_are_excluded_in_each_course():
    lossy = battery(energy_wh=5000.0, charge_efficiency=0.5, discharge_efficiency=0.5)
    paid = (course("paid", 0.5, buy=-1.0, load=0.0), course("dear", 0.5, buy=5.0, load=0.0))
    done = HouseLp(uncertain(paid, parts={"battery": lossy})).solve_physical()
    for flow in done.flows:
        assert np.minimum(flow.charge_w, flow.discharge_w).max() <= 1e-6
