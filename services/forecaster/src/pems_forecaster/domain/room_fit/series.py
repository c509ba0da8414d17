"""What rooms are identified from: aligned series of one house.

Temperatures are of the *beginning* of each step, everything else is the mean over it: `air_c[k]` and the inputs of
step `k` lead to `air_c[k + 1]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pems_forecaster.domain.grid import Floats, Ints

__all__ = ["HouseSeries"]


@dataclass(frozen=True)
class HouseSeries:
    """Series of the rooms of a house on one grid; NaN where unknown.

    Attributes:
        start_s: Beginning of the first step [s since 1970, UTC].
        step_s: Length of a step (300 or 900).
        air_c: Measured air temperature per room (T,).
        heat_w: Electric heat per room (T,); all zero where a room has none.
        outdoor_c: Outdoor temperature (T,).
        solar_w_m2: Irradiance per facade or other plane (T,); empty where nothing tells of the sun.
        local_hour: Hour on the wall (T,), 0..23.
        open_window: Steps in which a room's window is known to stand open (T,); rooms without a contact are absent.
    """

    start_s: int
    step_s: int
    air_c: Mapping[str, Floats]
    heat_w: Mapping[str, Floats]
    outdoor_c: Floats
    solar_w_m2: Mapping[str, Floats]
    local_hour: Ints
    open_window: Mapping[str, NDArray[np.bool_]]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.outdoor_c)

    @property
    def time_s(self) -> Ints:
        """Beginning of each step [s since 1970, UTC] (T,)."""
        return self.start_s + self.step_s * np.arange(self.steps, dtype=np.int64)

    def part(self, first: int, until: int) -> "HouseSeries":
        """Return steps `first..until`."""
        cut = slice(first, until)
        return HouseSeries(
            self.start_s + first * self.step_s,
            self.step_s,
            {room: values[cut] for room, values in self.air_c.items()},
            {room: values[cut] for room, values in self.heat_w.items()},
            self.outdoor_c[cut],
            {plane: values[cut] for plane, values in self.solar_w_m2.items()},
            self.local_hour[cut],
            {room: values[cut] for room, values in self.open_window.items()},
        )

    def coarse(self, step_s: int) -> "HouseSeries":
        """Return the series in longer steps: air at their beginning, the rest as means of what is known.

        Args:
            step_s: A multiple of the present step.

        Raises:
            ValueError: It is none.
        """
        times, rest = divmod(step_s, self.step_s)
        if rest or times < 1:
            raise ValueError(f"steps of {self.step_s} s do not make steps of {step_s} s")
        if times == 1:
            return self
        skip = -(self.start_s // self.step_s) % times
        count = (self.steps - skip) // times
        cut = slice(skip, skip + count * times)

        def mean(values: Floats) -> Floats:
            parts = values[cut].reshape(count, times)
            known = np.isfinite(parts)
            total = np.where(known, parts, 0.0).sum(axis=1)
            return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)

        return HouseSeries(
            self.start_s + skip * self.step_s,
            step_s,
            {room: values[cut][::times].copy() for room, values in self.air_c.items()},
            {room: mean(values) for room, values in self.heat_w.items()},
            mean(self.outdoor_c),
            {plane: mean(values) for plane, values in self.solar_w_m2.items()},
            self.local_hour[cut][::times].copy(),
            {
                room: np.asarray(values[cut].reshape(count, times).any(axis=1))
                for room, values in self.open_window.items()
            },
        )
