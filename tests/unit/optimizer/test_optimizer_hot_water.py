"""The tank: what is wanted of it, and when it is heated through against legionella."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import START, small_home, winter_case
from tests.unit.optimizer.test_optimizer_planning import INPUTS

from pems_common.home import Hygiene
from pems_common.messages import WaterReading
from pems_common.timegrid import local_midnight
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.horizon import Horizon
from pems_optimizer.domain.hot_water import heat_through
from pems_optimizer.domain.planning import Ask, make_rule_plan
from pems_optimizer.domain.remembered import Remembered
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.thermal_response import simulate_water

PRAGUE = ZoneInfo("Europe/Prague")
MONDAY = local_midnight(date(2025, 1, 13), PRAGUE)
WATER = small_home().water
DRAIN = np.full(192, 300.0)
NOON = Hygiene(temperature_c=60, hold_minutes=30, every_days=7, weekday=0, earliest="10:00", ready_by="18:00")


def when(hygiene=NOON, *, start=MONDAY, tank_c=50.0, last=None, price=None, frozen=0, slots=192, drain=DRAIN):
    price = np.ones(slots) if price is None else price
    horizon = Horizon(start, slots, frozen, PRAGUE)
    return heat_through(WATER, hygiene, tank_c, drain[:slots], last, price, horizon)


def home_with(hygiene=NOON, **water):
    return small_home("pokoj_1").model_copy(update={"water": WATER.model_copy(update={"hygiene": hygiene, **water})})


def problem_at(home, start=MONDAY, tank_c=50.0, hygienic_at=None, running=None):
    known = winter_case(home, 1, start=start)
    reading = WaterReading(temperature_c=tank_c)
    known = replace(
        known,
        telemetry=known.telemetry.model_copy(update={"water": reading}),
        remembered=Remembered(hygienic_at=hygienic_at),
        running=running,
    )
    return assemble(home, known, now=start, decide_from=start)


def test_unseen_it_is_due_on_its_weekday_at_the_cheapest_end_in_the_window():
    price = np.full(192, 3.0)
    price[50:56] = 1.0  # 12:30 to 14:00
    chosen = when(price=price)
    heating = chosen.slots
    assert 40 + 1 <= chosen.last < 72
    assert set(range(50, 56)) <= set(range(chosen.last + 1 - heating, chosen.last + 1))
    assert when(NOON.model_copy(update={"weekday": 3})) is None
    tomorrow = when(NOON.model_copy(update={"weekday": 1}))
    assert 96 + 40 <= tomorrow.last < 96 + 72


def test_seen_it_is_due_after_its_days_and_up_to_a_day_before_where_that_is_cheaper():
    def last_days_ago(days):
        return MONDAY + timedelta(hours=12) - timedelta(days=days)

    assert when(last=last_days_ago(4)) is None
    dear_today = np.where(np.arange(192) < 96, 3.0, 1.0)
    assert when(last=last_days_ago(6), price=dear_today).last >= 96, "tomorrow is early enough, and cheaper"
    assert when(last=last_days_ago(6), price=3.0 - dear_today).last < 96, "a day early, and cheaper"
    assert when(last=last_days_ago(7), price=dear_today).last < 96, "due today"
    assert when(last=last_days_ago(30), price=dear_today).last < 96, "overdue"


def test_once_done_the_window_asks_for_no_more():
    now = MONDAY + timedelta(hours=15)
    assert when(start=now, last=now - timedelta(hours=1)) is None
    daily = NOON.model_copy(update={"every_days": 1})
    assert when(daily, start=now, last=now - timedelta(hours=1)).last >= 96 - 60 + 40


def test_heating_takes_its_time_from_where_the_tank_is():
    begun = MONDAY + timedelta(hours=14)
    cold, warm = (when(start=begun, tank_c=c, price=np.arange(192.0)).last for c in (44.0, 57.0))
    gain = (WATER.power_w - 300.0) * 0.25 / (WATER.volume_l * 1.163)
    assert cold * gain >= 60 - 44
    assert warm < cold
    late = MONDAY + timedelta(hours=17, minutes=15)
    assert when(start=late, tank_c=44.0).last == 2, "too short: as warm as can be by the end of the window"
    assert when(start=late + timedelta(hours=1)) is None
    assert when(start=begun, frozen=3, tank_c=57.0, price=np.arange(192.0)).last == warm + 3


def test_a_heater_weaker_than_the_draw_does_what_it_can():
    chosen = when(drain=np.full(192, 5000.0))
    assert (chosen.last, chosen.slots) == (71, 192)


def test_the_tank_is_wanted_hot_held_and_let_cool():
    problem = problem_at(home_with())
    water = problem.water
    hot = np.flatnonzero(water.low_c == 60.0)
    assert len(hot) == 2
    last = int(hot[-1])
    assert 40 <= last < 72
    assert np.allclose(np.delete(water.low_c, hot), WATER.min_c + 1.0)
    assert water.high_c[last] >= 60.0
    assert water.high_c[0] == WATER.target_c
    assert (np.diff(water.high_c[last:]) <= 1e-9).all()
    assert water.high_c[-1] == WATER.target_c
    # Where it is allowed to be afterwards is where it is without heating.
    path = simulate_water(replace(water, temperature_c=60.5), np.zeros(192, dtype=bool), 0.25)
    cooled = np.cumsum(water.drain_w[last + 1 : last + 9]) * 0.25 / water.capacity_wh_k
    assert np.allclose(np.maximum(60.5 - cooled, WATER.target_c), water.high_c[last + 1 : last + 9])
    assert path[0] == 60.5
    assert water.below_czk_k_h == pytest.approx(NOON.missing_czk_k / 0.5)
    assert next(n for n in problem.notes if n.code == "water_hygiene")


def test_without_hygiene_or_when_it_is_not_due_the_tank_is_as_usual():
    for problem in (
        problem_at(home_with(None, below_czk_k_h=3.5)),
        problem_at(home_with(below_czk_k_h=3.5), tank_c=50, hygienic_at=MONDAY),
    ):
        assert (problem.water.low_c == WATER.min_c + 1.0).all()
        assert (problem.water.high_c == WATER.target_c).all()
        assert problem.water.below_czk_k_h == 3.5


def test_the_rules_heat_it_through_too():
    problem = problem_at(home_with())
    plan = rule_plan(problem)
    hot = np.flatnonzero(problem.water.low_c == 60.0)
    assert (plan.water_c[1:][hot] >= 59.5).all()
    assert plan.water_c.max() < 61.5


def test_the_heaters_time_in_its_state_is_that_of_the_running_plan():
    home = home_with(None)
    known = winter_case(home, 1)
    plan = make_rule_plan(home, known, INPUTS, Ask("p", 1, START, START, 5.0), "t")
    on = (True, *[False] * 191)
    running = plan.model_copy(update={"water_on": on})
    later = START + timedelta(minutes=45)
    reading = WaterReading(temperature_c=50.0)
    known = replace(known, telemetry=known.telemetry.model_copy(update={"water": reading}), running=running)
    assert assemble(home, known, now=later, decide_from=later).water.slots_in_state == 2
    assert assemble(home, replace(known, running=None), now=later, decide_from=later).water.slots_in_state == 1000
