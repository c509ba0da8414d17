"""Properties of identification, whatever comes in."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pems_common.messages import RoomModel
from pems_forecaster.domain.room_fit.identify import identify_house
from pems_forecaster.domain.room_fit.modes import Noise, modes_of, riccati
from pems_forecaster.domain.room_fit.series import HouseSeries

DAY = 96
MODEL = RoomModel(
    ria_k_w=0.01, rea_k_w=0.05, ci_j_k=1.2e6, cm_j_k=3e6, solar_m2={"south": 1.0}, heater_w=1000.0, heat_to_mass=0.9
)


def of(low, high):
    return st.floats(np.log(low), np.log(high)).map(lambda value: np.array([np.exp(value)]))


@given(
    ria=of(1e-3, 0.1),
    loss=of(1.0, 500.0),
    ci=of(1e5, 1e7),
    cm=of(1e5, 1e8),
    noises=st.tuples(of(1e-4, 1.0), of(1e-6, 1.0), of(1e-6, 1.0), of(1e-6, 1.0), of(0.5, 60.0)),
)
@settings(deadline=None, max_examples=150)
def test_modes_decay_and_the_filter_is_stable(ria, loss, ci, cm, noises):
    modes = modes_of(ria, loss, ci, cm, Noise(*noises), 900)
    assert (modes.decay > 0.0).all()
    assert (modes.decay < 1.0).all()
    assert modes.variance[0] > noises[0][0]
    # An error of the state dies out: eigenvalues of (I - K C) A.
    kept = np.diag(modes.decay[:, 0]) - np.outer(modes.gain[:, 0], modes.decay[:, 0])
    assert np.abs(np.linalg.eigvals(kept)).max() < 1.0


@given(scale=of(1e-3, 1e3))
@settings(deadline=None, max_examples=30)
def test_a_filter_with_all_variances_scaled_is_the_same_filter(scale):
    step = np.array([[[0.9, 0.05, 0.2], [0.02, 0.97, 0.0], [0.0, 0.0, 0.98]]])
    wander = np.diag([1e-3, 2e-4, 1e-4])[None]
    one, other = riccati(step, wander, np.array([0.01])), riccati(step, scale * wander, 0.01 * scale)
    np.testing.assert_allclose(other, scale * one, rtol=1e-6)


@given(
    seed=st.integers(0, 10**6),
    level=st.floats(-20.0, 50.0),
    noise=st.floats(0.0, 10.0),
    missing=st.floats(0.0, 1.0),
    heated=st.booleans(),
)
@settings(deadline=None, max_examples=8)
def test_nonsense_gives_positive_finite_models_that_do_not_control(seed, level, noise, missing, heated):
    rng = np.random.default_rng(seed)
    steps = 5 * DAY
    air = level + rng.normal(0.0, noise, steps)
    air[rng.random(steps) < missing] = np.nan
    heat = rng.choice([0.0, 1000.0], steps) if heated else np.zeros(steps)
    outdoor = np.where(rng.random(steps) < 0.1, np.nan, rng.normal(0.0, 3.0, steps))
    series = HouseSeries(
        0, 900, {"a": air}, {"a": heat}, outdoor, {"south": np.zeros(steps)}, (np.arange(steps) // 4) % 24, {}
    )
    fit = identify_house({"a": MODEL}, series)["a"]
    for name in ("ria_k_w", "rea_k_w", "ci_j_k", "cm_j_k"):
        value = getattr(fit.model, name)
        low, high = fit.interval[name]
        assert 0.0 < low <= value <= high < np.inf
    assert 0.0 <= fit.model.heat_to_mass <= 1.0
    assert min(fit.model.gains_w.values()) >= 0.0
    assert fit.tier() != "control"
