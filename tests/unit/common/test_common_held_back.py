"""When PV may have been held back."""

import pytest
from tests.unit.forecaster.forecaster_makers import the_home

from pems_common.held_back import held_back

HOME = the_home()
assert HOME.battery is not None

FREE = {"pv_w": 3000.0, "grid_w": -1500.0, "battery_w": 0.0, "soc_pct": 100.0, "sell_czk_kwh": 1.0}
BALANCED = FREE | {"grid_w": 20.0}
COSTS = {"sell_czk_kwh": -0.3}


def told(home=HOME, **given):
    return held_back(home, **{**FREE, **given})


def no_battery():
    return HOME.model_copy(update={"battery": None})


@pytest.mark.parametrize(
    "given",
    [
        {"grid_w": -1500.0},
        {"grid_w": -1500.0, **COSTS},  # it is sold at a loss: nobody held it back
        {"grid_w": 800.0, "pv_w": 500.0, **COSTS},  # a cloud over a full battery
        {**BALANCED, "soc_pct": 60.0, "battery_w": -2000.0},  # the battery takes it
        {**BALANCED, "soc_pct": 60.0, "battery_w": -2000.0, **COSTS},
        {"grid_w": None, **COSTS},
        {**BALANCED, "soc_pct": None},
        {**BALANCED, "soc_pct": 60.0, "battery_w": None, **COSTS},
        {"pv_w": None, "grid_w": None, "battery_w": None, "soc_pct": None, "sell_czk_kwh": None},
    ],
)
def test_power_that_had_a_way_out_was_free(given):
    assert not told(**given)


@pytest.mark.parametrize(
    "given",
    [
        BALANCED,  # full, and nothing goes out
        {**BALANCED, "soc_pct": 60.0, "battery_w": -HOME.battery.power_max_w, **COSTS},
        {"pv_w": HOME.pv.inverter_ac_limit_w},
        {"grid_w": -HOME.grid.export_limit_w},
        {"pv_w": 0.0, "grid_w": 4000.0, **COSTS},  # the plan's `off`: importing pays
    ],
)
def test_power_without_a_way_out_was_held_back(given):
    assert told(**given)


def test_near_full_a_battery_takes_less():
    assert HOME.battery is not None
    taper = {"from_soc_pct": 90.0, "full_w": 500.0}
    battery = HOME.battery.model_validate({**HOME.battery.model_dump(exclude_unset=True), "taper": taper})
    tapering = HOME.model_copy(update={"battery": battery})
    slow = {**BALANCED, **COSTS, "soc_pct": 97.0, "battery_w": -2000.0}
    assert told(tapering, **slow)
    assert not told(HOME, **slow)
    assert not told(tapering, **{**slow, "soc_pct": 80.0})


def test_without_a_battery_and_without_export_only_the_house_takes_it():
    closed = no_battery()
    closed = closed.model_copy(update={"grid": closed.grid.model_copy(update={"export_allowed": False})})
    given = {**BALANCED, "soc_pct": None, "battery_w": None}
    assert told(closed, **given)
    assert not told(no_battery(), **given)
    assert told(no_battery(), **{**given, **COSTS})
