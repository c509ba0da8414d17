"""The planner's own small file: the last plan number, so that a restart never counts backwards, and what it saw."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pems_common.logs import get_logger
from pems_optimizer.domain.remembered import Remembered

__all__ = ["FileMemory", "Memory", "NoMemory", "PlannerMemory"]

_log = get_logger("planner")


@dataclass(frozen=True)
class Memory:
    """What outlives the planner's process.

    Attributes:
        plan_no: Last plan number it gave away, 0 before the first.
        remembered: What it has seen of telemetry.
    """

    plan_no: int = 0
    remembered: Remembered = field(default_factory=Remembered)


class PlannerMemory(Protocol):
    """Keeps the planner's memory."""

    def load(self) -> Memory:
        """Return what was kept, an empty one where there is none."""

    def save(self, memory: Memory) -> None:
        """Keep it."""


class NoMemory:
    """Keeps it only as long as the process lives."""

    def __init__(self) -> None:
        self._memory = Memory()

    def load(self) -> Memory:
        """Return what was kept."""
        return self._memory

    def save(self, memory: Memory) -> None:
        """Keep it."""
        self._memory = memory


class FileMemory:
    """Keeps it in a JSON file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`."""
        self._path = path

    def load(self) -> Memory:
        """Return what was kept; a damaged file counts as none (the bus knows the number too)."""
        try:
            data = json.loads(self._path.read_text())
            plan_no = int(data["plan_no"])
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            _log.warning("planner file unreadable, starting from the bus", path=str(self._path), error=str(error))
            return Memory()
        try:
            return Memory(plan_no, Remembered.from_json(data["remembered"]))
        except (KeyError, ValueError) as error:
            _log.warning("the past is not known from here on", path=str(self._path), error=str(error))
            return Memory(plan_no)

    def save(self, memory: Memory) -> None:
        """Keep it; a full disk is told and survived."""
        scratch = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"plan_no": memory.plan_no, "remembered": memory.remembered.to_json()}))
            scratch.replace(self._path)
        except OSError as error:
            _log.warning("planner file not written", path=str(self._path), error=str(error))
