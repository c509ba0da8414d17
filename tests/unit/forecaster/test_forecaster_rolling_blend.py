"""Shares of two forecasts from what both said lately."""

import numpy as np
import pytest

from pems_common.errors import PermanentError
from pems_forecaster.domain.rolling_blend import BlendSettings, RollingBlend, mix

LEVELS = np.array([0.1, 0.5, 0.9])


def band(middle: float) -> np.ndarray:
    return np.tile([middle - 1.0, middle, middle + 1.0], (24, 1))


def days(blend: RollingBlend, first: float, second: float, count: int, truth: float = 5.0) -> None:
    for _ in range(count):
        blend.learn(band(first), band(second), np.full(24, truth), LEVELS)


def test_a_new_method_has_to_earn_its_place():
    blend = RollingBlend(BlendSettings(start=0.2, least_batches=4))
    days(blend, 9.0, 5.0, 3)
    assert blend.share == 0.2
    days(blend, 9.0, 5.0, 1)
    assert blend.share == 1.0


def test_the_best_mixture_lies_between_two_that_err_to_both_sides():
    blend = RollingBlend()
    days(blend, 3.0, 8.0, 30)
    assert blend.share == pytest.approx(0.4)


def test_what_has_become_better_is_believed_after_a_while_and_a_tie_stays_with_the_first():
    blend = RollingBlend(BlendSettings(half_life=5.0))
    days(blend, 5.0, 9.0, 40)
    assert blend.share == 0.0
    days(blend, 9.0, 5.0, 20)
    assert blend.share == 1.0
    tied = RollingBlend()
    days(tied, 4.0, 4.0, 20)
    assert tied.share == 0.0


def test_rows_that_are_not_known_count_nothing():
    blend = RollingBlend()
    days(blend, 9.0, 5.0, 10)
    before = blend.to_json()
    blend.learn(band(9.0), band(np.nan), np.full(24, 5.0), LEVELS)
    blend.learn(band(9.0), band(5.0), np.full(24, np.nan), LEVELS)
    assert blend.to_json() == before


def test_it_survives_a_restart_and_refuses_what_is_not_its_own():
    blend, again = RollingBlend(), RollingBlend()
    days(blend, 3.0, 8.0, 30)
    again.load_json(blend.to_json())
    assert again.share == blend.share
    days(blend, 3.0, 6.0, 3)
    days(again, 3.0, 6.0, 3)
    assert again.to_json() == blend.to_json()
    for damaged in ({}, {"losses": [1.0], "batches": 3}, {"losses": "x", "batches": 1},
                    {"losses": [float("nan")] * 11, "batches": 1}):  # fmt: skip
        with pytest.raises(PermanentError):
            again.load_json(damaged)


def test_a_mixture_keeps_the_order_of_its_levels():
    mixed = mix(band(3.0), band(8.0), 0.25)
    assert (np.diff(mixed, axis=1) >= 0.0).all()
    assert mixed[0].tolist() == [3.25, 4.25, 5.25]
