"""The reason in one plain sentence, English and Czech: each one from a house in which it is the only one."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.optimizer.reference_cases import appliance, battery, rooms, toy

from pems_optimizer.domain.scoring import Decision
from pems_optimizer.domain.why import explain_other

ONCE = appliance(1, 4, name="pump")


def told(problem, device, slot, action, *, relays=(), runs=()):
    """Ask a plan that switches the relays and machines in the slots that are given."""
    on = np.zeros((problem.slots, problem.rooms.count), dtype=bool)
    on[list(relays)] = True
    machines = tuple(np.isin(np.arange(problem.slots), runs) for _ in problem.appliances)
    nothing = np.zeros(problem.slots, dtype=bool)
    decision = Decision(on, nothing, np.zeros(problem.slots), machines)
    wish = {"device": device, "slot": slot, "action": action}
    answer = explain_other(problem, decision, {}, wish, lambda: 0.0, 5.0)
    return answer["rule"], answer["sentence"]["en"], answer["sentence"]["cs"]


def test_energy_that_moves_to_dearer_hours():
    problem = toy(4, buy=[1.0, 5.0, 9.0, 9.0], appliances=(replace(ONCE, earliest=0, deadline=2),))
    rule, en, cs = told(problem, "appliance:pump", 1, "on", runs=[0])
    assert rule == "energy"
    assert en.startswith("pump on at 01:00 would cost 4.00 CZK more: ")
    assert en.endswith(": energy would move from hours at 1.00 to hours at 5.00 CZK/kWh.")
    assert cs.startswith("pump: zapnuto v 01:00 by stálo o 4,00 Kč více: ")
    assert cs.endswith(": odběr by se přesunul z hodin za 1,00 do hodin za 5,00 Kč/kWh.")


def test_a_higher_peak():
    machine = replace(ONCE, deadline=2)
    problem = toy(2, buy=1.0, load=[0.0, 3000.0], appliances=(machine,), weights={"peak_czk_kw": 10.0})
    rule, en, cs = told(problem, "appliance:pump", 1, "on", runs=[0])
    assert rule == "peak"
    assert en.endswith("would cost 10.00 CZK more: the highest import would rise from 3.0 to 4.0 kW.")
    assert cs.endswith("nejvyšší odběr by stoupl z 3,0 na 4,0 kW.")


def test_a_colder_room():
    heated = rooms(3, 1, low=20.0, start=19.0, names=("bath",))
    rule, en, cs = told(toy(3, buy=1.0, heated=heated), "room:bath", 0, "off", relays=[0, 1, 2])
    assert rule == "comfort"
    assert "bath would be 1.0 K colder than wanted at 00:00." in en
    assert "bath by v 00:00 měl o 1,0 K méně, než má být." in cs


def test_more_energy_for_nothing():
    rule, en, cs = told(toy(3, buy=2.0, heated=rooms(3, 1, names=("bath",))), "room:bath", 1, "on")
    assert rule == "energy"
    assert en.endswith("would cost 2.00 CZK more: 1.0 kWh more would be used.")
    assert cs.endswith("spotřebovalo by se o 1,0 kWh více.")


def test_more_switching():
    pieces = appliance(2, 3, name="pump", interruptible=True, start_czk=3.0)
    rule, en, cs = told(toy(3, buy=1.0, appliances=(pieces,)), "appliance:pump", 1, "off", runs=[0, 1])
    assert rule == "switching"
    assert en.endswith("it takes more switching.")
    assert cs.endswith("znamenalo by to více spínání.")


def test_more_wear_of_the_battery():
    worn = battery(energy_wh=5000.0, control="intents", wear_czk_kwh=5.0)
    rule, en, cs = told(toy(1, buy=1.0, sell=1.0, battery=worn), "battery", 0, "discharge_to_grid")
    assert rule == "wear"
    assert en.endswith("the battery would work more for it.")
    assert cs.endswith("baterie by se kvůli tomu více opotřebila.")


def test_less_that_is_left():
    kept = battery(energy_wh=5000.0, control="intents", end_value_czk_wh=3e-3)
    rule, en, cs = told(toy(1, buy=1.0, sell=1.0, battery=kept), "battery", 0, "discharge_to_grid")
    assert rule == "energy"
    assert en.startswith("The battery discharging to the grid at 00:00 would cost")
    assert en.endswith("less energy would be left at the end, or sold.")
    assert cs.startswith("Baterie: dodávat do sítě v 00:00")
    assert cs.endswith("na konci by zbylo, nebo by se prodalo méně energie.")


def test_no_difference():
    rule, en, cs = told(toy(2, buy=1.0, appliances=(replace(ONCE, deadline=2),)), "appliance:pump", 1, "on", runs=[0])
    assert rule == "no_difference"
    assert en == "pump on at 01:00 would make no difference."
    assert cs == "pump: zapnuto v 01:00 by nic nezměnilo."


def test_a_running_plan_that_is_kept_though_it_is_not_the_best():
    problem = toy(2, buy=[5.0, 1.0], appliances=(replace(ONCE, deadline=2),))
    rule, en, cs = told(problem, "appliance:pump", 1, "on", runs=[0])
    assert rule == "kept_for_stability"
    assert en == "pump on at 01:00 would save 4.00 CZK, less than changing the running plan is worth."
    assert cs == "pump: zapnuto v 01:00 by ušetřilo 4,00 Kč, méně než kolik stojí za změnu běžícího plánu."


@pytest.mark.parametrize(("device", "slot"), [("appliance:pump", 3), ("room:bath", 0)])
def test_what_cannot_be(device, slot):
    problem = toy(4, heated=rooms(4, 1, forced=(False,), names=("bath",)), appliances=(replace(ONCE, deadline=3),))
    rule, en, cs = told(problem, device, slot, "on", runs=[0])
    assert rule == "fixed"
    assert en.endswith("is not possible: the slot is already decided, or minimum times do not allow it.")
    assert cs.endswith("nejde: o čase už je rozhodnuto, nebo to nedovolí minimální doby.")
