"""The running plan on a new grid: what fits is kept, what does not is taken from the fresh decision."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, small_problem, winter_case
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_optimizer.domain.planning import Ask, make_rule_plan
from pems_optimizer.domain.problem import ApplianceSpec
from pems_optimizer.domain.running import RunningPlan, moved_on
from pems_optimizer.domain.scoring import Decision

HOME = small_home()
SLOTS = 192


@pytest.fixture(scope="module")
def problem():
    return small_problem(HOME)


@pytest.fixture(scope="module")
def plan():
    made = make_rule_plan(HOME, winter_case(HOME, 1), INPUTS, Ask("p", 1, START, START, 5.0), "t")
    return made.model_copy(update={"fallback_mode": False})


def fresh(problem, **changes) -> Decision:
    off = np.zeros(SLOTS, dtype=bool)
    decision = Decision(np.zeros((SLOTS, problem.rooms.count), dtype=bool), off, np.full(SLOTS, 2000.0))
    return replace(decision, **{"appliances": tuple(off for _ in problem.appliances), **changes})


def moved(problem, plan, decision=None, **options):
    return moved_on(problem, RunningPlan(plan), decision or fresh(problem), **options)


def test_relays_and_tank_go_on_and_the_tail_and_the_car_are_fresh(problem, plan):
    later = replace(problem, start=START + timedelta(hours=2))
    on = np.ones((SLOTS, 3), dtype=bool)
    decision = moved(later, plan, fresh(problem, relay_on=on, water_on=np.ones(SLOTS, dtype=bool)))
    before = np.array([plan.rooms[n].relay_on for n in problem.rooms.names]).T
    assert decision is not None
    assert np.array_equal(decision.relay_on[: SLOTS - 8], before[8:])
    assert decision.relay_on[SLOTS - 8 :].all()
    assert (decision.ev_w == 2000.0).all()
    assert decision.water_on[: SLOTS - 8].tolist() == list(plan.water_on[8:])
    assert decision.water_on[SLOTS - 8 :].all()


def test_the_car_of_the_running_plan_is_kept_where_it_is_judged_as_a_whole(problem, plan):
    kept = moved(problem, plan, with_car=True)
    assert kept.ev_w.tolist() == list(plan.ev_power_w)


def test_a_plan_for_other_rooms_a_rule_plan_or_one_nearly_over_is_not_kept(problem, plan):
    fewer = dict(list(plan.rooms.items())[:2])
    assert moved(problem, plan.model_copy(update={"rooms": fewer})) is None
    assert moved(problem, plan.model_copy(update={"fallback_mode": True})) is None
    assert moved(replace(problem, start=START + timedelta(hours=25)), plan) is None


def test_a_plan_without_rooms_ends_where_it_ends(plan):
    empty = small_problem(HOME)
    arrays = {k: v[..., :0] for k, v in vars(empty.rooms).items() if isinstance(v, np.ndarray) and v.shape[-1:] == (3,)}
    bare = replace(empty, rooms=replace(empty.rooms, names=(), **arrays), start=START + timedelta(hours=25))
    assert moved(bare, plan.model_copy(update={"rooms": {}})) is None


def test_a_minimum_time_broken_at_the_seam_is_no_plan(problem, plan):
    name = problem.rooms.names[0]
    short = (True, False, False, *[True] * 4, *[False] * (SLOTS - 7))
    rooms = {**plan.rooms, name: plan.rooms[name].model_copy(update={"relay_on": short})}
    seam = replace(problem.rooms, relay_on=np.array([False, False, False]), slots_in_state=np.full(3, 9))
    assert moved(replace(problem, rooms=seam), plan.model_copy(update={"rooms": rooms})) is None


def test_a_tank_that_would_break_its_times_is_heated_afresh(problem, plan):
    water = replace(problem.water, on_now=False, slots_in_state=5)
    short = plan.model_copy(update={"water_on": (True, *[False] * (SLOTS - 1))})
    wish = np.ones(SLOTS, dtype=bool)
    assert moved(replace(problem, water=water), short, fresh(problem, water_on=wish)).water_on.all()
    whole = plan.model_copy(update={"water_on": (True, True, *[False] * (SLOTS - 2))})
    kept = moved(replace(problem, water=water), whole, fresh(problem, water_on=wish))
    assert np.flatnonzero(kept.water_on).tolist() == [0, 1]
    ordered = replace(water, forced=3, forced_on=(False, False, False))
    assert not moved(replace(problem, water=ordered), whole, fresh(problem)).water_on.any()


def run_moved(problem, plan, on, **facts):
    spec = ApplianceSpec(
        **{"name": "dish@2025-01-14", "power_w": 900.0, "run_slots": 4, "earliest": 10, "deadline": 40, **facts}
    )
    house = replace(problem, appliances=(spec,))
    running = plan.model_copy(update={"appliances": {"dish": tuple(t in on for t in range(SLOTS))}})
    other = np.isin(np.arange(SLOTS), [30, 31, 32, 33])
    decision = moved(house, running, fresh(house, appliances=(other,)))
    return np.flatnonzero(decision.appliances[0]).tolist()


def test_a_machine_keeps_its_run_while_it_is_a_whole_one(problem, plan):
    own, other = [20, 21, 22, 23], [30, 31, 32, 33]
    assert run_moved(problem, plan, own) == own
    assert run_moved(problem, plan, [5, *own, 60]) == own, "what lies outside its window is another day's"
    assert run_moved(problem, plan, own[:3]) == other
    assert run_moved(problem, plan, [20, 21, 24, 25]) == other
    assert run_moved(problem, plan, [20, 21, 24, 25], interruptible=True) == [20, 21, 24, 25]
    assert run_moved(problem, plan, []) == other
    forced = {"earliest": 0, "forced": 2, "forced_on": (False, True)}
    assert run_moved(problem, plan, [1, 2, 3, 4], **forced) == [1, 2, 3, 4]
    assert run_moved(problem, plan, own, **forced) == other
