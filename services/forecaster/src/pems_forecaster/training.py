"""Training of one model, and identification of rooms, wherever they run."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_load import LoadKind
from pems_forecaster.domain.live_model import LiveKind, Progress
from pems_forecaster.domain.live_price import PriceKind
from pems_forecaster.domain.live_pv import PvKind
from pems_forecaster.domain.room_fit.identify import RoomFit, identify_house
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.rooms import prior_models

__all__ = ["LEAST_ROOM_DAYS", "LIVE_KINDS", "TrainingResult", "identify_rooms", "train_model"]

LEAST_ROOM_DAYS = 10.0
_KINDS: tuple[LiveKind, ...] = (PvKind(), LoadKind(), PriceKind())
LIVE_KINDS: Mapping[str, LiveKind] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True)
class TrainingResult:
    """What is known of a model that was trained; see `Trained`."""

    target: str
    rows: int
    data_hash: str
    features: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            TypeError, KeyError: It is something else.
        """
        return cls(**{**data, "features": tuple(data["features"])})


def train_model(
    kind: str,
    home: Home,
    lessons: Lessons,
    folder: Path,
    *,
    threads: int,
    progress: Progress,
) -> TrainingResult:
    """Train a model of a kind, and write it into a folder.

    Args:
        kind: A key of `LIVE_KINDS`.
        home: The site.
        lessons: What to learn from.
        folder: Where it goes; whatever is in it is replaced.
        threads: Processor threads.
        progress: Called with the share done and what is being done.

    Raises:
        PermanentError: There is too little to learn from.
    """
    live = LIVE_KINDS[kind]
    days = live.days(lessons)
    if days < live.least_days:
        raise PermanentError(
            f"{days:.1f} days of {kind} are too few to learn from", remedy=f"wait for {live.least_days:.0f} days"
        )
    try:
        trained = live.train(home, lessons, threads=threads, progress=progress)
    except ValueError as error:
        raise PermanentError(f"no {kind} model can be trained: {error}", remedy="see what was measured") from error
    shutil.rmtree(folder, ignore_errors=True)
    trained.model.save(folder)
    progress(1.0, "written")
    return TrainingResult(
        trained.target, trained.rows, trained.data_hash, trained.features, trained.parameters, trained.metrics
    )


def identify_rooms(home: Home, series: HouseSeries, *, progress: Progress) -> dict[str, RoomFit]:
    """Identify the rooms that were measured for `LEAST_ROOM_DAYS`.

    Args:
        home: The site.
        series: The rooms' history.
        progress: Called with the share done and what is being done.

    Raises:
        PermanentError: There is no such room.
    """
    enough = {
        room: known
        for room, known in series.air_c.items()
        if np.isfinite(known).sum() * series.step_s / 86_400.0 >= LEAST_ROOM_DAYS
    }
    if not enough or not np.isfinite(series.outdoor_c).any():
        raise PermanentError(
            f"no room was measured for {LEAST_ROOM_DAYS:.0f} days, with the temperature outdoors",
            remedy="wait, and see that room and outdoor sensors are in the history",
        )
    priors = {room: model for room, model in prior_models(home).items() if room in enough}
    begun = min(int(np.argmax(np.isfinite(known))) for known in enough.values())
    known = replace(series, air_c=enough).part(begun, series.steps)  # before that there was no house to learn from
    return identify_house(priors, known, progress=lambda share: progress(share, "rooms"))
