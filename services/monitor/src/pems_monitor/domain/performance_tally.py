"""Sums and peaks of a stretch of time from which every performance figure follows.

Hours add up to days and days to any period in one way, so the figures of a period are never means of means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Counter", "Tally"]


@dataclass(frozen=True)
class Tally:
    """What was counted.

    Attributes:
        sums: Additive amounts by name, such as `pv_wh`; a name that is missing was never known.
        peaks: Highest values by name, such as `import_w`.
    """

    sums: Mapping[str, float] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)

    def get(self, name: str) -> float:
        """A sum; 0 where nothing was counted."""
        return self.sums.get(name, 0.0)

    def ratio(self, part: str, whole: str) -> float | None:
        """One sum over another; None where the whole is 0 or unknown."""
        below = self.get(whole)
        return self.get(part) / below if below > 0 else None

    def within(self, prefix: str) -> dict[str, "Tally"]:
        """Tallies of the parts named `prefix.<part>.<name>`, by part."""
        parts: dict[str, dict[str, float]] = {}
        for name, value in self.sums.items():
            if name.startswith(f"{prefix}."):
                _, part, rest = name.split(".", 2)
                parts.setdefault(part, {})[rest] = value
        return {part: Tally(sums) for part, sums in parts.items()}

    def without(self, prefix: str) -> "Tally":
        """The same without the parts named `prefix.`."""
        return Tally({k: v for k, v in self.sums.items() if not k.startswith(f"{prefix}.")}, self.peaks)

    @classmethod
    def total(cls, tallies: Iterable[Self]) -> "Tally":
        """Add up tallies of disjoint times."""
        sums: dict[str, float] = {}
        peaks: dict[str, float] = {}
        for tally in tallies:
            for name, value in tally.sums.items():
                sums[name] = sums.get(name, 0.0) + value
            for name, value in tally.peaks.items():
                peaks[name] = max(peaks.get(name, value), value)
        return Tally(sums, peaks)

    def to_json(self) -> dict[str, Any]:
        """Plain data, rounded to four digits after the point."""
        return {
            "sums": {name: round(value, 4) for name, value in self.sums.items()},
            "peaks": {name: round(value, 4) for name, value in self.peaks.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is malformed.
        """
        try:
            sums = {str(name): float(value) for name, value in dict(data["sums"]).items()}
            return cls(sums, {str(name): float(value) for name, value in dict(data["peaks"]).items()})
        except (KeyError, TypeError) as error:
            raise ValueError(f"no tally: {error}") from error


class Counter:
    """A tally in the making."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._sums: dict[str, float] = {}
        self._peaks: dict[str, float] = {}

    def add(self, name: str, value: float | None) -> None:
        """Add to a sum; unknown adds nothing."""
        if value is not None:
            self._sums[name] = self._sums.get(name, 0.0) + value

    def peak(self, name: str, value: float) -> None:
        """Keep the highest value."""
        self._peaks[name] = max(self._peaks.get(name, value), value)

    def done(self) -> Tally:
        """What was counted."""
        return Tally(self._sums, self._peaks)
