"""What a new plan does otherwise, in plain lines with the reason."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.optimizer_cases import small_problem

from pems_optimizer.domain.plan_diff import plan_changes
from pems_optimizer.domain.problem import ApplianceSpec
from pems_optimizer.domain.rules import rule_plan

SLOTS = 192


@pytest.fixture(scope="module")
def problem():
    problem = small_problem()
    price = np.where(np.arange(SLOTS) < 48, 4.0, 3.0)
    dish = ApplianceSpec("dish@2025-01-14", 1000.0, 4, 0, 96)
    return replace(problem, buy=price, appliances=(dish,))


@pytest.fixture(scope="module")
def plan(problem):
    return rule_plan(problem)


def with_relay(plan, room, slots):
    on = np.zeros_like(plan.decision.relay_on)
    on[:, room] = np.isin(np.arange(SLOTS), slots)
    return replace(plan, decision=replace(plan.decision, relay_on=on))


def changes(problem, plan, old, new):
    return plan_changes(problem, with_relay(plan, 0, old), with_relay(plan, 0, new))


def test_the_same_plan_has_no_changes(problem, plan):
    assert plan_changes(problem, plan, plan) == ()


def test_heating_that_moves_says_what_energy_costs_there(problem, plan):
    # pokoj_1 has 1,200 W: four slots are 1.2 kWh
    assert changes(problem, plan, range(10, 14), range(60, 64)) == (
        "pokoj_1: 1.2 kWh at other times, there energy is 1.00 CZK/kWh cheaper",
    )
    assert changes(problem, plan, range(60, 64), range(10, 14))[0].endswith(
        "though energy is 1.00 CZK/kWh dearer there: for comfort, peak or limits"
    )
    assert "at the same price" in changes(problem, plan, range(60, 64), range(70, 74))[0]


def test_more_or_less_heating_says_so(problem, plan):
    assert changes(problem, plan, (), range(60, 64)) == ("pokoj_1: 1.2 kWh more in the next 24 h",)
    assert changes(problem, plan, range(60, 64), ()) == ("pokoj_1: 1.2 kWh less in the next 24 h",)
    assert changes(problem, plan, (), range(100, 104)) == (), "later than a day: outlook only"
    frozen = replace(problem, frozen=8)
    assert changes(frozen, plan, (), range(4)) == (), "decided before"


def test_what_moves_most_comes_first_and_no_more_than_seven_lines(problem, plan):
    decision = plan.decision
    other = replace(
        decision,
        relay_on=~decision.relay_on,
        water_on=~decision.water_on,
        ev_w=decision.ev_w + 1000.0,
        appliances=(~decision.appliances[0],),
    )
    flow = replace(plan.flow, intent=tuple("hold" if i != "hold" else "self_consume" for i in plan.flow.intent))
    cost = plan.cost.model_copy(update={"energy": plan.cost.energy - 3.0, "comfort": plan.cost.comfort + 1.0})
    lines = plan_changes(problem, plan, replace(plan, decision=other, flow=flow, cost=cost))
    assert len(lines) == 7
    assert lines[0] == "in CZK: energy saves 3.00, comfort costs 1.00"
    assert lines[-1] == "battery: another intent in 96 of 96 slots"
    energy = [abs(float(line.split(": ")[1].split(" kWh")[0])) for line in lines[1:-1] if "kWh more" in line]
    assert energy == sorted(energy, reverse=True)
    assert {line.split(":")[0] for line in lines[1:-1]} <= {*problem.rooms.names, "water", "ev", "dish@2025-01-14"}
