"""The search on one market: what it remembers and recalls, courses, coupled rooms, what warmth is worth next door."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.invariants.random_house import random_problem
from tests.unit.optimizer.optimizer_cases import small_home, small_problem
from tests.unit.optimizer.reference_cases import appliance, rooms, tank, toy

from pems_optimizer.domain.house_lp import expected_course
from pems_optimizer.domain.plan_search import Effort, PlanSearch, is_coupled, neighbour_worth, steady_duty
from pems_optimizer.domain.scoring import heat_money
from pems_optimizer.domain.thermal_response import simulate_rooms

SLOTS = 6


def house(**change):
    heated = rooms(SLOTS, 2, low=20.0, high=21.5, start=20.4, air_in_w=-450.0, **change)
    machines = (appliance(2, SLOTS),)
    return toy(SLOTS, buy=[3.0, 1.0, 4.0, 1.5, 5.0, 9.0], heated=heated, water=tank(SLOTS), appliances=machines)


def coupled_problem():
    problem = small_problem(small_home("obyvak", "kuchyne"), hours=12, outdoor_c=-5.0)
    assert is_coupled(problem)
    return replace(problem, ev=None, water=None, appliances=())


def chosen(search, effort=None):
    effort = effort or Effort(rounds=4, fine_rounds=2)
    done = search.polish(search.market.dive(search.find_prices(effort), at_once=effort.at_once), effort)
    assert done is not None
    return done


def test_devices_stand_in_order_and_the_most_powerful_are_polished_first():
    search = PlanSearch(house(heater_w=[700.0, 2000.0]))
    assert [b.name for b in search.market.bidders] == ["room:room0", "room:room1", "water", "appliance:machine"]
    assert search.order == [1, 2, 3, 0]


def test_a_decision_goes_in_and_comes_out_again():
    search = PlanSearch(house())
    chosen(search)
    decision = search.decision(np.zeros(SLOTS))
    other = PlanSearch(house())
    other.fix(decision)
    again = other.decision(np.zeros(SLOTS))
    assert np.array_equal(again.relay_on, decision.relay_on)
    assert np.array_equal(again.water_on, decision.water_on)
    assert np.array_equal(again.appliances[0], decision.appliances[0])


def test_what_is_remembered_can_be_recalled():
    search = PlanSearch(house())
    done = chosen(search)
    memory = search.memory(done)
    other = PlanSearch(house())
    prices = other.recall(memory)
    assert prices.load == pytest.approx(done.prices.load)
    assert len(other.market.offers) == len(memory["on"])
    assert other.market.lp.solve().objective == pytest.approx(search.market.lp.solve().objective, abs=50.0)


def test_of_each_device_the_best_schedules_are_remembered():
    search = PlanSearch(house())
    done = chosen(search)
    few = search.memory(done, most=2)
    assert np.bincount(few["device"], minlength=4).max() <= 2
    for device in range(4):
        prices = [search.market.price_offer(search.market.offers[k], done.prices) for k in search.market.of(device)]
        kept = [
            search.market.price_offer(search.market.offers[search.market.find(device, on)], done.prices)
            for on in few["on"][few["device"] == device]
        ]
        assert sorted(kept) == pytest.approx(sorted(prices)[: len(kept)])


def test_recalled_schedules_that_are_not_allowed_any_more_or_nobodys_are_left_out():
    memory = dict(PlanSearch(house()).memory(chosen(PlanSearch(house()))))
    memory = {**memory, "names": np.array(["room:room0", "room:gone", "water", "appliance:machine"])}
    memory["device"] = np.array([0, 0, 1, 3])
    memory["on"] = np.zeros((4, SLOTS), dtype=bool)
    memory["on"][1, 0] = True  # one slot on
    memory["on"][3, :5] = True  # longer than its run
    search = PlanSearch(house(min_on=2))
    assert search.recall(memory) is not None
    kept = [(offer.device, (offer.column.power_w > 0.0).any()) for offer in search.market.offers]
    assert kept == [(0, False)]
    assert PlanSearch(house()).recall({**memory, "on": np.zeros((4, SLOTS + 1), dtype=bool)}) is None, "other slots"


def test_a_search_over_courses_begins_with_the_best_offers():
    problem = house()
    search = PlanSearch(problem)
    done = search.find_prices(Effort(rounds=6, fine_rounds=2))
    two = tuple(replace(expected_course(problem), name=n, probability=0.5) for n in ("one", "two"))
    other = search.on_courses(two, done, most=3)
    assert [c.name for c in other.market.lp.courses] == ["one", "two"]
    assert all(1 <= len(other.market.of(device)) <= 3 for device in range(4))


def test_no_rounds_leave_the_program_as_it_is():
    search = PlanSearch(house())
    assert search.find_prices(Effort(rounds=0, fine_rounds=0)) is None
    assert PlanSearch(house(), lambda: -1.0).find_prices(Effort()) is None


def test_the_duty_that_holds_a_room_is_what_it_loses_and_forced_slots_are_as_they_are():
    heated = rooms(SLOTS, 1, low=20.0, air_in_w=900.0, forced=(True, False), outward_w_k=[50.0], heater_w=[2000.0])
    duty = steady_duty(toy(SLOTS, heated=heated))
    assert duty[2:, 0] == pytest.approx([(20.2 * 50.0 - 900.0) / 2000.0] * (SLOTS - 2))
    assert duty[:2, 0].tolist() == [1.0, 0.0]


# --- coupled rooms ------------------------------------------------------------------------------


def test_warmth_is_worth_something_to_a_neighbour_who_buys_it():
    problem = coupled_problem()
    price = problem.buy * problem.kwh
    worth = neighbour_worth(problem, np.full((problem.slots, 2), 0.5), price)
    assert (worth < 0.0).all()
    dearer = neighbour_worth(problem, np.full((problem.slots, 2), 0.5), 2.0 * price)
    assert dearer == pytest.approx(2.0 * worth)
    only_first = np.zeros((problem.slots, 2))
    only_first[:, 0] = 0.5
    alone = neighbour_worth(problem, only_first, price)
    assert not alone[:, 0].any(), "its neighbour buys nothing"
    assert (alone[:, 1] < 0.0).all()


def test_coupled_rooms_are_accounted_for_by_the_whole_house():
    problem = coupled_problem()
    search = PlanSearch(problem)
    done = chosen(search)
    on = search.relay_on()
    told = sum(search.market.offers[k].column.own_czk for d, k in search.market.fixed.items() if d < 2)
    true = heat_money(problem, on, simulate_rooms(problem.rooms, on)).total
    assert search.market.worth(done) == pytest.approx(done.objective + true - told)


def test_a_room_that_looks_anew_sees_its_neighbours_as_they_are():
    problem = coupled_problem()
    search = PlanSearch(problem)
    chosen(search)
    search.refresh(0)
    path = simulate_rooms(problem.rooms, search.relay_on())
    assert search.path.air_c == pytest.approx(path.air_c)
    on = search.market.schedule(0)
    alone = search.market.bidders[0].column(on).own_czk
    account = search.market.offers[search.market.fixed[0]].column.own_czk
    assert account == pytest.approx(alone)


@pytest.mark.parametrize("seed", range(3))
def test_choosing_gives_a_schedule_that_every_device_allows(seed):
    problem = random_problem("cold_rooms", seed, longest_h=6.0)
    search = PlanSearch(problem)
    chosen(search)
    for device, bidder in enumerate(search.market.bidders):
        assert bidder.allows(search.market.schedule(device))


def test_a_search_is_gone_when_nobody_has_it_any_more():
    search = PlanSearch(coupled_problem())
    assert search.coupled, "so that the market asks it back"
    search.market.polish(search.market.dive(search.find_prices(Effort()), at_once=2), search.order)
    left = weakref.ref(search)
    gc.disable()
    try:
        del search
        assert left() is None, "its tables and its program would wait for the garbage collector"
    finally:
        gc.enable()
