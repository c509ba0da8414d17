"""What the forecaster's use cases want from outside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pems_common.home import Home
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Progress
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.training import TrainingResult

__all__ = ["Trainer"]


class Trainer(Protocol):
    """Trains models, so that forecasts go on meanwhile."""

    async def train(self, kind: str, home: Home, lessons: Lessons, folder: Path, progress: Progress) -> TrainingResult:
        """Train a model of a kind and write it into a folder.

        Args:
            kind: `pv`, `load` or `price`.
            home: The site.
            lessons: What to learn from.
            folder: Where the model goes; whatever is in it is replaced.
            progress: Called with the share done, 0..1, and what is being done.

        Raises:
            PermanentError: There is too little to learn from, or the training failed; a later one may succeed.
            UnavailableError: Another training of this site is under way.
        """

    async def identify(
        self, home: Home, series: HouseSeries, folder: Path, progress: Progress
    ) -> Mapping[str, RoomFit]:
        """Identify the rooms of a home that were measured long enough.

        Args:
            home: The site.
            series: The rooms' history.
            folder: For files of the training.
            progress: Called with the share done, 0..1, and what is being done.

        Raises:
            PermanentError: There is too little to learn from, or it failed; a later one may succeed.
            UnavailableError: Another training of this site is under way.
        """

    async def drifted(self, skills: Sequence[float]) -> bool:
        """Tell whether daily skills, the oldest first, have fallen for good.

        Raises:
            UnavailableError: The test did not end.
        """
