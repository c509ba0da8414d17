"""PV backtests know nothing that came later, are zero at night, and beat physics on a plant that physics has wrong."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pems_common.home.models import Pv, Roof
from pems_forecaster.backtest.pv import PvLearner, PvSettings, run_periods
from pems_forecaster.domain.pv_table import PvPlace, PvTable, features_of, physics_of
from pems_forecaster.domain.quantile_trees import TreeSettings
from pems_forecaster.domain.rolling_conformal import ConformalSettings
from pems_forecaster.domain.scores import score

DAY_S = 86_400
START_S = 1_714_521_600  # 2024-05-01 00:00 UTC
DAYS = 75
PLANT = Pv(roofs=(Roof(name="south", peak_w=5000.0, tilt_deg=35.0, azimuth_deg=180.0),), inverter_ac_limit_w=4600.0)
PLACE = PvPlace(49.8, 15.5, 400.0, PLANT)
QUICK = PvSettings(
    trees=TreeSettings(levels=(0.1, 0.5, 0.9), rounds=15, depth=4, rate=0.35, least_rows=5.0),
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


@pytest.fixture(scope="module")
def free(shaded):
    """What is said where nothing is wrong."""
    return told(shaded, 35, 50, 75)


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
    by_heart = replace(QUICK, trees=replace(QUICK.trees, rounds=60, depth=8, rate=0.4, least_rows=1.0))
    learner = PvLearner([shaded], by_heart)
    *_, (_, said) = run_periods(learner, bounds(30, 55, 75))
    day = said.daylight
    raw, ours = (score(said.actual[day], q[day], said.levels, 1.0).coverage for q in (said.raw, said.quantiles))
    assert raw < 0.65
    assert 0.74 < ours < 0.86


def with_power(made: PvTable, days: tuple[int, int], power_w) -> PvTable:
    """Another power from one day to before another."""
    day = (made.start_s - START_S) // DAY_S
    return replace(made, power_w=np.where((day >= days[0]) & (day < days[1]), power_w, made.power_w))


def told(made: PvTable, *days: int):
    *_, (_, said) = run_periods(PvLearner([made], QUICK), bounds(*days))
    return said


def rmse_of(said, rows=slice(None)) -> float:
    return float(np.sqrt(((said.quantiles[:, 1] - said.actual)[rows] ** 2).mean()))


def coverage_of(said, rows=True) -> float:
    rows = rows & said.daylight
    return score(said.actual[rows], said.quantiles[rows], said.levels, 1.0).coverage


@pytest.mark.parametrize("ahead_h", [0, 12, 30])
def test_the_future_may_be_nothing_but_holes_or_nonsense(shaded, ahead_h):
    """What follows the issue changes no bit of a forecast, also told days ahead, and after faults."""
    faulty = with_power(with_power(shaded, (40, 75), 0.5 * shaded.power_w), (52, 54), 700.0)
    issued_s, issue = shaded.issued_s - 3600 * ahead_h, START_S + 60 * DAY_S - 3600 * ahead_h
    later, untold = shaded.start_s + shaded.step_s > issue, issued_s > issue
    holes = {name: np.where(untold, np.nan, column) for name, column in shaded.weather.items()}
    one, other, wild = (
        told(replace(faulty, issued_s=issued_s, weather=weather, power_w=power_w, limited=limited), 49, 60, 61)
        for weather, power_w, limited in (
            (shaded.weather, faulty.power_w, later & False),
            (holes, np.where(later, np.nan, faulty.power_w), later & False),
            (shaded.weather, np.where(later, 9000.0, faulty.power_w), later),
        )
    )
    assert np.isfinite(one.actual).all()
    assert np.isnan(other.actual).all()
    assert (one.quantiles != one.raw).any(), "calibrated"
    assert one.quantiles.max() < 0.45, "the jump was seen"
    for changed in (other, wild):
        assert np.array_equal(one.quantiles, changed.quantiles)
        assert np.array_equal(one.climatology, changed.climatology)
        for name, median in one.medians.items():
            assert np.array_equal(median, changed.medians[name]), name


def test_the_first_day_needs_no_data():
    """Without any day of its own a plant has physics and a width; trees come later."""
    plain = table(shade=1.0)
    learner = PvLearner([plain], QUICK)
    (first, said), *_, (last, _) = run_periods(learner, bounds(0, 5, 15, 30))
    assert (first.card.rows, first.trees) == (0, None)
    assert last.trees is not None
    assert last.residual
    day, median = said.daylight, said.quantiles[:, 1]
    assert np.abs(median - said.medians["physics"]).max() < 0.05
    assert 0.6 < score(said.actual[day], said.quantiles[day], said.levels, 1.0).coverage <= 1.0


def test_trees_say_all_of_it_with_a_long_history(shaded):
    few, many = (
        PvLearner([shaded], replace(QUICK, residual_days=days)).train_for(*bounds(60, 75)) for days in (90, 50)
    )
    assert (few.residual, many.residual) == (True, False)


def test_half_a_roof_gone_dark_is_followed_within_two_weeks(shaded, free):
    """Though the trees were grown before, and know nothing of it."""
    dark = told(with_power(shaded, (50, 75), 0.5 * shaded.power_w), 35, 50, 75)
    late = (dark.start_s - START_S) // DAY_S >= 64
    assert rmse_of(dark, late) < 0.7 * rmse_of(free, late)
    assert abs(coverage_of(dark, late) - 0.8) < 0.15


@pytest.mark.parametrize("fault", ["stuck", "held back", "told to hold back", "an hour late"])
def test_what_is_not_the_suns_doing_poisons_nothing(shaded, free, fault):
    """What is said during the fault and after it is nearly what would have been said without."""
    day = (shaded.start_s - START_S) // DAY_S
    wrong, held = (day >= 40) & (day < 55), shaded.power_w > 800.0
    power_w, limited = {
        "stuck": (np.full(len(day), 700.0), wrong & False),
        "held back": (np.minimum(shaded.power_w, 800.0), wrong & False),
        "told to hold back": (np.minimum(shaded.power_w, 800.0), wrong & held),
        "an hour late": (np.roll(shaded.power_w, 1), wrong & False),
    }[fault]
    said = replace(
        told(replace(with_power(shaded, (40, 55), power_w), limited=limited), 35, 50, 75), actual=free.actual
    )
    assert rmse_of(said) < 1.5 * rmse_of(free)
    assert abs(coverage_of(said) - 0.8) < 0.12


def test_without_weather_the_last_days_speak(shaded, free):
    """Wider than with it, near what the plant gives, and nothing learnt from it."""
    silent = (shaded.start_s - START_S) // DAY_S == 60
    weather = {name: np.where(silent, np.nan, column) for name, column in shaded.weather.items()}
    issued_s = np.where(silent, START_S + 59 * DAY_S, shaded.issued_s)
    said = told(replace(shaded, weather=weather, issued_s=issued_s), 35, 50, 75)
    rows = ((said.start_s - START_S) // DAY_S == 60) & said.daylight
    width, usual = ((one.quantiles[rows, 2] - one.quantiles[rows, 0]).mean() for one in (said, free))
    assert width > 1.3 * usual
    assert np.abs(said.quantiles[rows, 1] - said.climatology[rows, 1]).max() < 0.05
    never = told(replace(shaded, weather={**shaded.weather, "ghi_w_m2": np.full(len(issued_s), np.nan)}), 0, 3)
    assert np.isfinite(never.quantiles).all()
    assert (never.quantiles[never.daylight, 2] > 0.1).any()


def test_bands_are_wider_the_further_they_look():
    """Leads run to 54 h and meet each hour of the day; errors of the weather grow with them."""
    rng = np.random.default_rng(5)
    plain = table(seed=3)
    issued_s = plain.start_s - (plain.start_s - START_S) % (54 * 3600)
    lead_h = (plain.start_s - issued_s) / 3600.0
    noise = rng.normal(0.0, 0.04 + 0.10 * lead_h / 48.0) * physics_of(plain).clear_ghi_w_m2
    sky = np.maximum(plain.weather["ghi_w_m2"] + noise, 0.0)
    made = replace(plain, issued_s=issued_s, weather={**plain.weather, "ghi_w_m2": sky})
    clear = physics_of(made).clear_w / PLANT.inverter_ac_limit_w
    for days in ((0, 40), (30, 45, 75)):  # physics only, and with trees
        said = told(made, *days)
        place = np.searchsorted(made.start_s, said.start_s)
        width = (said.quantiles[:, 2] - said.quantiles[:, 0])[said.daylight] / clear[place][said.daylight]
        part = (lead_h[place][said.daylight] // 18).astype(int)
        means = np.bincount(part, weights=width) / np.bincount(part)
        assert (np.diff(means) > 0.0).all(), means


def test_no_band_is_narrower_than_the_meter_or_crosses(shaded):
    certain = replace(QUICK, resolution=0.02)
    learner = PvLearner([replace(shaded, power_w=0.0 * shaded.power_w)], certain)  # snow on the roof
    *_, (_, said) = run_periods(learner, bounds(20, 45, 75))
    width = said.quantiles[:, 2] - said.quantiles[:, 0]
    lit = physics_of(shaded).clear_w[45 * 24 : 75 * 24] > 0.0
    assert width[lit].min() >= 0.02 - 1e-12
    assert (said.quantiles[~lit] == 0.0).all()
    assert (np.diff(said.quantiles, axis=1) >= 0.0).all()
    assert said.quantiles.min() >= 0.0


def test_local_time_is_nowhere(shaded, monkeypatch):
    """Days and hours are the sun's and UTC's: the machine's zone, and its change of clocks, change nothing."""
    features = []
    for zone in ("UTC", "Europe/Prague", "Australia/Lord_Howe"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        features.append(features_of(shaded, physics_of(shaded)))
    monkeypatch.undo()
    time.tzset()
    for other in features[1:]:
        assert all(np.array_equal(column, other[name], equal_nan=True) for name, column in features[0].items())


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
        ({"limited": np.zeros(3, dtype=np.bool_)}, "limited has 3 rows"),
        ({"start_s": np.full(24 * DAYS, START_S)}, "order of time"),
    ],
)
def test_tables_that_cannot_be_right_are_refused(shaded, change, what):
    with pytest.raises(ValueError, match=what):
        replace(shaded, **change)
    with pytest.raises(ValueError, match="at least one plant"):
        PvLearner([])
