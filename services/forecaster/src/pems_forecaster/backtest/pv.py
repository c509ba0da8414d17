"""Rolling-origin backtest of PV forecasts: physics from the first day on, trees as they earn their place, calibrated.

At each issue the plant's strength and the rows that may teach are judged anew from what was measured by then
(`domain.pv_history`). Physics with that strength and trees are mixed by what both said lately, and the mixture is
calibrated, one correction per day of lead. Rows without weather get what the last days gave.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from pems_forecaster.backtest.pv_mixture import PvMixture, Said
from pems_forecaster.backtest.pv_model import LEVELS, PvModel, PvSettings, train
from pems_forecaster.backtest.pv_plant import PlantRows, PvPlant
from pems_forecaster.backtest.pv_simple import climatology, simple_medians
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.pv_history import PvHistory
from pems_forecaster.domain.pv_quality import Flags
from pems_forecaster.domain.pv_start import physics_quantiles
from pems_forecaster.domain.pv_table import PvTable

__all__ = ["LEVELS", "PvForecasts", "PvLearner", "PvModel", "PvSettings", "run_periods", "spread_levels"]

_DAY_DEG = 3.0
_DAY_S = 86_400
_SHARED = ("ghi_w_m2", "clear_index", "cloud_pct", "physics_share")
_TAIL = 0.7  # beyond the outermost levels a quantile goes on by this part of the last step


@dataclass(frozen=True)
class PvForecasts:
    """What was said about a period, as shares of the capacity; rows of all plants, plant by plant in time order.

    Attributes:
        plant: Number of each row's plant (N,).
        start_s: Start of each step (N,).
        daylight: Whether the sun stands higher than 3 degrees (N,).
        actual: What happened (N,), NaN where unknown.
        levels: Of the quantiles (L,).
        raw: Quantiles of the trees (N, L), of physics where there are none.
        quantiles: Of both, calibrated (N, L).
        medians: What simple methods said (N,), by name.
        climatology: Quantiles of the last days at the same time (N, L).
    """

    plant: Ints
    start_s: Ints
    daylight: Flags
    actual: Floats
    levels: Floats
    raw: Floats
    quantiles: Floats
    medians: Mapping[str, Floats]
    climatology: Floats


def spread_levels(quantiles: Floats, levels: Floats, wanted: Floats) -> Floats:
    """Interpolate quantiles (N, L) to other levels (N, W), and beyond the outermost ones a little further."""
    ends = quantiles[:, :1] - _TAIL * (quantiles[:, 1:2] - quantiles[:, :1])
    top = quantiles[:, -1:] + _TAIL * (quantiles[:, -1:] - quantiles[:, -2:-1])
    known, at = np.hstack([ends, quantiles, top]), np.concatenate([[0.0], levels, [1.0]])
    right = np.clip(np.searchsorted(at, wanted, side="left"), 1, len(at) - 1)
    share = (wanted - at[right - 1]) / (at[right] - at[right - 1])
    return np.asarray(known[:, right - 1] * (1.0 - share) + known[:, right] * share)


class PvLearner:
    """Plants that learn together: their histories, and mixture and calibration as they have come so far."""

    def __init__(self, tables: Sequence[PvTable], settings: PvSettings | None = None) -> None:
        """Run physics and features once; they know nothing later than each weather forecast's issue.

        Raises:
            ValueError: There is no plant, or they have steps of different lengths.
        """
        if not tables or len({table.step_s for table in tables}) != 1:
            raise ValueError("there has to be at least one plant, and all need steps of the same length")
        self._settings = settings or PvSettings()
        self._plants = [PvPlant(table) for table in tables]
        _let_see_each_other(self._plants)
        self._mixture = PvMixture(self._settings)

    def train_for(self, from_s: int, until_s: int) -> PvModel:
        """Train for a period: on every step of the day that had ended when its first weather forecast was issued."""
        issued = PlantRows.between(self._plants, from_s, until_s).column(lambda plant: plant.table.issued_s)
        return train(self._plants, min([from_s, *issued.tolist()]), self._settings)

    def forecast(self, model: PvModel, from_s: int, until_s: int) -> PvForecasts:
        """Say what a model says of a period, issue by issue; what was measured by then decides how it is used."""
        days, levels = self._settings.climatology_days, self._settings.trees.levels
        rows = PlantRows.between(self._plants, from_s, until_s)
        issued = rows.column(lambda plant: plant.table.issued_s)
        light = rows.column(lambda plant: plant.clear_share) > 0.0  # at night power is exactly 0
        trees = np.concatenate([model.predict(k, plant, places) for k, plant, places in rows.each()])
        raw, quantiles = np.zeros((2, *trees.shape))
        for issue in np.unique(issued).tolist():
            at = (issued == issue) & light
            raw[at], quantiles[at] = self._say(model, issue, rows[at], trees[at])
        simple = [simple_medians(plant.table, plant.physics, places) for _, plant, places in rows.each()]
        usual = [climatology(plant.table, plant.share, places, days, levels) for _, plant, places in rows.each()]
        return PvForecasts(
            plant=rows.plant,
            start_s=rows.column(lambda plant: plant.table.start_s),
            daylight=rows.column(_stands_high),
            actual=rows.column(lambda plant: plant.share),
            levels=np.array(levels),
            raw=raw,
            quantiles=quantiles,
            medians={name: np.concatenate([one[name] for one in simple]) for name in simple[0]},
            climatology=np.nan_to_num(np.concatenate(usual)),
        )

    def _say(self, model: PvModel, issue_s: int, rows: PlantRows, trees: Floats) -> tuple[Floats, Floats]:
        """Return what the trees say of an issue's rows with light (N, L), and the calibrated mixture with physics."""
        histories = [plant.known_at(issue_s) for plant in self._plants]
        self._mixture.learn_until(issue_s, partial(_truth, histories))
        told = rows.column(lambda plant: plant.told)
        start_s = rows.column(lambda plant: plant.table.start_s)
        strength = np.array([history.capacity.ratio for history in histories])[rows.plant]
        growth = np.array([model.growth(k, history) for k, history in enumerate(histories)])[rows.plant]
        physics = physics_quantiles(
            np.clip(strength * rows.column(lambda plant: plant.physics_share), 0.0, 1.0),
            strength * rows.column(lambda plant: plant.clear_share),
            rows.column(lambda plant: plant.cloud_pct),
            (start_s - issue_s) / 3600.0,
            np.array(self._settings.trees.levels),
            guessed=~told,
        )
        trees = np.where(told[:, None], np.clip(growth[:, None] * trees, 0.0, 1.0), np.nan)
        mixed = self._mixture.mixed(physics, trees)
        if not told.all():
            mixed = np.where(told[:, None], mixed, _or(self._lately(histories, rows), mixed))
        lead_day = (start_s - issue_s) // _DAY_S
        keep = told & rows.column(_stands_high)
        if keep.any():
            ends_s = int(start_s[keep].max()) + self._plants[0].table.step_s
            self._mixture.keep(Said(ends_s, rows[keep], lead_day[keep], physics[keep], trees[keep], mixed[keep]))
        return _or(trees, mixed), self._mixture.calibrated(mixed, lead_day)

    def _lately(self, histories: Sequence[PvHistory], rows: PlantRows) -> Floats:
        """Return what the last days gave that may teach (N, L), as strong as the plants are now; NaN where nothing."""
        parts = []
        for k, plant, places in rows.each():
            share, known = np.full(len(plant.share), np.nan), histories[k].teaching
            share[: len(known)][known] = (plant.share[: len(known)] * histories[k].capacity.rescale)[known]
            days, levels = self._settings.climatology_days, self._settings.trees.levels
            parts.append(climatology(plant.table, share, places, days, levels))
        return np.concatenate(parts)


def _truth(histories: Sequence[PvHistory], rows: PlantRows) -> Floats:
    """Return what happened (N,), NaN where that may not teach."""
    return np.concatenate(
        [np.where(histories[k].teaching[places], plant.share[places], np.nan) for k, plant, places in rows.each()]
    )


def _stands_high(plant: PvPlant) -> Flags:
    return plant.physics.elevation_deg > _DAY_DEG


def _or(first: Floats, second: Floats) -> Floats:
    return np.where(np.isfinite(first), first, second)


def _let_see_each_other(plants: Sequence[PvPlant]) -> None:
    """Let several plants see the mean of their weather at the same time."""
    if len(plants) == 1:
        return
    times = np.unique(np.concatenate([plant.table.start_s for plant in plants]))
    places = [np.searchsorted(times, plant.table.start_s) for plant in plants]
    for name in (name for name in _SHARED if all(name in plant.features for plant in plants)):
        total, count = np.zeros(len(times)), np.zeros(len(times))
        for plant, place in zip(plants, places, strict=True):
            total[place] += np.nan_to_num(plant.features[name])
            count[place] += 1.0
        for plant, place in zip(plants, places, strict=True):
            plant.features[f"{name}_of_all"] = (total / np.maximum(count, 1.0))[place]
    for k, plant in enumerate(plants):
        plant.features["plant"] = np.full(len(plant.share), float(k))


def run_periods(learner: PvLearner, bounds_s: Sequence[int]) -> Iterator[tuple[PvModel, PvForecasts]]:
    """Train at each bound on what was known then, and say what follows until the next one."""
    for begin, end in pairwise(bounds_s):
        model = learner.train_for(begin, end)
        yield model, learner.forecast(model, begin, end)
