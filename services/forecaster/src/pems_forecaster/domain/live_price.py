"""Price models of the running forecaster."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pems_common.home import Home
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, LocalCalendar
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Progress, Situation, Trained, held_out_days, holdout_metrics
from pems_forecaster.domain.price_days import PriceDays
from pems_forecaster.domain.price_model import LEAST_DAYS, PriceModel, PriceSettings
from pems_forecaster.domain.slot_history import KEEP_DAYS

__all__ = ["LivePrice", "PriceKind"]


@dataclass(frozen=True)
class LivePrice:
    """A trained model on the slots of the house."""

    model: PriceModel

    def predict(self, situation: Situation) -> Quantiles:
        """Return the band on the grid [EUR/MWh]; NaN where too little is known."""
        first = _first(situation)
        spot = situation.once("price", lambda: _known(situation))
        grid, released = situation.grid, situation.released
        return self.model.predict(first, spot, released, grid.slots, situation.calendar)

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the gain."""
        return self.model.importance()

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        self.model.save(folder)


class PriceKind:
    """Trains and loads price models."""

    name = "price"
    least_days = float(LEAST_DAYS)

    def days(self, lessons: Lessons) -> float:
        """Days of known prices."""
        return lessons.days("spot_eur_mwh")

    def train(self, home: Home, lessons: Lessons, *, threads: int, progress: Progress) -> Trained:
        """Train on all days with prices."""
        progress(0.0, "days")
        calendar = LocalCalendar(home.site.zone, home.site.country)
        days = PriceDays.of(lessons.first, lessons.measured["spot_eur_mwh"], calendar)
        usual = PriceSettings()
        settings = replace(usual, trees=replace(usual.trees, threads=threads))
        progress(0.3, "a trial without the last days")
        metrics = _trial(days, len(days) - held_out_days(self.days(lessons)), settings)
        progress(0.6, "all days")
        model = PriceModel.train(days, settings)
        card = model.card
        parameters = {**asdict(card.settings), "penalty": settings.penalty}
        return Trained(LivePrice(model), card.target, card.rows, card.data_hash, card.features, parameters, metrics)

    def load(self, folder: Path) -> LivePrice:
        """Read a model."""
        return LivePrice(PriceModel.load(folder))


def _trial(days: PriceDays, known: int, settings: PriceSettings) -> dict[str, float]:
    """Errors of a model of the first days on the ones after, each from the day before it."""
    early = days.until(known)
    if early.known_days < LEAST_DAYS:
        return {}
    base = np.arange(known - 1, len(days) - 1)
    said: Floats = PriceModel.train(early, settings).bands(days, base, 1)
    return holdout_metrics(days.price[base + 1].ravel(), said.reshape(-1, 3))


def _first(situation: Situation) -> int:
    return situation.grid.first - KEEP_DAYS * SLOTS_PER_DAY


def _known(situation: Situation) -> Floats:
    """Released prices from the first kept slot to the grid's end, NaN where unknown."""
    grid = situation.grid
    slots = np.arange(_first(situation), grid.first + grid.count, dtype=np.int64)
    return situation.history.at("spot_eur_mwh", slots, before=situation.released)
