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
