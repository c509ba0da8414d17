"""Boosted trees that learn several quantiles of one target at once (XGBoost), and what has to be known about them.

A model is kept as two files: XGBoost's own UBJSON and a JSON card. Nothing is pickled.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import Floats

__all__ = ["ModelCard", "QuantileTrees", "TreeSettings"]

Matrix = NDArray[np.float32]
_MODEL, _CARD, _DIGEST = "model.ubj", "card.json", "model_sha256"


@dataclass(frozen=True)
class TreeSettings:
    """How trees are grown.

    Attributes:
        levels: Quantile levels, rising, each above 0 and below 1.
        rounds: Boosting rounds; each grows one tree per level.
        depth: Most depth of a tree.
        rate: Learning rate.
        subsample: Share of the rows that each tree sees.
        columns: Share of the features that each tree sees.
        least_rows: Least weight of rows in a leaf.
        penalty: L2 penalty on leaves.
        bins: Bins that a feature is cut into.
        threads: Processor threads; 1 makes the trees the same on every machine.
        seed: Of the random choices.
        mean: Learn the mean (squared error) instead; there is one output, and `levels` names one level for it.
    """

    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    rounds: int = 200
    depth: int = 6
    rate: float = 0.05
    subsample: float = 0.8
    columns: float = 0.5
    least_rows: float = 20.0
    penalty: float = 1.0
    bins: int = 128
    threads: int = 1
    seed: int = 0
    mean: bool = False

    def __post_init__(self) -> None:
        """Check the levels."""
        if not self.levels or any(not 0.0 < level < 1.0 for level in self.levels):
            raise ValueError(f"quantile levels {self.levels}: each has to be above 0 and below 1")
        if sorted(set(self.levels)) != list(self.levels):
            raise ValueError(f"quantile levels {self.levels} have to rise")
        if self.mean and len(self.levels) != 1:
            raise ValueError(f"the mean is one output, not one for each of the quantile levels {self.levels}")


@dataclass(frozen=True)
class ModelCard:
    """What a model is.

    Attributes:
        target: What it says, with its unit.
        features: Names of its inputs, in order.
        settings: How it was grown.
        rows: Rows it was trained on.
        data_hash: Of these rows: the same data and settings give the same hash.
        metrics: What is known about its errors.
        notes: Anything else: training window, parent, version.
    """

    target: str
    features: tuple[str, ...]
    settings: TreeSettings
    rows: int
    data_hash: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            PermanentError: It is something else.
        """
        try:
            settings = TreeSettings(**{**data["settings"], "levels": tuple(data["settings"]["levels"])})
            return cls(
                target=str(data["target"]),
                features=tuple(map(str, data["features"])),
                settings=settings,
                rows=int(data["rows"]),
                data_hash=str(data["data_hash"]),
                metrics={str(k): float(v) for k, v in data["metrics"].items()},
                notes={str(k): str(v) for k, v in data["notes"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"this is no model card: {error}", remedy="train the model anew") from error


class QuantileTrees:
    """A trained model."""

    def __init__(self, booster: xgb.Booster, card: ModelCard) -> None:
        """Wrap what was trained; use `train` or `load`."""
        self._booster, self.card = booster, card

    @classmethod
    def train(
        cls,
        features: Mapping[str, Floats],
        target: Floats,
        settings: TreeSettings,
        *,
        name: str,
        weight: Floats | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Self:
        """Train on rows whose target is known.

        Args:
            features: Columns (N,) by name; NaN counts as missing.
            target: What happened (N,); rows with NaN are left out.
            settings: How to grow the trees.
            name: What the target is, with its unit.
            weight: Weight of each row (N,); the same for all where None.
            notes: For the card.

        Raises:
            ValueError: No row has a target, or lengths differ.
        """
        matrix, names = _matrix(features), tuple(features)
        if len(matrix) != len(target):
            raise ValueError(f"{len(matrix)} rows of features, but {len(target)} of the target")
        known = np.isfinite(target)
        if not known.any():
            raise ValueError(f"no row tells {name}: there is nothing to train on")
        rows, wanted = matrix[known], target[known]
        weights = None if weight is None else weight[known]
        data = xgb.QuantileDMatrix(rows, wanted, weight=weights, max_bin=settings.bins, nthread=settings.threads)
        quantiles = {"objective": "reg:quantileerror", "quantile_alpha": np.array(settings.levels)}
        parameters = {
            **({"objective": "reg:squarederror"} if settings.mean else quantiles),
            "tree_method": "hist",
            "max_depth": settings.depth,
            "learning_rate": settings.rate,
            "subsample": settings.subsample,
            "colsample_bytree": settings.columns,
            "min_child_weight": settings.least_rows,
            "reg_lambda": settings.penalty,
            "max_bin": settings.bins,  # has to be that of the matrix
            "nthread": settings.threads,
            "seed": settings.seed,
        }
        booster = xgb.train(parameters, data, settings.rounds)
        digest = hashlib.sha256(rows.tobytes() + np.ascontiguousarray(wanted).tobytes()).hexdigest()[:16]
        card = ModelCard(name, names, settings, int(known.sum()), digest, notes=dict(notes or {}))
        return cls(booster, card)

    def predict(self, features: Mapping[str, Floats]) -> Floats:
        """Return the quantiles of each row (N, L), rising within each row.

        Raises:
            ValueError: A feature is missing.
        """
        missing = [name for name in self.card.features if name not in features]
        if missing:
            raise ValueError(f"features are missing: {', '.join(missing)}")
        matrix = _matrix({name: features[name] for name in self.card.features})
        if not len(matrix):
            return np.empty((0, len(self.card.settings.levels)))
        raw = np.asarray(self._booster.inplace_predict(matrix), dtype=np.float64)
        return np.sort(raw.reshape(len(matrix), -1), axis=1)  # trees of neighbouring levels may cross

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the gain in all splits, the largest first; they add up to 1."""
        names = [f"f{k}" for k in range(len(self.card.features))]
        gains = self._booster.get_score(importance_type="total_gain")
        values = np.array([float(gains.get(name, 0.0)) for name in names])  # type: ignore[arg-type]
        shares = values / max(float(values.sum()), 1e-12)
        order = np.argsort(-shares, kind="stable")
        return {self.card.features[k]: float(shares[k]) for k in order}

    def save(self, folder: Path) -> None:
        """Write model and card into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._booster.save_model(folder / _MODEL)
        card = {**self.card.to_json(), _DIGEST: _digest(folder / _MODEL)}
        (folder / _CARD).write_text(json.dumps(card, indent=2, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            PermanentError: There is none, or it is damaged.
        """
        try:
            told = json.loads((folder / _CARD).read_text(encoding="utf-8"))
            card = ModelCard.from_json(told)
            if told.get(_DIGEST) != _digest(folder / _MODEL):  # XGBoost may crash on a file with a wrong byte
                raise ValueError(f"{_MODEL} is not the one that {_CARD} was written for")
            booster = xgb.Booster({"nthread": card.settings.threads}, model_file=folder / _MODEL)
        except (OSError, ValueError, xgb.core.XGBoostError) as error:
            raise PermanentError(f"no model in {folder}: {error}", remedy="train the model anew") from error
        if booster.num_features() != len(card.features):
            raise PermanentError(
                f"the model in {folder} knows {booster.num_features()} features, its card {len(card.features)}",
                remedy="train the model anew",
            )
        return cls(booster, card)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _matrix(features: Mapping[str, Floats]) -> Matrix:
    columns: Sequence[Floats] = list(features.values())
    if not columns:
        raise ValueError("there are no features")
    return np.ascontiguousarray(np.column_stack(columns), dtype=np.float32)
