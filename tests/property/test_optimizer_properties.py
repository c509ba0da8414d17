"""Whatever prices, weather and states are: devices keep their times, flows balance, SoC stays inside."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.optimizer.optimizer_cases import small_problem
from tests.unit.optimizer.test_optimizer_battery import assert_physical
from tests.unit.optimizer.test_optimizer_relay_dp import cost_of, device, keeps_minimum_times

from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.relay_dp import best_schedule

QUICK = settings(max_examples=40, deadline=None)
SLOTS = 24


@pytest.fixture(scope="module")
def day() -> PlanningProblem:
    """Six hours of a small house, as a template."""
    problem = small_problem()
    return replace(problem, slots=SLOTS, ev=None, water=None, bands={})


@QUICK
@given(
    st.lists(st.floats(-1.0, 3.0), min_size=SLOTS, max_size=SLOTS),
    st.floats(8.0, 30.0),
    st.floats(0.5, 0.999),
    st.floats(0.0, 0.95),
    st.floats(-0.6, 0.6),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.integers(1, 5),
)
def test_relays_keep_their_times_and_the_account_is_exact(price, free, slow, fast, push, on, off, now, since):
    d = device(
        SLOTS,
        free_c=np.full(SLOTS, free),
        free_end_c=free,
        decay=np.array([slow, min(fast, slow)]),
        push=np.array([0.5, push if abs(push) > 0.01 else 0.0]),
        min_on=on,
        min_off=off,
        on_now=now,
        slots_in_state=since,
    )
    bid = best_schedule(d, np.array(price), start_czk=0.05, fast_points=4)
    assert keeps_minimum_times(bid.on, d)
    again = cost_of(bid.on, d, np.array(price), 0.05)
    assert np.isclose(again, bid.comfort + np.array(price) @ bid.on + 0.05 * bid.starts)


@QUICK
@given(
    st.lists(st.floats(-3.0, 6.0), min_size=SLOTS, max_size=SLOTS),
    st.lists(st.floats(0.0, 15_000.0), min_size=SLOTS, max_size=SLOTS),
    st.lists(st.floats(0.0, 13_000.0), min_size=SLOTS, max_size=SLOTS),
    st.floats(0.0, 10_000.0),
    st.floats(500.0, 20_000.0),
    st.booleans(),
)
def test_battery_plans_balance_and_stay_inside(day, buy, load, pv, energy, peak, curtailable):
    buy = np.array(buy)
    problem = replace(
        day,
        buy=buy,
        sell=buy - 0.8,
        pv_w=np.array(pv),
        load_w=np.array(load),
        battery=replace(day.battery, energy_wh=energy),
        grid=replace(day.grid, pv_curtailable=curtailable),
    )
    flow = plan_battery(problem, problem.load_w, np.zeros(SLOTS), peak, points=31)
    assert_physical(problem, flow, problem.load_w)
    least = 0.5 * problem.battery.dispatch_min_w
    for intent, power in zip(flow.intent, flow.battery_w, strict=True):
        if intent == "charge_from_grid":
            assert -power >= least - 1e-6
        if intent in {"hold", "export_pv", "off"}:
            assert power == 0.0
