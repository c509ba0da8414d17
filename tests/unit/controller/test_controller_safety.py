"""What the battery does when its state is unknown."""

import pytest
from tests.unit.controller.controller_kit import START, small_home

from pems_controller.domain.safety import safety_wish
from pems_controller.domain.state import BatteryState, BatteryWish, HouseState

HOME = small_home()


@pytest.mark.parametrize(
    ("last", "intent"),
    [
        (BatteryState(fresh=False, soc_pct=21.0), "hold"),
        (BatteryState(fresh=False, soc_pct=10.0), "hold"),
        (BatteryState(fresh=False, soc_pct=24.1), "self_consume"),
        (BatteryState(fresh=False, soc_pct=60.0, heard_s_ago=900.0), "self_consume"),
        (BatteryState(fresh=False, soc_pct=60.0, heard_s_ago=3_600.0), "hold"),  # 5 kW of 10 kWh: it may be at 10 %
        (BatteryState(fresh=False, soc_pct=None), "self_consume"),
        (BatteryState(), "self_consume"),
        # Too hot or too cold, its state known: nothing but its own mode is good for it.
        (BatteryState(fresh=True, soc_pct=21.0, temperature_c=60.0), "self_consume"),
    ],
)
def test_a_battery_lost_from_sight_near_its_lower_limit_is_held(last, intent):
    assert HOME.battery.soc_min_pct == 20
    assert safety_wish(HOME, "battery", HouseState(at=START, rooms={}, battery=last)) == BatteryWish(intent)


def test_a_house_without_a_battery_has_nothing_to_hold():
    home = HOME.model_copy(update={"battery": None})
    lost = HouseState(at=START, rooms={}, battery=BatteryState(fresh=False, soc_pct=5.0))
    assert safety_wish(home, "battery", lost) == BatteryWish("self_consume")
