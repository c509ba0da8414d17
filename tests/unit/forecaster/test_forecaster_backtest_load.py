"""Load backtests know nothing that came later, begin with similar days, and stand beside simple methods."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_household import DAY_S, HOUR_S, QUICK, household, midnight

from pems_forecaster.backtest.load import LoadLearner, run_periods
from pems_forecaster.domain.load_features import LEVELS
from pems_forecaster.domain.load_model import LoadSettings
from pems_forecaster.domain.load_series import LoadSeries
from pems_forecaster.domain.rolling_conformal import ConformalSettings

SETTINGS = LoadSettings(trees=QUICK, conformal=ConformalSettings(batches=30, least_rows=50))


@pytest.fixture(scope="module")
def series() -> LoadSeries:
    return household(60, away=(44, 45))


@pytest.mark.parametrize("hour", [0, 15])
def test_the_future_may_be_nothing_but_holes(series, hour):
    """Everything after an issue set to NaN: models, blend, band and simple methods say the same, bit for bit."""
    issues = np.array([midnight(day) + hour * HOUR_S for day in range(28, 56)])
    issue_s = int(issues[-1])
    holes = series.power_w.copy()
    holes[(issue_s - series.first_s) // series.step_s :] = np.nan
    told = []
    for known in (series, replace(series, power_w=holes)):
        learner = LoadLearner(known, SETTINGS, issued_s=issues)
        *_, (model, said) = run_periods(learner, [midnight(42), issue_s, issue_s + DAY_S])
        told.append(said)
        assert model is not None
        assert model.quantiles.card.notes == {"trained_before_s": str(issue_s)}
    one, other = told
    assert np.isfinite(one.rows.actual_w).all()
    assert np.isnan(other.rows.actual_w).all()
    assert not np.array_equal(one.said.quantiles_w, one.trees.quantiles_w), "blended and calibrated"
    assert not np.array_equal(one.trees.quantiles_w, one.rows.usual_quantiles_w), "trees were asked"
    for a, b in (
        (one.said.quantiles_w, other.said.quantiles_w),
        (one.said.mean_w, other.said.mean_w),
        (one.trees.quantiles_w, other.trees.quantiles_w),
        *((one.quantiles_w[name], other.quantiles_w[name]) for name in one.quantiles_w),
        *((one.means_w[name], other.means_w[name]) for name in one.means_w),
    ):
        assert np.array_equal(a, b)


def test_simple_methods_say_what_their_names_say(series):
    learner = LoadLearner(series, SETTINGS)
    said = learner.forecast(None, midnight(50), midnight(51))
    load_w = series.power_w.reshape(-1, 24)
    rows = said.rows
    assert rows.actual_w.tolist() == load_w[50:52].ravel().tolist()
    assert said.means_w["persistence"].tolist() == np.tile(load_w[49], 2).tolist(), "of tomorrow only today is known"
    assert said.means_w["weekly_persistence"].tolist() == load_w[43:45].ravel().tolist()
    expected = np.quantile(load_w[22:50], LEVELS, axis=0, method="hazen").T
    assert said.quantiles_w["month"] == pytest.approx(np.tile(expected, (2, 1)))
    assert said.trees.mean_w.tolist() == said.means_w["similar_days"].tolist(), "there was no model"


def test_periods_follow_each_other_and_begin_without_a_model(series):
    learner = LoadLearner(series, SETTINGS)
    periods = list(run_periods(learner, [midnight(28), midnight(36), midnight(50), midnight(59)]))
    models = [model for model, _ in periods]
    assert models[0] is None, "nothing was over yet"
    assert models[1].quantiles.card.rows < models[2].quantiles.card.rows
    issued = np.concatenate([np.unique(said.rows.issued_s) for _, said in periods])
    assert issued.tolist() == [midnight(day) for day in range(28, 59)]
    for _, said in periods:
        assert (np.diff(said.said.quantiles_w, axis=1) >= 0.0).all()
        assert said.said.quantiles_w.min() >= 0.0
        assert said.said.mean_w.min() >= 0.0


def test_no_lesson_is_of_a_day_that_was_not_over(series):
    """Midday on day 40: it may not teach, for nobody knows yet whether it is an away day."""
    garbled = series.power_w.copy()
    garbled[40 * 24 :] = 31_000.0
    one, other = (
        LoadLearner(replace(series, power_w=power_w), SETTINGS).train(midnight(40) + 12 * HOUR_S)
        for power_w in (series.power_w, garbled)
    )
    assert one.quantiles.card.data_hash == other.quantiles.card.data_hash
    assert one.quantiles.card.rows == 24 * (2 * 11 - 1) + 2 * 12, "days 28 to 38, and the morning of day 39"


def test_a_period_without_an_issue_is_refused(series):
    with pytest.raises(ValueError, match="no forecast is issued"):
        LoadLearner(series, SETTINGS).forecast(None, midnight(90), midnight(95))
