"""The peak that a plan keeps below binds those who follow this plan, and nobody else."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.controller.controller_kit import START, battery_plan, make_plan, small_home

from pems_controller.domain.decide import HouseInputs, decide_house
from pems_controller.domain.overrides import Override
from pems_controller.domain.plan_follow import HeldPlan
from pems_controller.domain.prices import view_prices
from pems_controller.domain.state import BatteryState, EvState, EvWish, HouseState, RelayState, RoomState, WaterState

HOME = small_home()
SLOTS = 96


def inputs(keep_w: float | None) -> HouseInputs:
    rows = battery_plan("self_consume", soc_pct=60.0)
    made = make_plan(HOME, START, slots=SLOTS, battery=rows, ev_power_w=(8_000.0,) * SLOTS, water_on=(False,) * SLOTS)
    room = RoomState(21.0, True, RelayState(False))
    state = HouseState(
        at=START,
        rooms=dict.fromkeys(HOME.rooms, room),
        battery=BatteryState(True, 60.0, 0.0, 5_000.0, 0.0, 5_000.0),
        ev=EvState(True, True, 40.0, 0.0),
        water=WaterState(True, 50.0, 0.0, RelayState(False)),
    )
    return HouseInputs(
        state=state,
        mono_s=0.0,
        armed=True,
        stopping=False,
        outranked=False,
        overrides={},
        plan=HeldPlan(made.model_copy(update={"import_keep_w": keep_w}), START, 0.0),
        config_hash=HOME.config_hash(),
        prices=view_prices(None, START, HOME.site.zone),
        thermal={},
    )


@pytest.mark.parametrize(("keep_w", "sent_w"), [(None, 8_000.0), (20_000.0, 8_000.0), (9_000.0, 4_000.0)])
def test_the_car_of_a_plan_is_slowed_to_its_peak(keep_w: float | None, sent_w: float):
    decided = decide_house(HOME, inputs(keep_w))["ev"]
    assert decided.decision.acts_as == "mpc"
    assert decided.wish == EvWish(sent_w)


def test_a_person_who_charges_the_car_gets_what_was_asked_for():
    until = START + timedelta(hours=1)
    running = {"ev": Override("ev", "charge", {"power_w": 8_000.0}, until, "me", 1)}
    decided = decide_house(HOME, replace(inputs(6_000.0), overrides=running))["ev"]
    assert decided.wish == EvWish(8_000.0)


def test_a_plan_that_is_too_old_to_follow_has_no_say():
    old = replace(inputs(6_000.0), mono_s=3 * 3_600.0)
    decided = decide_house(HOME, old)["ev"]
    assert decided.decision.acts_as == "rule_based"
    assert not [clamp for clamp in decided.clamps if clamp.limit == "import_keep_w"]
