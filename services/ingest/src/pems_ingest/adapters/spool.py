"""A bounded buffer on disk for points and messages while the history is away. It survives a kill at any moment.

One JSON line per entry, oldest first. What was drained is written again after a crash: the history keeps one of each.
When full, new entries are refused and counted; `SpooledHistory` says so.
"""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pems_common.history import HistoryStore, Point
from pems_common.messages import Envelope
from pems_common.timegrid import parse_instant

__all__ = ["Spool"]

Entry = Point | Envelope


class Spool:
    """A file of entries not yet stored; in memory only when it has no path."""

    def __init__(self, path: Path | None, *, max_bytes: int = 256_000_000) -> None:
        """Use the file at `path` (its contents of an earlier run come first), at most `max_bytes` large."""
        self._path, self._max_bytes = path, max_bytes
        self._memory: list[str] = []
        self._memory_bytes = 0
        self.dropped = 0
        self.unreadable = 0

    @property
    def size_bytes(self) -> int:
        """Bytes waiting."""
        if self._path is None:
            return self._memory_bytes
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self.size_bytes == 0

    def add(self, site: str, entries: Sequence[Entry]) -> int:
        """Append entries and sync them to disk; returns how many were refused because the buffer is full."""
        lines = [_line(site, entry) for entry in entries]
        room = self._max_bytes - self.size_bytes
        taken: list[str] = []
        for line in lines:
            room -= len(line)
            if room < 0:
                break
            taken.append(line)
        if taken and self._path is None:
            self._memory.extend(taken)
            self._memory_bytes += sum(map(len, taken))
        elif taken and self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                if file.tell() and not _ends_with_newline(file):
                    file.write(b"\n")  # a kill cut the last line off: do not spoil the next one
                file.write("".join(taken).encode())
                file.flush()
                os.fsync(file.fileno())
        refused = len(lines) - len(taken)
        self.dropped += refused
        return refused

    async def drain(self, store: HistoryStore, *, batch: int = 5_000) -> int:
        """Write everything to the store, then empty the buffer; returns how many entries were written.

        Raises:
            UnavailableError: The store is still away; the buffer is as it was.
        """
        written = 0
        points: dict[str, list[Point]] = {}
        for site, entry in self._entries():
            written += 1
            if isinstance(entry, Envelope):
                await store.write_message(entry)
                continue
            waiting = points.setdefault(site, [])
            waiting.append(entry)
            if len(waiting) >= batch:
                await store.write(site, waiting)
                points[site] = []
        for site, waiting in points.items():
            await store.write(site, waiting)
        self._clear()
        return written

    def _clear(self) -> None:
        self._memory, self._memory_bytes = [], 0
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        for line in self._lines():
            try:
                yield _parse(line)
            except (ValueError, KeyError, TypeError):
                self.unreadable += 1  # the line that a kill cut off

    def _lines(self) -> Iterator[str]:
        if self._path is None:
            yield from list(self._memory)
        elif self._path.exists():
            with self._path.open(encoding="utf-8", errors="replace") as file:
                yield from file


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _line(site: str, entry: Entry) -> str:
    if isinstance(entry, Envelope):
        return json.dumps({"m": entry.to_fields()}, separators=(",", ":")) + "\n"
    return json.dumps([site, entry.series, _text(entry.at), entry.value], separators=(",", ":")) + "\n"


def _text(at: datetime) -> str:
    return at.isoformat()


def _parse(line: str) -> tuple[str, Entry]:
    data = json.loads(line)
    if isinstance(data, dict):
        envelope = Envelope.from_fields(data["m"])
        return envelope.site, envelope
    site, series, at, value = data
    return str(site), Point(str(series), parse_instant(at), float(value))
