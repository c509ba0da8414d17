"""The car: nothing or at least its least power, the energy by its hour where it fits, given power as it is."""

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import car

from pems_optimizer.domain.bidders.car import charge, realise

WIDE = np.full(6, 1e5)
PRICE = 1e-3 * np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])


def realised(spec, wish=(), *, price=PRICE, most=WIDE, dt_h=1.0):
    wanted = np.zeros(6)
    wanted[: len(wish)] = wish
    return realise(spec, wanted, price, most, dt_h).tolist()


def test_it_charges_in_the_cheapest_slots():
    assert charge(car(6000.0, 6), PRICE, WIDE, 1.0).tolist() == [0.0, 3000.0, 3000.0, 0.0, 0.0, 0.0]
    assert charge(car(1500.0, 6), PRICE, WIDE, 0.25).tolist() == [0.0, 3000.0, 3000.0, 0.0, 0.0, 0.0]


def test_a_rest_below_its_least_power_is_charged_with_the_least():
    assert realised(car(3100.0, 6)) == [0.0, 1700.0, 1400.0, 0.0, 0.0, 0.0], "and another slot gives way"
    assert realised(car(500.0, 6)) == [0.0, 1400.0, 0.0, 0.0, 0.0, 0.0], "or it gets more than it needs"


def test_a_wish_is_kept_where_a_charger_can_do_it():
    assert realised(car(4000.0, 6), [2000.0, 0.0, 2000.0]) == [2000.0, 0.0, 2000.0, 0.0, 0.0, 0.0]
    low = realised(car(3000.0, 6), [300.0, 0.0, 2700.0])
    assert low == [0.0, 1400.0, 1600.0, 0.0, 0.0, 0.0], "300 W cannot be done: the least in the cheapest slot instead"
    half = realised(car(2000.0, 6), [900.0, 1100.0])
    assert sum(half) >= 2000.0
    assert all(p == 0.0 or p >= 1400.0 for p in half)


def test_too_much_is_given_back_in_the_dearest_slots():
    assert realised(car(3000.0, 6), [3000.0, 3000.0, 3000.0]) == [0.0, 3000.0, 0.0, 0.0, 0.0, 0.0]
    partly = realised(car(5000.0, 6), [3000.0, 3000.0])
    assert partly == [2000.0, 3000.0, 0.0, 0.0, 0.0, 0.0]


def test_it_may_have_more_than_it_needs_where_drawing_is_paid_for():
    price = 1e-3 * np.array([-3.0, -1.0, 2.0, 5.0, 4.0, 6.0])
    assert realised(car(3000.0, 6), [3000.0, 3000.0, 2000.0], price=price) == [3000.0, 3000.0, 0.0, 0.0, 0.0, 0.0]


def test_after_its_hour_it_does_not_charge():
    assert realised(car(20_000.0, 2)) == [3000.0, 3000.0, 0.0, 0.0, 0.0, 0.0]
    assert realised(car(5000.0, 0), [3000.0]) == [0.0] * 6


def test_what_is_given_stays():
    spec = car(4000.0, 6, forced=[500.0, 0.0])
    power = realised(spec, [3000.0, 3000.0])
    assert power[:2] == [500.0, 0.0]
    assert sum(power) >= 4000.0 - 1.0
    assert realised(car(100.0, 6, forced=[3000.0] * 9)) == [3000.0] * 6, "more given slots than there are"


def test_it_leaves_the_connection_what_others_draw():
    most = np.array([9e3, 1000.0, 2000.0, 9e3, 9e3, 9e3])
    assert realised(car(5000.0, 6), most=most) == [3000.0, 0.0, 2000.0, 0.0, 0.0, 0.0]
    assert realised(car(5000.0, 6), [0.0, 3000.0], most=most)[1] == 0.0


def test_it_stays_short_where_energy_is_dearer_than_being_short():
    assert realised(car(6000.0, 6, short=2.5)) == [0.0, 3000.0, 3000.0, 0.0, 0.0, 0.0]
    assert realised(car(6000.0, 6, short=1.5)) == [0.0, 3000.0, 0.0, 0.0, 0.0, 0.0]
    assert realised(car(6000.0, 6, short=0.5)) == [0.0] * 6


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_wished_a_charger_can_do_it(seed):
    rng = np.random.default_rng(seed)
    spec = car(
        float(rng.uniform(0.0, 9000.0)), int(rng.integers(0, 7)), forced=rng.uniform(0, 3000, rng.integers(0, 3))
    )
    most = rng.uniform(-1000.0, 5000.0, 6)
    price, dt_h = 1e-3 * rng.normal(2.0, 2.0, 6), float(rng.choice([0.25, 1.0]))
    power = realise(spec, rng.uniform(0.0, 3000.0, 6) * (rng.random(6) < 0.6), price, most, dt_h)
    first = len(spec.forced_w)
    assert power[: min(first, spec.deadline)] == pytest.approx(spec.forced_w[: min(first, spec.deadline)])
    free = power[first:]
    assert (((free == 0.0) | (free >= spec.power_min_w - 1e-9)) & (free <= spec.power_max_w)).all()
    assert (free <= np.maximum(most[first:], 0.0) + 1e-9).all()
    assert not power[spec.deadline :].any()
    affordable = (price * 1000.0 < spec.short_czk_kwh * dt_h) & (most >= spec.power_min_w)
    affordable &= (np.arange(6) >= first) & (np.arange(6) < spec.deadline)
    if power.sum() * dt_h < spec.need_wh - 1.0:
        assert (power[affordable] >= np.minimum(spec.power_max_w, most[affordable]) - 1e-9).all(), "as much as fits"
