"""Rolling-origin backtest of PV forecasts: trees on archived weather, calibrated day by day, beside simple methods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pems_forecaster.backtest.pv_table import PvTable, features_of, physics_of
from pems_forecaster.backtest.scores import band_of
from pems_forecaster.domain.bands import Quantiles, column_quantiles
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.quantile_trees import QuantileTrees, TreeSettings
from pems_forecaster.domain.rolling_conformal import ConformalSettings, RollingConformal

__all__ = ["LEVELS", "PvForecasts", "PvLearner", "PvSettings", "run_periods", "spread_levels"]

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_NIGHT_DEG, _DAY_DEG = -3.0, 3.0
_DAY_S = 86_400
_SHARED = ("ghi_w_m2", "clear_index", "cloud_pct", "physics_share")
_NO_WIDTH = 1e-9
_TAIL = 0.7  # beyond the outermost levels a quantile goes on by this part of the last step


@dataclass(frozen=True)
class PvSettings:
    """How forecasts are made.

    Attributes:
        trees: Of the learner.
        conformal: Of the calibration; widths in shares of the capacity.
        climatology_days: Days that the climatology looks back.
    """

    trees: TreeSettings = field(
        default_factory=lambda: TreeSettings(
            levels=LEVELS, rounds=250, depth=6, rate=0.06, subsample=0.7, columns=0.5, least_rows=20.0
        )
    )
    conformal: ConformalSettings = field(default_factory=lambda: ConformalSettings(least_width=0.01))
    climatology_days: int = 30


@dataclass(frozen=True)
class PvForecasts:
    """What was said about a period, as shares of the capacity; rows of all plants, plant by plant in time order.

    Attributes:
        plant: Number of each row's plant (N,).
        start_s: Start of each step (N,).
        daylight: Whether the sun stands higher than 3 degrees (N,).
        actual: What happened (N,), NaN where unknown.
        levels: Of the quantiles (L,).
        raw: Quantiles of the trees (N, L).
        quantiles: The same, calibrated (N, L).
        medians: What simple methods said (N,), by name.
        climatology: Quantiles of the last days at the same time (N, L).
    """

    plant: Ints
    start_s: Ints
    daylight: np.ndarray
    actual: Floats
    levels: Floats
    raw: Floats
    quantiles: Floats
    medians: Mapping[str, Floats]
    climatology: Floats


def spread_levels(quantiles: Floats, levels: Floats, wanted: Floats) -> Floats:
    """Interpolate quantiles (N, L) to other levels (N, W), and beyond the outermost ones a little further."""
    ends = quantiles[:, :1] - _TAIL * (quantiles[:, 1:2] - quantiles[:, :1])
    top = quantiles[:, -1:] + _TAIL * (quantiles[:, -1:] - quantiles[:, -2:-1])
    known, at = np.hstack([ends, quantiles, top]), np.concatenate([[0.0], levels, [1.0]])
    right = np.clip(np.searchsorted(at, wanted, side="left"), 1, len(at) - 1)
    share = (wanted - at[right - 1]) / (at[right] - at[right - 1])
    return np.asarray(known[:, right - 1] * (1.0 - share) + known[:, right] * share)


class PvLearner:
    """Plants that learn together: their histories, and the calibration as it has come so far."""

    def __init__(self, tables: Sequence[PvTable], settings: PvSettings | None = None) -> None:
        """Run physics and features once; they know nothing later than each weather forecast's issue.

        Raises:
            ValueError: There is no plant, or they have steps of different lengths.
        """
        if not tables or len({table.step_s for table in tables}) != 1:
            raise ValueError("there has to be at least one plant, and all need steps of the same length")
        self._tables, self._settings = tables, settings or PvSettings()
        self._physics = [physics_of(table) for table in tables]
        self._capacity = [table.place.pv.inverter_ac_limit_w for table in tables]
        self._share = [table.power_w / capacity for table, capacity in zip(tables, self._capacity, strict=True)]
        self._features = self._with_neighbours(list(map(features_of, tables, self._physics)))
        self._calibration = RollingConformal(self._settings.conformal)
        self._unmeasured: list[tuple[int, Quantiles, Floats]] = []  # until when, what was said, what happens

    def _with_neighbours(self, features: list[dict[str, Floats]]) -> list[dict[str, Floats]]:
        """Put in units of capacity what is power, and let plants see the mean over all plants at the same time."""
        for k, mine in enumerate(features):
            for name in [name for name in mine if "physics_w" in name or name == "clear_w"]:
                mine[name.replace("_w", "_share", 1)] = mine.pop(name) / self._capacity[k]
        if len(features) == 1:
            return features
        times = np.unique(np.concatenate([table.start_s for table in self._tables]))
        for name in (name for name in _SHARED if all(name in mine for mine in features)):
            total, count = np.zeros(len(times)), np.zeros(len(times))
            places = [np.searchsorted(times, table.start_s) for table in self._tables]
            for mine, place in zip(features, places, strict=True):
                total[place] += np.nan_to_num(mine[name])
                count[place] += 1.0
            for mine, place in zip(features, places, strict=True):
                mine[f"{name}_of_all"] = (total / np.maximum(count, 1.0))[place]
        for k, mine in enumerate(features):
            mine["plant"] = np.full(len(self._tables[k].start_s), float(k))
        return features

    def train_for(self, from_s: int, until_s: int) -> QuantileTrees:
        """Train for a period: on every daylight step that had ended when its first weather forecast was issued."""
        issued = [
            int(table.issued_s[row].min())
            for table, row in ((t, self._rows(k, from_s, until_s, night=True)) for k, t in enumerate(self._tables))
            if len(row)
        ]
        return self._train(min([from_s, *issued]))

    def _train(self, before_s: int) -> QuantileTrees:
        rows = [self._rows(k, 0, before_s) for k in range(len(self._tables))]
        picked = {
            name: np.concatenate([mine[name][row] for mine, row in zip(self._features, rows, strict=True)])
            for name in self._features[0]
        }
        target = np.concatenate([share[row] for share, row in zip(self._share, rows, strict=True)])
        notes = {"trained_before_s": str(before_s)}
        return QuantileTrees.train(picked, target, self._settings.trees, name="pv power / capacity", notes=notes)

    def _rows(self, plant: int, from_s: int, until_s: int, *, night: bool = False) -> Ints:
        table, physics = self._tables[plant], self._physics[plant]
        wanted = (table.start_s >= from_s) & (table.start_s + table.step_s <= until_s)
        if not night:
            wanted &= physics.elevation_deg > _NIGHT_DEG
        return np.asarray(np.flatnonzero(wanted))

    def forecast(self, model: QuantileTrees, from_s: int, until_s: int) -> PvForecasts:
        """Say what a model says of a period, issue by issue; what was measured by then has calibrated the band."""
        levels = np.array(self._settings.trees.levels)
        rows = [self._rows(k, from_s, until_s, night=True) for k in range(len(self._tables))]
        plant = np.concatenate([np.full(len(row), k) for k, row in enumerate(rows)])

        def gather(columns: Sequence[Floats] | Sequence[Ints]) -> Floats:
            return np.concatenate([column[row] for column, row in zip(columns, rows, strict=True)])

        start = gather([table.start_s for table in self._tables]).astype(np.int64)
        issued = gather([table.issued_s for table in self._tables])
        elevation = gather([physics.elevation_deg for physics in self._physics])
        features = {name: gather([mine[name] for mine in self._features]) for name in self._features[0]}
        light = gather([physics.clear_w for physics in self._physics]) > 0.0  # at night it is exactly 0
        daylight = elevation > _DAY_DEG
        raw = np.zeros((len(start), len(levels)))
        raw[light] = np.clip(model.predict({name: column[light] for name, column in features.items()}), 0.0, 1.0)
        actual = gather(self._share)
        calibrated = raw.copy()
        for issue in np.unique(issued).tolist():
            self._learn_what_ended_by(issue)
            mine = (issued == issue) & light
            calibrated[mine] = np.clip(self._calibrated(raw[mine], levels), 0.0, 1.0)
            day = mine & daylight
            if day.any():
                ends = int(start[day].max()) + self._tables[0].step_s
                self._unmeasured.append((ends, band_of(raw[day], levels), actual[day]))
        simple = [self._simple(k, row) for k, row in enumerate(rows)]
        medians = {name: np.concatenate([one[0][name] for one in simple]) for name in simple[0][0]}
        climatology = np.concatenate([one[1] for one in simple])
        return PvForecasts(plant, start, daylight, actual, levels, raw, calibrated, medians, climatology)

    def _learn_what_ended_by(self, instant_s: int) -> None:
        """Calibrate with the batches that were measured to their ends by an instant."""
        for _, band, actual in [batch for batch in self._unmeasured if batch[0] <= instant_s]:
            self._calibration.learn(band, actual)
        self._unmeasured = [batch for batch in self._unmeasured if batch[0] > instant_s]

    def _calibrated(self, raw: Floats, levels: Floats) -> Floats:
        """Stretch both halves of the distribution as P10 and P90 are moved."""
        band = band_of(raw, levels)
        moved = self._calibration.correct(band)
        lower = _ratio(band.p50 - moved.p10, band.p50 - band.p10)
        upper = _ratio(moved.p90 - band.p50, band.p90 - band.p50)
        away = raw - band.p50[:, None]
        return np.asarray(band.p50[:, None] + np.where(away < 0.0, lower[:, None] * away, upper[:, None] * away))

    def _simple(self, plant: int, rows: Ints) -> tuple[dict[str, Floats], Floats]:
        """Physics, persistence, smart persistence, and the climatology's quantiles, from what was measured at issue."""
        table, physics, share = self._tables[plant], self._physics[plant], self._share[plant]
        capacity, per_day = self._capacity[plant], _DAY_S // table.step_s
        place = {int(start): k for k, start in enumerate(table.start_s.tolist())}

        def before(days: int) -> Ints:
            starts = table.start_s[rows] - days * _DAY_S
            known = starts + table.step_s <= table.issued_s[rows]
            return np.array([place.get(int(s), -1) if k else -1 for s, k in zip(starts, known, strict=True)])

        def at(values: Floats, index: Ints) -> Floats:
            return np.where(index >= 0, values[np.maximum(index, 0)], np.nan)

        yesterday = before(1)
        yesterday = np.where(yesterday >= 0, yesterday, before(2))
        clear = physics.clear_w / capacity
        filled = np.nan_to_num(share)
        sums = np.convolve(filled, np.ones(per_day))[: len(filled)], np.convolve(clear, np.ones(per_day))[: len(clear)]
        last = np.array([place.get(int(s) - table.step_s, -1) for s in table.issued_s[rows]])
        index = np.where(last >= 0, sums[0][np.maximum(last, 0)] / np.maximum(sums[1][np.maximum(last, 0)], 1e-6), 0.5)
        medians = {
            "physics": np.clip(physics.power_w[rows] / capacity, 0.0, 1.0),
            "persistence": np.nan_to_num(at(share, yesterday)),
            "smart_persistence": np.clip(index * clear[rows], 0.0, 1.0),
        }
        days = np.stack([at(share, before(d)) for d in range(1, self._settings.climatology_days + 1)])
        levels = tuple(self._settings.trees.levels)
        climatology = np.nan_to_num(column_quantiles(days, np.ones(len(days)), levels)).T
        return medians, np.asarray(climatology)


def _ratio(moved: Floats, raw: Floats) -> Floats:
    """How much wider a side has become; 1 where it had no width."""
    wide = raw > _NO_WIDTH
    return np.where(wide, moved / np.where(wide, raw, 1.0), 1.0)


def run_periods(learner: PvLearner, bounds_s: Sequence[int]) -> Iterator[tuple[QuantileTrees, PvForecasts]]:
    """Train at each bound on what was known then, and say what follows until the next one."""
    for begin, end in pairwise(bounds_s):
        model = learner.train_for(begin, end)
        yield model, learner.forecast(model, begin, end)
