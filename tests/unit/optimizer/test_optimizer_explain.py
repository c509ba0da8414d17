"""Why a slot is as it is: every device can be asked, the difference adds up, and one sentence tells it."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import appliance, battery, car, rooms, tank, toy

from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.solving import Solved, SolverOptions, solve
from pems_optimizer.domain.why import Question, WishError, explain_other, read_wish

SLOTS = 12
BUY = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0, 3.0, 2.5, 8.0, 4.0])


def house(**change):
    heated = rooms(
        SLOTS, 2, low=20.0, high=22.0, start=20.6, air_in_w=-400.0, forced=(False,), end_value_czk_k=[3.0, 3.0],
        end_reference_c=[21.0, 21.0], min_on=2, names=("bath", "hall"),
    )  # fmt: skip
    given = {
        "heated": heated,
        "water": tank(SLOTS, low=46.0, high=56.0, drain_w=900.0, end_value_czk_k=0.6, forced=1, forced_on=(False,)),
        "ev": car(4000.0, 10, forced=[0.0]),
        "appliances": (appliance(2, 8, name="dishwasher"),),
        "battery": battery(
            energy_wh=3000.0, control="intents", end_value_czk_wh=2e-3, wear_czk_kwh=0.2,
            forced=1, forced_intent=("self_consume",),
        ),
        "load": 600.0,
        "pv": [0, 0, 0, 0, 0, 1500.0, 3000.0, 3000.0, 1000.0, 0, 0, 0],
        "weights": {"start_czk": 0.1, "peak_czk_kw": 2.0, "intent_czk": 0.1},
    }  # fmt: skip
    return toy(SLOTS, buy=BUY, sell=BUY - 1.5, **{**given, **change})


@pytest.fixture(scope="module", params=["intents", "setpoint"])
def plan(request):
    problem = house()
    if request.param == "setpoint":
        free = replace(problem.battery, control="setpoint", forced=0, forced_intent=())
        problem = replace(problem, battery=free)
    outcome = solve(problem, SolverOptions(limit_s=60.0, effort=Effort(sweeps=3)), lambda: 0.0)
    assert isinstance(outcome, Solved)
    return problem, outcome


def ask(plan, device, slot, action, *, memory=None, **more):
    problem, outcome = plan
    memory = outcome.memory if memory is None else memory
    wish = {"device": device, "slot": slot, "action": action, **more}
    return explain_other(problem, outcome.best.decision, memory, wish, lambda: 0.0, 5.0)


def states(plan, device):
    decision = plan[1].best.decision
    return {
        "room:bath": decision.relay_on[:, 0],
        "room:hall": decision.relay_on[:, 1],
        "water": decision.water_on,
        "appliance:dishwasher": decision.appliances[0],
        "ev": decision.ev_w > 1.0,
    }[device]


DEVICES = ("room:bath", "room:hall", "water", "appliance:dishwasher", "ev")


def adds_up(answer):
    assert answer["possible"]
    parts = answer["parts"]
    assert answer["total_czk"] == pytest.approx(sum(parts.values()), abs=1e-3)
    assert answer["total_czk"] == pytest.approx(answer["money_czk"] + answer["comfort_czk"], abs=1e-3)
    assert answer["comfort_czk"] == parts["comfort"]
    assert set(answer["sentence"]) == {"en", "cs"}
    return answer


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_can_be_asked_for_the_other(plan, device):
    told = 0
    for slot in range(1, SLOTS):
        answer = ask(plan, device, slot, "off" if states(plan, device)[slot] else "on")
        assert (answer["device"], answer["slot"]) == (device, slot)
        if answer["possible"]:
            told += 1
            adds_up(answer)
            assert answer["rule"] in {
                "energy", "wear", "peak", "comfort", "switching", "no_difference", "kept_for_stability",
            }  # fmt: skip
            assert answer["total_czk"] > -0.05 * abs(plan[1].best.cost.total) - 1.0, "the plan is a good one"
        else:
            assert answer["rule"] == "fixed"
            assert "is not possible" in answer["sentence"]["en"]
            assert "nejde" in answer["sentence"]["cs"]
    assert told >= 5


@pytest.mark.parametrize("device", DEVICES)
def test_what_the_plan_does_is_told_so(plan, device):
    slot = 4
    answer = adds_up(ask(plan, device, slot, "on" if states(plan, device)[slot] else "off"))
    assert answer["rule"] == "as_planned"
    assert answer["total_czk"] == answer["below_k_h"] == 0.0
    assert answer["sentence"]["en"].endswith("is what the plan does.")
    assert answer["sentence"]["cs"].endswith("je právě to, co plán dělá.")


@pytest.mark.parametrize("device", DEVICES)
def test_slots_that_are_decided_already_cannot_be_otherwise(plan, device):
    slot = 11 if device == "appliance:dishwasher" else 0  # after its window, or forced
    assert not ask(plan, device, slot, "on")["possible"]


def test_the_battery_can_be_asked_for_every_intent(plan):
    problem, outcome = plan
    planned = outcome.best.flow.intent
    for action in ("self_consume", "charge_from_grid", "hold", "discharge_to_grid", "export_pv"):
        answer = ask(plan, "battery", 4, action)
        if planned[4] == action or {planned[4], action} == {"hold", "export_pv"}:
            assert answer["rule"] == "as_planned"
        elif answer["possible"]:
            adds_up(answer)
            assert answer["total_czk"] >= -0.05
    if problem.battery.control == "intents":
        assert not ask(plan, "battery", 0, "charge_from_grid")["possible"], "forced"


def test_the_clock_is_the_homes(plan):
    assert " at 01:00 " in ask(plan, "battery", 1, "hold")["sentence"]["en"] + " "
    prague = ask(plan, "battery", 1, "hold", zone="Europe/Prague")["sentence"]["en"]
    assert " at 02:00 " in prague + " "
    nowhere = ask(plan, "battery", 1, "hold", zone="Nowhere/Land")["sentence"]["en"]
    assert " at 01:00 UTC " in nowhere + " "


def test_without_a_memory_it_is_worked_out_all_the_same(plan):
    slot = int(np.flatnonzero(~states(plan, "room:bath")[1:])[0]) + 1
    fresh, warm = (ask(plan, "room:bath", slot, "on", memory=memory) for memory in ({}, None))
    assert fresh["possible"] == warm["possible"]
    if fresh["possible"]:
        assert adds_up(fresh)["total_czk"] == pytest.approx(warm["total_czk"], abs=2.0)


def test_out_of_time_the_wish_is_answered_or_called_impossible(plan):
    problem, outcome = plan
    wish = {"device": "room:bath", "slot": 6, "action": "off" if states(plan, "room:bath")[6] else "on"}
    answer = explain_other(problem, outcome.best.decision, outcome.memory, wish, lambda: 99.0, 1.0)
    if answer["possible"]:
        adds_up(answer)
    assert answer["sentence"]["en"]


# --- questions that make no sense ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "told", "remedy"),
    [
        ({"device": "room:cellar", "slot": 1, "action": "on"}, "device 'room:cellar' is not part", "room:bath"),
        ({"slot": 1, "action": "on"}, "device '' is not part", "battery"),
        ({"device": "water", "slot": 12, "action": "on"}, "slot 12 is not in this plan", "from 0 to 11"),
        ({"device": "water", "slot": -1, "action": "on"}, "slot -1 is not", "from 0 to 11"),
        ({"device": "water", "slot": True, "action": "on"}, "slot True is not", "from 0 to 11"),
        ({"device": "water", "slot": "3", "action": "on"}, "slot '3' is not", "from 0 to 11"),
        ({"device": "water", "action": "on"}, "slot None is not", "from 0 to 11"),
        ({"device": "water", "slot": 1, "action": "hold"}, "action 'hold' is not for water", "on, off"),
        ({"device": "battery", "slot": 1, "action": "on"}, "action 'on' is not for battery", "self_consume"),
        ({"device": "battery", "slot": 1}, "action '' is not for battery", "hold"),
    ],
)
def test_a_question_without_sense_is_refused_with_what_can_be_asked(wish, told, remedy):
    with pytest.raises(WishError, match=told) as error:
        read_wish(house(), wish)
    assert remedy in str(error.value.remedy)


def test_only_devices_that_are_there_can_be_asked():
    bare = house(battery=None, ev=None, water=None, appliances=())
    for device in ("battery", "ev", "water", "appliance:dishwasher"):
        with pytest.raises(WishError):
            read_wish(bare, {"device": device, "slot": 1, "action": "on"})
    assert read_wish(bare, {"device": "room:hall", "slot": 1, "action": "off", "zone": None}) == Question(
        "room:hall", 1, "off"
    )
