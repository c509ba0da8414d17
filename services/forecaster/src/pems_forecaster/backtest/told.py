"""What a backtest tells of any kind of forecast: methods with bands, methods without, and what happened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pems_forecaster.domain.bands import BAND_LEVELS
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.scores import band_of, score

__all__ = ["OURS", "MethodScore", "Told", "energy_errors", "joined", "method_scores", "reliability"]

OURS = "PEMS"
_DAY_S = 86_400
_WHOLE = 0.9  # share of the steps that a day has to have


@dataclass(frozen=True)
class Told:
    """Forecasts of some steps.

    Attributes:
        start_s: Start of each step (N,).
        actual: What happened (N,), NaN where unknown.
        bands: P10, P50 and P90 (N, 3) by method, `OURS` first.
        medians: Of methods without a band (N,), by name.
        groups: Steps that are scored together (N,), by name.
        means: Means of methods (N,), where they are said apart from medians, for energy.
    """

    start_s: Ints
    actual: Floats
    bands: Mapping[str, Floats]
    medians: Mapping[str, Floats]
    groups: Mapping[str, np.ndarray]
    means: Mapping[str, Floats] = field(default_factory=dict)


def joined(parts: Sequence[Told]) -> Told:
    """Put periods one after another.

    Raises:
        ValueError: There is none.
    """
    if not parts:
        raise ValueError("nothing was forecast")

    def all_of(name: str) -> dict[str, Any]:
        return {key: np.concatenate([getattr(part, name)[key] for part in parts]) for key in getattr(parts[0], name)}

    return Told(
        start_s=np.concatenate([part.start_s for part in parts]),
        actual=np.concatenate([part.actual for part in parts]),
        bands=all_of("bands"),
        medians=all_of("medians"),
        groups=all_of("groups"),
        means=all_of("means"),
    )


@dataclass(frozen=True)
class MethodScore:
    """How good a method was on a group of steps; NaN where it has no band.

    Attributes:
        group: Name of the group.
        method: Name of the method.
        rmse: Root mean square error of the median.
        mae: Mean absolute error of it.
        pinball: Mean pinball loss of P10, P50 and P90.
        coverage_pct: Share of truths between P10 and P90.
        width: Mean of P90 - P10.
    """

    group: str
    method: str
    rmse: float
    mae: float
    pinball: float = float("nan")
    coverage_pct: float = float("nan")
    width: float = float("nan")


def method_scores(told: Told) -> Iterator[MethodScore]:
    """Score every method on every group, on the steps that all of them and the truth know.

    A method that said nothing in a group (a model where there was too little to train on) is left out there.
    """
    happened = np.isfinite(told.actual)
    said = {**told.bands, **{name: median[:, None] for name, median in told.medians.items()}}
    spoke = {name: np.isfinite(values).all(axis=1) for name, values in said.items()}
    for group, mine in told.groups.items():
        methods = [name for name in said if (spoke[name] & mine & happened).any()]
        rows = np.logical_and.reduce([happened, mine, *(spoke[name] for name in methods)])
        if not rows.any():
            continue
        for method in methods:
            if method in told.bands:
                s = score(told.actual[rows], told.bands[method][rows], BAND_LEVELS, 1.0)
                yield MethodScore(group, method, s.rmse, s.mae, s.pinball, 100.0 * s.coverage, s.width)
            else:
                error = (told.medians[method] - told.actual)[rows]
                yield MethodScore(group, method, float(np.sqrt((error**2).mean())), float(np.abs(error).mean()))


def reliability(told: Told, method: str) -> dict[float, float]:
    """Return how often the truth lay at or below a method's quantiles, by level: the level itself is right."""
    band = band_of(told.bands[method], BAND_LEVELS)
    known = np.isfinite(told.actual) & np.isfinite(band.p50) & next(iter(told.groups.values()))
    return {
        level: float((told.actual[known] <= quantile[known] + 1e-9).mean())
        for level, quantile in zip((0.1, 0.5, 0.9), (band.p10, band.p50, band.p90), strict=True)
    }


def energy_errors(told: Told) -> dict[str, float]:
    """Return by method the RMSE of a UTC day's mean over the mean of all, on the first group; empty without means."""
    if not told.means:
        return {}
    mine = next(iter(told.groups.values()))
    known = np.isfinite(told.actual)
    for mean in told.means.values():
        known = known & np.isfinite(mean)
    day = told.start_s // _DAY_S
    _, place = np.unique(day[mine], return_inverse=True)
    good = known[mine].astype(np.float64)
    count = np.bincount(place, good)
    whole = count >= _WHOLE * max(count.max(), 1.0)

    def daily(values: Floats) -> Floats:
        return np.asarray(np.bincount(place, np.where(good > 0.0, values[mine], 0.0))[whole] / count[whole])

    truth = daily(told.actual)
    if not len(truth) or truth.mean() <= 0.0:
        return {}
    return {
        method: float(np.sqrt(((daily(mean) - truth) ** 2).mean()) / truth.mean())
        for method, mean in told.means.items()
    }
