"""Training of one model, wherever it runs."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_load import LoadKind
from pems_forecaster.domain.live_model import LiveKind, Progress
from pems_forecaster.domain.live_price import PriceKind
from pems_forecaster.domain.live_pv import PvKind

__all__ = ["LIVE_KINDS", "TrainingResult", "train_model"]

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
