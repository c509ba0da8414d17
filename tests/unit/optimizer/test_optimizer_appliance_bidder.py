"""Machines as bidders: the best of everything they could do, interruptible or not, forced, in their windows."""

import itertools

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import appliance

from pems_optimizer.domain.bidders import appliances
from pems_optimizer.domain.bidders.appliances import ApplianceBidder
from pems_optimizer.domain.bidders.port import Wish
from pems_optimizer.domain.house_lp import Prices

SLOTS = 9


def may_do(spec, on):
    """Rules A1 to A4 in their own words."""
    first = min(spec.forced, len(on))
    if on[:first].tolist() != list(spec.forced_on[:first]):
        return False
    ran, free = int(on[:first].sum()), [t for t in range(first, len(on)) if on[t]]
    left = max(0, spec.run_slots - ran)
    if not free:
        return True
    if free[0] < spec.earliest or free[-1] >= spec.deadline or len(free) > left:
        return False
    if spec.interruptible:
        return True
    whole = len(free) == left and free == list(range(free[0], free[0] + left))
    begun = bool(on[first - 1]) if first else spec.on_now
    return whole and (ran == 0 or (begun and free[0] == first))


def cost(spec, on, price):
    starts = int(on[0] and not spec.on_now) + int((on[1:] & ~on[:-1]).sum())
    ran = int(on[: max(spec.deadline, spec.forced)].sum())
    missing = max(0, spec.run_slots - ran) * spec.missing_czk
    return spec.power_w * float(price @ on) + starts * spec.start_czk + missing


def everything(spec):
    every = (np.array(s, dtype=bool) for s in itertools.product([False, True], repeat=SLOTS))
    return [on for on in every if may_do(spec, on)]


def random_machine(seed):
    rng = np.random.default_rng(seed)
    length = int(rng.integers(1, 5))
    interruptible = bool(rng.random() < 0.5)
    forced: tuple[bool, ...] = ()
    kind = rng.integers(4)
    if kind == 1:
        forced = (False,) * int(rng.integers(1, 4))
    elif kind == 2:  # begun
        forced = (True,) * int(rng.integers(1, length + 1))
    earliest = int(rng.integers(0, 5))
    return appliance(
        length,
        int(rng.integers(earliest, SLOTS + 1)),
        earliest=earliest,
        interruptible=interruptible,
        start_czk=float(rng.choice([0.0, 0.5])),
        missing_czk=float(rng.choice([0.3, 50.0])),
        forced=len(forced),
        forced_on=forced,
        on_now=bool(kind == 3),
    ), 1e-3 * rng.normal(1.0, 1.0, SLOTS)


@pytest.mark.parametrize("seed", range(60))
def test_no_schedule_it_may_do_is_better_than_its_bid(seed):
    spec, price = random_machine(seed)
    bidder = ApplianceBidder(spec, SLOTS)
    column = bidder.bid(price)
    on = column.power_w > 0.0
    best = min(cost(spec, other, price) for other in everything(spec))
    assert may_do(spec, on), (spec, on)
    assert cost(spec, on, price) == pytest.approx(best)
    assert column.own_czk + price @ column.power_w == pytest.approx(best)
    assert bidder.floor_czk(price, 10) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(12))
def test_compiled_or_not_it_bids_the_same(seed, monkeypatch):
    spec, price = random_machine(seed)
    compiled = ApplianceBidder(spec, SLOTS).bid(price).power_w
    monkeypatch.setattr(appliances, "best_run", appliances.best_run.py_func)
    assert ApplianceBidder(spec, SLOTS).bid(price).power_w.tolist() == compiled.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_it_allows_what_it_may_do_and_nothing_else(seed):
    spec, _ = random_machine(seed)
    bidder = ApplianceBidder(spec, SLOTS)
    allowed = {on.tobytes() for on in everything(spec)}
    for schedule in itertools.product([False, True], repeat=SLOTS):
        on = np.array(schedule, dtype=bool)
        assert bidder.allows(on) == (on.tobytes() in allowed), (spec, on)


def test_a_run_that_does_not_fit_is_not_begun():
    for spec in (appliance(5, SLOTS, earliest=6), appliance(5, 3), appliance(1, 0), appliance(20, SLOTS)):
        assert not (ApplianceBidder(spec, SLOTS).bid(np.full(SLOTS, -1.0)).power_w > 0.0).any()


def test_a_run_in_pieces_takes_the_cheapest_slots_unless_starts_are_dear():
    price = 1e-3 * np.array([1.0, 5.0, 1.0, 5.0, 1.0, 5.0, 5.0, 5.0, 5.0])
    pieces = ApplianceBidder(appliance(3, SLOTS, interruptible=True), SLOTS)
    assert np.flatnonzero(pieces.bid(price).power_w).tolist() == [0, 2, 4]
    dear = ApplianceBidder(appliance(3, SLOTS, interruptible=True, start_czk=20.0), SLOTS)
    assert len(np.flatnonzero(np.diff(dear.bid(price).power_w) > 0.0)) <= 1


def test_a_wish_is_granted_where_the_run_can_be_there():
    bidder = ApplianceBidder(appliance(2, SLOTS, earliest=1), SLOTS)
    price = 1e-3 * np.array([1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0])
    assert np.flatnonzero(bidder.bid(price, Wish(6, True)).power_w).tolist() in ([5, 6], [6, 7])
    assert np.flatnonzero(bidder.bid(price, Wish(1, False)).power_w).tolist() == [2, 3]
    assert not bidder.bid(price, Wish(0, True)).power_w[0], "before its window"


def test_it_pays_the_price_of_any_load():
    prices = Prices(np.array([1.0]), np.array([2.0]), np.array([3.0]), np.zeros(1))
    bidder = ApplianceBidder(appliance(1, 1), 1)
    assert bidder.price(prices).tolist() == [1.0]
    assert (bidder.name, bidder.heats) == ("appliance:machine", False)
