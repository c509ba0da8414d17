"""Each hard limit, with something that tries to break it."""

from dataclasses import replace

import pytest
from tests.unit.controller.controller_kit import START, first_house, small_home

from pems_common.comfort import comfort_band_c
from pems_controller.domain.limits import ImportKeep, apply_limits, expected_import_w, violations
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
FIRST = first_house()
LOW_C, _ = comfort_band_c(HOME, "big", START)


def house(temperature_c: float = 21.0, relay: RelayState = RelayState(False), **changes) -> HouseState:  # noqa: B008
    room = RoomState(temperature_c, True, relay)
    battery = BatteryState(True, 60.0, 0.0, grid_w=500.0, pv_w=0.0, load_w=500.0)
    fields = {"rooms": dict.fromkeys(HOME.rooms, room), "battery": battery, **changes}
    return HouseState(at=START, **fields)


def on(limited, device: str) -> bool:
    return limited[device].wish.on


def limits_of(limited, device: str) -> list[str]:
    return [clamp.limit for clamp in limited[device].clamps]


def test_above_25_a_room_is_off_at_once_even_inside_its_minimum_on_time():
    state = house(25.1, RelayState(True, held_s=30))
    limited = apply_limits(HOME, state, {"room:big": RoomWish(True)})
    assert not on(limited, "room:big")
    assert limits_of(limited, "room:big") == ["room_max_c"]


def test_below_16_a_room_is_on_but_not_against_its_minimum_off_time():
    assert on(apply_limits(HOME, house(15.9), {"room:big": RoomWish(False)}), "room:big")
    locked = house(15.9, RelayState(False, held_s=599))
    limited = apply_limits(HOME, locked, {"room:big": RoomWish(False)})
    assert not on(limited, "room:big")
    assert limits_of(limited, "room:big") == ["room_min_c", "relay_min_off"]


def test_a_stale_temperature_breaks_no_limit():
    room = RoomState(30.0, False, RelayState(True))
    limited = apply_limits(HOME, house(rooms=dict.fromkeys(HOME.rooms, room)), {"room:big": RoomWish(True)})
    assert on(limited, "room:big")


@pytest.mark.parametrize(("held_s", "switches"), [(0, False), (599.9, False), (600, True), (1e9, True)])
@pytest.mark.parametrize("is_on", [True, False])
def test_minimum_times_hold(held_s: float, switches: bool, is_on: bool):
    state = house(relay=RelayState(is_on, held_s), water=WaterState(True, 50.0, 0.0, RelayState(is_on, held_s)))
    limited = apply_limits(HOME, state, {"room:big": RoomWish(not is_on), "water": WaterWish(not is_on)})
    for device in ("room:big", "water"):
        assert (on(limited, device) is not is_on) == switches
        assert limits_of(limited, device) == ([] if switches else ["relay_min_on" if is_on else "relay_min_off"])


def test_total_heating_is_limited_and_the_neediest_rooms_keep_theirs():
    tight = HOME.model_copy(
        update={
            "control": HOME.control.model_copy(
                update={"limits": HOME.control.limits.model_copy(update={"heating_max_w": 3500})}
            )
        }
    )
    rooms = {"big": RoomState(20.0, True, RelayState(False)), "small": RoomState(20.5, True, RelayState(False))}
    limited = apply_limits(tight, house(rooms=rooms), {"room:big": RoomWish(True), "room:small": RoomWish(True)})
    assert (on(limited, "room:big"), on(limited, "room:small")) == (True, False)
    assert limits_of(limited, "room:small") == ["heating_max_w"]


def test_the_breaker_holds_with_everything_asked_for_at_once():
    rooms = {name: RoomState(18.0, True, RelayState(False)) for name in FIRST.rooms}
    state = HouseState(at=START, rooms=rooms, battery=BatteryState(True, 60.0, 0.0, 1500.0, 0.0, 1500.0))
    wishes = {f"room:{name}": RoomWish(True) for name in FIRST.rooms}
    wishes |= {"ev": EvWish(11_000), "water": WaterWish(True), "battery": BatteryWish("charge_from_grid", 5_000)}
    limited = apply_limits(FIRST, state, wishes)
    final = {device: one.wish for device, one in limited.items()}
    assert expected_import_w(FIRST, state, final) <= FIRST.grid.import_max_w - 2_000
    assert final["ev"] == EvWish(0.0)
    assert final["battery"].intent == "self_consume"
    assert final["water"] == WaterWish(False)
    assert sum(on(limited, d) for d in wishes if d.startswith("room:")) >= 10  # and it sheds no more than it has to


def test_the_car_gives_way_by_as_much_as_is_needed():
    state = house(battery=BatteryState(True, 60.0, 0.0, 8_000.0, 0.0, 8_000.0))
    limited = apply_limits(HOME, state, {"ev": EvWish(11_000)})
    assert limited["ev"].wish == EvWish(float(17_250 - 3_000 - 8_000))
    assert limits_of(limited, "ev") == ["import_max_w"]


BOTH = frozenset({"ev", "battery"})


def test_what_a_plan_may_import_is_what_the_car_gets():
    planned_w = HOME.grid.import_planned_w
    state = house(battery=BatteryState(True, 60.0, 0.0, 6_000.0, 0.0, 6_000.0))
    as_planned = apply_limits(HOME, state, {"ev": EvWish(planned_w - 6_000)})
    assert as_planned["ev"].clamps == ()
    above = apply_limits(HOME, state, {"ev": EvWish(planned_w - 6_000 + 100)})
    assert above["ev"].wish == EvWish(planned_w - 6_000)


def drawing(load_w: float) -> HouseState:
    return house(battery=BatteryState(True, 60.0, 0.0, load_w, 0.0, load_w))


def test_charging_is_slowed_to_keep_the_peak_that_the_plan_counted_on():
    keep = ImportKeep(9_000.0, BOTH)
    car = apply_limits(HOME, drawing(2_500.0), {"ev": EvWish(8_000)}, keep=keep)
    assert car["ev"].wish == EvWish(6_500.0)
    assert limits_of(car, "ev") == ["import_keep_w"]
    battery = apply_limits(HOME, drawing(5_200.0), {"battery": BatteryWish("charge_from_grid", 5_000)}, keep=keep)
    assert battery["battery"].wish == BatteryWish("charge_from_grid", 2_500.0, 100.0)
    assert limits_of(battery, "battery") == ["import_keep_w"]


@pytest.mark.parametrize(
    ("charging_w", "load_w", "sent_w"),
    [
        (5_000.0, 4_250.0, 5_000.0),
        (5_000.0, 4_350.0, 2_500.0),
        (2_500.0, 4_250.0, 2_500.0),
        (2_500.0, 3_050.0, 2_500.0),
        (2_500.0, 2_950.0, 5_000.0),
        (0.0, 4_250.0, 5_000.0),
    ],
)
def test_a_slowed_battery_comes_back_only_when_there_is_room(charging_w: float, load_w: float, sent_w: float):
    """The rate is a register of the inverter, with so many writes a day."""
    state = house(battery=BatteryState(True, 60.0, -charging_w, load_w + charging_w, 0.0, load_w))
    limited = apply_limits(
        HOME, state, {"battery": BatteryWish("charge_from_grid", 5_000)}, keep=ImportKeep(9_000.0, BOTH)
    )
    assert limited["battery"].wish == BatteryWish("charge_from_grid", sent_w, 100.0)


@pytest.mark.parametrize("load_w", [0.0, 1_000.0, 1_299.0])
def test_what_is_below_the_peak_or_a_little_above_it_goes_on_as_planned(load_w: float):
    limited = apply_limits(HOME, drawing(load_w), {"ev": EvWish(8_000)}, keep=ImportKeep(9_000.0, BOTH))
    assert limited["ev"].wish == EvWish(8_000)


def test_no_peak_is_worth_switching_charging_off():
    keep = ImportKeep(3_000.0, BOTH)
    limited = apply_limits(HOME, drawing(9_000.0), {"ev": EvWish(2_000)}, keep=keep)
    assert limited["ev"].wish == EvWish(HOME.ev.power_min_w)
    limited = apply_limits(HOME, drawing(9_000.0), {"battery": BatteryWish("charge_from_grid", 3_000)}, keep=keep)
    assert limited["battery"].wish == BatteryWish("charge_from_grid", HOME.battery.dispatch_min_w, 100.0)


def test_a_peak_binds_nobody_who_does_not_follow_the_plan():
    wishes = {"ev": EvWish(8_000), "room:big": RoomWish(True), "battery": BatteryWish("charge_from_grid", 2_000)}
    free = apply_limits(HOME, drawing(2_000.0), wishes)
    kept = apply_limits(HOME, drawing(2_000.0), wishes, keep=ImportKeep(3_000.0, frozenset({"room:small"})))
    assert kept == free
    assert on(kept, "room:big")


@pytest.mark.parametrize(
    ("temperature_c", "relay", "heated"),
    [
        (LOW_C - 0.05, RelayState(False), False),
        (LOW_C - 0.11, RelayState(False), True),
        (LOW_C - 0.05, RelayState(True), True),
        (LOW_C - 0.05, RelayState(None), True),
    ],
)
def test_a_room_waits_for_its_heat_only_while_it_is_hardly_below_its_band(
    temperature_c: float, relay: RelayState, heated: bool
):
    keep = ImportKeep(4_000.0, frozenset({"room:big"}))
    state = replace(house(temperature_c, relay), battery=drawing(2_000.0).battery)
    limited = apply_limits(HOME, state, {"room:big": RoomWish(True)}, keep=keep)
    assert on(limited, "room:big") is heated
    assert limits_of(limited, "room:big") == ([] if heated else ["import_keep_w"])
    unknown = replace(state, rooms=dict.fromkeys(HOME.rooms, RoomState(None, False, relay)))
    assert on(apply_limits(HOME, unknown, {"room:big": RoomWish(True)}, keep=keep), "room:big")


def test_of_rooms_about_to_be_heated_the_one_that_needs_it_least_waits():
    off = RelayState(False)
    rooms = {"big": RoomState(LOW_C - 0.05, True, off), "small": RoomState(LOW_C, True, off)}
    state = replace(drawing(2_000.0), rooms=rooms)
    keep = ImportKeep(2_000.0 + HOME.rooms["big"].heat_w, frozenset({"room:big", "room:small"}))
    limited = apply_limits(HOME, state, {"room:big": RoomWish(True), "room:small": RoomWish(True)}, keep=keep)
    assert on(limited, "room:big")
    assert not on(limited, "room:small")


def test_a_peak_above_the_breaker_does_not_lift_the_breaker():
    limited = apply_limits(HOME, drawing(8_000.0), {"ev": EvWish(11_000)}, keep=ImportKeep(40_000.0, BOTH))
    assert limited["ev"].wish == EvWish(float(17_250 - 3_000 - 8_000))


def test_what_already_runs_is_not_counted_twice():
    wishes = {"room:big": RoomWish(True), "ev": EvWish(11_000)}
    state = house(
        relay=RelayState(True),
        battery=BatteryState(True, 60.0, 0.0, 14_200.0, 0.0, 14_200.0),
        controlled_w={"room:big": 3_000.0, "ev": 11_000.0},
    )
    limited = apply_limits(HOME, state, wishes)
    assert limited["ev"].wish == EvWish(11_000)
    assert on(limited, "room:big")


def test_without_a_meter_the_rest_of_the_house_counts_as_2_kw():
    state = house(battery=BatteryState())
    assert expected_import_w(HOME, state, {"ev": EvWish(11_000), "room:big": RoomWish(True)}) == 16_000


def test_a_running_room_is_shed_by_the_breaker_only_after_the_free_ones():
    rooms = {
        "big": RoomState(21.9, True, RelayState(True, held_s=60)),  # needs least, but is locked on
        "small": RoomState(19.0, True, RelayState(False)),
    }
    battery = BatteryState(True, 60.0, 0.0, 15_000.0, 0.0, 15_000.0)
    state = house(rooms=rooms, battery=battery, controlled_w={"room:big": 3_000.0})
    limited = apply_limits(HOME, state, {"room:big": RoomWish(True), "room:small": RoomWish(True)})
    assert (on(limited, "room:big"), on(limited, "room:small")) == (True, False)
    worse = replace(state, battery=replace(battery, grid_w=19_000.0))
    limited = apply_limits(HOME, worse, {"room:big": RoomWish(True), "room:small": RoomWish(True)})
    assert (on(limited, "room:big"), on(limited, "room:small")) == (False, False)


@pytest.mark.parametrize("asked", [5_001.0, 5_300.0, 1e9])
def test_battery_power_is_limited(asked: float):
    limited = apply_limits(HOME, house(), {"battery": BatteryWish("discharge_to_grid", asked)})
    assert limited["battery"].wish == BatteryWish("discharge_to_grid", 5_000, 20)
    assert limits_of(limited, "battery") == ["battery_power_w"]


def test_the_battery_stops_inside_its_limits():
    charge = apply_limits(HOME, house(), {"battery": BatteryWish("charge_from_grid", 3_000, 130)})
    assert charge["battery"].wish.stop_soc_pct == 100
    discharge = apply_limits(HOME, house(), {"battery": BatteryWish("discharge_to_grid", 3_000, 5)})
    assert discharge["battery"].wish.stop_soc_pct == 20
    assert limits_of(discharge, "battery") == ["soc_pct"]


def test_a_charge_that_the_breaker_forbids_does_not_become_a_discharge_below_the_lower_limit():
    battery = BatteryState(True, 18.0, 0.0, 15_000.0, 0.0, 15_000.0)
    limited = apply_limits(HOME, house(battery=battery), {"battery": BatteryWish("charge_from_grid", 5_000)})
    assert limited["battery"].wish == BatteryWish("hold")
    assert limits_of(limited, "battery") == ["import_max_w", "soc_min_pct"]


@pytest.mark.parametrize("intent", ["self_consume", "discharge_to_grid"])
def test_at_its_lower_limit_the_battery_is_held(intent):
    battery = BatteryState(True, 20.9, 800.0, 0.0, 0.0, 800.0)
    limited = apply_limits(HOME, house(battery=battery), {"battery": BatteryWish(intent, 3_000)})
    assert limited["battery"].wish.intent == "hold"
    assert limits_of(limited, "battery") == ["soc_min_pct"]


def test_the_sun_ends_the_hold_but_not_within_half_an_hour():
    sunny = house(battery=BatteryState(True, 20.9, 0.0, -2_000.0, 3_000.0, 1_000.0))
    wish = {"battery": BatteryWish("self_consume")}
    assert apply_limits(HOME, sunny, wish)["battery"].wish.intent == "self_consume"
    assert apply_limits(HOME, sunny, wish, floor_held_s=60.0)["battery"].wish.intent == "hold"
    assert apply_limits(HOME, sunny, wish, floor_held_s=1_800.0)["battery"].wish.intent == "self_consume"
    cloudy = replace(sunny, battery=replace(sunny.battery, soc_pct=23.5, pv_w=0.0))
    assert apply_limits(HOME, cloudy, wish, floor_held_s=9_000.0)["battery"].wish.intent == "hold"
    assert apply_limits(HOME, cloudy, wish)["battery"].wish.intent == "self_consume"
    risen = replace(sunny, battery=replace(sunny.battery, soc_pct=24.5))
    assert apply_limits(HOME, risen, wish, floor_held_s=60.0)["battery"].wish.intent == "self_consume"


def test_the_sun_does_not_excuse_a_discharge_to_the_grid():
    sunny = house(battery=BatteryState(True, 21.5, 3_000.0, -5_000.0, 4_000.0, 1_000.0))
    limited = apply_limits(HOME, sunny, {"battery": BatteryWish("discharge_to_grid", 3_000)})
    assert limited["battery"].wish.intent == "hold"
    assert limits_of(limited, "battery") == ["soc_min_pct"]


def test_a_thin_sun_does_not_end_the_hold_at_the_very_limit():
    wish = {"battery": BatteryWish("self_consume")}
    thin = house(battery=BatteryState(True, 20.0, 0.0, -500.0, 1_500.0, 1_000.0))
    assert apply_limits(HOME, thin, wish, floor_held_s=9_000.0)["battery"].wish.intent == "hold"
    assert apply_limits(HOME, thin, wish)["battery"].wish.intent == "hold"
    higher = replace(thin, battery=replace(thin.battery, soc_pct=21.0))
    assert apply_limits(HOME, higher, wish, floor_held_s=9_000.0)["battery"].wish.intent == "self_consume"


def test_the_car_is_never_charged_from_the_house_battery():
    wishes = {"ev": EvWish(7_000), "battery": BatteryWish("self_consume")}
    limited = apply_limits(HOME, house(), wishes)
    assert limited["battery"].wish.intent == "hold"
    assert limits_of(limited, "battery") == ["ev_not_from_battery"]
    sunny = house(battery=BatteryState(True, 60.0, 0.0, -7_500.0, 8_000.0, 500.0))
    assert apply_limits(HOME, sunny, wishes)["battery"].wish.intent == "self_consume"
    charging = house(
        battery=BatteryState(True, 60.0, 0.0, -500.0, 8_000.0, 7_500.0), ev=EvState(True, True, 50.0, 7_000.0)
    )
    assert apply_limits(HOME, charging, wishes)["battery"].wish.intent == "self_consume"


@pytest.mark.parametrize(("asked", "sent"), [(0, 0), (600, 0), (800, 1_400), (5_000, 5_000), (99_000, 11_000)])
def test_charging_power_is_what_the_charger_can_do(asked: float, sent: float):
    assert apply_limits(HOME, house(), {"ev": EvWish(asked)})["ev"].wish == EvWish(sent)


def test_limits_that_the_house_itself_breaks_are_named():
    rooms = {"big": RoomState(15.0, True), "small": RoomState(26.0, True)}
    battery = BatteryState(True, 10.0, 0.0, 18_000.0)
    found = violations(HOME, house(rooms=rooms, battery=battery))
    assert found == ("room_min_c:big", "room_max_c:small", "import_max_w", "soc_min_pct:battery")
    assert violations(HOME, house()) == ()


def test_a_hold_below_the_lower_limit_counts_as_charging_from_the_grid():
    low = house(battery=BatteryState(True, 19.0, 0.0, 12_000.0, 0.0, 12_000.0))
    held = house(battery=BatteryState(True, 40.0, 0.0, 12_000.0, 0.0, 12_000.0))
    wishes = {"battery": BatteryWish("hold")}
    more_w = expected_import_w(HOME, low, wishes) - expected_import_w(HOME, held, wishes)
    assert more_w == HOME.control.limits.battery_max_w
