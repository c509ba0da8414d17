"""Scores by hand, and a bootstrap that knows when a difference is none."""

import numpy as np
import pytest

from pems_forecaster.backtest.pv import spread_levels
from pems_forecaster.domain.scores import block_bootstrap, pinball_rows, score

LEVELS = np.array([0.1, 0.5, 0.9])


def test_pinball_by_hand():
    rows = pinball_rows(np.array([10.0, 0.0]), np.array([[8.0, 9.0, 12.0], [1.0, 2.0, 4.0]]), LEVELS)
    assert rows[0] == pytest.approx((0.1 * 2 + 0.5 * 1 + 0.1 * 2) / 3)
    assert rows[1] == pytest.approx((0.9 * 1 + 0.5 * 2 + 0.1 * 4) / 3)


def test_scores_by_hand_with_a_hole():
    actual = np.array([10.0, 0.0, np.nan, 4.0])
    said = np.array([[8.0, 9.0, 12.0], [1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [4.0, 6.0, 8.0]])
    got = score(actual, said, LEVELS, scale=2.0)
    assert got.rows == 3
    assert got.rmse == pytest.approx(np.sqrt((1 + 4 + 4) / 3) / 2)
    assert got.mae == pytest.approx((1 + 2 + 2) / 3 / 2)
    assert got.bias == pytest.approx((-1 + 2 + 2) / 3 / 2)
    assert got.coverage == pytest.approx(2 / 3), "the edge counts as inside"
    assert got.width == pytest.approx((4 + 3 + 4) / 3 / 2)


def test_what_cannot_be_scored_is_told():
    with pytest.raises(ValueError, match="nothing to score"):
        score(np.array([np.nan]), np.zeros((1, 3)), LEVELS, 1.0)
    with pytest.raises(ValueError, match=r"do not hold 0\.1"):
        score(np.array([1.0]), np.zeros((1, 2)), np.array([0.2, 0.5]), 1.0)


def test_the_bootstrap_tells_better_from_no_different():
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.arange(52), 7)
    loss = rng.gamma(2.0, 1.0, 364)
    low, middle, high = block_bootstrap(0.9 * loss, loss, weeks)
    assert (low, middle, high) == pytest.approx((-0.1, -0.1, -0.1)), "a tenth better whatever is drawn"
    low, _, high = block_bootstrap(rng.permutation(loss), loss, weeks)
    assert low < 0.0 < high


def test_levels_in_between_and_beyond():
    said = np.array([[1.0, 2.0, 4.0]])
    wanted = np.array([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
    spread = spread_levels(said, LEVELS, wanted)[0]
    assert spread[1:6] == pytest.approx([1.0, 1.5, 2.0, 3.0, 4.0])
    assert 0.3 <= spread[0] < 1.0
    assert 4.0 < spread[6] <= 5.4
    assert (np.diff(spread) > 0.0).all()
