"""Rooms and the tank as bidders: what they allow, what forced slots cost, prices of all heating, floors."""

import itertools

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import rooms, tank, toy

from pems_optimizer.domain.bidders.port import Wish
from pems_optimizer.domain.bidders.relays import room_bidder, water_bidder
from pems_optimizer.domain.house_lp import Prices
from pems_optimizer.domain.scoring import heat_money, start_count, water_money
from pems_optimizer.domain.thermal_response import simulate_rooms, simulate_water

SLOTS = 7
GRID = (200, 9)


def house(*, forced=(), slots=SLOTS, **change):
    """One room that loses 1 K an hour, with a band from 20 to 21 C."""
    given = {"low": 20.0, "high": 21.0, "start": 20.5, "air_in_w": -600.0, **change}
    return toy(slots, heated=rooms(slots, forced=forced, **given), weights={"start_czk": 0.3})


def bidder_of(problem):
    on = problem.rooms.forced_on
    return room_bidder(problem, simulate_rooms(problem.rooms, on), 0, on, grid=GRID)


def whole_cost(problem, on, price):
    path = simulate_rooms(problem.rooms, on[:, None])
    return heat_money(problem, on[:, None], path).total + float(price @ on) * problem.rooms.heater_w[0]


def every(slots=SLOTS):
    return (np.array(s, dtype=bool) for s in itertools.product([False, True], repeat=slots))


@pytest.mark.parametrize("forced", [(), (True,), (True, False), (False, False, True)])
def test_a_room_bids_the_best_of_what_it_is_allowed(forced):
    problem = house(forced=forced, min_on=2, min_off=2, end_value_czk_k=[2.0], end_reference_c=[20.0])
    bidder = bidder_of(problem)
    price = 1e-3 * np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    allowed = [on for on in every() if bidder.allows(on)]
    assert all(on[: len(forced)].tolist() == list(forced) for on in allowed)
    best = min(whole_cost(problem, on, price) for on in allowed)
    column = bidder.bid(price)
    on = column.power_w > 0.0
    assert bidder.allows(on)
    assert whole_cost(problem, on, price) <= best + 0.01 * abs(best) + 0.02
    assert bidder.floor_czk(price, 2000) <= best + 1e-9
    assert bidder.floor_czk(price, 2000) >= best - 0.1
    assert bidder.estimate_czk(price) == pytest.approx(best, abs=0.2)


def test_the_account_of_any_schedule_is_that_of_the_house():
    problem = house(forced=(True, True), end_value_czk_k=[2.0], end_reference_c=[21.0], end_bonus_czk_k=[0.3])
    bidder = bidder_of(problem)
    for on in itertools.islice(every(), 96, 128):
        if bidder.allows(on):
            assert bidder.column(on).own_czk == pytest.approx(whole_cost(problem, on, np.zeros(SLOTS)))


def test_minimum_times_count_what_was_before():
    free = bidder_of(house(min_on=3, slots_in_state=[1], relay_on=[True]))
    assert not free.allows(np.zeros(SLOTS, dtype=bool))
    assert free.allows(np.array([True, True] + [False] * 5))
    just = bidder_of(house(min_on=3, slots_in_state=[0], relay_on=[True]))
    assert just.allows(np.array([True, True] + [False] * 5)), "less than one slot counts as one"
    after = bidder_of(house(forced=(True,), min_on=3, slots_in_state=[0], relay_on=[True]))
    assert after.allows(np.array([True, True] + [False] * 5)), "and the forced one comes on top of it"
    assert not after.allows(np.array([True] + [False] * 6))


def test_starts_in_forced_slots_are_part_of_the_limit():
    one = bidder_of(house(forced=(True, False), starts_max=[1]))
    assert one.allows(np.array([True] + [False] * 6))
    assert not one.allows(np.array([True, False, True] + [False] * 4))
    cold = one.bid(np.full(SLOTS, -1e-3))
    assert start_count(cold.power_w > 0.0, False) == 1


def test_the_limit_of_starts_has_a_price_in_the_floor():
    problem = house(starts_max=[1], air_in_w=-900.0)
    bidder = bidder_of(problem)
    price = 1e-3 * np.tile([1.0, 9.0], 4)[:SLOTS]
    best = min(whole_cost(problem, on, price) for on in every() if bidder.allows(on))
    assert best - 2.0 < bidder.floor_czk(price, 1000) <= best + 1e-9


def test_a_wish_is_granted_as_far_as_minimum_times_allow():
    bidder = bidder_of(house(forced=(False, False), start=25.0))
    on = bidder.bid(np.full(SLOTS, 5e-3), Wish(4, True)).power_w > 0.0
    assert on[4]
    assert not bidder.bid(np.full(SLOTS, 5e-3), Wish(1, True)).power_w[1], "decided already"


def test_a_room_decided_to_the_end_bids_what_it_has_to():
    forced = (True, False, True, True, False, False, True)
    problem = house(forced=forced)
    bidder = bidder_of(problem)
    price = 1e-3 * np.arange(1.0, 8.0)
    column = bidder.bid(price)
    assert (column.power_w > 0.0).tolist() == list(forced)
    total = whole_cost(problem, np.array(forced), price)
    assert column.own_czk + price @ column.power_w == pytest.approx(total)
    assert bidder.floor_czk(price, 100) == pytest.approx(total)
    assert bidder.estimate_czk(price) == pytest.approx(total)


def test_a_room_pays_for_the_limit_of_all_heating_and_the_tank_does_not():
    prices = Prices(np.array([1.0]), np.array([2.0]), np.array([9.0]), np.zeros(2))
    problem = toy(1, heated=rooms(1), water=tank(1))
    room, water = bidder_of(problem), water_bidder(problem, grid=GRID)
    assert (room.price(prices).tolist(), room.heats, room.name) == ([3.0], True, "room:room0")
    assert (water.price(prices).tolist(), water.heats, water.name) == ([1.0], False, "water")


def test_warmth_that_a_neighbour_wants_lets_a_room_heat():
    problem = house(start=20.8, air_in_w=0.0)
    on = problem.rooms.forced_on
    path = simulate_rooms(problem.rooms, on)
    wanted = room_bidder(problem, path, 0, on, grid=GRID, warmth_czk_k=np.full(SLOTS, -9.0))
    price = np.full(SLOTS, 1e-3)
    assert not (bidder_of(problem).bid(price).power_w > 0.0).any()
    assert (wanted.bid(price).power_w > 0.0).any()
    as_said = wanted.column(np.zeros(SLOTS, dtype=bool))
    assert as_said.own_czk == pytest.approx(bidder_of(problem).column(np.zeros(SLOTS, dtype=bool)).own_czk), (
        "what the path says owes and gets nothing"
    )


@pytest.mark.parametrize("forced", [(), (True, False)])
def test_the_tank_bids_the_best_with_its_thermostat(forced):
    water = tank(
        SLOTS, low=[45, 45, 52, 45, 45, 53, 45], high=54.0, drain_w=1200.0, end_value_czk_k=0.4, forced=len(forced),
        forced_on=forced,
    )  # fmt: skip
    problem = toy(SLOTS, water=water, weights={"start_czk": 0.3})
    bidder = water_bidder(problem, grid=GRID)
    price = 1e-3 * np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])

    def cost(on):
        money = sum(water_money(water, simulate_water(water, on, 1.0), 1.0))
        return money + 0.3 * start_count(on, False) + float(price @ on) * 1000.0

    best = min(cost(on) for on in every() if bidder.allows(on))
    column = bidder.bid(price)
    on = column.power_w > 0.0
    assert cost(on) == pytest.approx(column.own_czk + price @ column.power_w)
    assert best - 1e-9 <= cost(on) <= best + 0.2
    assert best - 0.5 < bidder.floor_czk(price, 1000) <= best + 1e-9
