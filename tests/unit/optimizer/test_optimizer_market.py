"""The market: offers and their mix, one schedule per device in the end, and changes of mind that never cost more."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.invariants.random_house import random_problem
from tests.unit.optimizer.reference_cases import appliance, battery, rooms, toy

from pems_optimizer.domain.market import Market
from pems_optimizer.domain.plan_search import PlanSearch
from pems_optimizer.domain.problem import Uncertainty

SLOTS = 8


def house(count=3, **change):
    """Cooling rooms at a price that changes, two machines, and a battery."""
    heated = rooms(SLOTS, count, low=20.0, high=21.5, start=20.4, air_in_w=-450.0)
    heated = replace(heated, heater_w=np.linspace(900.0, 1500.0, count))
    given = {"heated": heated, "appliances": (appliance(2, SLOTS), appliance(3, SLOTS, power_w=700.0)), **change}
    buy = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0]
    return toy(SLOTS, buy=buy, load=500.0, weights={"peak_czk_kw": 4.0, "start_czk": 0.1}, **given)


def market_of(problem, **how) -> Market:
    return PlanSearch(problem, **how).market


def traded(problem, rounds=12):
    search = PlanSearch(problem)
    done = search.market.trade(search.first_prices(), rounds)
    assert done is not None
    return search.market, done


def lagrange(market, done):
    """Master value less what its devices were worth, plus what each one's best is."""
    price = [bidder.price(done.prices) for bidder in market.bidders]
    floors = [bidder.floor_czk(p, 400) for bidder, p in zip(market.bidders, price, strict=True)]
    return done.objective + sum(floors) - float(done.prices.device.sum())


def test_a_schedule_is_offered_once_and_found_again():
    market = market_of(house())
    on = np.zeros(SLOTS, dtype=bool)
    on[3:5] = True
    column = market.bidders[1].column(on)
    assert market.offer(1, column)
    assert not market.offer(1, column), "it is there already"
    assert market.offer(0, market.bidders[0].column(on)), "another device has its own"
    assert market.of(1) == [0]
    assert market.find(1, on) == 0
    with pytest.raises(KeyError, match="device 1 has not offered"):
        market.find(1, ~on)


def test_trading_comes_near_what_no_plan_can_be_below():
    market, done = traded(house(), rounds=40)
    bound = lagrange(market, done)
    assert bound <= done.objective + 1e-6
    assert done.objective - bound < 0.01 * abs(done.objective)
    for device in range(len(market.bidders)):
        weights = [done.weights[k] for k in market.of(device) if k < len(done.weights)]
        assert sum(weights) == pytest.approx(1.0), "each device does one thing, or a mix of its schedules"


def test_more_rounds_never_make_the_mix_dearer():
    search = PlanSearch(house())
    prices, values = search.first_prices(), []
    for _ in range(6):
        done = search.market.trade(prices, 1)
        values.append(done.objective)
        prices = done.prices
    assert np.all(np.diff(values) <= 1e-6)


def test_trading_ends_where_no_bid_is_worth_taking():
    market, _ = traded(house(), rounds=60)
    done = market.lp.solve()
    assert market.gain(done) <= 2e-4 * abs(done.objective) + 1e-6


@pytest.mark.parametrize("at_once", [1, 3, 99])
def test_a_dive_ends_with_one_schedule_for_each_device(at_once):
    market, done = traded(house())
    dived = market.dive(done, at_once=at_once)
    assert sorted(market.fixed) == list(range(len(market.bidders)))
    assert dived.objective >= done.objective - 0.02 * abs(done.objective)
    for device, bidder in enumerate(market.bidders):
        assert bidder.allows(market.schedule(device))
    again = market.lp.solve()
    assert again.objective == pytest.approx(dived.objective), "the program holds what was chosen"


@pytest.mark.parametrize("seed", range(6))
def test_a_change_of_mind_never_costs_more(seed):
    """Small houses of all kinds, begun from a poor choice: every device by the first schedule it offered."""
    problem = random_problem(("cold_rooms", "no_pv", "negative_prices")[seed % 3], seed, longest_h=6.0)
    search = PlanSearch(replace(problem, uncertainty=Uncertainty()))
    search.market.trade(search.first_prices(), 4)
    for device in range(len(search.market.bidders)):
        search.market.fix(device, search.market.of(device)[0])
    done = search.market.lp.solve()
    before = search.market.worth(done)
    polished = search.market.polish(done, search.order)
    after = search.market.worth(polished)
    assert after <= before + 1e-6
    assert sorted(search.market.fixed) == list(range(len(search.market.bidders)))


def test_a_poor_choice_is_mended():
    market, done = traded(house(count=2))
    market.dive(done, at_once=1)
    always = np.ones(SLOTS, dtype=bool)
    for device in (0, 1):
        market.offer(device, market.bidders[device].column(always))
        market.fix(device, market.find(device, always))
    worst = market.lp.solve()
    polished = market.polish(worst, range(len(market.bidders)))
    assert polished.objective < 0.7 * worst.objective
    assert not market.schedule(0).all()


def test_a_fixed_device_can_be_freed():
    market, done = traded(house())
    market.fix(0, market.of(0)[0])
    assert market.schedule(0).tolist() == (market.offers[market.of(0)[0]].column.power_w > 0.0).tolist()
    bound = market.lp.solve().objective
    market.free(0)
    assert 0 not in market.fixed
    assert market.lp.solve().objective <= bound + 1e-9
    assert market.lp.solve().objective == pytest.approx(done.objective, rel=1e-3)


def test_what_offers_cost_their_device_is_asked_anew():
    market, _ = traded(house())
    bidder = market.bidders[0]
    dearer = type(bidder)(
        bidder.name, bidder.device, power_w=bidder.power_w, prefix=np.zeros(0, dtype=bool), before_czk=100.0,
        start_czk=0.1, starts_max=None, heats=True, grid=(40, 5),
    )  # fmt: skip
    cheap = market.lp.solve().objective
    market.bidders[0] = dearer
    market.account_anew(0)
    assert market.lp.solve().objective == pytest.approx(cheap + 100.0, abs=0.5)


def test_out_of_time_nobody_bids_and_what_is_there_is_chosen():
    market = market_of(house(), time_left_s=lambda: -1.0)
    prices = PlanSearch(house()).first_prices()
    assert market.ask(prices, range(5)) == 0
    assert market.trade(prices, 5) is None
    full, done = traded(house(battery=battery()))
    full.out_of_time = lambda: True
    assert full.gain(done) == 0.0
    assert full.dive(done, at_once=1) is not None
    assert len(full.fixed) == len(full.bidders)
    chosen = dict(full.fixed)
    full.polish(full.lp.solve(), range(len(full.bidders)))
    assert full.fixed == chosen
