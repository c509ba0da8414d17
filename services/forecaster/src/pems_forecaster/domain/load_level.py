"""How much a whole day will use: a linear regression on what trees see of its steps, on average.

Trees are good at the shape of a day, a line is better at its level: half of each errs less than either (measured on
two houses, days before the test windows).
"""

import json
from pathlib import Path
from typing import Self

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.load_features import LoadRows
from pems_forecaster.domain.load_series import Flags
from pems_forecaster.domain.ridge import Ridge

__all__ = ["LoadLevel"]

_FILE = "level.json"
_PENALTY = 30.0
_SHARE, _LEAST_FACTOR, _MOST_FACTOR = 0.5, 0.5, 2.0
_LEAST_W = 1.0


class LoadLevel:
    """A fitted regression."""

    def __init__(self, ridge: Ridge, features: tuple[str, ...]) -> None:
        """Wrap what was fitted; use `fit` or `load`."""
        self._ridge, self._features = ridge, features

    @classmethod
    def fit(cls, rows: LoadRows, usable: Flags) -> Self:
        """Fit to the days of which some row is usable (N,).

        Raises:
            ValueError: There is none.
        """
        lessons = rows.only(usable & np.isfinite(rows.actual_w))
        names = tuple(lessons.features)
        day = _day_numbers(lessons)
        features = _features(lessons, day, names)
        known = np.isfinite(features)
        usual = np.where(known, features, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        missed = _means((lessons.actual_w - lessons.usual_w) / lessons.scale_w, day)
        return cls(Ridge.fit(np.where(known, features, usual), missed[:, None], _PENALTY), names)

    def factor(self, rows: LoadRows, mean_w: Floats) -> Floats:
        """Return what a forecast of the mean (N,) is to be multiplied with, day by day (N,); 1 where nothing is known.

        Raises:
            ValueError: A feature is missing.
        """
        if missing := [name for name in self._features if name not in rows.features]:
            raise ValueError(f"features are missing: {', '.join(missing)}")
        if not len(mean_w):
            return mean_w
        day = _day_numbers(rows)
        features = _features(rows, day, self._features)
        features = np.where(np.isfinite(features), features, self._ridge.middle)
        missed = self._ridge.predict(features)[:, 0]
        level_w = missed * _means(rows.scale_w, day) + _means(rows.usual_w, day)
        factor = 1.0 - _SHARE + _SHARE * level_w / np.maximum(_means(mean_w, day), _LEAST_W)
        return np.nan_to_num(np.clip(factor, _LEAST_FACTOR, _MOST_FACTOR), nan=1.0)[day]

    def save(self, folder: Path) -> None:
        """Write it into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {"features": self._features, "ridge": self._ridge.to_json()}
        (folder / _FILE).write_text(json.dumps(data, indent=2, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            PermanentError: There is none, or it is damaged.
        """
        try:
            data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return cls(Ridge.from_json(data["ridge"]), tuple(map(str, data["features"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PermanentError(f"no level of days in {folder}: {error}", remedy="train the model anew") from error


def _day_numbers(rows: LoadRows) -> Ints:
    """Number of each row's issue and local day (N,)."""
    both = np.stack([rows.issued_s, rows.lead_day])
    return np.asarray(np.unique(both, axis=1, return_inverse=True)[1], dtype=np.int64).ravel()


def _features(rows: LoadRows, day: Ints, names: tuple[str, ...]) -> Floats:
    """Means of features over each day, and its weekday (D, F + 7)."""
    weekday = _means(rows.features["weekday_no"], day)
    columns = [_means(rows.features[name], day) for name in names]
    return np.column_stack([*columns, *(np.equal(weekday, k).astype(np.float64) for k in range(7))])


def _means(values: Floats, day: Ints) -> Floats:
    """Mean of what is known over each day (D,), NaN where nothing is."""
    known = np.isfinite(values)
    count = np.bincount(day, weights=known)
    total = np.bincount(day, weights=np.where(known, values, 0.0))
    return np.asarray(np.where(count > 0.0, total / np.maximum(count, 1.0), np.nan))
