"""PV models of the running forecaster: trees on the weather as it was told, the physical chain, and the last day."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pems_common.home import Home
from pems_forecaster.backtest.pv_table import PvPlace, PvTable, features_of, physics_of
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Ints
from pems_forecaster.domain.lessons import Lessons, WeatherRun, run_of
from pems_forecaster.domain.live_model import Situation, Trained, held_out_days, holdout_metrics
from pems_forecaster.domain.quantile_trees import QuantileTrees, TreeSettings
from pems_forecaster.domain.slot_history import LIMITED_SHARE

__all__ = ["PvKind", "PvModel"]

_SETTINGS = TreeSettings(rounds=250, depth=6, rate=0.06, subsample=0.7, columns=0.5, least_rows=20.0)
_NAME = "pv power / AC limit"
_HOUR_SLOTS = 4
_DARK_SHARE = 1e-3  # of clear-sky power below which nothing is learnt


def _place(home: Home) -> PvPlace:
    return PvPlace(home.site.latitude, home.site.longitude, home.site.altitude_m, home.pv)


def run_features(home: Home, run: WeatherRun, before_w: Floats) -> tuple[dict[str, Floats], Floats]:
    """Return what a model sees of each slot of a run, and the power under a cloudless sky [W].

    Sums over the run are left out: runs of a day's end and of its beginning are of different lengths in light.

    Args:
        home: The site.
        run: Weather as known at its issue.
        before_w: Power of the 96 slots before the run's first one, NaN where unknown or held back.
    """
    capacity = home.pv.inverter_ac_limit_w
    issued = np.full(len(run.slots), run.first * SLOT_S, dtype=np.int64)
    unknown = np.full(len(run.slots), np.nan)
    table = PvTable(_place(home), run.slots * SLOT_S, issued, SLOT_S, run.columns, unknown)
    physics = physics_of(table)
    features = {
        name.replace("_w", "_share", 1) if "physics_w" in name or name == "clear_w" else name: (
            column / capacity if "physics_w" in name or name == "clear_w" else column
        )
        for name, column in features_of(table, physics).items()
        if not name.startswith("run_")
    }
    # The sun of the last day stood as that of the next one does, to within a hundredth.
    clear = physics.clear_w[:SLOTS_PER_DAY]
    features["last_day_index"] = np.full(len(run.slots), _index(before_w, clear))
    features["last_hour_index"] = np.full(len(run.slots), _index(before_w[-_HOUR_SLOTS:], clear[-_HOUR_SLOTS:]))
    place = np.arange(len(run.slots)) % SLOTS_PER_DAY
    features["last_day_share"] = before_w[place] / capacity
    return features, physics.clear_w


def _index(measured: Floats, clear: Floats) -> float:
    """Power in units of clear-sky power over some slots; NaN where too little light or nothing was measured."""
    known = np.isfinite(measured) & (clear > 0.0)
    light = float(clear[known].sum())
    return float(measured[known].sum() / light) if known.any() and light > _DARK_SHARE * len(clear) else float("nan")


@dataclass(frozen=True)
class PvModel:
    """Trees that say shares of the AC limit."""

    trees: QuantileTrees

    def predict(self, situation: Situation) -> Quantiles:
        """Return the band on the grid [W]."""
        features, clear_w = situation.once("pv", lambda: _features(situation))
        said = np.clip(self.trees.predict(features), 0.0, 1.0) * situation.home.pv.inverter_ac_limit_w
        return Quantiles(*np.where(clear_w > 0.0, said.T, 0.0))

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the gain."""
        return self.trees.importance()

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        self.trees.save(folder)


class PvKind:
    """Trains and loads PV models."""

    name = "pv"
    least_days = 14.0

    def days(self, lessons: Lessons) -> float:
        """Days with power and a weather forecast."""
        return min(lessons.days("pv_w"), float(len({run.first // SLOTS_PER_DAY for run in lessons.runs})))

    def train(self, home: Home, lessons: Lessons, *, threads: int, progress: Callable[[float, str], None]) -> Trained:
        """Train on one weather forecast a day, of changing hours."""
        progress(0.0, "weather and sun")
        rows = list(_rows(home, lessons))
        if not rows:
            raise ValueError("no day has both a weather forecast and measured power")
        features = {name: np.concatenate([row[0][name] for row in rows]) for name in rows[0][0]}
        target = np.concatenate([row[1] for row in rows])
        slot = np.concatenate([row[2] for row in rows])
        issued = np.concatenate([np.full(len(row[2]), row[3]) for row in rows])
        settings = TreeSettings(**{**asdict(_SETTINGS), "threads": threads})
        cut = lessons.until - held_out_days(self.days(lessons)) * SLOTS_PER_DAY
        metrics: dict[str, float] = {}
        early, late = slot < cut, issued >= cut
        progress(0.3, "a trial without the last days")
        if np.isfinite(target[early]).any() and late.any():
            trial = QuantileTrees.train(_pick(features, early), target[early], settings, name=_NAME)
            scale = home.pv.inverter_ac_limit_w
            said = scale * np.clip(trial.predict(_pick(features, late)), 0.0, 1.0)
            metrics = holdout_metrics(scale * target[late], said)
        progress(0.6, "all days")
        trees = QuantileTrees.train(features, target, settings, name=_NAME)
        card = trees.card
        return Trained(
            PvModel(trees), card.target, card.rows, card.data_hash, card.features, asdict(card.settings), metrics
        )

    def load(self, folder: Path) -> PvModel:
        """Read a model."""
        return PvModel(QuantileTrees.load(folder))


def _features(situation: Situation) -> tuple[dict[str, Floats], Floats]:
    grid = situation.grid
    last_day = np.arange(grid.first - SLOTS_PER_DAY, grid.first, dtype=np.int64)
    measured = situation.history.at("pv_w", last_day, before=grid.first)
    limited = np.nan_to_num(situation.history.at("pv_limited", last_day, before=grid.first)) > LIMITED_SHARE
    before_w = np.where(limited, np.nan, measured)
    return run_features(situation.home, run_of(grid, situation.weather), before_w)


def _pick(features: dict[str, Floats], rows: np.ndarray) -> dict[str, Floats]:
    return {name: column[rows] for name, column in features.items()}


def _rows(home: Home, lessons: Lessons) -> Iterator[tuple[dict[str, Floats], Floats, Ints, int]]:
    """Yield features, shares, slot numbers and the issue's slot of the daylight slots of one run a day."""
    limited = np.nan_to_num(lessons.measured["pv_limited"]) > LIMITED_SHARE
    power_w = np.where(limited, np.nan, lessons.measured["pv_w"])
    free = Lessons(lessons.first, {**lessons.measured, "pv_w": power_w})
    by_day: dict[int, list[WeatherRun]] = {}
    for run in lessons.runs:
        by_day.setdefault(run.first // SLOTS_PER_DAY, []).append(run)
    for day, runs in sorted(by_day.items()):
        run = runs[day % len(runs)]
        before = np.arange(run.first - SLOTS_PER_DAY, run.first, dtype=np.int64)
        features, clear_w = run_features(home, run, free.at("pv_w", before))
        light = (clear_w > _DARK_SHARE * home.pv.inverter_ac_limit_w) & np.isfinite(run.columns["ghi_w_m2"])
        target = free.at("pv_w", run.slots[light]) / home.pv.inverter_ac_limit_w
        yield _pick(features, light), np.clip(target, 0.0, 1.0), run.slots[light], run.first
