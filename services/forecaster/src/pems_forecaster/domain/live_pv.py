"""PV models of the running forecaster: trees on the weather as it was told, the physical chain, and the last day."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Home
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Ints
from pems_forecaster.domain.lessons import Lessons, WeatherRun, run_of
from pems_forecaster.domain.live_model import Progress, Situation, Trained, held_out_days, holdout_metrics
from pems_forecaster.domain.pv import pv_power
from pems_forecaster.domain.pv_history import judge
from pems_forecaster.domain.pv_quality import PvRows
from pems_forecaster.domain.pv_table import PvPlace, PvTable, features_of, physics_of
from pems_forecaster.domain.quantile_trees import QuantileTrees, TreeSettings
from pems_forecaster.domain.slot_history import LIMITED_SHARE

__all__ = ["PvKind", "PvModel", "Taught", "taught"]

_SETTINGS = TreeSettings(rounds=250, depth=6, rate=0.06, subsample=0.7, columns=0.5, least_rows=20.0)
_SHORT = replace(_SETTINGS, rounds=150, depth=3, least_rows=60.0, penalty=5.0)
"""With few days deep trees learn the days themselves: 7 % more pinball loss on seven ten-day periods of a generated
house, learning from 14 or 40 days."""
_SHORT_DAYS = 120.0
_NAME, _STRENGTH = "(pv power - strength * physics) / AC limit", "strength"
_HOUR_SLOTS = 4
_AROUND, _AROUND_HOURS = ("clear_index", "cloud_pct", "physics_share"), (1, 3, 6)
_DARK_SHARE = 1e-3  # of clear-sky power below which nothing is learnt


def _place(home: Home) -> PvPlace:
    return PvPlace(home.site.latitude, home.site.longitude, home.site.altitude_m, home.pv)


def run_features(home: Home, run: WeatherRun, before_w: Floats) -> tuple[dict[str, Floats], Floats]:
    """Return what a model sees of each slot of a run, and the power under a cloudless sky [W].

    Sums over the run are left out: runs of a day's end and of its beginning are of different lengths in light. So is
    the day of the year: within the first year it only tells winter's rows from summer's, and the next season's have yet
    another (the sun's height says what the season does).

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
        if not name.startswith("run_") and name != "day_of_year"
    }
    features |= _hours_around(features)
    # The sun of the last day stood as that of the next one does, to within a hundredth.
    clear = physics.clear_w[:SLOTS_PER_DAY]
    features["last_day_index"] = np.full(len(run.slots), _index(before_w, clear))
    features["last_hour_index"] = np.full(len(run.slots), _index(before_w[-_HOUR_SLOTS:], clear[-_HOUR_SLOTS:]))
    place = np.arange(len(run.slots)) % SLOTS_PER_DAY
    features["last_day_share"] = before_w[place] / capacity
    return features, physics.clear_w


def _hours_around(features: dict[str, Floats]) -> dict[str, Floats]:
    """Return means and spreads of a slot's surroundings within the run."""
    found: dict[str, Floats] = {}
    for name in _AROUND:
        values = np.nan_to_num(features[name])
        for hours in _AROUND_HOURS:
            width = 4 * hours + 1
            count = _moving(np.ones(len(values)), width)
            mean = _moving(values, width) / count
            found[f"{name}_{hours}h"] = mean
            found[f"{name}_{hours}h_spread"] = np.sqrt(np.maximum(_moving(values**2, width) / count - mean**2, 0.0))
    return found


def _moving(values: Floats, width: int) -> Floats:
    """Sum over a window around each slot, as far as the run goes."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    return np.asarray(total[np.minimum(at + width // 2 + 1, len(values))] - total[np.maximum(at - width // 2, 0)])


def _index(measured: Floats, clear: Floats) -> float:
    """Power in units of clear-sky power over some slots; NaN where too little light or nothing was measured."""
    known = np.isfinite(measured) & (clear > 0.0)
    light = float(clear[known].sum())
    return float(measured[known].sum() / light) if known.any() and light > _DARK_SHARE * len(clear) else float("nan")


@dataclass(frozen=True)
class PvModel:
    """Trees that say what physics leaves, in shares of the AC limit."""

    trees: QuantileTrees

    def predict(self, situation: Situation) -> Quantiles:
        """Return the band on the grid [W]."""
        features, clear_w = situation.once("pv", lambda: _features(situation))
        said = self.trees.predict(features) + _base(features, self.trees.card.notes)[:, None]
        bare = situation.once("bare", lambda: pv_power(situation.home.pv, situation.weather).bare)
        said_w = np.clip(said, 0.0, 1.0) * situation.home.pv.inverter_ac_limit_w * bare[:, None]
        return Quantiles(*np.where(clear_w > 0.0, said_w.T, 0.0))

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
        """Days with power that was not held back and a weather forecast."""
        free = np.isfinite(lessons.measured["pv_w"]) & ~_limited(lessons)
        return min(float(free.sum()) / SLOTS_PER_DAY, float(len({run.first // SLOTS_PER_DAY for run in lessons.runs})))

    def train(self, home: Home, lessons: Lessons, *, threads: int, progress: Progress) -> Trained:
        """Train on one weather forecast a day, of changing hours."""
        progress(0.0, "weather and sun")
        known = taught(home, lessons)
        rows = list(_rows(home, lessons, known.power_w))
        if not rows:
            raise ValueError("no day has both a weather forecast and measured power")
        features = {name: np.concatenate([row[0][name] for row in rows]) for name in rows[0][0]}
        share = np.concatenate([row[1] for row in rows])
        slot = np.concatenate([row[2] for row in rows])
        issued = np.concatenate([np.full(len(row[2]), row[3]) for row in rows])
        notes = {_STRENGTH: repr(known.strength)}
        base = _base(features, notes)
        settings = replace(_SETTINGS if self.days(lessons) >= _SHORT_DAYS else _SHORT, threads=threads)
        cut = lessons.until - held_out_days(self.days(lessons)) * SLOTS_PER_DAY
        metrics: dict[str, float] = {}
        progress(0.3, "a trial without the last days")
        early, late = slot < cut, issued >= cut
        if np.isfinite(share[early]).any() and late.any():
            trial = QuantileTrees.train(_pick(features, early), (share - base)[early], settings, name=_NAME)
            said = np.clip(trial.predict(_pick(features, late)) + base[late, None], 0.0, 1.0)
            capacity_w = home.pv.inverter_ac_limit_w
            metrics = holdout_metrics(capacity_w * share[late], capacity_w * said)
        progress(0.6, "all days")
        trees = QuantileTrees.train(features, share - base, settings, name=_NAME, notes=notes)
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
    snow = np.nan_to_num(situation.history.at("pv_snow", last_day, before=grid.first))
    before_w = np.where(snow > 0.0, np.nan, situation.history.free_pv_w(last_day, before=grid.first))
    return run_features(situation.home, run_of(grid, situation.weather), before_w)


def _pick(features: dict[str, Floats], rows: np.ndarray) -> dict[str, Floats]:
    return {name: column[rows] for name, column in features.items()}


def _base(features: Mapping[str, Floats], notes: Mapping[str, str]) -> Floats:
    """Return what trees say the difference to (N,): physics, as strong as the plant was at the training."""
    return np.clip(float(notes[_STRENGTH]) * features["physics_share"], 0.0, 1.0)


def _limited(lessons: Lessons) -> NDArray[np.bool_]:
    """Slots in which PV was held back (T,)."""
    return np.nan_to_num(lessons.measured["pv_limited"]) > LIMITED_SHARE


@dataclass(frozen=True)
class Taught:
    """What was measured of a plant, judged.

    Attributes:
        power_w: Measured, as the plant is now (T,); NaN where it may not teach.
        strength: Of the plant over physics.
        physics_w: What physics said with the weather as it was told (T,).
    """

    power_w: Floats
    strength: float
    physics_w: Floats


def taught(home: Home, lessons: Lessons) -> Taught:
    """Judge what was measured of a plant.

    Stuck, impossible and held back rows, the rest of such a day, and days with a wrong clock teach nothing; see
    `pv_history`.
    """
    slots = np.arange(lessons.first, lessons.until, dtype=np.int64)
    columns = lessons.weather()
    capacity_w, start_s = home.pv.inverter_ac_limit_w, slots * SLOT_S
    physics = physics_of(PvTable(_place(home), start_s, start_s, SLOT_S, columns, np.full(len(slots), np.nan)))
    share = lessons.measured["pv_w"] / capacity_w
    history = judge(
        PvRows(
            start_s=start_s,
            step_s=SLOT_S,
            day=PvRows.solar_day(start_s, SLOT_S, home.site.longitude),
            measured=share,
            physics=physics.power_w / capacity_w,
            clear=physics.clear_w / capacity_w,
            limited=_limited(lessons),
            snow=np.nan_to_num(lessons.measured["pv_snow"]) > 0.0,
        )
    )
    power_w = np.where(history.teaching, lessons.measured["pv_w"] * history.capacity.rescale, np.nan)
    return Taught(power_w, history.capacity.ratio, physics.power_w)


def _rows(home: Home, lessons: Lessons, power_w: Floats) -> Iterator[tuple[dict[str, Floats], Floats, Ints, int]]:
    """Yield features, shares, slot numbers and the issue's slot of the daylight slots of one run a day."""
    known = Lessons(lessons.first, {**lessons.measured, "pv_w": power_w})
    by_day: dict[int, list[WeatherRun]] = {}
    for run in lessons.runs:
        by_day.setdefault(run.first // SLOTS_PER_DAY, []).append(run)
    for day, runs in sorted(by_day.items()):
        run = runs[day % len(runs)]
        before = np.arange(run.first - SLOTS_PER_DAY, run.first, dtype=np.int64)
        features, clear_w = run_features(home, run, known.at("pv_w", before))
        light = (clear_w > _DARK_SHARE * home.pv.inverter_ac_limit_w) & np.isfinite(run.columns["ghi_w_m2"])
        share = known.at("pv_w", run.slots[light]) / home.pv.inverter_ac_limit_w
        yield _pick(features, light), np.clip(share, 0.0, 1.0), run.slots[light], run.first
