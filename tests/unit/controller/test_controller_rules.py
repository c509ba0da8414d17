"""The rules without a plan, safety's duty, and what overrides mean."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.unit.controller.controller_kit import START, first_house, prices, small_home

from pems_common.timegrid import SLOT
from pems_controller.domain.overrides import Override, OverrideProblem, check, wish_of
from pems_controller.domain.prices import view_prices
from pems_controller.domain.rules import RuleInputs, rule_wish, rule_wishes, thermostat
from pems_controller.domain.safety import room_limit_broken, safety_duty, safety_wish
from pems_controller.domain.state import (
    BatteryState,
    BatteryWish,
    EvState,
    EvWish,
    HouseState,
    RelayState,
    RoomState,
    RoomWish,
    WaterState,
    WaterWish,
)

HOME = small_home()
PRAGUE = ZoneInfo("Europe/Prague")
MIDNIGHT = START - timedelta(hours=12)  # local midnight in winter


def house(at=START, temperature_c=21.0, on=False, outdoor_c=0.0, **changes) -> HouseState:
    rooms = dict.fromkeys(HOME.rooms, RoomState(temperature_c, True, RelayState(on)))
    fields = {"rooms": rooms, "battery": BatteryState(True, 60.0), "outdoor_c": outdoor_c, **changes}
    return HouseState(at=at, **fields)


def wish(device: str, state: HouseState, known=None, thermal=None):
    view = view_prices(known, state.at, PRAGUE)
    return rule_wish(HOME, device, RuleInputs(state, view, thermal or {}))


def day(*cheap: int, low: float = 1.0, high: float = 5.0):
    """A local day of prices: these slots cheap, the rest dear."""
    return prices(MIDNIGHT, [low if i in cheap else high for i in range(96)])


@pytest.mark.parametrize(
    ("celsius", "on", "heats"),
    [(20.8, False, True), (20.9, False, False), (20.9, True, True), (21.1, True, True), (21.2, True, False)],
)
def test_thermostat_has_hysteresis(celsius: float, on: bool, heats: bool):
    assert thermostat(celsius, 21.0, on) is heats


def test_an_unknown_temperature_does_not_heat():
    assert thermostat(None, 21.0, True) is False


def test_rooms_keep_their_comfort_target_by_day_and_night():
    assert wish("room:big", house(temperature_c=21.5)) == RoomWish(True)  # 22 by day
    night = START + timedelta(hours=11)  # 23:00 local, 20 by night
    assert wish("room:big", house(night, 21.5)) == RoomWish(False)
    assert wish("room:big", house(night, 19.5)) == RoomWish(True)


def test_cheap_hours_lift_the_target():
    at_noon = 48
    cheap, dear = day(*range(at_noon, at_noon + 24)), day(*range(24))
    assert wish("room:big", house(temperature_c=22.2), cheap) == RoomWish(True)
    assert wish("room:big", house(temperature_c=22.2), dear) == RoomWish(False)
    flat = prices(MIDNIGHT, [2.0] * 96)
    assert wish("room:big", house(temperature_c=22.2), flat) == RoomWish(False)


def test_preheating_in_the_two_hours_before_the_morning_and_before_that_in_cheap_slots():
    at_five, at_three = MIDNIGHT + timedelta(hours=5), MIDNIGHT + timedelta(hours=3)
    flat = prices(MIDNIGHT, [2.0] * 96)
    assert wish("room:big", house(at_five, 21.0), flat) == RoomWish(True)
    assert wish("room:big", house(at_three, 21.0), flat) == RoomWish(False), "flat prices are not cheap"
    falling = prices(MIDNIGHT, [1.0 if k < 14 else 2.0 for k in range(96)])
    assert wish("room:big", house(at_three, 21.0), falling) == RoomWish(True)
    assert wish("room:big", house(MIDNIGHT + timedelta(hours=1), 21.0), falling) == RoomWish(False)
    assert wish("room:big", house(at_five, 21.0)) == RoomWish(True), "the family is to be warm, prices or not"
    dear = {i: prices(MIDNIGHT, [9.0 if k == i else 2.0 for k in range(96)]) for i in (12, 20)}
    assert wish("room:big", house(at_five, 21.0), dear[20]) == RoomWish(True)
    assert wish("room:big", house(at_three, 21.0), dear[12]) == RoomWish(False)
    assert wish("room:big", house(at_three, 21.0)) == RoomWish(False)


def test_the_battery_charges_in_the_eight_cheapest_slots_if_the_spread_pays():
    cheap = range(44, 52)
    charge = wish("battery", house(), day(*cheap))
    assert charge == BatteryWish("charge_from_grid", 5_000, 100, START + SLOT * 4)
    assert wish("battery", house(START + SLOT * 4), day(*cheap)) == BatteryWish("self_consume")
    # 1.0 / 0.85 + 1.0 wear = 2.18: not worth 2.1 later
    assert wish("battery", house(), day(*cheap, high=2.1)) == BatteryWish("self_consume")
    full = house(battery=BatteryState(True, 99.5))
    assert wish("battery", full, day(*cheap)) == BatteryWish("self_consume")
    assert wish("battery", house()) == BatteryWish("self_consume")


def test_outside_the_heating_season_the_battery_only_self_consumes():
    summer = START.replace(month=7)
    known = prices(summer - timedelta(hours=13), [1.0 if 44 <= i < 56 else 5.0 for i in range(96)])
    assert wish("battery", house(summer), known) == BatteryWish("self_consume")


def test_the_car_is_ready_in_time():
    # 40 % of 75 kWh over 90 % = 33.3 kWh: 13 slots of 2.75 kWh and one to spare; deadline 07:00 local
    ev = EvState(True, True, 40.0)
    deadline = MIDNIGHT + timedelta(hours=31)
    assert wish("ev", house(deadline - SLOT * 15, ev=ev)) == EvWish(0.0)
    assert wish("ev", house(deadline - SLOT * 14, ev=ev)) == EvWish(11_000)
    assert wish("ev", house(deadline - SLOT * 14, ev=EvState(True, False, 40.0))) == EvWish(0.0)
    assert wish("ev", house(deadline - SLOT * 14, ev=EvState(True, True, 80.0))) == EvWish(0.0)


def test_the_car_takes_the_cheapest_slots_once_all_are_known():
    evening = MIDNIGHT + timedelta(hours=20)
    known = prices(MIDNIGHT, [1.0 if 100 <= i < 114 else 5.0 for i in range(192)])
    ev = EvState(True, True, 40.0)
    assert wish("ev", house(evening, ev=ev), known) == EvWish(0.0)
    assert wish("ev", house(MIDNIGHT + timedelta(hours=26), ev=ev), known) == EvWish(11_000)


@pytest.mark.parametrize(
    ("celsius", "on", "cheap", "heats"),
    [
        (41.0, False, False, True),
        (45.0, True, False, True),
        (48.0, True, False, False),
        (48.0, False, True, True),
        (52.0, True, True, False),
        (51.5, False, True, False),
        (None, False, True, True),
        (None, False, False, False),
    ],
)
def test_water(celsius, on: bool, cheap: bool, heats: bool):
    state = house(water=WaterState(True, celsius, 0.0, RelayState(on)))
    known = day(*range(48, 72)) if cheap else day(*range(24))
    assert wish("water", state, known) == WaterWish(heats)


def test_water_without_prices_has_a_wide_hysteresis():
    assert wish("water", house(water=WaterState(True, 46.0))) == WaterWish(True)
    assert wish("water", house(water=WaterState(True, 48.0))) == WaterWish(False)
    assert wish("water", house(water=WaterState(True, 48.0, 0.0, RelayState(True)))) == WaterWish(True)


def test_the_rules_speak_for_the_whole_house():
    view = view_prices(None, START, PRAGUE)
    assert set(rule_wishes(HOME, RuleInputs(house(), view))) == set(HOME.device_names)
    with pytest.raises(KeyError):
        rule_wish(HOME, "fridge", RuleInputs(house(), view))


def test_safety_duty_follows_the_outdoor_temperature():
    assert safety_duty(18.0, START) == 0
    assert safety_duty(-15.0, START) == pytest.approx(0.7)
    assert safety_duty(-40.0, START) == pytest.approx(0.7)
    assert safety_duty(0.0, START) == safety_duty(None, START) == pytest.approx(0.7 * 18 / 33)
    assert safety_duty(None, START.replace(month=7)) < 0.1


def test_safety_heats_by_the_limits_where_known_and_by_the_duty_where_not():
    assert safety_wish(HOME, "room:big", house(temperature_c=15.5)) == RoomWish(True)
    assert safety_wish(HOME, "room:big", house(temperature_c=25.5)) == RoomWish(False)
    blind = dict.fromkeys(HOME.rooms, RoomState(None, False))
    minutes = [safety_wish(HOME, "room:big", house(START + timedelta(minutes=m), rooms=blind)).on for m in range(60)]
    assert sum(minutes) == pytest.approx(60 * 0.7 * 18 / 33, abs=1.1)
    assert not any(
        safety_wish(HOME, "room:big", house(START + timedelta(minutes=m), rooms=blind, outdoor_c=17.0)).on
        for m in range(60)
    )


def test_in_safety_rooms_do_not_all_heat_at_once():
    home = first_house()
    state = HouseState(at=START, rooms={name: RoomState() for name in home.rooms}, outdoor_c=0.0)
    on = [name for name in home.rooms if safety_wish(home, f"room:{name}", state).on]
    assert 0 < len(on) < len(home.rooms)


def test_safety_of_the_others():
    assert safety_wish(HOME, "battery", house()) == BatteryWish("self_consume")
    assert safety_wish(HOME, "ev", house()) == EvWish(0)
    assert safety_wish(HOME, "water", house()) == WaterWish(False)


def test_a_broken_limit_ends_a_little_inside():
    assert room_limit_broken(HOME, 15.9, was_broken=False)
    assert not room_limit_broken(HOME, 16.1, was_broken=False)
    assert room_limit_broken(HOME, 16.1, was_broken=True)
    assert not room_limit_broken(HOME, None, was_broken=True)


@pytest.mark.parametrize(
    ("device", "action", "params", "full"),
    [
        ("room:big", "heat", {"target_c": 21}, {"target_c": 21.0}),
        ("room:big", "on", {}, {}),
        ("battery", "self_consume", {}, {}),
        ("battery", "charge_from_grid", {"power_w": 3000}, {"power_w": 3000.0}),
        ("battery", "charge_from_grid", {}, {"power_w": 5000.0}),
        ("battery", "hold", {"power_w": 0}, {}),
        ("battery", "export_pv", {}, {}),
        ("ev", "charge", {}, {"power_w": 11000.0}),
        ("water", "off", {}, {}),
    ],
)
def test_possible_overrides(device: str, action: str, params: dict, full: dict):
    assert check(HOME, device, action, params) == full


@pytest.mark.parametrize(
    ("device", "action", "params"),
    [
        ("room:big", "heat", {}),
        ("room:big", "heat", {"target_c": "warm"}),
        ("room:big", "heat", {"target_c": True}),
        ("room:big", "heat", {"target_c": float("nan")}),
        ("room:big", "heat", {"target_c": 40}),
        ("room:big", "heat", {"target_c": 21, "more": 1}),
        ("room:big", "explode", {}),
        ("battery", "off", {}),
        ("battery", "charge_from_grid", {"power_w": 9_000}),
        ("ev", "charge", {"power_w": 100}),
        ("water", "on", {"target_c": 50}),
    ],
)
def test_impossible_overrides_say_why(device: str, action: str, params: dict):
    with pytest.raises(OverrideProblem) as problem:
        check(HOME, device, action, params)
    assert str(problem.value)


def test_an_override_of_an_unknown_device():
    with pytest.raises(KeyError):
        check(HOME, "room:cellar", "on", {})


def test_what_overrides_mean():
    end = START + timedelta(hours=1)

    def mean(device: str, action: str, **params):
        return wish_of(Override(device, action, params, end, "me", 1), house(temperature_c=20.0))

    assert mean("room:big", "heat", target_c=21.0) == RoomWish(True)
    assert mean("room:big", "heat", target_c=19.0) == RoomWish(False)
    assert mean("room:big", "on") == RoomWish(True)
    assert mean("battery", "discharge_to_grid", power_w=3_000.0) == BatteryWish("discharge_to_grid", 3_000, None, end)
    assert mean("ev", "charge", power_w=2_000.0) == EvWish(2_000)
    assert mean("ev", "off") == EvWish(0)
    assert mean("water", "on") == WaterWish(True)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 1, 14)])
def test_the_car_is_ready_by_the_clock_on_the_wall_when_summer_time_begins_or_ends(day):
    ev = EvState(True, True, 40.0)
    deadline = datetime.combine(day, time(7), tzinfo=PRAGUE).astimezone(UTC)
    assert wish("ev", house(deadline - SLOT * 15, ev=ev)) == EvWish(0.0)
    assert wish("ev", house(deadline - SLOT * 14, ev=ev)) == EvWish(11_000)
