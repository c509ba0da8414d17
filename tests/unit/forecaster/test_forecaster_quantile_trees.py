"""Quantile trees: levels hold their share, models survive a file, and wrong input is named."""

import json

import numpy as np
import pytest

from pems_common.errors import PermanentError
from pems_forecaster.domain.quantile_trees import QuantileTrees, TreeSettings

SMALL = TreeSettings(rounds=60, depth=3, rate=0.2, least_rows=5.0)


def world(seed=1, rows=4000):
    """Noise whose width is known: uniform within +-x."""
    rng = np.random.default_rng(seed)
    x, useless = rng.uniform(0.5, 2.0, rows), rng.normal(size=rows)
    return {"x": x, "useless": useless}, 3.0 * x + x * rng.uniform(-1.0, 1.0, rows)


@pytest.fixture(scope="module")
def trained():
    features, target = world()
    return QuantileTrees.train(features, target, SMALL, name="y [W]", notes={"parent": "none"})


def test_each_level_is_exceeded_as_often_as_it_says(trained):
    features, target = world(seed=2)
    said = trained.predict(features)
    assert (np.diff(said, axis=1) >= 0.0).all(), "levels do not cross"
    share = (target[:, None] <= said).mean(axis=0)
    assert share == pytest.approx([0.1, 0.5, 0.9], abs=0.04)
    # Of a uniform width of 2 x the band from P10 to P90 is 1.6 x.
    assert np.mean((said[:, 2] - said[:, 0]) / features["x"]) == pytest.approx(1.6, abs=0.15)


def test_it_knows_what_it_learnt_from(trained):
    card = trained.card
    assert (card.target, card.features, card.rows) == ("y [W]", ("x", "useless"), 4000)
    importance = trained.importance()
    assert list(importance) == ["x", "useless"]
    assert sum(importance.values()) == pytest.approx(1.0)
    assert importance["x"] > 0.9


def test_the_same_data_gives_the_same_model_and_hash():
    features, target = world(rows=500)
    one, two = (QuantileTrees.train(features, target, SMALL, name="y") for _ in range(2))
    assert one.card.data_hash == two.card.data_hash
    assert np.array_equal(one.predict(features), two.predict(features))
    other = QuantileTrees.train(features, target + 1.0, SMALL, name="y")
    assert other.card.data_hash != one.card.data_hash


def test_rows_without_a_truth_teach_nothing():
    features, target = world(rows=500)
    holes = np.concatenate([target, np.full(100, np.nan)])
    longer = {name: np.concatenate([column, np.zeros(100)]) for name, column in features.items()}
    one = QuantileTrees.train(features, target, SMALL, name="y")
    two = QuantileTrees.train(longer, holes, SMALL, name="y")
    assert one.card.data_hash == two.card.data_hash
    assert np.array_equal(one.predict(features), two.predict(features))


def test_a_model_survives_its_files(trained, tmp_path):
    features, _ = world(seed=3, rows=50)
    trained.save(tmp_path / "pv" / "1")
    again = QuantileTrees.load(tmp_path / "pv" / "1")
    assert again.card == trained.card
    assert np.array_equal(again.predict(features), trained.predict(features))
    assert sorted(path.name for path in (tmp_path / "pv" / "1").iterdir()) == ["card.json", "model.ubj"]
    assert again.predict({name: column[:0] for name, column in features.items()}).shape == (0, 3)


def test_what_is_damaged_is_refused_with_a_remedy(trained, tmp_path):
    with pytest.raises(PermanentError, match="no model in"):
        QuantileTrees.load(tmp_path)
    trained.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {"features": ["x"]}))
    with pytest.raises(PermanentError, match="knows 2 features, its card 1"):
        QuantileTrees.load(tmp_path)
    for broken in ("{}", "[]", json.dumps(card | {"settings": {"levels": [0.9, 0.1]}})):
        (tmp_path / "card.json").write_text(broken)
        with pytest.raises(PermanentError, match="no model card"):
            QuantileTrees.load(tmp_path)
    (tmp_path / "card.json").write_text(json.dumps(card))
    whole = (tmp_path / "model.ubj").read_bytes()
    for at in range(0, len(whole), len(whole) // 7):  # XGBoost itself may crash on such a file
        (tmp_path / "model.ubj").write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        with pytest.raises(PermanentError, match=r"not the one that card\.json was written for"):
            QuantileTrees.load(tmp_path)
    (tmp_path / "model.ubj").write_bytes(b"not a model")
    with pytest.raises(PermanentError, match="no model in"):
        QuantileTrees.load(tmp_path)


def test_wrong_input_is_named(trained):
    features, target = world(rows=20)
    with pytest.raises(ValueError, match="features are missing: useless"):
        trained.predict({"x": features["x"]})
    with pytest.raises(ValueError, match="20 rows of features, but 19"):
        QuantileTrees.train(features, target[1:], SMALL, name="y")
    with pytest.raises(ValueError, match="no row tells y"):
        QuantileTrees.train(features, np.full(20, np.nan), SMALL, name="y")
    for levels in ((), (0.0, 0.5), (0.5, 0.1), (0.5, 0.5)):
        with pytest.raises(ValueError, match="quantile levels"):
            TreeSettings(levels=levels)
