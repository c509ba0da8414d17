"""Bands that hold what they promise: conformal corrections learnt from the last days, one for each side.

A band's miss on a side is how far the truth lay beyond it, in half-widths of the band (conformalised quantile
regression: Romano, Patterson and Candes 2019, arXiv:1905.03222). The side is moved by the quantile of the misses of a
rolling window; the level of that quantile follows what the moved bands missed (adaptive conformal inference: Gibbs and
Candes 2021, arXiv:2106.00170), so that each side comes to miss as often as it should, also when the world changes.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import Floats

__all__ = ["ConformalSettings", "RollingConformal"]


@dataclass(frozen=True)
class ConformalSettings:
    """How corrections are learnt.

    Attributes:
        batches: Batches (days, say) that the window holds.
        least_rows: Rows that have to be known before anything is corrected.
        step: How fast the level follows the misses, per batch.
        miss: Share that each side should miss.
        least_width: Half-width below which misses are not measured finer, in the unit of the band.
    """

    batches: int = 30
    least_rows: int = 100
    step: float = 0.02
    miss: float = 0.1
    least_width: float = 1e-3


class RollingConformal:
    """Corrections for one kind of forecast and lead."""

    def __init__(self, settings: ConformalSettings | None = None) -> None:
        """Begin with nothing learnt."""
        self._settings = settings or ConformalSettings()
        self._misses: deque[tuple[Floats, Floats]] = deque(maxlen=self._settings.batches)
        self._level = [self._settings.miss, self._settings.miss]

    @property
    def rows(self) -> int:
        """Rows in the window."""
        return sum(len(low) for low, _ in self._misses)

    def correct(self, band: Quantiles) -> Quantiles:
        """Return the band with both sides moved; as it is while too little is known. The median stays."""
        if self.rows < self._settings.least_rows:
            return band
        below, above = self._widths(band)
        low, high = (np.concatenate([miss[side] for miss in self._misses]) for side in (0, 1))
        return Quantiles(
            np.minimum(band.p10 - float(np.quantile(low, 1.0 - self._level[0])) * below, band.p50),
            band.p50,
            np.maximum(band.p90 + float(np.quantile(high, 1.0 - self._level[1])) * above, band.p50),
        )

    def learn(self, band: Quantiles, actual: Floats) -> None:
        """Take in a batch: bands before correction, and what happened (N,); rows with NaN are left out."""
        known = np.isfinite(actual)
        if not known.any():
            return
        band = Quantiles(band.p10[known], band.p50[known], band.p90[known])
        actual = actual[known]
        if self.rows >= self._settings.least_rows:
            said = self.correct(band)
            for side, missed in enumerate((actual < said.p10, actual > said.p90)):
                moved = self._level[side] + self._settings.step * (self._settings.miss - float(missed.mean()))
                self._level[side] = float(np.clip(moved, 0.2 * self._settings.miss, 3.0 * self._settings.miss))
        below, above = self._widths(band)
        self._misses.append(((band.p10 - actual) / below, (actual - band.p90) / above))

    def _widths(self, band: Quantiles) -> tuple[Floats, Floats]:
        least = self._settings.least_width
        return np.maximum(band.p50 - band.p10, least), np.maximum(band.p90 - band.p50, least)
