"""The 2R2C room in discrete time, and comfort bands by schedule."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pems_common.comfort import comfort_band_c, comfort_target_c
from pems_common.home import load_home
from pems_common.messages import RoomModel
from pems_common.thermal import discretise

HOME = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
PRAGUE = ZoneInfo("Europe/Prague")


def room(**changes) -> RoomModel:
    values = {"ria_k_w": 0.01, "rea_k_w": 0.03, "ci_j_k": 1e6, "cm_j_k": 1.5e7, "heater_w": 1200.0}
    return RoomModel(**{**values, **changes})


def test_the_step_agrees_with_fine_euler_integration():
    air, mass, h = 20.0, 22.0, 0.05
    for _ in range(int(900 / h)):
        d_air = ((mass - air) / 0.01 + (5.0 - air) / 0.03) / 1e6
        d_mass = ((air - mass) / 0.01 + 600.0) / 1.5e7
        air, mass = air + d_air * h, mass + d_mass * h
    stepped = discretise(room(), 900.0).step(20.0, 22.0, 5.0 / 0.03, 600.0)
    assert stepped == pytest.approx((air, mass), abs=2e-5)


@given(st.floats(0.002, 0.1), st.floats(0.005, 0.3), st.floats(1e5, 1e7), st.floats(1e6, 1e8), st.floats(0, 5000))
def test_the_steady_state_is_that_of_the_resistances(ria, rea, ci, cm, heat):
    step = discretise(room(ria_k_w=ria, rea_k_w=rea, ci_j_k=ci, cm_j_k=cm), 900.0)
    air, mass = heat * rea, heat * (rea + ria)
    assert step.step(air, mass, 0.0, heat) == pytest.approx((air, mass), rel=1e-6, abs=1e-6)


def test_two_short_steps_are_one_long_step():
    short, long = discretise(room(), 450.0), discretise(room(), 900.0)
    once = short.step(20.0, 22.0, 100.0, 500.0)
    assert short.step(*once, 100.0, 500.0) == pytest.approx(long.step(20.0, 22.0, 100.0, 500.0), rel=1e-9)


def test_neighbours_can_be_left_out():
    coupled = room(neighbours={"hall": 20.0})
    assert discretise(coupled, 900).loss_w_k == pytest.approx(1 / 0.03 + 20)
    assert discretise(coupled, 900, with_neighbours=False).loss_w_k == pytest.approx(1 / 0.03)


def test_targets_follow_local_time_through_the_autumn_clock_change():
    before = datetime(2026, 10, 25, 5, 59, tzinfo=PRAGUE)
    after = datetime(2026, 10, 25, 6, 0, tzinfo=PRAGUE)
    assert comfort_target_c(HOME, "loznice", before) == 19.0
    assert comfort_target_c(HOME, "loznice", after) == 20.5
    assert comfort_band_c(HOME, "loznice", after) == (20.0, 21.5)
    low, high = comfort_band_c(HOME, "loznice", before)
    assert (low, high) == (18.5, 21.5)
