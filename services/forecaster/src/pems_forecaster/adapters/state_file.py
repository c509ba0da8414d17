"""The forecaster's own memory between runs: one JSON file, replaced whole."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["StateFile", "set_aside"]

_MAX_BYTES = 64_000_000


class StateFile:
    """A JSON document that is either the old or the new one, whatever happens while writing."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; it need not exist."""
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """Return the document, None where there is none.

        Raises:
            ValueError: The file is no JSON object, or is too large.
            OSError: It cannot be read.
        """
        if not self.path.exists():
            return None
        if self.path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{self.path.name} is larger than {_MAX_BYTES} bytes")
        document = json.loads(self.path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError(f"{self.path.name} holds no JSON object")
        return document

    def save(self, document: dict[str, Any]) -> None:
        """Replace the document.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".{self.path.name}.tmp")
        with scratch.open("w", encoding="utf-8") as file:
            json.dump(document, file, separators=(",", ":"), allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)

    def set_aside(self) -> None:
        """Move a damaged file out of the way, so that it can be looked at."""
        set_aside(self.path)


def set_aside(path: Path) -> Path:
    """Move a damaged file out of the way, beside those moved before; returns where it is.

    Raises:
        OSError: It cannot be moved.
    """
    aside = next(name for k in range(1000) if not (name := path.with_suffix(f".damaged{k or ''}")).exists())
    return path.replace(aside)
