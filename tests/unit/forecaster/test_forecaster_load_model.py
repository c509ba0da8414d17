"""Load models beat similar days, learn nothing from absences, survive their files, and their band holds its promise."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_household import QUICK, household, midnight

from pems_common.errors import PermanentError
from pems_forecaster.domain.load_features import LEVELS, LoadRows, load_rows
from pems_forecaster.domain.load_level import LoadLevel
from pems_forecaster.domain.load_model import LoadBlend, LoadModel, LoadSaid, LoadSettings, similar_days
from pems_forecaster.domain.quantile_trees import ModelCard, QuantileTrees
from pems_forecaster.domain.rolling_conformal import ConformalSettings
from pems_forecaster.domain.scores import pinball_rows

SETTINGS = LoadSettings(trees=QUICK, conformal=ConformalSettings(batches=30, least_rows=50))


def rows_of(first_day: int, until_day: int, **world) -> LoadRows:
    return load_rows(
        household(until_day + 2, drift=0.25, **world),
        np.array([midnight(day) for day in range(first_day, until_day)]),
        48,
    )


@pytest.fixture(scope="module")
def lessons() -> LoadRows:
    return rows_of(28, 70)


@pytest.fixture(scope="module")
def model(lessons) -> LoadModel:
    return LoadModel.train(lessons, QUICK, {"parent": "none"})


def test_trees_and_their_mean_are_better_than_similar_days(model):
    test = rows_of(70, 90)
    said, simple = model.predict(test), similar_days(test)
    levels = np.array(LEVELS)
    ours, theirs = (pinball_rows(test.actual_w, one.quantiles_w, levels).mean() for one in (said, simple))
    assert ours < 0.98 * theirs
    ours, theirs = (np.mean((one.mean_w - test.actual_w) ** 2) for one in (said, simple))
    assert ours < 0.98 * theirs
    assert said.mean_w.mean() == pytest.approx(test.actual_w.mean(), rel=0.15)
    assert said.quantiles_w.shape == (960, 3)
    assert (np.diff(said.quantiles_w, axis=1) >= 0.0).all()
    assert said.quantiles_w.min() >= 0.0


def test_powers_are_scaled_with_the_house(model):
    """A house that uses ten times as much gets ten times the forecast, without training."""
    small = household(80)
    issue = np.array([midnight(75)])
    one, ten = (load_rows(replace(small, power_w=by * small.power_w), issue, 48) for by in (1.0, 10.0))
    assert model.predict(ten).quantiles_w == pytest.approx(10.0 * model.predict(one).quantiles_w, rel=1e-4)


def test_the_same_lessons_give_the_same_model(lessons, model):
    again = LoadModel.train(lessons, QUICK)
    test = rows_of(70, 72)
    assert again.quantiles.card.data_hash == model.quantiles.card.data_hash
    assert np.array_equal(again.predict(test).quantiles_w, model.predict(test).quantiles_w)
    assert np.array_equal(again.predict(test).mean_w, model.predict(test).mean_w)


def test_away_days_teach_nothing_and_the_future_neither():
    gone = (50, 51)
    rows = rows_of(28, 60, away=gone)
    lessons = LoadModel.train(rows, QUICK).quantiles.card
    garbled = replace(rows, actual_w=np.where(rows.typical & ~rows.away, rows.actual_w, 55_555.0))
    assert LoadModel.train(garbled, QUICK).quantiles.card.data_hash == lessons.data_hash
    # Days 50 and 51 are said from 48 on, and nothing that was said on 51 or 52, while away, counts.
    assert lessons.rows == 24 * (2 * 32 - 4 - 4 + 1)


def test_while_away_similar_days_have_the_word(model):
    rows = rows_of(52, 53, away=(50, 51))
    assert rows.away.all()
    said = model.predict(rows)
    assert np.array_equal(said.quantiles_w, rows.usual_quantiles_w)
    assert np.array_equal(said.mean_w, rows.usual_w)
    blended = LoadBlend(SETTINGS).say(rows, said)
    assert np.array_equal(blended.quantiles_w, rows.usual_quantiles_w)


def test_the_level_of_a_day_follows_what_trees_cannot_see_of_a_step():
    """Every Monday takes twice as much; trees that never saw the weekday are set right by half of it."""
    rows = rows_of(28, 70)
    monday = np.where(rows.features["weekday_no"] == 0.0, 2.0, 1.0)
    rows = replace(rows, actual_w=monday * rows.usual_w)
    early, late = rows.only(rows.issued_s < midnight(63)), rows.only(rows.issued_s >= midnight(63))
    level = LoadLevel.fit(early, np.isfinite(early.actual_w))
    factor = level.factor(late, late.usual_w)
    on_monday = late.features["weekday_no"] == 0.0
    assert factor[on_monday].mean() == pytest.approx(1.5, abs=0.1)
    assert factor[~on_monday].mean() == pytest.approx(1.0, abs=0.05)
    for issued_s in np.unique(late.issued_s):
        for lead_day in (0, 1):
            mine = (late.issued_s == issued_s) & (late.lead_day == lead_day)
            assert len(np.unique(factor[mine])) == 1, "one factor for a day"
    assert (level.factor(late, 1000.0 * late.usual_w) >= 0.5).all()
    assert (level.factor(late, 0.0 * late.usual_w) <= 2.0).all()
    blind = replace(late, features={name: np.full(len(factor), np.nan) for name in late.features})
    assert np.isfinite(level.factor(blind, late.usual_w)).all(), "what is unknown counts as usual"
    assert (level.factor(replace(late, usual_w=np.full(len(factor), np.nan)), late.usual_w) == 1.0).all()
    with pytest.raises(ValueError, match="features are missing: usual, "):
        level.factor(replace(late, features={"weekday_no": factor}), late.usual_w)


def test_a_model_survives_its_files(model, tmp_path):
    model.save(tmp_path / "load" / "1")
    again = LoadModel.load(tmp_path / "load" / "1")
    test = rows_of(70, 71)
    assert np.array_equal(again.predict(test).quantiles_w, model.predict(test).quantiles_w)
    assert np.array_equal(again.predict(test).mean_w, model.predict(test).mean_w)
    assert again.mean.card.settings.mean
    assert not again.quantiles.card.settings.mean
    nothing = test.only(np.zeros(len(test.away), dtype=np.bool_))
    assert again.predict(nothing).quantiles_w.shape == (0, 3)
    for text in ("[]", '{"ridge": {}, "features": []}', "not JSON"):
        (tmp_path / "load" / "1" / "level.json").write_text(text)
        with pytest.raises(PermanentError, match=r"no level of days|no linear model") as caught:
            LoadModel.load(tmp_path / "load" / "1")
        assert caught.value.remedy == "train the model anew"
    (tmp_path / "load" / "1" / "mean" / "card.json").unlink()
    with pytest.raises(PermanentError, match="no model in"):
        LoadModel.load(tmp_path / "load" / "1")


def test_the_mean_is_no_median():
    """Nine times nothing, once 1000 W: on average 100 W, and half of the time nothing."""
    chance = {"x": np.arange(4000) % 7.0}
    target = np.where(np.arange(4000) % 10 == 0, 1000.0, 0.0)
    trees = QuantileTrees.train(chance, target, replace(QUICK, levels=(0.5,), mean=True), name="load [W]")
    assert trees.predict(chance).shape == (4000, 1)
    assert trees.predict(chance).mean() == pytest.approx(100.0, rel=0.02)
    assert ModelCard.from_json(trees.card.to_json()) == trees.card
    with pytest.raises(ValueError, match="the mean is one output"):
        replace(QUICK, mean=True)


def by_day(rows: LoadRows, said: LoadSaid):
    """Each issue's first day: its rows, and what was said of them."""
    for issued_s in np.unique(rows.issued_s):
        mine = (rows.issued_s == issued_s) & (rows.lead_day == 0)
        yield rows.only(mine), LoadSaid(said.quantiles_w[mine], said.mean_w[mine])


def inside(rows: LoadRows, said: LoadSaid) -> float:
    low, _, high = said.quantiles_w.T
    return float(((rows.actual_w >= low) & (rows.actual_w <= high)).mean())


def test_the_band_comes_to_hold_what_it_promises():
    """Bands a third as wide as they should be; the blend begins with similar days and ends near the truth."""
    rows = rows_of(28, 120)
    simple = similar_days(rows)
    middle = simple.quantiles_w[:, 1:2]
    timid = replace(rows, usual_quantiles_w=middle + 0.3 * (simple.quantiles_w - middle))
    blend, before, after = LoadBlend(SETTINGS), [], []
    for number, (day, trees) in enumerate(by_day(timid, similar_days(timid))):
        said = blend.say(day, trees)
        assert (np.diff(said.quantiles_w, axis=1) >= 0.0).all()
        assert said.quantiles_w.min() >= 0.0
        (after if number > 35 else before if number < 2 else []).append(inside(day, said))
        blend.learn(day, trees)
    assert np.mean(before) < 0.45
    assert 0.75 < np.mean(after) < 0.85


def test_the_better_one_gets_the_share():
    """What trees say is right to a hair, or 20 times too much."""
    rows = rows_of(28, 60)
    truth = np.repeat(rows.actual_w[:, None], 3, axis=1)
    for trees_w, follows_trees in ((truth * (0.99, 1.0, 1.01), True), (truth * 20.0, False)):
        blend = LoadBlend(SETTINGS)
        for day, said in by_day(rows, LoadSaid(trees_w, rows.actual_w)):
            last = blend.say(day, said).quantiles_w[:, 1]
            blend.learn(day, said)
        wanted = day.actual_w if follows_trees else day.usual_quantiles_w[:, 1]
        assert last == pytest.approx(wanted, rel=0.02)


def test_days_of_which_nothing_is_known_do_no_harm(lessons):
    blend, fresh = LoadBlend(SETTINGS), LoadBlend(SETTINGS)
    for day, said in by_day(lessons, similar_days(lessons)):
        for one in (blend, fresh):
            one.learn(day, said)
        blind = replace(day, actual_w=np.full(24, np.nan))
        empty = replace(day, usual_w=np.full(24, np.nan), usual_quantiles_w=np.full((24, 3), np.nan))
        absent = replace(day, away=np.ones(24, dtype=np.bool_))
        for nothing in (blind, empty, absent, day.only(np.zeros(24, dtype=np.bool_))):
            blend.learn(nothing, similar_days(nothing))
    test = rows_of(70, 71)
    one, other = (which.say(test, similar_days(test)).quantiles_w for which in (blend, fresh))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, similar_days(test).quantiles_w), "something was learnt"


def test_training_needs_something_to_learn(lessons):
    with pytest.raises(ValueError, match="nothing to train on"):
        LoadModel.train(replace(lessons, actual_w=np.full(len(lessons.actual_w), np.nan)), QUICK)
