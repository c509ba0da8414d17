"""Rooms of a problem file as arrays: physics of both models, walls, bands by local time, defaults."""

from math import exp

import numpy as np
import pytest
from tests.unit.optimizer.problem_file_cases import changed, small_file

from pems_optimizer.domain.problem_file.reading import read_document
from pems_optimizer.domain.problem_file.to_problem import planning_problem
from pems_optimizer.domain.thermal_response import room_device, simulate_rooms


def rooms_of(data):
    return planning_problem(read_document(data)).rooms


def alone(room: dict, **update) -> dict:
    return small_file(96, rooms=[{k: v for k, v in room.items() if k != "neighbours"}], ev=None, **update)


@pytest.mark.parametrize("step_minutes", [5, 15, 60])
def test_a_1r1c_room_is_one_capacity_with_one_loss(step_minutes):
    data = alone(small_file()["rooms"][1], step_minutes=step_minutes, outdoor_c=-5, min_on_minutes=15)
    rooms = rooms_of(data)
    on = np.tile([[True], [True], [False], [True], [False], [False]], (16, 1))
    path = simulate_rooms(rooms, on)
    decay = exp(-step_minutes / 60 * 25 / 1500)
    expected, air = [], 19.5
    for heated in on[:, 0]:
        rest = -5 + 1000 * heated / 25
        air = rest + (air - rest) * decay
        expected.append(air)
    mean = 0.99 * path.air_c[1:, 0] + 0.01 * path.mass_c[1:, 0]
    assert np.abs(mean - expected).max() < 2e-3
    assert np.abs(path.air_c[1:, 0] - expected).max() < 0.02


def test_a_1r1c_room_answers_through_one_mode_only():
    problem = planning_problem(read_document(alone(small_file()["rooms"][1])))
    on = np.zeros((96, 1), dtype=bool)
    device = room_device(problem, simulate_rooms(problem.rooms, on), 0, on)
    assert device.push[0] == pytest.approx(1000 / 1500 / 4, rel=0.01)
    assert abs(device.push[1]) < 0.02
    assert abs(device.decay[1]) < 1e-6
    assert np.isfinite(device.end_gain).all()


def test_a_2r2c_room_loses_what_it_should_when_it_rests():
    """Without heat it ends at the outdoor temperature raised by sun and gains over the loss."""
    room = small_file()["rooms"][0] | {"gains_w": 50, "gains_by_hour_w": [100] * 24}
    rooms = rooms_of(changed(alone(room, outdoor_c=5, step_minutes=60), "rooms.0.mass_c", 5))
    path = simulate_rooms(rooms, np.zeros((96, 1), dtype=bool))
    rest_c = 5 + (2 * 100 + 50 + 100) * 0.02
    for _ in range(10):
        rooms = rooms_of(
            changed(
                changed(alone(room, outdoor_c=5, step_minutes=60), "rooms.0.air_c", float(path.air_c[-1, 0])),
                "rooms.0.mass_c",
                float(path.mass_c[-1, 0]),
            )
        )
        path = simulate_rooms(rooms, np.zeros((96, 1), dtype=bool))
    assert path.air_c[-1, 0] == pytest.approx(rest_c, abs=0.01)
    assert path.mass_c[-1, 0] == pytest.approx(rest_c, abs=0.01)


def test_a_wall_said_once_is_there_for_both():
    rooms = rooms_of(small_file())
    assert rooms.coupling_w_k.tolist() == [[0, 20], [20, 0]]


def test_the_band_follows_the_local_clock_and_the_last_entry_holds_over_midnight():
    rooms = rooms_of(small_file())
    assert rooms.band_low_c[:, 1].tolist() == [18, 18, 19.5, 19.5, 19.5, 19.5, 19.5, 19.5]
    utc = rooms_of(small_file(timezone="UTC"))
    assert utc.band_low_c[:, 1].tolist() == [18] * 6 + [19.5] * 2


def test_the_default_mass_holds_the_air_where_it_is():
    rooms = rooms_of(alone(small_file()["rooms"][0], solar_w_m2={"south": 0}))
    held_w = (20.4 + 2) / 0.02
    assert rooms.mass_c[0] == pytest.approx(20.4 + 0.003 * held_w)


def test_minutes_become_whole_slots_that_are_long_enough():
    data = small_file(step_minutes=20, min_on_minutes=30, min_off_minutes=0, ev=None, appliances=[])
    data["rooms"][0] |= {"minutes_in_state": 39, "relay_on": True, "starts_max": 3}
    rooms = rooms_of(data)
    assert (rooms.min_on, rooms.min_off) == (2, 1)
    assert rooms.slots_in_state[0] == 1
    assert rooms.slots_in_state[1] > 100
    assert rooms.relay_on.tolist() == [True, False]
    assert rooms.starts_max.tolist() == [3, 9]


def test_margin_narrows_the_planned_band_but_not_the_stated_one():
    rooms = rooms_of(changed(small_file(), "rooms.0.margin_k", 0.3))
    assert rooms.low_c[0, 0] == pytest.approx(20.3)
    assert rooms.band_low_c[0, 0] == 20
    assert rooms.high_c[0, 0] == 22


def test_heat_left_at_the_end_is_worth_its_price_unless_said():
    rooms = rooms_of(small_file(pv_w=0))
    assert rooms.end_value_czk_k[1] == pytest.approx(1.5 * 2.5)
    assert rooms.end_bonus_czk_k[1] == pytest.approx(0.9 * 1.5 * 2.0)
    sunny = rooms_of(small_file())  # the surplus would only bring what export brings
    assert sunny.end_value_czk_k[1] == pytest.approx(1.5 * 1.0)
    worthless = rooms_of(changed(small_file(), "rooms.1.end_value_per_k", 0))
    assert worthless.end_value_czk_k[1] == 0
    assert worthless.end_bonus_czk_k[1] == 0
