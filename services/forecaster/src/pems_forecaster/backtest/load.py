"""Rolling-origin backtest of load forecasts: trees and similar days, blended and calibrated, beside simple methods.

By default forecasts are issued at each local midnight, for two days.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.load_features import LoadRows, load_rows
from pems_forecaster.domain.load_model import LoadBlend, LoadModel, LoadSaid, LoadSettings, similar_days
from pems_forecaster.domain.load_series import LoadSeries

__all__ = ["LoadForecasts", "LoadLearner", "run_periods"]

_LONGEST_DAY_S = 25 * 3600


@dataclass(frozen=True)
class LoadForecasts:
    """What was said about the issues of a period (N = issues x steps), in time order.

    Attributes:
        rows: The issues and steps, with what happened.
        said: Blended, calibrated quantiles, and the mean.
        trees: What the trees alone said.
        quantiles_w: What simple methods with a band said (N, 3), by name.
        means_w: What simple methods without one said (N,), by name.
    """

    rows: LoadRows
    said: LoadSaid
    trees: LoadSaid
    quantiles_w: Mapping[str, Floats]
    means_w: Mapping[str, Floats]


class LoadLearner:
    """A house's history, and the blend as it has come so far."""

    def __init__(
        self, series: LoadSeries, settings: LoadSettings | None = None, *, issued_s: Ints | None = None, days: int = 2
    ) -> None:
        """Build the rows once; each knows nothing later than its issue.

        Args:
            series: What was measured.
            settings: How to forecast.
            issued_s: Issues (O,), also those to train on; each local midnight after four weeks where None.
            days: Length of each forecast in days of 24 hours.

        Raises:
            ValueError: There is no issue within the series.
        """
        self._settings = settings or LoadSettings()
        self._step_s = series.step_s
        self._rows = load_rows(series, series.issues() if issued_s is None else issued_s, days * series.per_day)
        self._blend = LoadBlend(self._settings)
        self._unmeasured: list[tuple[int, LoadRows, LoadSaid]] = []  # until when, what was said of one day

    def train(self, before_s: int) -> LoadModel | None:
        """Train on every local day that was over by an instant; None where nothing was known then."""
        over = self._rows.only(self._rows.start_s + _LONGEST_DAY_S <= before_s)
        if not np.isfinite(over.actual_w[over.typical & ~over.away]).any():
            return None
        return LoadModel.train(over, self._settings.trees, {"trained_before_s": str(before_s)})

    def forecast(self, model: LoadModel | None, from_s: int, until_s: int) -> LoadForecasts:
        """Say what a model says at the issues of a period; what was measured by each of them has taught the blend.

        Raises:
            ValueError: There is no issue in this period.
        """
        rows = self._rows.only((self._rows.issued_s >= from_s) & (self._rows.issued_s < until_s))
        if not len(rows.issued_s):
            raise ValueError(f"no forecast is issued from {from_s} until {until_s}")
        trees = similar_days(rows) if model is None else model.predict(rows)
        said = LoadSaid(np.empty_like(trees.quantiles_w), trees.mean_w)
        for issued_s in np.unique(rows.issued_s).tolist():
            self._learn_what_ended_by(issued_s)
            mine = rows.issued_s == issued_s
            issue, issue_trees = rows.only(mine), LoadSaid(trees.quantiles_w[mine], trees.mean_w[mine])
            said.quantiles_w[mine] = self._blend.say(issue, issue_trees).quantiles_w
            for lead_day in np.unique(issue.lead_day).tolist():
                day = issue.lead_day == lead_day
                ends_s = int(issue.start_s[day].max()) + self._step_s
                part = LoadSaid(issue_trees.quantiles_w[day], issue_trees.mean_w[day])
                self._unmeasured.append((ends_s, issue.only(day), part))
        return LoadForecasts(
            rows=rows,
            said=said,
            trees=trees,
            quantiles_w={"month": rows.month_quantiles_w, "similar_days": rows.usual_quantiles_w},
            means_w={
                "persistence": rows.yesterday_w,
                "weekly_persistence": rows.last_week_w,
                "similar_days": rows.usual_w,
            },
        )

    def _learn_what_ended_by(self, instant_s: int) -> None:
        for _, rows, trees in [said for said in self._unmeasured if said[0] <= instant_s]:
            self._blend.learn(rows, trees)
        self._unmeasured = [said for said in self._unmeasured if said[0] > instant_s]


def run_periods(learner: LoadLearner, bounds_s: Sequence[int]) -> Iterator[tuple[LoadModel | None, LoadForecasts]]:
    """Train at each bound on what was known then, and say what is issued until the next one."""
    for begin, end in pairwise(bounds_s):
        model = learner.train(begin)
        yield model, learner.forecast(model, begin, end)
