"""How much of each of two forecasts to believe, from what both said lately.

Every share of a fixed ladder would have been one mixture; the loss of each is kept, older days count less, and the
share that would have done best is used. With little seen it stays at the share it began with, so that a new method has
to earn its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pems_common.errors import PermanentError
from pems_forecaster.domain.grid import Floats

__all__ = ["BlendSettings", "RollingBlend", "mix"]


@dataclass(frozen=True)
class BlendSettings:
    """How a share is chosen.

    Attributes:
        start: Share of the second forecast before anything is known, 0..1.
        steps: Steps of the ladder from 0 to 1.
        half_life: Batches (days, say) after which a loss counts half.
        least_batches: Batches that have to be known before the share leaves `start`.
    """

    start: float = 0.0
    steps: int = 10
    half_life: float = 20.0
    least_batches: int = 5


class RollingBlend:
    """Shares of two forecasts of one quantity."""

    def __init__(self, settings: BlendSettings | None = None) -> None:
        """Begin at the first share."""
        self._settings = settings or BlendSettings()
        self._shares = np.linspace(0.0, 1.0, self._settings.steps + 1)
        self._losses = np.zeros(len(self._shares))
        self._batches = 0

    @property
    def share(self) -> float:
        """Share of the second forecast that would have done best; the smaller one where two are as good."""
        if not self.settled:
            return self._settings.start
        return float(self._shares[int(np.argmin(self._losses))])

    @property
    def settled(self) -> bool:
        """Whether enough is known for the share to follow it."""
        return self._batches >= self._settings.least_batches

    def learn(self, first: Floats, second: Floats, actual: Floats, levels: Floats, scale: float = 1.0) -> None:
        """Take in a batch.

        Args:
            first: Quantiles of the first forecast (N, L).
            second: Of the second (N, L); rows where either or the truth is NaN are left out.
            actual: What happened (N,).
            levels: Of the quantiles (L,).
            scale: What losses are divided by, so that batches weigh alike.
        """
        known = np.isfinite(actual) & np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        if not known.any():
            return
        fade = 0.5 ** (1.0 / self._settings.half_life)
        truth = actual[known, None]
        fresh = np.empty(len(self._shares))
        for k, share in enumerate(self._shares):
            error = truth - mix(first[known], second[known], float(share))
            fresh[k] = np.maximum(levels * error, (levels - 1.0) * error).mean() / scale
        self._losses = fade * self._losses + fresh
        self._batches += 1

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"losses": self._losses.tolist(), "batches": self._batches}

    def load_json(self, data: Mapping[str, Any]) -> None:
        """Take what `to_json` wrote.

        Raises:
            PermanentError: It is something else, or of another ladder.
        """
        try:
            losses, batches = np.array([float(loss) for loss in data["losses"]]), int(data["batches"])
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"these are no losses of a blend: {error}", remedy="begin anew") from error
        if losses.shape != self._losses.shape or not np.isfinite(losses).all() or batches < 0:
            raise PermanentError("these losses belong to another blend", remedy="begin anew")
        self._losses, self._batches = losses, batches


def mix(first: Floats, second: Floats, share: float) -> Floats:
    """Mean of the quantiles of two forecasts, level by level: their mixture's centre, without its extra width."""
    return np.asarray((1.0 - share) * first + share * second)
