"""Load forecasts: similar days, boosted trees on what they miss, the level of days, and a blend that holds its band.

`LoadModel` says quantiles and a mean from rows (load_features.py); `LoadBlend` weighs its quantiles against those of
the similar days by what both said lately, and moves the band so that it holds what it promises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import Floats
from pems_forecaster.domain.load_features import LEVELS, LoadRows
from pems_forecaster.domain.load_level import LoadLevel
from pems_forecaster.domain.quantile_trees import QuantileTrees, TreeSettings
from pems_forecaster.domain.rolling_blend import BlendSettings, RollingBlend, mix
from pems_forecaster.domain.rolling_conformal import ConformalSettings, RollingConformal

__all__ = ["LoadBlend", "LoadModel", "LoadSaid", "LoadSettings"]

_FOLDERS = ("quantiles", "mean")
_TARGET = "(load - similar days) / recent mean load"


@dataclass(frozen=True)
class LoadSettings:
    """How load is forecast.

    Attributes:
        trees: Of the quantiles; those of the mean are grown in the same way.
        blend: Of trees and similar days.
        conformal: Of the band; widths in units of the recent mean load.
    """

    trees: TreeSettings = field(
        default_factory=lambda: TreeSettings(
            levels=LEVELS, rounds=200, depth=6, rate=0.03, subsample=0.6, columns=0.4, least_rows=50.0, penalty=5.0
        )
    )
    blend: BlendSettings = field(default_factory=BlendSettings)
    conformal: ConformalSettings = field(default_factory=lambda: ConformalSettings(batches=45, least_width=0.02))


@dataclass(frozen=True)
class LoadSaid:
    """What is said of rows.

    Attributes:
        quantiles_w: P10, P50 and P90 (N, 3), rising, never negative; NaN where no similar day is known.
        mean_w: Mean (N,), for energy; never negative.
    """

    quantiles_w: Floats
    mean_w: Floats


class LoadModel:
    """Trained trees, and the level of days."""

    def __init__(self, quantiles: QuantileTrees, mean: QuantileTrees, level: LoadLevel) -> None:
        """Wrap what was trained; use `train` or `load`."""
        self.quantiles, self.mean, self._level = quantiles, mean, level

    @classmethod
    def train(cls, rows: LoadRows, settings: TreeSettings, notes: Mapping[str, str] | None = None) -> Self:
        """Train on rows whose truth is known; nothing is learnt from away days, nor from issues on them.

        Raises:
            ValueError: There is no such row.
        """
        usable = rows.typical & ~rows.away & np.isfinite(rows.usual_w)
        target = np.where(usable, (rows.actual_w - rows.usual_w) / rows.scale_w, np.nan)
        weight = rows.scale_w / np.nanmean(rows.scale_w)  # an error in W counts alike in summer and in winter
        one_level = replace(settings, levels=(0.5,), mean=True)
        quantiles, mean = (
            QuantileTrees.train(rows.features, target, how, name=f"{what} of {_TARGET}", weight=weight, notes=notes)
            for what, how in (("quantiles", settings), ("mean", one_level))
        )
        return cls(quantiles, mean, LoadLevel.fit(rows, usable))

    def predict(self, rows: LoadRows) -> LoadSaid:
        """Say what rows will be; on away days that is what similar days say.

        Raises:
            ValueError: A feature is missing.
        """
        at_home = ~rows.away[:, None]
        usual, scale = rows.usual_w[:, None], rows.scale_w[:, None]
        mean = np.maximum(usual + scale * self.mean.predict(rows.features), 0.0)
        quantiles = np.maximum(usual + scale * self.quantiles.predict(rows.features), 0.0)
        factor = self._level.factor(rows, mean[:, 0])[:, None]
        return LoadSaid(
            np.where(at_home, factor * quantiles, rows.usual_quantiles_w),
            np.where(at_home, factor * mean, usual)[:, 0],
        )

    def save(self, folder: Path) -> None:
        """Write the parts into this folder, and folders below it."""
        self._level.save(folder)
        for name, trees in zip(_FOLDERS, (self.quantiles, self.mean), strict=True):
            trees.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            PermanentError: There is none, or it is damaged.
        """
        quantiles, mean = (QuantileTrees.load(folder / name) for name in _FOLDERS)
        return cls(quantiles, mean, LoadLevel.load(folder))


def similar_days(rows: LoadRows) -> LoadSaid:
    """Return what similar days say, which needs no training."""
    return LoadSaid(rows.usual_quantiles_w, rows.usual_w)


class LoadBlend:
    """What to believe of trees and similar days, and how wide the band has to be, each by local day of lead.

    The mean is that of the trees: measured, no share of the similar days' mean makes it better.
    """

    def __init__(self, settings: LoadSettings | None = None) -> None:
        """Begin with nothing learnt: similar days, as they are."""
        self._settings = settings or LoadSettings()
        self._blend: dict[int, RollingBlend] = {}
        self._conformal: dict[int, RollingConformal] = {}

    def say(self, rows: LoadRows, said: LoadSaid) -> LoadSaid:
        """Return the blend for rows (N,) of which trees said something; while away it is what they said."""
        quantiles_w = said.quantiles_w.copy()
        for lead_day in np.unique(rows.lead_day).tolist():
            mine = (rows.lead_day == lead_day) & ~rows.away
            band = self._mixed(lead_day, rows.only(mine), said.quantiles_w[mine])
            if lead_day in self._conformal:
                band = self._conformal[lead_day].correct(band)
            band = band.tidy(0.0)
            quantiles_w[mine] = band.columns() * rows.scale_w[mine, None]
        return LoadSaid(quantiles_w, said.mean_w)

    def learn(self, rows: LoadRows, said: LoadSaid) -> None:
        """Learn from a day that is over: rows (N,) of one issue and lead day, and what trees said of them.

        Forecasts that were made while away teach nothing about the others.
        """
        if not len(rows.away) or rows.away.any():
            return
        lead_day, scale = int(rows.lead_day[0]), rows.scale_w[:, None]
        actual = np.where(np.isfinite(rows.usual_w), rows.actual_w / rows.scale_w, np.nan)
        self._conformal.setdefault(lead_day, RollingConformal(self._settings.conformal)).learn(
            self._mixed(lead_day, rows, said.quantiles_w), actual
        )
        self._blend.setdefault(lead_day, RollingBlend(self._settings.blend)).learn(
            rows.usual_quantiles_w / scale, said.quantiles_w / scale, actual, np.array(LEVELS)
        )

    def _mixed(self, lead_day: int, rows: LoadRows, trees_w: Floats) -> Quantiles:
        """Mixture in units of the recent mean load."""
        blend = self._blend.get(lead_day)
        share = self._settings.blend.start if blend is None else blend.share
        return Quantiles(*(mix(rows.usual_quantiles_w, trees_w, share) / rows.scale_w[:, None]).T)
