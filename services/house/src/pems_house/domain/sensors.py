"""Room sensors: an offset for each, noise, and readings in steps of 0.1 C that are told when they change."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pems_house.domain.chance import generator

__all__ = ["Sensors"]

_NOISE_C, _OFFSET_C = 0.05, 0.08
_STEPS_PER_C = 10.0
_DEADBAND_C = 0.08  # a reading follows when it is off by this much, so it does not flutter between two steps


class Sensors:
    """Temperature sensors of all rooms."""

    def __init__(self, count: int, seed: int, *, offset_c: float = _OFFSET_C) -> None:
        """Draw the sensors; `offset_c` is the spread of their offsets."""
        self._offset_c = np.clip(generator(seed, "sensors").normal(0.0, offset_c, count), -0.2, 0.2)
        self._rng = generator(seed, "noise")
        self.reading_c = np.full(count, np.nan)

    def measure(self, true_c: NDArray[np.float64], stuck: Collection[int] = ()) -> NDArray[np.float64]:
        """Take readings of all rooms; stuck sensors keep theirs (n)."""
        raw = true_c + self._offset_c + self._rng.normal(0.0, _NOISE_C, len(true_c))
        moved = ~(np.abs(raw - self.reading_c) < _DEADBAND_C)  # also where there is none yet
        for index in stuck:
            if not np.isnan(self.reading_c[index]):
                moved[index] = False
        self.reading_c = np.where(moved, np.rint(raw * _STEPS_PER_C) / _STEPS_PER_C, self.reading_c)
        return self.reading_c
