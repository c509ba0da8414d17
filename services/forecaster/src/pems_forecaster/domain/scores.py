"""Scores of quantile forecasts, and how sure a difference between two of them is."""

from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import Floats

__all__ = ["QuantileScore", "band_of", "block_bootstrap", "pinball_rows", "score"]


def pinball_rows(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Mean pinball loss of each row over its levels (Koenker and Bassett 1978, doi:10.2307/1913643).

    Args:
        actual: What happened (N,).
        quantiles: What was said (N, L).
        levels: Of the columns (L,).
    """
    error = actual[:, None] - quantiles
    return np.asarray(np.maximum(levels * error, (levels - 1.0) * error).mean(axis=1))


def band_of(quantiles: Floats, levels: Floats) -> Quantiles:
    """Return P10, P50 and P90 of quantiles (N, L) at levels (L,).

    Raises:
        ValueError: A level is missing.
    """
    at = [np.flatnonzero(np.isclose(levels, level)) for level in (0.1, 0.5, 0.9)]
    if any(len(places) != 1 for places in at):
        raise ValueError(f"levels {levels.tolist()} do not hold 0.1, 0.5 and 0.9")
    return Quantiles(*(quantiles[:, int(places[0])] for places in at))


@dataclass(frozen=True)
class QuantileScore:
    """Scores over rows, errors as a share of `scale`.

    Attributes:
        pinball: Mean pinball loss of all levels.
        rmse: Root mean square error of the median.
        mae: Mean absolute error of the median.
        bias: Mean of the median less the truth.
        coverage: Share of truths between P10 and P90.
        width: Mean of P90 - P10.
        rows: Rows counted.
    """

    pinball: float
    rmse: float
    mae: float
    bias: float
    coverage: float
    width: float
    rows: int


def score(actual: Floats, quantiles: Floats, levels: Floats, scale: float) -> QuantileScore:
    """Score forecasts (N, L) whose levels hold 0.1, 0.5 and 0.9; rows without a truth are left out.

    Raises:
        ValueError: A level is missing, or no truth is known.
    """
    known = np.isfinite(actual)
    if not known.any():
        raise ValueError("nothing is known of what happened: there is nothing to score")
    actual, quantiles = actual[known], quantiles[known]
    band = band_of(quantiles, levels)
    error = band.p50 - actual
    hair = 1e-9 * scale
    return QuantileScore(
        pinball=float(pinball_rows(actual, quantiles, levels).mean()) / scale,
        rmse=float(np.sqrt((error**2).mean())) / scale,
        mae=float(np.abs(error).mean()) / scale,
        bias=float(error.mean()) / scale,
        coverage=float(((actual >= band.p10 - hair) & (actual <= band.p90 + hair)).mean()),
        width=float((band.p90 - band.p10).mean()) / scale,
        rows=len(actual),
    )


def block_bootstrap(ours: Floats, theirs: Floats, blocks: Floats, *, draws: int = 1000, seed: int = 1) -> Floats:
    """Return P5, P50 and P95 of our mean loss over theirs, less 1: below 0 is better.

    Whole blocks (weeks, say) are drawn, for neighbouring errors are not independent (Kuensch 1989,
    doi:10.1214/aos/1176347265).

    Args:
        ours: Our loss per row (N,).
        theirs: Theirs (N,).
        blocks: Block of each row (N,).
        draws: Times to draw.
        seed: Of the draws.
    """
    names, place = np.unique(blocks, return_inverse=True)
    sums = np.stack([np.bincount(place, weights=loss, minlength=len(names)) for loss in (ours, theirs)])
    chosen = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    drawn = sums[:, chosen].sum(axis=2)
    return np.asarray(np.quantile(drawn[0] / np.maximum(drawn[1], 1e-12) - 1.0, (0.05, 0.5, 0.95)))
