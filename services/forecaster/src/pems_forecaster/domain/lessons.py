"""What models are trained on: slot means that were measured, and weather forecasts as they were told."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.fine_weather import FineWeather
from pems_forecaster.domain.grid import SLOT_S, Floats, Grid, Ints

__all__ = ["MEASURED", "RUN_COLUMNS", "Lessons", "WeatherRun", "run_of"]

MEASURED = ("pv_w", "pv_limited", "load_w", "spot_eur_mwh", "pv_snow")
RUN_COLUMNS = ("ghi_w_m2", "temperature_c", "cloud_pct", "wind_m_s")


@dataclass(frozen=True)
class WeatherRun:
    """A weather forecast as it was known at an instant.

    Attributes:
        issued_s: The instant [s since 1970, UTC].
        first: Number of the first slot, the one that holds the instant.
        columns: `ghi_w_m2`, `temperature_c`, `cloud_pct`, `wind_m_s`, one value per slot (N,), NaN where the forecast
            does not reach.
    """

    issued_s: int
    first: int
    columns: Mapping[str, Floats]

    @property
    def slots(self) -> Ints:
        """Numbers of the slots."""
        return np.arange(self.first, self.first + len(self.columns[RUN_COLUMNS[0]]), dtype=np.int64)


def run_of(grid: Grid, weather: FineWeather) -> WeatherRun:
    """Return the weather of a forecast as a run; what is guessed is left out."""
    unknown = weather.guessed | weather.temperature_guessed
    return WeatherRun(
        issued_s=int(grid.issued_at.timestamp()),
        first=grid.first,
        columns={name: np.where(unknown, np.nan, getattr(weather, name)) for name in RUN_COLUMNS},
    )


@dataclass(frozen=True)
class Lessons:
    """Everything a training may look at.

    Attributes:
        first: Number of the first slot.
        measured: Series by name (T,), NaN where unknown: see `MEASURED`.
        runs: Weather forecasts in the order of their issue.
    """

    first: int
    measured: Mapping[str, Floats]
    runs: tuple[WeatherRun, ...] = ()

    @property
    def until(self) -> int:
        """Number of the slot after the last one."""
        return self.first + len(self.measured[MEASURED[0]])

    @property
    def start_s(self) -> int:
        """Start of the first slot [s since 1970, UTC]."""
        return self.first * SLOT_S

    def at(self, name: str, slots: Ints) -> Floats:
        """Values of slots, NaN where unknown."""
        values = self.measured[name]
        index = slots - self.first
        inside = (index >= 0) & (index < len(values))
        return np.where(inside, values[np.clip(index, 0, len(values) - 1)], np.nan)

    def since(self, first: int) -> "Lessons":
        """Return the lessons from a slot on."""
        skip = min(max(first - self.first, 0), self.until - self.first)
        measured = {name: values[skip:] for name, values in self.measured.items()}
        start = self.first + skip
        return Lessons(start, measured, tuple(run for run in self.runs if run.first + len(run.slots) > start))

    def weather(self) -> dict[str, Floats]:
        """Return `RUN_COLUMNS` as they were known last, before each slot was over (T,); NaN where nobody told."""
        columns = {name: np.full(self.until - self.first, np.nan) for name in RUN_COLUMNS}
        for run in self.runs:  # later ones know better
            inside = (run.slots >= self.first) & (run.slots < self.until)
            for name, values in run.columns.items():
                columns[name][run.slots[inside] - self.first] = values[inside]
        return columns

    def days(self, name: str) -> float:
        """Days' worth of known values of a series."""
        return float(np.isfinite(self.measured[name]).sum()) * SLOT_S / 86_400.0

    def arrays(self) -> dict[str, Floats | Ints]:
        """Return plain arrays for a file; all runs are stored with as many slots as the longest."""
        count = max((len(run.slots) for run in self.runs), default=0)
        table = np.full((len(self.runs), len(RUN_COLUMNS), count), np.nan)
        for k, run in enumerate(self.runs):
            table[k, :, : len(run.slots)] = [run.columns[name] for name in RUN_COLUMNS]
        return {
            "first": np.array([self.first], dtype=np.int64),
            "issued_s": np.array([run.issued_s for run in self.runs], dtype=np.int64),
            "run_first": np.array([run.first for run in self.runs], dtype=np.int64),
            "run_slots": np.array([len(run.slots) for run in self.runs], dtype=np.int64),
            "runs": table,
            **{f"measured_{name}": self.measured[name] for name in MEASURED},
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Floats | Ints]) -> "Lessons":
        """Read what `arrays` gave.

        Raises:
            KeyError: An array is missing.
        """
        table = np.asarray(arrays["runs"], dtype=np.float64)
        heads = zip(arrays["issued_s"], arrays["run_first"], arrays["run_slots"], strict=True)
        runs = tuple(
            WeatherRun(int(issued), int(first), dict(zip(RUN_COLUMNS, table[k, :, : int(count)], strict=True)))
            for k, (issued, first, count) in enumerate(heads)
        )
        return cls(int(arrays["first"][0]), {name: np.asarray(arrays[f"measured_{name}"]) for name in MEASURED}, runs)
