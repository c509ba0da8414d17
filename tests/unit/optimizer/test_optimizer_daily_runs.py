"""Daily runs of appliances: a machine per window, what is left of one that has begun, one schedule in the message."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_common.home import Appliance
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.planning import Ask, make_rule_plan
from pems_optimizer.domain.run_names import appliance_of, merged_schedules

SLOT = timedelta(minutes=15)
DISH = Appliance(power_w=900, run_minutes=110, runs_daily=True, earliest="20:00", ready_by="07:00")


def home_with(**appliances):
    return small_home("pokoj_1").model_copy(update={"appliances": appliances})


def runs_at(home, now=START, decide_from=None, running=None):
    known = winter_case(home, 1, hours=60)
    if running is not None:
        known = replace(known, running=running)
    return assemble(home, known, now=now, decide_from=decide_from or now).appliances


def plan_with(name, on, start=START, slots=192):
    home = small_home("pokoj_1")
    plan = make_rule_plan(home, winter_case(home, 1), INPUTS, Ask("p", 1, start, start, 5.0), "t")
    return plan.model_copy(update={"appliances": {name: tuple(t in on for t in range(slots))}, "start": start})


def test_every_window_that_ends_in_the_horizon_has_a_run():
    first, second = runs_at(home_with(dish=DISH))
    # 14:00 local: tonight 20:00 is slot 24, 07:00 slot 68.
    assert (first.name, first.earliest, first.deadline, first.run_slots) == ("dish@2025-01-14", 24, 68, 8)
    assert (second.name, second.earliest, second.deadline) == ("dish@2025-01-15", 120, 164)
    assert first.missing_czk == 50.0
    assert not first.forced
    assert appliance_of(first.name) == "dish"


def test_an_appliance_without_a_daily_window_is_not_planned():
    assert runs_at(home_with(dish=DISH.model_copy(update={"runs_daily": False}))) == ()


def test_a_window_that_has_begun_unseen_gets_a_whole_run_while_there_is_time():
    noon = DISH.model_copy(update={"earliest": "08:00", "ready_by": "16:30"})
    assert [r.run_slots for r in runs_at(home_with(dish=noon))] == [8, 8]
    late = DISH.model_copy(update={"earliest": "08:00", "ready_by": "15:30"})
    assert [r.name for r in runs_at(home_with(dish=late))] == ["dish@2025-01-15", "dish@2025-01-16"][:1]


def test_what_the_running_plan_still_has_in_the_window_is_what_is_left():
    home = home_with(dish=DISH)
    evening = START + timedelta(hours=9)  # 23:00 local, slot 36 of the running plan
    planned = plan_with("dish", range(30, 38))
    left = runs_at(home, evening, running=planned)[0]
    # Two of its eight slots are to come, and it is running: it goes through.
    assert (left.run_slots, left.on_now, left.forced_on) == (2, True, (True, True))
    done = runs_at(home, evening, running=plan_with("dish", range(25, 33)))
    assert [r.name for r in done] == ["dish@2025-01-15"]
    later = runs_at(home, evening, running=plan_with("dish", range(40, 48)))[0]
    assert (later.run_slots, later.on_now, later.forced) == (8, False, 0)
    assert (later.earliest, later.deadline) == (0, 32)


def test_a_pausing_machine_is_free_to_pause_on():
    home = home_with(pump=DISH.model_copy(update={"interruptible": True}))
    evening = START + timedelta(hours=9)
    left = runs_at(home, evening, running=plan_with("pump", range(30, 38)))[0]
    assert (left.run_slots, left.forced, left.on_now) == (2, 0, True)


def test_frozen_slots_follow_the_running_plan_and_a_run_begun_in_them_goes_on():
    home = home_with(dish=DISH)
    evening = START + timedelta(hours=9)
    begun = runs_at(home, evening, evening + 2 * SLOT, plan_with("dish", range(37, 45)))[0]
    assert begun.forced_on == (False, *[True] * 8)
    assert begun.run_slots == 8
    waiting = runs_at(home, evening, evening + 2 * SLOT, plan_with("dish", range(40, 48)))[0]
    assert waiting.forced_on == (False, False)
    soon = runs_at(home, START + timedelta(hours=5.5), START + timedelta(hours=6.5), plan_with("dish", range(24, 32)))[
        0
    ]
    # Its window opens in slot 2, the plan acts from slot 4 on.
    assert soon.forced_on == (False, False, *[True] * 8)


def test_a_running_plan_that_does_not_know_the_appliance_or_ends_too_early_says_nothing():
    home = home_with(dish=DISH)
    evening = START + timedelta(hours=9)
    assert runs_at(home, evening, running=plan_with("other", ()))[0].run_slots == 8
    short = plan_with("dish", (), slots=50).model_copy(update={"slots": 50})
    assert runs_at(home, evening, running=short)[0].run_slots == 8


def test_the_runs_of_an_appliance_are_one_schedule():
    runs = runs_at(home_with(dish=DISH, wash=DISH))
    assert [appliance_of(r.name) for r in runs] == ["dish", "dish", "wash", "wash"]
    schedules = tuple(np.arange(6) == k for k in range(4))
    merged = merged_schedules(runs, schedules)
    assert {n: np.flatnonzero(on).tolist() for n, on in merged.items()} == {"dish": [0, 1], "wash": [2, 3]}
    with pytest.raises(ValueError, match="shorter"):
        merged_schedules(runs, schedules[:2])


def test_a_night_with_a_clock_change_has_its_hour_less():
    from datetime import UTC, datetime

    home = home_with(dish=DISH)
    start = datetime(2025, 3, 29, 18, tzinfo=UTC)
    known = winter_case(home, 1, start=start)
    first = assemble(home, known, now=start, decide_from=start).appliances[0]
    assert (first.earliest, first.deadline) == (4, 44)


def test_the_message_has_one_schedule_for_each_appliance():
    home = home_with(dish=DISH, pump=DISH.model_copy(update={"interruptible": True}))
    plan = make_rule_plan(home, winter_case(home, 1, hours=60), INPUTS, Ask("p", 1, START, START, 5.0), "t")
    assert {name: sum(on) for name, on in plan.appliances.items()} == {"dish": 16, "pump": 16}
    # The next plan finds its runs in it, by their name.
    later = START + timedelta(hours=12)
    left = runs_at(home, later, running=plan)
    assert left[0].name in {"dish@2025-01-14", "dish@2025-01-15"}
    assert sum(r.run_slots for r in left if appliance_of(r.name) == "dish") == sum(plan.appliances["dish"][48:])
