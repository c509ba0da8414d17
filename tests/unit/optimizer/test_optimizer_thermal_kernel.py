"""Compiled loops of temperatures: the same as matrices, and as their plain Python."""

import numpy as np
import pytest

from pems_optimizer.domain import thermal_kernel as kernel


@pytest.mark.parametrize("compiled", [True, False])
def test_states_follow_the_matrix(compiled):
    rng = np.random.default_rng(3)
    step, pushed, start = 0.3 * rng.normal(size=(6, 6)), rng.normal(size=(40, 6)), rng.normal(size=6)
    run = kernel.room_states if compiled else kernel.room_states.py_func
    states = run(start, np.ascontiguousarray(step.T), pushed)
    assert states.shape == (41, 6)
    assert np.array_equal(states[0], start)
    for t in range(40):
        assert states[t + 1] == pytest.approx(step @ states[t] + pushed[t])


@pytest.mark.parametrize("compiled", [True, False])
def test_the_tanks_thermostat_stops_heat_but_cools_nothing(compiled):
    run = kernel.tank_c if compiled else kernel.tank_c.py_func
    on = np.array([True, True, False, True, True])
    path = run(50.0, on, np.array([1.0, 0.0, 2.0, 0.0, 0.5]), 3.0, np.array([51.0, 51.0, 51.0, 48.0, 60.0]))
    assert path.tolist() == [50.0, 51.0, 51.0, 49.0, 49.0, 51.5]
