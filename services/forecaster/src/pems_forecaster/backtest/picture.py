"""A picture of a backtest: how reliable the quantiles were, and the last days with their band."""

from pathlib import Path

import numpy as np

from pems_forecaster.backtest.told import OURS, Told, reliability

__all__ = ["draw"]

_DAYS = 5
_DAY_S = 86_400
_OURS, _OTHERS, _TRUTH = "#1f7a4d", ("#a86400", "#5a6b8c"), "#222222"


def draw(told: Told, title: str, unit: str, path: Path) -> None:
    """Write the picture (PNG, SVG or PDF, by the name's ending).

    Raises:
        OSError: It cannot be written.
    """
    from matplotlib.figure import Figure  # no window system is needed

    figure = Figure(figsize=(12.0, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 2.2))
    left.plot([0, 100], [0, 100], color="#999999", linewidth=1.0, linestyle="--", label="as promised")
    for method, color in zip(told.bands, (_OURS, *_OTHERS), strict=False):
        found = reliability(told, method)
        at, seen = [100 * level for level in found], [100 * share for share in found.values()]
        left.plot(at, seen, color=color, marker="o", linewidth=2.0 if method == OURS else 1.2, label=method)
    left.set(title="How often the truth was below", xlabel="level of the quantile [%]", ylabel="seen [%]")
    left.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    left.legend(frameon=False, loc="upper left")
    day = _first_group(told)
    shown = day & (told.start_s >= told.start_s[day].max() - _DAYS * _DAY_S)
    order = np.argsort(told.start_s[shown], kind="stable")
    times = told.start_s[shown][order].astype("datetime64[s]")
    band = told.bands[OURS][shown][order]
    right.fill_between(times, band[:, 0], band[:, 2], color=_OURS, alpha=0.22, linewidth=0, label="P10 to P90")
    right.plot(times, band[:, 1], color=_OURS, linewidth=1.8, label="P50")
    right.plot(times, told.actual[shown][order], color=_TRUTH, linewidth=1.1, label="what happened")
    right.set(title=f"{title}: the last {_DAYS} days (UTC)", ylabel=unit)
    right.legend(frameon=False, loc="upper right", ncols=3)
    right.margins(x=0)
    for axes in (left, right):
        axes.grid(color="#e3e3e3", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _first_group(told: Told) -> np.ndarray:
    """Steps of the shortest lead; where groups overlap (by day, day and night), of the one that holds all."""
    groups = list(told.groups.values())
    whole = [group for group in groups if group.all()]
    return whole[0] if whole else groups[0]
