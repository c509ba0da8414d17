"""A linear model finds a line, holds back with a penalty, and does not leave what it has seen."""

import numpy as np
import pytest

from pems_common.errors import PermanentError
from pems_forecaster.domain.ridge import Ridge


def line():
    features = np.random.default_rng(0).normal(0.0, 1.0, (200, 3)) * [1.0, 100.0, 0.01]
    return features, np.column_stack([features[:, 0] + 0.02 * features[:, 1] + 5.0, -300.0 * features[:, 2]])


def test_it_finds_a_line_whatever_the_scales_and_a_penalty_flattens_it():
    features, targets = line()
    loose, tight = (Ridge.fit(features, targets, penalty) for penalty in (1e-6, 1e6))
    np.testing.assert_allclose(loose.predict(features), targets, atol=1e-5)
    np.testing.assert_allclose(tight.predict(features), np.tile(targets.mean(axis=0), (200, 1)), atol=0.01)


def test_it_stays_within_what_it_has_seen_and_passes_holes_on():
    features, targets = line()
    ridge = Ridge.fit(features, targets, 1.0)
    far = ridge.predict(np.array([[1e6, 0.0, 1e6], [0.0, np.nan, 0.0]]))
    assert far[0].tolist() == [targets[:, 0].max(), targets[:, 1].min()]
    assert np.isnan(far[1]).all()


def test_it_goes_through_json():
    features, targets = line()
    ridge = Ridge.fit(features, targets, 1.0)
    assert np.array_equal(Ridge.from_json(ridge.to_json()).predict(features), ridge.predict(features))


@pytest.mark.parametrize(
    "change", [{"offset": [1.0]}, {"offset": ["x", "y"]}, {"most": [np.nan, 1.0]}, {"other": []}, {"weights": [1.0]}]
)
def test_what_is_damaged_is_told(change):
    with pytest.raises(PermanentError, match="linear model"):
        Ridge.from_json(Ridge.fit(*line(), 1.0).to_json() | change)
    with pytest.raises(PermanentError, match="linear model"):
        Ridge.from_json([])


def test_what_cannot_be_fitted_is_told():
    features, targets = line()
    for broken in ((features[:0], targets[:0], 1.0), (features, targets[:3], 1.0), (features, targets, 0.0)):
        with pytest.raises(ValueError, match="nothing can be fitted"):
            Ridge.fit(*broken)
    with pytest.raises(ValueError, match="holes"):
        Ridge.fit(np.where(features > 1.0, np.nan, features), targets, 1.0)
