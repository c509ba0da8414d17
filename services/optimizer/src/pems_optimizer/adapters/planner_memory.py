"""The planner's own small file: the last plan number it gave away, so that a restart never counts backwards."""

import json
from pathlib import Path
from typing import Protocol

from pems_common.logs import get_logger

__all__ = ["FileMemory", "NoMemory", "PlannerMemory"]

_log = get_logger("planner")


class PlannerMemory(Protocol):
    """Keeps the last plan number."""

    def load(self) -> int:
        """Return the last plan number, 0 where there is none."""

    def save(self, plan_no: int) -> None:
        """Keep it."""


class NoMemory:
    """Keeps it only as long as the process lives."""

    def __init__(self) -> None:
        self._plan_no = 0

    def load(self) -> int:
        """Return the last plan number."""
        return self._plan_no

    def save(self, plan_no: int) -> None:
        """Keep it."""
        self._plan_no = plan_no


class FileMemory:
    """Keeps it in a JSON file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`."""
        self._path = path

    def load(self) -> int:
        """Return the last plan number; a damaged file counts as none (the bus knows it too)."""
        try:
            return int(json.loads(self._path.read_text())["plan_no"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("planner file unreadable, starting from the bus", path=str(self._path), error=str(error))
            return 0

    def save(self, plan_no: int) -> None:
        """Keep it; a full disk is told and survived."""
        scratch = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"plan_no": plan_no}))
            scratch.replace(self._path)
        except OSError as error:
            _log.warning("planner file not written", path=str(self._path), error=str(error))
