"""When a plan is trusted, and what it says."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.controller.controller_kit import START, battery_plan, make_plan, small_home

from pems_common.messages import RoomModel, RoomPlan, Thermal
from pems_controller.domain.plan_follow import HeldPlan, choose, plan_age_s, plan_wish, refuse, trust
from pems_controller.domain.state import (
    BatteryState,
    BatteryWish,
    EvWish,
    HouseState,
    RelayState,
    RoomState,
    RoomWish,
    WaterWish,
)

HOME = small_home()
HASH = HOME.config_hash()


def house(at=START, temperature_c: float = 21.0, soc_pct: float = 60.0, on: bool = False) -> HouseState:
    room = RoomState(temperature_c, True, RelayState(on))
    return HouseState(at=at, rooms=dict.fromkeys(HOME.rooms, room), battery=BatteryState(True, soc_pct))


def held(plan, seen_s: float = 0.0) -> HeldPlan:
    return HeldPlan(plan, START, seen_s)


def check(plan, device="room:big", state=None, mono_s=0.0):
    return trust(HOME, HASH, held(plan), device, state or house(), mono_s).reason_against()


@pytest.mark.parametrize("device", HOME.device_names)
def test_a_good_plan_is_trusted_for_every_device(device: str):
    assert check(make_plan(HOME, START), device) == ""


def test_no_plan_and_no_slot_and_no_word_about_the_device():
    assert trust(HOME, HASH, None, "room:big", house(), 0).reason_against() == "no_plan"
    plan = make_plan(HOME, START, slots=4)
    assert check(plan, state=house(START + timedelta(hours=1))) == "no_plan"
    assert check(plan, state=house(START - timedelta(minutes=1))) == "no_plan"
    assert check(make_plan(HOME, START, rooms={})) == "no_plan"
    assert check(make_plan(HOME, START, battery=None), "battery") == "no_plan"
    assert check(make_plan(HOME, START, ev_power_w=()), "ev") == "no_plan"
    assert check(make_plan(HOME, START, water_on=()), "water") == "no_plan"


def test_another_configuration_the_future_and_the_outlook():
    assert check(make_plan(HOME, START, config_hash="other")) == "plan_for_other_config"
    assert check(make_plan(HOME, START, issued_at=START + timedelta(minutes=2))) == "plan_from_future"
    assert check(make_plan(HOME, START, control_until=START)) == "plan_slot_is_outlook"


def test_it_expires_two_hours_after_it_was_issued_and_after_its_first_sight():
    plan = make_plan(HOME, START)
    just_before, at_two = START + timedelta(seconds=7_199), START + timedelta(hours=2)
    assert check(plan, state=house(just_before), mono_s=7_199) == ""
    assert check(plan, state=house(at_two), mono_s=0) == "plan_too_old"
    # The wall-clock part of house time stood still or was set back: the monotonic clock still counts.
    assert check(plan, state=house(START), mono_s=7_200) == "plan_too_old"
    assert plan_age_s(held(plan), START, 7_200) == 7_200


@pytest.mark.parametrize(
    ("tier", "why"),
    [("prior", ""), ("control", ""), ("suggest", "model_not_trusted"), ("observe", "model_not_trusted")],
)
def test_a_room_whose_model_lost_its_trust_leaves_the_plan_at_once(tier, why):
    model = RoomModel(ria_k_w=0.004, rea_k_w=0.02, ci_j_k=2.5e6, cm_j_k=1.2e7, heater_w=3_000)
    thermal = Thermal(room="big", model=model, tier=tier, version="2")
    plan = held(make_plan(HOME, START))
    assert trust(HOME, HASH, plan, "room:big", house(), 0.0, thermal).reason_against() == why
    assert trust(HOME, HASH, plan, "room:small", house(), 0.0).reason_against() == ""
    assert trust(HOME, HASH, None, "room:big", house(), 0.0, thermal).reason_against() == (why or "no_plan")


@pytest.mark.parametrize(
    ("soc", "why"), [(60, ""), (75, ""), (45, ""), (75.1, "state_off_plan"), (44, "state_off_plan")]
)
def test_tolerance_of_the_battery(soc: float, why: str):
    assert check(make_plan(HOME, START), "battery", house(soc_pct=soc)) == why


@pytest.mark.parametrize(
    ("celsius", "why"), [(22.5, ""), (19.5, ""), (22.6, "state_off_plan"), (19.4, "state_off_plan")]
)
def test_tolerance_of_a_room(celsius: float, why: str):
    assert check(make_plan(HOME, START), "room:small", house(temperature_c=celsius)) == why


def test_predictions_hold_at_slot_ends_and_are_interpolated():
    base = make_plan(HOME, START, slots=4)
    room = base.rooms["big"].model_copy(update={"temperature_c": (21.0, 24.0, 24.0, 24.0)})
    plan = base.model_copy(update={"rooms": {"big": room}})
    at = START + timedelta(minutes=22.5)  # middle of the second slot: 22.5 C expected
    assert check(plan, state=house(at, temperature_c=21.1)) == ""
    assert check(plan, state=house(at, temperature_c=20.9)) == "state_off_plan"


def plan_with(relay_on: bool, expected: float = 21.0, low: float = 20.5, high: float = 23.0):
    base = make_plan(HOME, START, slots=4)
    room = RoomPlan(
        relay_on=(relay_on,) * 4, temperature_c=(expected,) * 4, comfort_low_c=(low,) * 4, comfort_high_c=(high,) * 4
    )
    return base.model_copy(update={"rooms": {"big": room}})


@pytest.mark.parametrize(
    ("planned", "celsius", "is_on", "wish"),
    [
        (True, 21.0, False, True),
        (True, 21.4, True, True),
        (True, 21.6, True, False),  # 0.5 above the plan's own prediction
        (True, 21.4, False, False),  # and stays off until 0.2 below that
        (True, 21.2, False, True),
        (False, 20.6, False, False),
        (False, 20.4, False, True),  # below the band
        (False, 20.6, True, True),  # and stays on until 0.2 above
        (False, 20.8, True, False),
    ],
)
def test_the_guard_inside_the_slot(planned: bool, celsius: float, is_on: bool, wish: bool):
    state = house(temperature_c=celsius, on=is_on)
    assert plan_wish(plan_with(planned), "room:big", state) == RoomWish(wish)


def test_above_the_band_a_planned_room_is_off_although_the_plan_expects_it():
    state = house(temperature_c=23.1, on=True)
    assert plan_wish(plan_with(True, expected=23.2), "room:big", state) == RoomWish(False)


def test_the_battery_slot_knows_when_its_run_ends_and_where_to_stop():
    base = make_plan(HOME, START, slots=4)
    rows = battery_plan("charge_from_grid", 4).model_copy(
        update={
            "intent": ("charge_from_grid", "charge_from_grid", "self_consume", "self_consume"),
            "power_w": (-3_000.0, -2_500.0, 0.0, 0.0),
            "soc_pct": (64.2, 70.3, 68.0, 66.0),
        }
    )
    plan = base.model_copy(update={"battery": rows})
    end = START + timedelta(minutes=30)
    assert plan_wish(plan, "battery", house()) == BatteryWish("charge_from_grid", 3_000.0, 72.0, end)
    later = house(START + timedelta(minutes=31))
    assert plan_wish(plan, "battery", later) == BatteryWish("self_consume", 0.0, None, START + timedelta(hours=1))


def test_curtailment_ev_and_water():
    plan = make_plan(HOME, START, pv_limit_w=(0.0,) * 96, ev_power_w=(4_000.0,) * 96, water_on=(True,) * 96)
    wish = plan_wish(plan, "battery", house())
    assert isinstance(wish, BatteryWish)
    assert wish.export is False
    assert plan_wish(plan, "ev", house()) == EvWish(4_000)
    assert plan_wish(plan, "water", house()) == WaterWish(True)
    with pytest.raises(LookupError):
        plan_wish(plan, "battery", house(START - timedelta(hours=1)))


def test_until_a_new_plan_begins_the_old_one_holds():
    old, at = make_plan(HOME, START), START + timedelta(minutes=55)
    new = make_plan(HOME, at, start=START + timedelta(hours=1))
    plans = [held(new), held(old)]
    before, after = choose(plans, at, 3_300), choose(plans, START + timedelta(hours=1), 3_600)
    assert before is not None
    assert before.plan is old
    assert after is not None
    assert after.plan is new
    assert choose([], START, 0) is None


def test_a_fresh_older_plan_goes_before_a_stale_newer_one():
    stale = replace(held(make_plan(HOME, START)), first_seen_s=-9_000)
    fresh = held(make_plan(HOME, START - timedelta(minutes=30)))
    assert choose([stale, fresh], START, 0) is fresh
    assert choose([stale], START, 0) is stale


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"config_hash": "other"}, "plan_for_other_config"),
        ({"issued_at": START + timedelta(minutes=5)}, "plan_from_future"),
        ({"issued_at": START - timedelta(hours=2)}, "plan_too_old"),
        ({"step_s": 3600}, "plan_malformed"),
        ({"slots": 95}, "plan_malformed"),
        ({"ev_power_w": (1.0,)}, "plan_malformed"),
        ({"battery": battery_plan("hold", 5)}, "plan_malformed"),
    ],
)
def test_what_is_not_even_kept(changes, reason: str):
    plan = make_plan(HOME, START).model_copy(update=changes)
    assert refuse(plan, HASH, START) == reason
