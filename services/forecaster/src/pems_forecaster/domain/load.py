"""Load of the house without what PEMS controls: climatology by slot of local day, shrunk to a prior.

From the last 28 days, slots of the same kind of day (working, or weekend and holiday) and the same slot of
local day (and its two neighbours) give mean and quantiles. A prior profile (two peaks a day, scaled to
`base_load_w`) stands in while history is short, and weighs as much as three days of it.
"""

from dataclasses import dataclass

import numpy as np

from pems_forecaster.domain.bands import Quantiles, column_quantiles
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Grid, Ints, LocalCalendar
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["LoadBase", "Profile", "load_band", "load_base", "load_profile", "prior_shape"]

HISTORY_DAYS = 28
PRIOR_DAYS = 3.0
PRIOR_P10, PRIOR_P50, PRIOR_P90 = 0.45, 0.92, 1.75
"""Quantiles relative to the mean: 15-min load of one household is skewed by short strong uses."""
NOWCAST_H = 1.5
NOWCAST_SHARE = 0.6
LEVEL_MIN, LEVEL_MAX = 0.3, 3.0

_WORKDAY = (
    0.62, 0.56, 0.53, 0.52, 0.53, 0.62, 0.95, 1.20, 1.05, 0.90, 0.88, 0.95,
    1.05, 0.98, 0.92, 0.95, 1.10, 1.38, 1.62, 1.72, 1.60, 1.38, 1.08, 0.80,
)  # fmt: skip
_REST_DAY = (
    0.66, 0.59, 0.55, 0.53, 0.53, 0.56, 0.66, 0.88, 1.12, 1.25, 1.26, 1.35,
    1.40, 1.22, 1.08, 1.05, 1.15, 1.35, 1.52, 1.60, 1.50, 1.32, 1.06, 0.82,
)  # fmt: skip


def prior_shape(rest_day: bool) -> Floats:
    """Typical household profile per slot of day, mean 1 (hourly figures interpolated around the clock)."""
    hourly = np.array(_REST_DAY if rest_day else _WORKDAY)
    hourly = np.concatenate([hourly[-1:], hourly, hourly[:1]])
    at = (np.arange(SLOTS_PER_DAY) + 0.5) / 4.0
    fine = np.interp(at, np.arange(-0.5, 25.0), hourly)
    return np.asarray(fine / fine.mean(), dtype=np.float64)


@dataclass(frozen=True)
class Profile:
    """Mean and quantiles per slot of day, for one kind of day.

    Attributes:
        mean_w: Mean.
        band: Quantiles.
        days: Days of this kind that history holds.
    """

    mean_w: Floats
    band: Quantiles
    days: int


def load_profile(history: SlotHistory, calendar: LocalCalendar, before: int, base_load_w: float) -> dict[bool, Profile]:
    """Build the profiles of working days (False) and rest days (True) from what was measured before a slot."""
    slots, values = history.window("load_w", before - HISTORY_DAYS * SLOTS_PER_DAY, before)
    shapes = {rest: prior_shape(rest) for rest in (False, True)}
    days, of_day, rest = calendar.places(slots) if len(slots) else (slots, slots, np.empty(0, dtype=np.bool_))
    level = 1.0
    if len(slots):
        expected = base_load_w * np.where(rest, shapes[True][of_day], shapes[False][of_day])
        weight = len(slots) / SLOTS_PER_DAY
        ratio = float(values.sum() / max(expected.sum(), 1.0))
        level = float(np.clip((weight * ratio + 1.0) / (weight + 1.0), LEVEL_MIN, LEVEL_MAX))
    return {
        kind: _profile(days[rest == kind], of_day[rest == kind], values[rest == kind], level * base_load_w * shape)
        for kind, shape in shapes.items()
    }


def _profile(days: Ints, of_day: Ints, values: Floats, prior_w: Floats) -> Profile:
    known_days = np.unique(days)
    table = np.full((len(known_days), SLOTS_PER_DAY), np.nan)
    if len(known_days):
        table[np.searchsorted(known_days, days), of_day] = values
    samples = np.concatenate([np.roll(table, 1, axis=1), table, np.roll(table, -1, axis=1)])
    known = np.isfinite(samples)
    counts = known.sum(axis=0) / 3.0
    some = counts > 0
    mean = np.where(some, np.where(known, samples, 0.0).sum(axis=0) / np.maximum(3.0 * counts, 1.0), prior_w)
    own = column_quantiles(samples, np.ones(len(samples)), (0.1, 0.5, 0.9))
    q10, q50, q90 = np.where(some, own, prior_w)
    weight = counts / (counts + PRIOR_DAYS)

    def shrink(own: Floats, prior: Floats) -> Floats:
        mixed: Floats = weight * own + (1.0 - weight) * prior
        return mixed

    band = Quantiles(
        shrink(q10, PRIOR_P10 * prior_w), shrink(q50, PRIOR_P50 * prior_w), shrink(q90, PRIOR_P90 * prior_w)
    )
    return Profile(shrink(mean, prior_w), band.tidy(0.0), len(known_days))


@dataclass(frozen=True)
class LoadBase:
    """Climatology on the grid, with the nowcast in it; `scale_w` is what errors are measured against."""

    band: Quantiles
    scale_w: Floats
    days: int


def load_base(
    grid: Grid, history: SlotHistory, calendar: LocalCalendar, profiles: dict[bool, Profile], recent_w: float | None
) -> LoadBase:
    """Put the profiles on the grid and lean the first hours on the last hour's measurements.

    Args:
        grid: Slots wanted.
        history: For what the profile said about the last hour.
        calendar: Of the site.
        profiles: By `load_profile`.
        recent_w: Load of the unfinished slot so far, None where unknown.
    """
    _, of_day, rest = calendar.places(grid.slots)

    def on_grid(pick: str) -> Floats:
        work, free = (getattr(profiles[kind].band, pick) for kind in (False, True))
        picked: Floats = np.where(rest, free[of_day], work[of_day])
        return picked

    p10, p50, p90 = on_grid("p10"), on_grid("p50"), on_grid("p90")
    last = np.arange(grid.first - 4, grid.first, dtype=np.int64)
    measured = history.at("load_w", last, before=grid.first)
    _, last_of_day, last_rest = calendar.places(last)
    said = np.array(
        [profiles[bool(r)].band.p50[s] for s, r in zip(last_of_day, last_rest, strict=True)], dtype=np.float64
    )
    errors = (measured - said)[np.isfinite(measured)].tolist()
    if recent_w is not None:
        errors.append(recent_w - float(p50[0]))
    lean = np.zeros(grid.count)
    if errors:
        lean = NOWCAST_SHARE * float(np.mean(errors)) * np.exp(-grid.lead_h / NOWCAST_H)
    middle = np.maximum(p50 + lean, 0.3 * p10)
    band = Quantiles(np.maximum(p10 + np.minimum(lean, 0.0), 0.0), middle, p90 + np.maximum(lean, 0.0))
    return LoadBase(band.tidy(0.0), np.maximum(p50, 80.0), profiles[False].days + profiles[True].days)


def load_band(band: Quantiles, scale_w: Floats, lead_h: Floats, book: ResidualBook) -> Quantiles:
    """Band as published: a little wider with lead time, corrected by own residuals, never negative."""
    widen = 1.0 + 0.05 * lead_h / 24.0
    wide = Quantiles(band.p50 - widen * (band.p50 - band.p10), band.p50, band.p50 + widen * (band.p90 - band.p50))
    return book.correct(wide, scale_w, lead_h).tidy(0.0)
