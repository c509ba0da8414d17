"""Plants of a backtest: their tables, what physics and features say of each row, and what was known of them when."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import Ints
from pems_forecaster.domain.pv_history import PvHistory, judge
from pems_forecaster.domain.pv_quality import Flags, PvRows
from pems_forecaster.domain.pv_table import PvTable, features_of, physics_of

__all__ = ["PlantRows", "PvPlant"]

_NIGHT_DEG = -3.0


class PvPlant:
    """A table with its derived columns (T,); powers are shares of the inverter's limit."""

    def __init__(self, table: PvTable) -> None:
        """Run physics and features once; they know nothing later than each weather forecast's issue."""
        capacity_w = table.place.pv.inverter_ac_limit_w
        self.table, self.physics = table, physics_of(table)
        self.share = table.power_w / capacity_w
        self.physics_share, self.clear_share = self.physics.power_w / capacity_w, self.physics.clear_w / capacity_w
        self.cloud_pct = table.weather.get("cloud_pct", np.full(len(table.start_s), np.nan))
        self.told = np.isfinite(table.weather["ghi_w_m2"])  # whether there was weather
        self.features = features_of(table, self.physics)
        for name in [name for name in self.features if "physics_w" in name or name == "clear_w"]:
            self.features[name.replace("_w", "_share", 1)] = self.features.pop(name) / capacity_w
        self.day = PvRows.solar_day(table.start_s, table.step_s, table.place.longitude)
        self._rows = PvRows(
            table.start_s,
            table.step_s,
            self.day,
            self.share,
            self.physics_share,
            self.clear_share,
            table.limited,
            self.physics.bare < 1.0,
        )
        self.known_at = lru_cache(maxsize=4)(self._known_at)

    def _known_at(self, instant_s: int) -> PvHistory:
        """Judge the steps that had ended: the first rows of the table, as many as the history has."""
        return judge(self._rows.known_at(instant_s))

    def teaching_before(self, instant_s: int) -> Ints:
        """Return the places of the steps that may teach at an instant, without the night."""
        history = self.known_at(instant_s)
        n = len(history.teaching)
        return np.flatnonzero(history.teaching & self.told[:n] & (self.physics.elevation_deg[:n] > _NIGHT_DEG))


@dataclass(frozen=True)
class PlantRows:
    """Rows of some plants, plant by plant in the order of time.

    Attributes:
        plants: The plants.
        plant: Number of each row's plant (N,).
        place: Place of each row in the plant's table (N,).
    """

    plants: Sequence[PvPlant]
    plant: Ints
    place: Ints

    @classmethod
    def between(cls, plants: Sequence[PvPlant], from_s: int, until_s: int) -> Self:
        """Return the steps inside a period."""
        places = [
            np.flatnonzero((table.start_s >= from_s) & (table.start_s + table.step_s <= until_s))
            for table in (plant.table for plant in plants)
        ]
        numbers = np.repeat(np.arange(len(plants)), [len(place) for place in places])
        return cls(plants, numbers, np.concatenate(places))

    def __getitem__(self, part: Flags) -> "PlantRows":
        """Return some of the rows."""
        return PlantRows(self.plants, self.plant[part], self.place[part])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.place)

    def each(self) -> Iterator[tuple[int, PvPlant, Ints]]:
        """Yield each plant's number, the plant, and the places of its rows."""
        for k, plant in enumerate(self.plants):
            yield k, plant, self.place[self.plant == k]

    def column(self, pick: Callable[[PvPlant], NDArray[Any]]) -> NDArray[Any]:
        """Return a column (N,) of the plants' tables."""
        return np.concatenate([pick(plant)[places] for _, plant, places in self.each()])
