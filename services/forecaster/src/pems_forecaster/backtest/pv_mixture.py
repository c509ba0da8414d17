"""Two PV forecasts become one that holds what it promises: mixed by what both said lately, then calibrated.

What was learnt from rows that turn out to be wrong, days later, is unlearnt: the last weeks are learnt anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pems_forecaster.backtest.pv_model import PvSettings
from pems_forecaster.backtest.pv_plant import PlantRows
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.rolling_blend import RollingBlend, mix
from pems_forecaster.domain.rolling_conformal import RollingConformal
from pems_forecaster.domain.scores import band_of

__all__ = ["PvMixture", "Said"]

_NO_WIDTH = 1e-9
_KEPT_S = 60 * 86_400


@dataclass(frozen=True)
class Said:
    """Daylight rows of one issue, kept to learn from them.

    Attributes:
        ends_s: When the last of them ends.
        rows: Whose they are (N,).
        lead_day: Whole days from the issue to each row (N,).
        physics: Quantiles of physics (N, L).
        trees: Of the trees (N, L), NaN where there are none.
        mixed: Of both, before calibration (N, L).
    """

    ends_s: int
    rows: PlantRows
    lead_day: Ints
    physics: Floats
    trees: Floats
    mixed: Floats


class _Learnt:
    """How much to believe the trees, and how to move P10 and P90 on each day of lead."""

    def __init__(self, settings: PvSettings, levels: Floats) -> None:
        self._conformal, self._levels = settings.conformal, levels
        self._calibration: dict[int, RollingConformal] = {}
        self.blend = RollingBlend(settings.blend)

    def of_day(self, lead_day: int) -> RollingConformal:
        return self._calibration.setdefault(lead_day, RollingConformal(self._conformal))

    def learn(self, said: Said, actual: Floats) -> None:
        self.blend.learn(said.physics, said.trees, actual, self._levels)
        for day in np.unique(said.lead_day).tolist():
            mine = said.lead_day == day
            self.of_day(day).learn(band_of(said.mixed[mine], self._levels), actual[mine])


class PvMixture:
    """The mixture as it has come so far."""

    def __init__(self, settings: PvSettings) -> None:
        """Begin with nothing learnt."""
        self._settings, self._levels = settings, np.array(settings.trees.levels)
        self._learnt = _Learnt(settings, self._levels)
        self._unmeasured: list[Said] = []
        self._measured: list[tuple[Said, Floats]] = []  # of the last weeks, with what happened

    def mixed(self, physics: Floats, trees: Floats) -> Floats:
        """Return the mixture (N, L) of physics and trees; physics where there are no trees."""
        return np.where(np.isfinite(trees), mix(physics, trees, self._learnt.blend.share), physics)

    def calibrated(self, mixed: Floats, lead_day: Ints) -> Floats:
        """Return quantiles (N, L) that are moved as P10 and P90 have to be, within 0..1, and not too narrow."""
        result = mixed.copy()
        for day in np.unique(lead_day).tolist():
            mine = lead_day == day
            result[mine] = self._moved(mixed[mine], self._learnt.of_day(day))
        return self._not_too_narrow(np.clip(result, 0.0, 1.0))

    def _moved(self, raw: Floats, calibration: RollingConformal) -> Floats:
        """Stretch both halves of the distribution as P10 and P90 are moved."""
        band = band_of(raw, self._levels)
        moved = calibration.correct(band)
        lower = _ratio(band.p50 - moved.p10, band.p50 - band.p10)
        upper = _ratio(moved.p90 - band.p50, band.p90 - band.p50)
        away = raw - band.p50[:, None]
        return np.asarray(band.p50[:, None] + np.where(away < 0.0, lower[:, None] * away, upper[:, None] * away))

    def _not_too_narrow(self, quantiles: Floats) -> Floats:
        """Spread what is narrower than the meter can tell."""
        band = band_of(quantiles, self._levels)
        lack = np.maximum(self._settings.resolution - (band.p90 - band.p10), 0.0)
        spread = quantiles + lack[:, None] * (self._levels - 0.5) / (0.9 - 0.1)
        beyond = np.minimum(spread[:, :1], 0.0) + np.maximum(spread[:, -1:] - 1.0, 0.0)  # back inside, as wide as it is
        return np.asarray(np.where(lack[:, None] > 0.0, spread - beyond, quantiles))

    def keep(self, said: Said) -> None:
        """Remember what was said, to learn from it when it has been measured."""
        self._unmeasured.append(said)

    def learn_until(self, instant_s: int, truth: Callable[[PlantRows], Floats]) -> None:
        """Learn from what was measured to its end by an instant.

        Args:
            instant_s: The instant.
            truth: Says what happened in rows (N,), NaN where that is unknown or, as is known by now, may not teach.
        """
        earlier = [(said, then) for said, then in self._measured if said.ends_s > instant_s - _KEPT_S]
        judged = [(said, truth(said.rows)) for said, _ in earlier]
        fresh = [(said, truth(said.rows)) for said in self._unmeasured if said.ends_s <= instant_s]
        same = all(
            np.array_equal(then, now, equal_nan=True) for (_, then), (_, now) in zip(earlier, judged, strict=True)
        )
        if not same:
            self._learnt = _Learnt(self._settings, self._levels)
        for said, actual in fresh if same else [*judged, *fresh]:
            self._learnt.learn(said, actual)
        self._measured = [*judged, *fresh]
        self._unmeasured = [said for said in self._unmeasured if said.ends_s > instant_s]


def _ratio(moved: Floats, raw: Floats) -> Floats:
    """How much wider a side has become; 1 where it had no width."""
    wide = raw > _NO_WIDTH
    return np.where(wide, moved / np.where(wide, raw, 1.0), 1.0)
