"""Load models of the running forecaster."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pems_common.home import Home
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Ints, LocalCalendar
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Progress, Situation, Trained, held_out_days, holdout_metrics
from pems_forecaster.domain.load_features import LoadRows, load_rows
from pems_forecaster.domain.load_model import LoadModel, LoadSettings
from pems_forecaster.domain.load_series import LoadSeries
from pems_forecaster.domain.slot_history import KEEP_DAYS

__all__ = ["LiveLoad", "LoadKind"]

_HOURS = (0, 6, 12, 18)
_STEPS = 54 * 4


@dataclass(frozen=True)
class LiveLoad:
    """A trained model on the slots of the house."""

    model: LoadModel

    def predict(self, situation: Situation) -> Quantiles:
        """Return the band on the grid [W]; NaN where no similar day is known."""
        rows = situation.once("load", lambda: _rows(situation))
        return Quantiles(*self.model.predict(rows).quantiles_w.T)

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the gain."""
        return self.model.quantiles.importance()

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        self.model.save(folder)


class LoadKind:
    """Trains and loads load models."""

    name = "load"
    least_days = 42.0

    def days(self, lessons: Lessons) -> float:
        """Days of measured load."""
        return lessons.days("load_w")

    def train(self, home: Home, lessons: Lessons, *, threads: int, progress: Progress) -> Trained:
        """Train on one issue a day, of changing hours."""
        progress(0.0, "similar days")
        calendar = LocalCalendar(home.site.zone, home.site.country)
        series = LoadSeries(lessons.start_s, SLOT_S, lessons.measured["load_w"], calendar)
        rows = load_rows(series, _one_a_day(series.issues(hours=_HOURS)), _STEPS)
        settings = replace(LoadSettings().trees, threads=threads)
        progress(0.3, "a trial without the last days")
        cut_s = (lessons.until - held_out_days(self.days(lessons)) * SLOTS_PER_DAY) * SLOT_S
        early, late = rows.only(rows.start_s < cut_s), rows.only(rows.issued_s >= cut_s)
        metrics: dict[str, float] = {}
        if len(early.start_s) and len(late.start_s):
            said = LoadModel.train(early, settings).predict(late)
            metrics = holdout_metrics(late.actual_w, said.quantiles_w, late.usual_quantiles_w)
        progress(0.6, "all days")
        model = LoadModel.train(rows, settings)
        card = model.quantiles.card
        parameters = asdict(card.settings)
        return Trained(LiveLoad(model), card.target, card.rows, card.data_hash, card.features, parameters, metrics)

    def load(self, folder: Path) -> LiveLoad:
        """Read a model."""
        return LiveLoad(LoadModel.load(folder))


def _one_a_day(issues_s: Ints) -> Ints:
    """Every fifth of four issues a day: one a day or so, whose hour goes round."""
    return issues_s[:: len(_HOURS) + 1]


def _rows(situation: Situation) -> LoadRows:
    grid = situation.grid
    first = grid.first - KEEP_DAYS * SLOTS_PER_DAY
    known = np.arange(first, grid.first, dtype=np.int64)
    power_w = situation.history.at("load_w", known, before=grid.first)
    series = LoadSeries(first * SLOT_S, SLOT_S, power_w, situation.calendar)
    return load_rows(series, np.array([grid.first * SLOT_S]), grid.count)
