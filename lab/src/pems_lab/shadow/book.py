"""What shadow runs have found so far, one JSON line a day, so that a night goes on where the last one ended.

A line is of two configurations and of the code that lived it: change any of them, and its days begin anew. Lines
that cannot be read are told and left.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pems_common.errors import PemsError, PermanentError
from pems_common.home import Home
from pems_lab.paired import DayPair, DayScore

__all__ = ["BookLine", "ShadowBook", "pair_key"]

_VERSION = 1


def pair_key(live: Home, candidate: Home) -> str:
    """Return what names the comparison of two configurations: addresses of devices decide nothing."""
    told = [home.model_dump_json(exclude={"devices"}) for home in (live, candidate)]
    return blake2b("\n".join(told).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class BookLine:
    """A day of a comparison.

    Attributes:
        key: Of the two configurations.
        pair: The day; None where it could not be lived again.
        day: Its date, `YYYY-MM-DD`.
        why: Why it could not; empty where it could.
        code: Digest of the source that lived it.
    """

    key: str
    day: str
    pair: DayPair | None
    why: str = ""
    code: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        scores = {} if self.pair is None else {"live": asdict(self.pair.live), "candidate": asdict(self.pair.candidate)}
        return {"v": _VERSION, "key": self.key, "day": self.day, "why": self.why, "code": self.code, **scores}

    @classmethod
    def read(cls, data: Any) -> "BookLine":
        """Read what `plain` told.

        Raises:
            ValueError: It is something else.
        """
        try:
            if data["v"] != _VERSION:
                raise ValueError(f"version {data['v']} is not known")
            day = date.fromisoformat(data["day"]).isoformat()
            pair = None
            if not data["why"]:
                live, candidate = (_score(data[name]) for name in ("live", "candidate"))
                pair = DayPair(day, live, candidate)
            return cls(str(data["key"]), day, pair, str(data["why"]), str(data["code"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no line of a shadow run: {error!r}") from error


def _score(data: Any) -> DayScore:
    return DayScore(**{name: float(data[name]) for name in DayScore.__dataclass_fields__})


class ShadowBook:
    """A file of lines."""

    def __init__(self, path: Path) -> None:
        """Read it, where it is there.

        Raises:
            PemsError: It cannot be read, or is something else.
        """
        self.path = path
        self.damaged = 0
        self._lines: dict[tuple[str, str], BookLine] = {}
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise PemsError(f"{path} cannot be read: {error}", remedy="name another file with --book") from error
        for row in text.splitlines():
            try:
                line = BookLine.read(json.loads(row))
            except ValueError:
                self.damaged += 1
                continue
            self._lines[line.key, line.day] = line
        if self.damaged and not self._lines:
            raise PermanentError(f"{path} is no book of shadow runs", remedy="name another file with --book")

    def add(self, line: BookLine) -> None:
        """Write a line; a day that is there already counts anew.

        Raises:
            PemsError: It cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
            with self.path.open("a", encoding="utf-8") as file:
                file.write(("" if whole else "\n") + json.dumps(line.plain()) + "\n")
        except OSError as error:
            raise PemsError(
                f"{self.path} cannot be written: {error}", remedy="free the disk, or name --book"
            ) from error
        self._lines[line.key, line.day] = line

    def lines(self, key: str) -> list[BookLine]:
        """Return the days of a comparison, in order."""
        return sorted((line for line in self._lines.values() if line.key == key), key=lambda line: line.day)

    def pairs(self, key: str, code: str) -> list[DayPair]:
        """Return the days that both lived by this code, in order."""
        return [line.pair for line in self.lines(key) if line.pair is not None and line.code == code]

    def others(self, key: str, code: str) -> int:
        """Return how many days were lived by other code: they are not scored together with this one's."""
        return sum(line.pair is not None and line.code != code for line in self.lines(key))

    def open_days(self, key: str, days: Sequence[str], code: str) -> list[str]:
        """Return the days that this code has not lived yet; one that could not be lived is tried again."""
        lived = {pair.day for pair in self.pairs(key, code)}
        return [day for day in days if day not in lived]
