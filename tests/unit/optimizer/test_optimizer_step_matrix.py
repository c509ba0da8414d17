"""The exact step of all rooms together, against SciPy's matrix exponential."""

import numpy as np
import pytest
from scipy.linalg import expm
from tests.unit.optimizer.optimizer_cases import first_house, winter_case

from pems_optimizer.domain.room_arrays import joint_step


@pytest.mark.parametrize("step_s", [60.0, 900.0, 48 * 3600.0])
def test_the_joint_step_is_the_matrix_exponential(step_s):
    thermals = list(winter_case(first_house(), 0).thermals.values())
    count = len(thermals)
    coupling = np.full((count, count), 2.0) - 2.0 * np.eye(count)
    tiny, unit = 1e-3, np.eye(2 * count)
    a, b = joint_step(thermals, coupling, step_s)
    # The generator follows from a very short step; the long one must be its exponential.
    system = (joint_step(thermals, coupling, tiny)[0] - unit) / tiny
    assert np.allclose(a, expm(system * step_s), atol=1e-6)
    capacity = np.array([t.model.ci_j_k for t in thermals] + [t.model.cm_j_k for t in thermals])
    # d/dt of the input's effect is the step matrix over the capacity.
    shorter, longer = (joint_step(thermals, coupling, step_s + e)[1] for e in (-1e-2, 1e-2))
    assert np.allclose((longer - shorter) / 2e-2, a / capacity, rtol=1e-3, atol=1e-12)
    assert b.shape == a.shape
