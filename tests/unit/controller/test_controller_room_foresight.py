"""What a room's model says of the next hours, and when it may say nothing."""

from datetime import timedelta
from itertools import product
from math import inf, isfinite, nan

import pytest
from tests.unit.controller.controller_kit import START, small_home

from pems_common.messages import RoomModel, RoomState, Thermal
from pems_common.thermal import discretise
from pems_controller.domain.room_foresight import LONGEST_LEAD, foresee
from pems_controller.domain.state import HouseState
from pems_controller.domain.state import RoomState as Measured

HOME = small_home()
MODEL = RoomModel(ria_k_w=0.003, rea_k_w=0.03, ci_j_k=3e6, cm_j_k=1.5e7, heater_w=5_000)


def house(air_c=20.0, outdoor_c=0.0, small_c=None, at=START) -> HouseState:
    rooms = {"big": Measured(air_c, True), "small": Measured(small_c, small_c is not None)}
    return HouseState(at=at, rooms=rooms, outdoor_c=outdoor_c)


def thermal(mass_c=20.0, disturbance_w=0.0, tier="control", air_c=20.0, age=timedelta(0), **model) -> Thermal:
    state = RoomState(air_c=air_c, mass_c=mass_c, disturbance_w=disturbance_w, at=START - age)
    return Thermal(room="big", model=MODEL.model_copy(update=model), tier=tier, state=state, version="1")


def lead(known: Thermal, target_c=22.0, **state) -> timedelta:
    ahead = foresee(HOME, "big", house(**state), known)
    assert ahead is not None
    return ahead.lead_time(target_c)


def test_the_lead_is_the_time_that_the_model_needs_at_full_power():
    found = lead(thermal())
    step = discretise(MODEL, 60.0)
    air = mass = 20.0
    minutes = 0
    while air < 22.0:
        air, mass = step.step(air, mass, 0.0, MODEL.heater_w)
        minutes += 1
    assert abs(found - timedelta(minutes=minutes)) <= timedelta(minutes=15)
    assert lead(thermal(), 20.0) == timedelta(0)
    assert lead(thermal(), 40.0, outdoor_c=-30.0) == LONGEST_LEAD


def test_whatever_warms_the_room_shortens_the_lead():
    plain = lead(thermal())
    gains = {str(hour): 900.0 if hour in {12, 13, 14, 15} else 0.0 for hour in range(24)}  # it is noon in Prague
    assert lead(thermal(mass_c=24.0)) < plain
    assert lead(thermal(disturbance_w=900.0)) < plain < lead(thermal(disturbance_w=-900.0))
    assert lead(thermal(gains_w=gains)) < plain
    assert lead(thermal(gains_w={str(h): 900.0 for h in range(9)})) == plain  # gains of the night
    assert lead(thermal(neighbours={"small": 40.0}), small_c=26.0) < lead(
        thermal(neighbours={"small": 40.0}), small_c=18
    )


def test_an_unknown_neighbour_is_taken_for_as_warm_as_it_should_be():
    known = thermal(neighbours={"small": 40.0})
    assert lead(known) == lead(known, small_c=21.0)
    stranger, outside = thermal(neighbours={"cellar": 40.0}), thermal(rea_k_w=1 / (1 / MODEL.rea_k_w + 40.0))
    assert lead(stranger) == lead(outside)


def test_a_warm_slab_carries_the_air_on_and_a_cold_one_does_not():
    warm, cold = (foresee(HOME, "big", house(), thermal(mass_c=m)) for m in (26.0, 20.0))
    assert warm is not None
    assert cold is not None
    assert cold.peak_c(timedelta(hours=3)) == 20.0
    assert 21.0 < warm.peak_c(timedelta(hours=1)) < warm.peak_c(timedelta(hours=3)) < 26.0
    assert warm.peak_c(timedelta(hours=50)) == warm.peak_c(LONGEST_LEAD)


def test_an_old_or_distant_estimate_counts_as_none():
    for known in (thermal(26.0, age=timedelta(minutes=35)), thermal(26.0, air_c=21.0), thermal(2e3)):
        ahead = foresee(HOME, "big", house(), known)
        assert ahead is not None
        assert not ahead.slab_known
        assert ahead.mass_c == 20.0
    fresh = foresee(HOME, "big", house(), thermal(26.0, age=timedelta(minutes=34)))
    assert fresh is not None
    assert fresh.slab_known


def test_a_disturbance_is_no_more_than_a_heater():
    assert lead(thermal(disturbance_w=1e9), outdoor_c=-20.0) == lead(
        thermal(disturbance_w=MODEL.heater_w), outdoor_c=-20.0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"ria_k_w": 0.0},
        {"ria_k_w": nan},
        {"rea_k_w": -0.01},
        {"rea_k_w": inf},
        {"ci_j_k": 0.0},
        {"cm_j_k": nan},
        {"cm_j_k": 1e300},
        {"heater_w": 0.0},
        {"heater_w": nan},
        {"heat_to_mass": 1.5},
        {"neighbours": {"small": -5.0}},
        {"gains_w": {"3": nan}},
        {"tier": "observe"},
    ],
)
def test_nothing_is_said_by_figures_that_no_room_has_nor_by_a_model_on_watch(wrong: dict):
    assert foresee(HOME, "big", house(), thermal(**wrong)) is None


def test_the_oddest_figures_that_are_taken_give_numbers():
    for ria, rea, ci, cm in product((1e-4, 10.0), (1e-4, 10.0), (1e3, 1e10), (1e3, 1e10)):
        known = thermal(ria_k_w=ria, rea_k_w=rea, ci_j_k=ci, cm_j_k=cm, neighbours={"small": 1e4}, heater_w=1e5)
        ahead = foresee(HOME, "big", house(), known)
        assert ahead is not None
        assert timedelta(0) <= ahead.lead_time(22.0) <= LONGEST_LEAD
        assert isfinite(ahead.peak_c(LONGEST_LEAD))


def test_nothing_is_said_without_model_temperature_or_weather():
    assert foresee(HOME, "big", house(), None) is None
    assert foresee(HOME, "big", house(air_c=None), thermal()) is None
    assert foresee(HOME, "big", house(outdoor_c=None), thermal()) is None
    with pytest.raises(KeyError):
        foresee(HOME, "cellar", house(), None)
