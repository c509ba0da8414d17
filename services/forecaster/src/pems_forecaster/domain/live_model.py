"""What the running forecaster wants from the trained models of a kind, and what it gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from pems_common.home import Home
from pems_forecaster.domain.bands import BAND_LEVELS, Quantiles
from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import Floats, Grid, LocalCalendar
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.scores import score
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["LiveKind", "LiveModel", "Progress", "Situation", "Trained", "held_out_days", "holdout_metrics"]

T = TypeVar("T")
Progress = Callable[[float, str], None]
"""Called with the share done, 0..1, and what is being done."""


@dataclass(frozen=True)
class Situation:
    """What is known when a forecast is made.

    Attributes:
        home: The site.
        calendar: Its local days.
        grid: Slots wanted.
        weather: On the grid.
        history: Slot means; holds released prices of coming slots too.
        released: Number of the first slot whose price is not public.
    """

    home: Home
    calendar: LocalCalendar
    grid: Grid
    weather: FineWeather
    history: SlotHistory
    released: int
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what models of a kind share (their features), made by the first that asks."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made


class LiveModel(Protocol):
    """A trained model."""

    def predict(self, situation: Situation) -> Quantiles:
        """Return the band on the grid, in the unit of the kind.

        Raises:
            ValueError: The model does not fit what it is given.
        """

    def importance(self) -> dict[str, float]:
        """Return each feature's share, the largest first."""

    def save(self, folder: Path) -> None:
        """Write it into a folder, which is made."""


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: Trained on everything.
        target: What it says, with its unit.
        rows: Rows it was trained on.
        data_hash: Of these rows.
        features: Names of its inputs.
        parameters: How it was grown.
        metrics: Of a model trained without the last days, on these days: `pinball`, `simple_pinball`, `mae`,
            `coverage`; in the unit of the kind.
    """

    model: LiveModel
    target: str
    rows: int
    data_hash: str
    features: tuple[str, ...]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)


class LiveKind(Protocol):
    """Models of one kind."""

    @property
    def name(self) -> str:
        """`pv`, `load` or `price`."""

    @property
    def least_days(self) -> float:
        """Days of data without which nothing is trained."""

    def days(self, lessons: Lessons) -> float:
        """Days of data that the lessons hold for this kind."""

    def train(self, home: Home, lessons: Lessons, *, threads: int, progress: Progress) -> Trained:
        """Train, on data that `days` found enough.

        Raises:
            ValueError: There is too little to learn from.
        """

    def load(self, folder: Path) -> LiveModel:
        """Read what `LiveModel.save` wrote.

        Raises:
            PermanentError: There is none, or it is damaged.
        """


def held_out_days(days: float) -> int:
    """Return how many of the last days a trial training leaves out: a fifth, three to 28."""
    return max(3, min(28, int(0.2 * days)))


def holdout_metrics(actual: Floats, said: Floats, simple: Floats | None = None) -> dict[str, float]:
    """Score P10, P50 and P90 (N, 3) on days that they were not trained on, in the unit of the kind.

    Rows count where the truth and all that is said are known.

    Returns:
        `pinball`, `mae`, `rmse`, `coverage` [%] and, where a simple method is given, its `simple_pinball`; nothing
        where no truth is known.
    """
    rows = np.isfinite(actual) & np.isfinite(said).all(axis=1)
    if simple is not None:
        rows &= np.isfinite(simple).all(axis=1)
    if not rows.any():
        return {}
    ours = score(actual[rows], said[rows], BAND_LEVELS, 1.0)
    metrics = {"pinball": ours.pinball, "mae": ours.mae, "rmse": ours.rmse, "coverage": 100.0 * ours.coverage}
    if simple is not None:
        metrics["simple_pinball"] = score(actual[rows], simple[rows], BAND_LEVELS, 1.0).pinball
    return {name: round(value, 4) for name, value in metrics.items()}
