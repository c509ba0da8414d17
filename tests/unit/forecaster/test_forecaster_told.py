"""What a backtest tells: scores on common steps, energy of days, reliability."""

import numpy as np
import pytest

from pems_forecaster.backtest.told import OURS, Told, energy_errors, joined, method_scores, reliability

HOURS = 24 * 4
ACTUAL = np.full(HOURS, 100.0)


def band(middle, half=10.0):
    return np.column_stack([np.full(HOURS, middle + offset) for offset in (-half, 0.0, half)])


def made(**changes) -> Told:
    parts = {
        "start_s": np.arange(HOURS) * 3600,
        "actual": ACTUAL,
        "bands": {OURS: band(105.0), "other": band(130.0)},
        "medians": {"persistence": np.full(HOURS, 90.0)},
        "groups": {"first": np.arange(HOURS) < 48, "second": np.arange(HOURS) >= 48},
        "means": {OURS: np.full(HOURS, 110.0)},
    }
    return Told(**{**parts, **changes})


def test_methods_are_scored_on_the_steps_that_all_of_them_know():
    late = np.full(HOURS, 90.0)
    late[:24] = np.nan
    told = made(medians={"persistence": late}, actual=np.where(np.arange(HOURS) < 24, 9999.0, 100.0))
    scores = {(s.group, s.method): s for s in method_scores(told)}
    assert scores["first", OURS].mae == pytest.approx(5.0)  # the odd first day is not counted for anybody
    assert scores["first", "persistence"].rmse == pytest.approx(10.0)
    assert np.isnan(scores["first", "persistence"].coverage_pct)
    assert (scores["second", OURS].coverage_pct, scores["second", "other"].coverage_pct) == (100.0, 0.0)
    assert scores["second", OURS].width == pytest.approx(20.0)


def test_a_method_that_said_nothing_takes_nothing_from_the_others():
    told = made(bands={OURS: band(105.0), "model": np.full((HOURS, 3), np.nan)})
    assert {s.method for s in method_scores(told)} == {OURS, "persistence"}


def test_energy_is_judged_by_whole_days_of_the_first_group():
    assert energy_errors(made()) == {OURS: pytest.approx(0.1)}
    holes = np.where(np.arange(HOURS) % 24 < 10, np.nan, 100.0)
    holes[24:48] = 100.0
    assert energy_errors(made(actual=holes)) == {OURS: pytest.approx(0.1)}
    assert energy_errors(made(means={})) == {}


def test_reliability_is_the_share_below_each_level():
    rng = np.random.default_rng(0)
    actual = rng.uniform(0.0, 100.0, HOURS)
    right = np.tile([10.0, 50.0, 90.0], (HOURS, 1))
    everywhere = {"all": np.ones(HOURS, dtype=bool)}
    found = reliability(made(actual=actual, bands={OURS: right}, groups=everywhere), OURS)
    for level, share in found.items():
        assert share == pytest.approx(level, abs=0.12)


def test_periods_are_joined_in_order():
    told = joined([made(), made(actual=np.full(HOURS, 7.0))])
    assert told.actual[[0, -1]].tolist() == [100.0, 7.0]
    assert told.bands[OURS].shape == (2 * HOURS, 3)
    with pytest.raises(ValueError, match="nothing was forecast"):
        joined([])
