"""The band of the first day: physics in the middle, wider with clouds, lead time and guesses, nothing at night."""

import numpy as np
import pytest

from pems_forecaster.domain.pv_start import physics_quantiles

LEVELS = np.array([0.02, 0.1, 0.5, 0.9, 0.98])
N = 49
CLEAR = np.linspace(0.0, 0.9, N)


def said(*, physics=0.6 * CLEAR, cloud=60.0, lead_h=6.0, guessed=False):
    return physics_quantiles(physics, CLEAR, np.full(N, cloud), np.full(N, lead_h), LEVELS, guessed=np.full(N, guessed))


def width(quantiles):
    return float((quantiles[:, 3] - quantiles[:, 1]).mean())


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 1.3])
@pytest.mark.parametrize("cloud", [0.0, 50.0, 100.0, np.nan])
def test_rules_that_every_band_keeps(strength, cloud):
    physics = np.minimum(strength * CLEAR, 1.0)
    quantiles = said(physics=physics, cloud=cloud)
    assert (quantiles[0] == 0.0).all(), "night"
    assert (np.diff(quantiles, axis=1) >= 0.0).all()
    assert quantiles.min() >= 0.0
    assert quantiles.max() <= 1.0
    assert quantiles[:, 2] == pytest.approx(physics)


def test_what_makes_it_wider():
    leads = [width(said(lead_h=lead_h)) for lead_h in (0.0, 6.0, 24.0, 48.0)]
    assert (np.diff(leads) > 0.0).all()
    assert width(said(cloud=60.0)) > width(said(cloud=100.0)) > width(said(cloud=0.0))
    assert width(said(guessed=True)) > 1.2 * width(said())
    assert width(said(cloud=np.nan)) == pytest.approx(width(said(cloud=50.0)))
