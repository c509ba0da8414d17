"""The challenger: a linear regression on its own past and inputs, which knows nothing of walls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import Floats, Ints

__all__ = ["ArxModel", "fit_arx"]

_LAGS = 6
_PENALTIES = (1.0, 30.0, 1000.0)
_LEAST_ROWS = 200
_LEAST_SCALE = 1e-6
_AWAY_K = 15.0


@dataclass(frozen=True)
class ArxModel:
    """Next change of the air from the last values of air and inputs (ARX, Ljung 1999, ch. 4).

    Attributes:
        inputs: Names of the inputs.
        lags: How many past values of each count.
        middle: What is taken from air and each input.
        scale: What they are divided by.
        weights: Of air and inputs, latest first, one after another; then the offset.
        mae_24h_c: 24-h error on the last part of what it was fitted on.
    """

    inputs: tuple[str, ...]
    lags: int
    middle: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    mae_24h_c: float

    def predict(self, air_c: Floats, inputs: Mapping[str, Floats], origins: Ints, count: int) -> Floats:
        """Predict 1..`count` steps after each origin (O, count); holes in the past are to be filled before."""
        told = np.stack([inputs[name] for name in self.inputs]) if self.inputs else np.zeros((0, len(air_c)))
        scaled = (told - np.array(self.middle[1:])[:, None]) / np.array(self.scale[1:])[:, None]
        middle, scale = self.middle[0], self.scale[0]
        past = np.stack([(air_c[origins - lag] - middle) / scale for lag in range(self.lags)], axis=1)
        weights = np.array(self.weights)
        own, rest, offset = (
            weights[: self.lags],
            weights[self.lags : -1].reshape(len(self.inputs), self.lags),
            weights[-1],
        )
        driven = np.zeros(scaled.shape[1])
        for lag in range(self.lags):
            driven[lag:] += rest[:, lag] @ scaled[:, : scaled.shape[1] - lag]
        first = past[:, 0].copy()
        said = np.empty((len(origins), count))
        bound = _AWAY_K / scale
        for k in range(count):
            now = past[:, 0] + past @ own + driven[origins + k] + offset
            now = np.clip(now, first - bound, first + bound)
            past = np.concatenate([now[:, None], past[:, :-1]], axis=1)
            said[:, k] = now * scale + middle
        return said

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ArxModel":
        """Read what `to_json` wrote.

        Raises:
            PermanentError: It is something else.
        """
        try:
            middle, scale, weights = (tuple(float(v) for v in data[name]) for name in ("middle", "scale", "weights"))
            names = tuple(str(name) for name in data["inputs"])
            model = cls(names, int(data["lags"]), middle, scale, weights, float(data["mae_24h_c"]))
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"this is no ARX model: {error}", remedy="fit the room anew") from error
        rows = (1 + len(model.inputs)) * model.lags + 1
        if len(model.weights) != rows or not len(model.middle) == len(model.scale) == 1 + len(model.inputs):
            raise PermanentError("the parts of this ARX model do not fit together", remedy="fit the room anew")
        return model


def fit_arx(
    air_c: Floats, known: np.ndarray[Any, np.dtype[np.bool_]], inputs: Mapping[str, Floats], day_steps: int
) -> ArxModel | None:
    """Fit, with the penalty whose 24-h error on the last third is least; None where there is too little.

    Args:
        air_c: With holes filled (T,).
        known: Steps that may teach (T,).
        inputs: By name (T,), without holes.
        day_steps: Steps of a day.
    """
    names = tuple(name for name, values in inputs.items() if float(np.std(values)) > _LEAST_SCALE)
    series = np.stack([air_c, *(inputs[name] for name in names)])
    middle = series.mean(axis=1)
    scale = np.maximum(series.std(axis=1), _LEAST_SCALE)
    scaled = (series - middle[:, None]) / scale[:, None]
    steps = len(air_c)
    rows = np.arange(_LAGS - 1, steps - 1)
    good = np.asarray(np.lib.stride_tricks.sliding_window_view(known, _LAGS + 1).all(axis=1))[: len(rows)]
    features = np.concatenate(
        [np.stack([part[rows - lag] for lag in range(_LAGS)], axis=1) for part in scaled] + [np.ones((len(rows), 1))],
        axis=1,
    )
    target = scaled[0, rows + 1] - scaled[0, rows]
    split = (2 * steps) // 3
    early = good & (rows < split)
    origins = np.arange(split, steps - day_steps - 1, max(1, day_steps // 8))
    if early.sum() < _LEAST_ROWS or not len(origins):
        return None
    ends = origins[:, None] + 1 + np.arange(day_steps)
    best = (np.inf, _PENALTIES[-1])
    for penalty in _PENALTIES:
        weights = _ridge(features[early], target[early], penalty)
        model = ArxModel(names, _LAGS, tuple(middle), tuple(scale), tuple(weights), 0.0)
        miss = np.abs(model.predict(air_c, inputs, origins, day_steps) - air_c[ends])[known[ends]]
        error = float(miss.mean()) if len(miss) else np.inf
        if error < best[0]:
            best = (error, penalty)
    if not np.isfinite(best[0]):
        return None
    weights = _ridge(features[good], target[good], best[1])
    return ArxModel(
        names,
        _LAGS,
        tuple(float(v) for v in middle),
        tuple(float(v) for v in scale),
        tuple(float(v) for v in weights),
        round(best[0], 4),
    )


def _ridge(features: Floats, target: Floats, penalty: float) -> Floats:
    cost = penalty * 1e-3 * len(target) / 1000.0 * np.ones(features.shape[1])
    cost[-1] = 1e-9
    return np.asarray(np.linalg.solve(features.T @ features + np.diag(cost), features.T @ target))
