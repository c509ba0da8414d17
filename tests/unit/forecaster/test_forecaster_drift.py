"""Lasting falls of skill, and errors that rise within a week."""

import numpy as np
import pytest

from pems_forecaster.domain.drift import drifted, error_rose


def skills(days: int, mean: float, seed: int) -> list[float]:
    return (mean + 0.2 * np.random.default_rng(seed).standard_normal(days)).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_a_lasting_fall_is_found_within_days_and_an_ordinary_quarter_is_none(seed: int):
    usual = skills(60, 0.3, seed)
    assert not drifted(usual)
    assert drifted([*usual[:40], *skills(10, -0.3, seed + 100)])


def test_one_terrible_day_is_no_drift():
    assert not drifted([*skills(40, 0.3, 1), -50.0, *skills(20, 0.3, 2)])


def test_errors_that_rise_by_a_fifth_are_told_unless_the_week_was_hard_for_all():
    falling = [0.4] * 7 + [0.2] * 7
    assert error_rose([1.0] * 13, falling) is None
    assert error_rose([1.0] * 7 + [1.19] * 7, falling) is None
    assert error_rose([1.0] * 7 + [1.5] * 7, falling) == pytest.approx(0.5)
    assert error_rose([1.0] * 7 + [1.5] * 7, [0.3] * 14) is None
    assert error_rose([0.0] * 14, falling) is None
