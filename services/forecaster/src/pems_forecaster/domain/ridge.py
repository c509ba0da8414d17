"""Linear regression with a penalty on large weights, of many targets at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import Floats

__all__ = ["Ridge"]

_LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class Ridge:
    """Weights that were fitted (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).

    Attributes:
        middle: Of each feature (F,).
        scale: What each feature is divided by (F,).
        weights: Of the scaled features, for each target (F, T).
        offset: Of each target (T,).
        least: Least value seen of each target (T,); no prediction is below it.
        most: Most, likewise.
    """

    middle: Floats
    scale: Floats
    weights: Floats
    offset: Floats
    least: Floats
    most: Floats

    @classmethod
    def fit(cls, features: Floats, targets: Floats, penalty: float) -> Self:
        """Fit.

        Args:
            features: Rows (N, F), all known.
            targets: What followed (N, T), all known.
            penalty: On squared weights of scaled features, in rows: above 0.

        Raises:
            ValueError: There is no row, or a hole, or no penalty.
        """
        if not len(features) or len(features) != len(targets) or penalty <= 0.0:
            raise ValueError(f"{len(features)} rows, {len(targets)} targets, penalty {penalty}: nothing can be fitted")
        if not (np.isfinite(features).all() and np.isfinite(targets).all()):
            raise ValueError("features or targets have holes")
        middle, scale = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_SCALE)
        offset, scaled = targets.mean(axis=0), (features - middle) / scale
        normal = scaled.T @ scaled + penalty * np.eye(scaled.shape[1])
        weights = np.linalg.solve(normal, scaled.T @ (targets - offset))
        return cls(middle, scale, weights, offset, targets.min(axis=0), targets.max(axis=0))

    def predict(self, features: Floats) -> Floats:
        """Return the targets of rows (N, T); NaN where a feature is."""
        said = (features - self.middle) / self.scale @ self.weights + self.offset
        return np.asarray(np.clip(said, self.least, self.most))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            PermanentError: It is something else.
        """
        try:
            ridge = cls(**{name: np.array(values, dtype=np.float64) for name, values in data.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise PermanentError(f"this is no linear model: {error}", remedy="train the model anew") from error
        shape = ridge.weights.shape
        fits = len(shape) == 2 and all(
            values.shape == (shape[axis],) and np.isfinite(values).all()
            for axis, values in (
                (0, ridge.middle),
                (0, ridge.scale),
                *((1, v) for v in (ridge.offset, ridge.least, ridge.most)),
            )
        )
        if not fits:
            raise PermanentError("the parts of this linear model do not fit together", remedy="train the model anew")
        return ridge
