"""Where a spread comes from: known shares are found, chance is not taken for a cause."""

import numpy as np
import pytest

from pems_optimizer.domain.spread_drivers import spread_shares

RNG = np.random.default_rng(5)
A, B, C, NOISE = RNG.normal(size=(4, 2000))


def test_known_shares_are_found():
    found = spread_shares(3.0 * A + B + NOISE, {"a": A, "b": B, "c": C})
    assert list(found) == ["a", "b", "c", "rest"]
    assert found["a"] == pytest.approx(9 / 11, abs=0.03)
    assert found["b"] == pytest.approx(1 / 11, abs=0.03)
    assert found["c"] < 0.01
    assert sum(found.values()) == pytest.approx(1.0)


def test_what_is_not_straight_counts_and_what_only_two_do_together_is_rest():
    assert spread_shares(A**2, {"a": A})["a"] > 0.8
    assert spread_shares(A * B, {"a": A, "b": B})["rest"] > 0.9


def test_without_a_cause_nothing_is_claimed():
    shares = [spread_shares(RNG.normal(size=200), {"a": RNG.normal(size=200)})["a"] for _ in range(200)]
    assert np.mean(shares) < 0.03


def test_few_draws_or_no_spread_tell_nothing():
    assert spread_shares(A[:39], {"a": A[:39]}) == {}
    assert spread_shares(np.full(100, 7.0), {"a": A[:100]}) == {}
    assert spread_shares(A[:100], {"a": np.zeros(100)}) == {"a": 0.0, "rest": 1.0}
