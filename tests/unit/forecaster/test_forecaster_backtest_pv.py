"""PV backtests know nothing that came later, are zero at night, and beat physics on a plant that physics has wrong."""

from dataclasses import replace

import numpy as np
import pytest

from pems_common.home.models import Pv, Roof
from pems_forecaster.backtest.pv import PvLearner, PvSettings, run_periods
from pems_forecaster.backtest.pv_table import PvPlace, PvTable, features_of, physics_of
from pems_forecaster.backtest.scores import score
from pems_forecaster.domain.quantile_trees import TreeSettings
from pems_forecaster.domain.rolling_conformal import ConformalSettings

DAY_S = 86_400
START_S = 1_714_521_600  # 2024-05-01 00:00 UTC
DAYS = 75
PLANT = Pv(roofs=(Roof(name="south", peak_w=5000.0, tilt_deg=35.0, azimuth_deg=180.0),), inverter_ac_limit_w=4600.0)
PLACE = PvPlace(49.8, 15.5, 400.0, PLANT)
QUICK = PvSettings(
    trees=TreeSettings(levels=(0.1, 0.5, 0.9), rounds=40, depth=4, rate=0.2, least_rows=5.0),
    conformal=ConformalSettings(least_width=0.01),
)


def table(seed=1, *, shade=1.0) -> PvTable:
    """Hourly rows with day-ahead weather; the plant gives `shade` of what physics says, after weather errors."""
    rng = np.random.default_rng(seed)
    start = START_S + 3600 * np.arange(24 * DAYS)
    issued = start - start % DAY_S
    plain = PvTable(
        PLACE, start, issued, 3600, {"ghi_w_m2": np.zeros(len(start)), "temperature_c": np.full(len(start), 15.0)},
        np.full(len(start), np.nan),
    )  # fmt: skip
    clear = physics_of(plain).clear_ghi_w_m2
    sky = np.repeat(rng.uniform(0.2, 1.0, DAYS), 24)
    told = np.clip(sky + rng.normal(0.0, 0.1, len(start)), 0.05, 1.1)
    weather = {"ghi_w_m2": told * clear, "temperature_c": np.full(len(start), 15.0), "cloud_pct": 100 * (1 - sky)}
    true = replace(plain, weather={**weather, "ghi_w_m2": sky * clear})
    return replace(plain, weather=weather, power_w=shade * physics_of(true).power_w)


@pytest.fixture(scope="module")
def shaded():
    return table(shade=0.6)


def bounds(*days: int) -> list[int]:
    return [START_S + day * DAY_S for day in days]


def test_it_learns_what_physics_does_not_know(shaded):
    learner = PvLearner([shaded], QUICK)
    ((_, said),) = run_periods(learner, bounds(45, 75))
    day = said.daylight
    ours = score(said.actual[day], said.quantiles[day], said.levels, 1.0)
    physics = np.sqrt(((said.medians["physics"] - said.actual)[day] ** 2).mean())
    assert ours.rmse < 0.6 * physics
    night = physics_of(shaded).clear_w[45 * 24 : 75 * 24] == 0.0
    assert night.sum() > 30 * 6
    assert (said.quantiles[night] == 0.0).all()
    assert (np.diff(said.quantiles, axis=1) >= -1e-12).all()
    assert said.quantiles.min() >= 0.0
    assert said.quantiles.max() <= 1.0


def test_calibration_brings_the_band_towards_what_it_promises(shaded):
    """Trees that learn by heart are far too sure of themselves."""
    by_heart = replace(QUICK, trees=replace(QUICK.trees, rounds=150, depth=8, least_rows=1.0))
    learner = PvLearner([shaded], by_heart)
    *_, (_, said) = run_periods(learner, bounds(30, 55, 75))
    day = said.daylight
    raw, ours = (score(said.actual[day], q[day], said.levels, 1.0).coverage for q in (said.raw, said.quantiles))
    assert raw < 0.65
    assert 0.74 < ours < 0.86


@pytest.mark.parametrize("ahead_h", [0, 12, 30])
def test_the_future_may_be_nothing_but_holes(shaded, ahead_h):
    """Everything after the issue set to NaN gives the same forecasts, bit for bit; also where days are told ahead."""
    told_ahead = replace(shaded, issued_s=shaded.issued_s - 3600 * ahead_h)
    issue = START_S + 60 * DAY_S - 3600 * ahead_h
    holes = {name: np.where(told_ahead.issued_s > issue, np.nan, column) for name, column in shaded.weather.items()}
    power_w = np.where(shaded.start_s + shaded.step_s > issue, np.nan, shaded.power_w)
    told = []
    for known in (told_ahead, replace(told_ahead, weather=holes, power_w=power_w)):
        learner = PvLearner([known], QUICK)
        *_, (_, said) = run_periods(learner, bounds(45, 60, 61))
        told.append(said)
    one, other = told
    assert np.isfinite(one.actual).all()
    assert np.isnan(other.actual).all()
    assert (one.quantiles != one.raw).any(), "calibrated"
    assert np.array_equal(one.quantiles, other.quantiles)
    assert np.array_equal(one.climatology, other.climatology)
    for name, median in one.medians.items():
        assert np.array_equal(median, other.medians[name]), name


def test_plants_learn_together(shaded):
    learner = PvLearner([shaded, table(seed=2, shade=0.9)], QUICK)
    ((model, said),) = run_periods(learner, bounds(45, 75))
    assert {"plant", "ghi_w_m2_of_all"} <= set(model.card.features)
    assert set(said.plant.tolist()) == {0, 1}
    for k in (0, 1):
        mine = said.daylight & (said.plant == k)
        assert abs(score(said.actual[mine], said.quantiles[mine], said.levels, 1.0).bias) < 0.03


def test_neighbours_are_taken_from_the_same_run_only(shaded):
    features = features_of(shaded, physics_of(shaded))
    assert np.isnan(features["ghi_w_m2_-1"][24]), "the hour before belongs to yesterday's run"
    assert features["ghi_w_m2_-1"][25] == shaded.weather["ghi_w_m2"][24]
    assert np.isnan(features["ghi_w_m2_+1"][23])
    assert features["lead_h"][24:27].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"step_s": 1000}, "multiple of 900"),
        ({"weather": {"ghi_w_m2": np.zeros(24 * DAYS)}}, "temperature_c is missing"),
        ({"power_w": np.zeros(3)}, "power_w has 3 rows"),
        ({"issued_s": np.full(24 * DAYS, START_S + 99 * DAY_S)}, "know the future"),
        ({"start_s": np.full(24 * DAYS, START_S)}, "order of time"),
    ],
)
def test_tables_that_cannot_be_right_are_refused(shaded, change, what):
    with pytest.raises(ValueError, match=what):
        replace(shaded, **change)
    with pytest.raises(ValueError, match="at least one plant"):
        PvLearner([])
