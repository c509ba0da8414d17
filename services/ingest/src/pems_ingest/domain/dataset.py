"""EnergyDataset: one table on one grid of everything a house's history knows, grouped as people speak of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["GROUPS", "EnergyDataset", "group_of"]

GROUPS = ("production", "consumption", "storage", "grid", "weather", "prices", "relays", "rooms", "other")
_GROUP_BY_PREFIX = (
    ("pv_", "production"),
    ("load_", "consumption"),
    ("ev.", "consumption"),
    ("water.", "consumption"),
    ("battery_", "storage"),
    ("grid_", "grid"),
    ("weather.", "weather"),
    ("outdoor_", "weather"),
    ("price.", "prices"),
    ("room.", "rooms"),
)


def group_of(series: str) -> str:
    """Return the group of a series."""
    if series.startswith("room.") and series.endswith(".relay_on"):
        return "relays"
    return next((group for prefix, group in _GROUP_BY_PREFIX if series.startswith(prefix)), "other")


@dataclass(frozen=True)
class EnergyDataset:
    """Slot means of many series on one grid.

    Attributes:
        start: Start of the first slot, UTC.
        step_s: Length of a slot [s].
        columns: Means by series name, all of one length; None where nothing is known.
    """

    start: datetime
    step_s: int
    columns: Mapping[str, Sequence[float | None]]

    def __post_init__(self) -> None:
        """Guard the grid.

        Raises:
            ValueError: Columns of different length, or a naive start.
        """
        if self.start.tzinfo is None:
            raise ValueError("naive start of a dataset")
        if len({len(column) for column in self.columns.values()}) > 1:
            raise ValueError("columns of different length")

    def __len__(self) -> int:
        """Number of slots."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def slot_starts(self) -> list[datetime]:
        """Start of each slot."""
        return [self.start + timedelta(seconds=i * self.step_s) for i in range(len(self))]

    def group(self, name: str) -> dict[str, Sequence[float | None]]:
        """Return the columns of a group."""
        return {series: column for series, column in self.columns.items() if group_of(series) == name}

    def select(self, groups: Iterable[str]) -> "EnergyDataset":
        """Return the dataset with only these groups."""
        wanted = set(groups)
        return EnergyDataset(self.start, self.step_s, {s: c for s, c in self.columns.items() if group_of(s) in wanted})

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON data: `{start, step_s, slots, groups: {group: {series: values}}}`."""
        return {
            "start": self.start.isoformat(),
            "step_s": self.step_s,
            "slots": len(self),
            "groups": {name: {s: list(c) for s, c in self.group(name).items()} for name in GROUPS},
        }
