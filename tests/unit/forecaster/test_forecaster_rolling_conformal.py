"""Bands that hold what they promise: too narrow and too wide ones are led to 80 %, and follow a changing world."""

import numpy as np
import pytest

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.rolling_conformal import ConformalSettings, RollingConformal

ROWS = 48


def days(count, *, width, noise, seed=1, shift=0.0):
    """Bands of +-width around a moving middle, and a truth that scatters around it."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        middle = rng.uniform(2.0, 5.0, ROWS)
        yield Quantiles(middle - width, middle, middle + width), middle + shift + noise * rng.normal(size=ROWS)


def coverage(conformal, world, *, last):
    inside = []
    for band, actual in world:
        said = conformal.correct(band)
        inside.append(float(((actual >= said.p10) & (actual <= said.p90)).mean()))
        conformal.learn(band, actual)
    return float(np.mean(inside[-last:]))


@pytest.mark.parametrize("width", [0.3, 1.2816, 4.0])
def test_a_band_of_any_width_comes_to_hold_eighty_per_cent(width):
    assert coverage(RollingConformal(), days(150, width=width, noise=1.0), last=100) == pytest.approx(0.8, abs=0.015)


def test_a_biased_band_misses_on_both_sides_alike():
    conformal = RollingConformal()
    below, above = [], []
    for band, actual in days(200, width=1.3, noise=1.0, shift=0.8):
        said = conformal.correct(band)
        below.append((actual < said.p10).mean())
        above.append((actual > said.p90).mean())
        conformal.learn(band, actual)
    assert np.mean(below[60:]) == pytest.approx(0.1, abs=0.015)
    assert np.mean(above[60:]) == pytest.approx(0.1, abs=0.015)


def test_it_follows_when_the_world_becomes_wilder():
    conformal = RollingConformal()
    coverage(conformal, days(60, width=1.3, noise=1.0), last=30)
    wild = list(days(200, width=1.3, noise=2.5, seed=2))
    assert coverage(RollingConformal(), wild[:3], last=3) < 0.45, "uncorrected"
    assert coverage(conformal, wild[:25], last=5) > 0.75, "within its window of 30 days"
    assert coverage(conformal, wild[25:], last=60) == pytest.approx(0.8, abs=0.02), "and it does not stay too wide"


def test_with_little_known_the_band_is_as_it_was():
    conformal = RollingConformal()
    ((band, actual),) = days(1, width=0.1, noise=1.0)
    assert conformal.correct(band) is band
    conformal.learn(band, actual)
    assert conformal.correct(band) is band
    assert conformal.rows == ROWS


def test_what_is_not_known_is_not_learnt():
    conformal = RollingConformal()
    ((band, actual),) = days(1, width=0.1, noise=1.0)
    conformal.learn(band, np.full(ROWS, np.nan))
    assert conformal.rows == 0
    actual[:40] = np.nan
    conformal.learn(band, actual)
    assert conformal.rows == 8


def test_sides_never_cross_the_median():
    conformal = RollingConformal(ConformalSettings(least_rows=10))
    for band, _ in days(20, width=2.0, noise=0.0):
        conformal.learn(band, band.p50)  # always exactly in the middle
    ((band, _),) = days(1, width=2.0, noise=0.0, seed=9)
    said = conformal.correct(band)
    assert (said.p10 <= said.p50).all()
    assert (said.p90 >= said.p50).all()
    assert (said.p90 - said.p10).max() < 1e-9


def test_the_window_forgets():
    conformal = RollingConformal(ConformalSettings(batches=5))
    coverage(conformal, days(20, width=1.0, noise=1.0), last=5)
    assert conformal.rows == 5 * ROWS
