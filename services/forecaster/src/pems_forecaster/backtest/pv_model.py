"""Trees of a PV backtest, and what the plants were like when they were grown."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pems_forecaster.backtest.pv_plant import PvPlant
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.pv_history import PvHistory
from pems_forecaster.domain.quantile_trees import ModelCard, QuantileTrees, TreeSettings
from pems_forecaster.domain.rolling_blend import BlendSettings
from pems_forecaster.domain.rolling_conformal import ConformalSettings

__all__ = ["LEVELS", "PvModel", "PvSettings", "train"]

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_TARGET = "pv power / AC limit"


@dataclass(frozen=True)
class PvSettings:
    """How forecasts are made.

    Attributes:
        trees: Of the learner.
        conformal: Of the calibration; widths in shares of the capacity.
        blend: Of physics and trees.
        least_days: Own days from which trees are grown.
        residual_days: Own days below which trees learn what physics leaves, and from which physics is a feature only.
        climatology_days: Days that the climatology looks back.
        resolution: Of the meter, in shares of the capacity: P10 to P90 is never narrower by day.
    """

    trees: TreeSettings = field(
        default_factory=lambda: TreeSettings(
            levels=LEVELS, rounds=250, depth=6, rate=0.06, subsample=0.7, columns=0.5, least_rows=20.0
        )
    )
    conformal: ConformalSettings = field(default_factory=lambda: ConformalSettings(least_width=0.01))
    blend: BlendSettings = field(default_factory=lambda: BlendSettings(start=0.5))
    least_days: int = 7
    residual_days: int = 120
    climatology_days: int = 30
    resolution: float = 1e-3


@dataclass(frozen=True)
class PvModel:
    """A model for some plants.

    Attributes:
        card: Of the trees; of 0 rows where there are none.
        trees: None while there is too little to learn from.
        residual: Whether they say the difference to physics.
        histories: What was known of each plant.
    """

    card: ModelCard
    trees: QuantileTrees | None
    residual: bool
    histories: tuple[PvHistory, ...]

    def base(self, plant: int, physics_share: Floats) -> Floats:
        """Return what the target of a plant's rows is measured from (N,): physics as strong as it was then, or 0."""
        ratio = self.histories[plant].capacity.ratio if self.residual else 0.0
        return np.clip(ratio * physics_share, 0.0, 1.0)

    def predict(self, plant: int, of: PvPlant, rows: Ints) -> Floats:
        """Return quantiles of a plant's rows (N, L), as strong as it was at the training; NaN without trees."""
        if self.trees is None:
            return np.full((len(rows), len(self.card.settings.levels)), np.nan)
        said = self.trees.predict({name: column[rows] for name, column in of.features.items()})
        return np.clip(self.base(plant, of.physics_share[rows])[:, None] + said, 0.0, 1.0)

    def growth(self, plant: int, now: PvHistory) -> float:
        """Return by how much a plant has jumped since the training, as a factor."""
        then = self.histories[plant].capacity.rescale
        return float(now.capacity.rescale[0] / then[0]) if len(then) else 1.0


def train(plants: Sequence[PvPlant], before_s: int, settings: PvSettings) -> PvModel:
    """Train on every step of the day that had ended before an instant, and may teach."""
    histories = tuple(plant.known_at(before_s) for plant in plants)
    days = max(history.days for history in histories)
    blank = ModelCard(_TARGET, (), settings.trees, 0, "")
    model = PvModel(blank, None, days < settings.residual_days, histories)
    if days < settings.least_days:
        return model
    rows = [plant.teaching_before(before_s) for plant in plants]
    picked = {
        name: np.concatenate([plant.features[name][row] for plant, row in zip(plants, rows, strict=True)])
        for name in plants[0].features
    }
    target = [
        plant.share[row] * history.capacity.rescale[row] - model.base(k, plant.physics_share[row])
        for k, (plant, history, row) in enumerate(zip(plants, histories, rows, strict=True))
    ]
    notes = {"trained_before_s": str(before_s), "less_physics": str(model.residual)}
    trees = QuantileTrees.train(picked, np.concatenate(target), settings.trees, name=_TARGET, notes=notes)
    return replace(model, card=trees.card, trees=trees)
