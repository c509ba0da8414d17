"""What the forecaster keeps over restarts: slot history, own errors, room states, yesterday's scores."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pems_common.errors import PermanentError
from pems_common.logs import get_logger
from pems_common.messages import Score
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.domain.forecast import KINDS, SIMPLE, Contests
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["Memory"]

STATE_VERSION = 2
_log = get_logger("forecaster.memory")


class Memory:
    """All that is learnt, and its file."""

    def __init__(self, make_observer: Callable[[], HouseObserver], file: StateFile | None) -> None:
        """Begin empty; `make_observer` gives one that knows nothing, `file` None keeps nothing."""
        self._make_observer, self._file = make_observer, file
        self.restored = False
        self._clear()

    def _clear(self) -> None:
        self.history = SlotHistory()
        self.contests = Contests()
        self.observer = self._make_observer()
        self.scores: dict[str, Score] = {}

    def load(self, now: datetime) -> None:
        """Load what was kept; a damaged file is set aside, and learning begins anew."""
        if self._file is None:
            return
        try:
            document = self._file.load()
            if document is not None:
                self._take(document, now)
                self.restored = True
        except (PermanentError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("memory is damaged, it is set aside", file=str(self._file.path), error=repr(error))
            self._file.set_aside()
            self._clear()
        except OSError as error:
            _log.error("memory cannot be read", file=str(self._file.path), error=repr(error))

    def _take(self, document: Mapping[str, Any], now: datetime) -> None:
        version = document.get("version")
        if version not in (1, STATE_VERSION):
            raise ValueError(f"version {version!r} is not {STATE_VERSION}")
        self.history = SlotHistory.from_json(document["history"])
        for kind in KINDS:
            if version == 1:  # before there were models
                self.contests.of(kind).arms[SIMPLE[kind]].book.load_json(document["books"][kind])
            else:
                self.contests.of(kind).load_json(document["contests"][kind])
        if "consensus" in document:
            self.contests.consensus.load_json(document["consensus"])
        self.observer.load_json(document["observer"], now)
        self.scores = {kind: Score.read(score) for kind, score in document["scores"].items()}
        _log.info("memory loaded", load_slots=len(self.history.series.get("load_w", {})))

    def save(self, now: datetime) -> None:
        """Save everything; trouble with the disk is logged, nothing else stops for it."""
        if self._file is None:
            return
        document = {
            "version": STATE_VERSION,
            "saved_at": now.isoformat(),
            "history": self.history.to_json(),
            "contests": {kind: self.contests.of(kind).to_json() for kind in KINDS},
            "consensus": self.contests.consensus.to_json(),
            "observer": self.observer.to_json(),
            "scores": {kind: score.model_dump(mode="json") for kind, score in self.scores.items()},
        }
        try:
            self._file.save(document)
        except OSError as error:
            _log.error("memory cannot be saved", file=str(self._file.path), error=repr(error))
