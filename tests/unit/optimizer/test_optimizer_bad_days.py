"""Bad days: absurd inputs, no time, devices that make no sense together. Nothing raises, and there is always a plan."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.invariants.judge import plan_faults
from tests.unit.optimizer.reference_cases import appliance, battery, car, rooms, tank, toy

from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

SLOTS = 8
QUICK = Effort(rounds=4, fine_rounds=2, fine=(40, 5))
ALMOST_OVER = 0.45  # s: the solver keeps 0.4 s for the end


def house(**change):
    """Two cooling rooms, a tank, a car, a machine and a battery."""
    given = {
        "heated": rooms(SLOTS, 2, low=20.0, high=21.0, start=20.5, air_in_w=-500.0),
        "water": tank(SLOTS, low=48.0, high=56.0, drain_w=400.0),
        "ev": car(4000.0, 6),
        "appliances": (appliance(2, 6),),
        "battery": battery(energy_wh=4000.0, control="intents"),
        "buy": np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]),
        "sell": 0.5,
        "load": 700.0,
        "pv": [0.0, 0.0, 2500.0, 2500.0, 0.0, 0.0, 0.0, 0.0],
    }
    return toy(SLOTS, **{**given, **change})


def planned(problem: PlanningProblem) -> Solved | NoPlan:
    """Plan, look at everything, and certify."""
    outcome = solve(problem, SolverOptions(limit_s=60.0, effort=QUICK), lambda: 0.0)
    plan = outcome.best if isinstance(outcome, Solved) else outcome.rules
    assert np.isfinite(plan.cost.total)
    assert plan_faults(problem, plan, by_rules=isinstance(outcome, NoPlan)) == []
    if isinstance(outcome, Solved):
        assert plan.cost.total <= outcome.rules.cost.total + 1e-6 * abs(outcome.rules.cost.total)
        bound = certify(problem, plan.decision, outcome.memory, plan.cost.total, lambda: 0.0, 2.0)
        assert bound.value_czk <= plan.cost.total + 1e-6 * max(1.0, abs(plan.cost.total))
    return outcome


def heated(**change):
    return rooms(SLOTS, 2, **{"low": 20.0, "high": 21.0, "start": 20.5, "air_in_w": -500.0, **change})


SETPOINT = battery(energy_wh=4000.0)
ODD = {
    "all prices are the same": {"buy": 2.0, "sell": 2.0},
    "energy costs nothing": {"buy": 0.0, "sell": 0.0},
    "everybody is paid for drawing": {"buy": -3.0, "sell": -4.0},
    "selling pays more than buying": {"buy": 1.0, "sell": 3.0},
    "prices beyond all reason": {"buy": [1e4, 0.0] * 4, "sell": -1e4},
    "no load": {"load": 0.0},
    "no load, no roof, no devices": {
        "load": 0.0, "pv": 0.0, "heated": None, "water": None, "ev": None, "appliances": (), "battery": None,
    },
    "a load far above the breaker": {"load": 90_000.0, "grid": {"import_max_w": 5000.0}},
    "a roof that cannot be held back and nowhere to go": {
        "pv": 9000.0, "load": 0.0, "grid": {"export_max_w": 0.0, "pv_curtailable": False},
    },
    "no connection": {"grid": {"import_max_w": 0.0, "export_max_w": 0.0}},
    "no inverter": {"grid": {"inverter_max_w": 0.0}, "pv": 0.0},
    "no heating allowed": {"grid": {"heating_max_w": 0.0}},
    "rooms far too hot": {"heated": heated(start=45.0)},
    "rooms far too cold": {"heated": heated(start=-10.0)},
    "heaters far too weak": {"heated": heated(heater_w=[50.0, 50.0], air_in_w=-5000.0)},
    "heaters without power": {"heated": heated(heater_w=[0.0, 1000.0])},
    "heaters of a factory": {"heated": heated(heater_w=[1e6, 1000.0])},
    "a band without width": {"heated": heated(low=20.0, high=20.0)},
    "a band upside down": {"heated": heated(low=22.0, high=20.0)},
    "minimum times longer than the horizon": {"heated": heated(min_on=20, min_off=20, slots_in_state=[1, 30])},
    "no starts allowed": {"heated": heated(starts_max=[0, 0])},
    "rooms decided to the end": {"heated": heated(forced=(True, False) * 4)},
    "a battery without room": {"battery": replace(SETPOINT, min_wh=4000.0, max_wh=4000.0)},
    "the same by intents": {"battery": replace(SETPOINT, control="intents", min_wh=4000.0, max_wh=4000.0)},
    "a battery below its limit": {"battery": replace(SETPOINT, control="intents", energy_wh=100.0, min_wh=2000.0)},
    "a tapering battery above its limit": {
        "battery": replace(SETPOINT, control="intents", energy_wh=9900.0, max_wh=8000.0, taper_from_wh=7000.0),
    },
    "a battery of nothing": {
        "battery": battery(capacity_wh=0.0, max_wh=0.0, charge_max_w=0.0, discharge_max_w=0.0, control="intents"),
    },
    "a least power above the most": {"battery": replace(SETPOINT, control="intents", dispatch_min_w=9000.0)},
    "a battery that loses nearly all": {
        "battery": replace(SETPOINT, charge_efficiency=0.01, discharge_efficiency=0.01),
    },
    "a battery frozen stiff": {
        "battery": replace(SETPOINT, charge_share=np.zeros(SLOTS), discharge_share=np.zeros(SLOTS)),
    },
    "a full battery that tapers": {
        "battery": replace(SETPOINT, energy_wh=10_000.0, taper_from_wh=8000.0, taper_full_w=0.0),
    },
    "a car that needs more than there is": {"ev": car(500_000.0, 6)},
    "a car that needs nothing": {"ev": car(0.0, 6)},
    "a car whose hour has come": {"ev": car(4000.0, 0)},
    "a car with an hour beyond the horizon": {"ev": car(4000.0, 500)},
    "a car whose least power is too much for the house": {"ev": car(4000.0, 6, low=11_000.0, high=11_000.0),
        "grid": {"import_max_w": 5000.0}},
    "a car that is given power to the end": {"ev": car(4000.0, SLOTS, forced=[2000.0] * SLOTS)},
    "machines that do not fit": {
        "appliances": (appliance(5, 3), appliance(3, SLOTS, earliest=7), appliance(2, 0), appliance(99, SLOTS)),
    },
    "a machine in pieces that does not fit": {"appliances": (appliance(5, 3, interruptible=True),)},
    "a machine of no slots": {"appliances": (appliance(0, SLOTS),)},
    "a tank that boils": {"water": tank(SLOTS, temperature_c=95.0, low=48.0, high=56.0)},
    "a tank full of ice": {"water": tank(SLOTS, temperature_c=0.0, low=48.0, high=56.0)},
    "a tank wanted hotter than it gets": {"water": tank(SLOTS, low=70.0, high=56.0)},
    "a tank that loses more than it is given": {"water": tank(SLOTS, low=48.0, high=56.0, drain_w=9000.0)},
    "a tank decided to the end": {
        "water": tank(SLOTS, low=48.0, high=56.0, forced=SLOTS, forced_on=(True, False) * 4),
    },
}  # fmt: skip


@pytest.mark.parametrize("day", ODD)
def test_there_is_a_plan_whatever_the_day(day):
    planned(house(**ODD[day]))


def test_one_slot_is_a_horizon_too():
    problem = toy(
        1, heated=rooms(1, 1, low=20.0, high=21.0, start=19.0), battery=battery(energy_wh=500.0), ev=car(1000.0, 1),
        appliances=(appliance(1, 1),), water=tank(1),
    )  # fmt: skip
    assert isinstance(planned(problem), Solved)


def test_a_normal_day_is_planned_better_than_by_rules():
    outcome = planned(house())
    assert isinstance(outcome, Solved)
    assert outcome.best.cost.total < outcome.rules.cost.total


@pytest.mark.parametrize("limit_s", [-5.0, 0.0, 0.1, ALMOST_OVER])
def test_a_limit_that_is_over_leaves_the_rules_or_what_was_found(limit_s):
    outcome = solve(house(), SolverOptions(limit_s=limit_s, effort=QUICK), lambda: 0.0)
    plan = outcome.best if isinstance(outcome, Solved) else outcome.rules
    assert plan_faults(house(), plan, by_rules=isinstance(outcome, NoPlan)) == []
    if limit_s <= 0.1:
        assert isinstance(outcome, NoPlan)
        assert "time limit" in outcome.why


@pytest.mark.parametrize("looks", range(1, 60, 4))
def test_time_may_end_anywhere(looks):
    left = iter([0.0] * looks + [99.0] * 100_000)
    outcome = solve(house(), SolverOptions(limit_s=5.0, effort=QUICK), lambda: next(left))
    plan = outcome.best if isinstance(outcome, Solved) else outcome.rules
    assert plan_faults(house(), plan, by_rules=isinstance(outcome, NoPlan)) == []
