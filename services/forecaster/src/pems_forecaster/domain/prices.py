"""Price bands: exact while published, beyond that from similar days.

Beyond the published horizon spot is taken from the same slot of local day of the last weeks (released prices
only), weighted by age (half in about 3.5 days) and kind of day, blended with a prior while few days are known,
widened with lead time; then the tariff of each slot makes buy and sell prices of it.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Tariff
from pems_common.messages import Prices
from pems_forecaster.domain.bands import Z90, Quantiles, column_quantiles
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Grid, Ints, LocalCalendar, slot_at, slot_no
from pems_forecaster.domain.residuals import ResidualBook
from pems_forecaster.domain.slot_history import SlotHistory

__all__ = ["PriceBands", "price_bands", "released_slot", "spot_band", "spot_base"]

HISTORY_DAYS = 28
AGE_DAYS = 5.0
OTHER_KIND_WEIGHT = 0.35
PRIOR_DAYS = 1.5
PRIOR_MEAN_EUR = 95.0
PRIOR_SIGMA_EUR = 20.0
PRIOR_SIGMA_REL = 0.18
_PRIOR_SHAPE = (
    -12, -16, -19, -20, -18, -10, 4, 18, 20, 8, -6, -16,
    -22, -24, -20, -10, 4, 22, 36, 38, 28, 14, 4, -5,
)  # fmt: skip


@dataclass(frozen=True)
class PriceBands:
    """Buy and sell bands [CZK/kWh], and which slots are published."""

    buy: Quantiles
    sell: Quantiles
    known: NDArray[np.bool_]
    degraded: tuple[str, ...]


def spot_base(grid: Grid, history: SlotHistory, calendar: LocalCalendar, released_before: int) -> Quantiles:
    """Spot [EUR/MWh] from similar days among the prices released so far.

    Args:
        grid: Slots wanted.
        history: Holds `spot_eur_mwh`.
        calendar: Of the site.
        released_before: Prices of slots from here on are not public yet.
    """
    first = grid.first - HISTORY_DAYS * SLOTS_PER_DAY
    slots, values = history.window("spot_eur_mwh", first, released_before)
    days, of_day, rest = calendar.places(slots) if len(slots) else (slots, slots, np.empty(0, dtype=np.bool_))
    known_days = np.unique(days)
    table = np.full((len(known_days), SLOTS_PER_DAY), np.nan)
    day_rest = np.zeros(len(known_days), dtype=np.bool_)
    if len(known_days):
        row = np.searchsorted(known_days, days)
        table[row, of_day] = values
        day_rest[row] = rest
    grid_days, grid_of_day, grid_rest = calendar.places(grid.slots)
    level = float(np.nanmean(table)) if len(known_days) else PRIOR_MEAN_EUR
    hourly = np.array(_PRIOR_SHAPE, dtype=np.float64)
    prior = level + np.interp((grid_of_day + 0.5) / 4.0, np.arange(0.5, 24.0), hourly, period=24.0)
    spread = Z90 * (PRIOR_SIGMA_EUR + PRIOR_SIGMA_REL * np.abs(prior))
    p10, p50, p90 = prior - spread, prior.copy(), prior + spread
    if len(known_days):
        for day in np.unique(grid_days):
            at = np.flatnonzero(grid_days == day)
            own, effective = _similar(table, known_days, day_rest, int(day), bool(grid_rest[at[0]]))
            own10, own50, own90 = own[:, grid_of_day[at]]
            days_n = effective[grid_of_day[at]]
            weight = np.where(np.isfinite(own50), days_n / (days_n + PRIOR_DAYS), 0.0)
            own10, own50, own90 = (np.where(np.isfinite(q), q, prior[at]) for q in (own10, own50, own90))
            p50[at] = weight * own50 + (1 - weight) * prior[at]
            p10[at] = p50[at] - (weight * (own50 - own10) + (1 - weight) * spread[at])
            p90[at] = p50[at] + (weight * (own90 - own50) + (1 - weight) * spread[at])
    ahead_h = np.maximum(grid.slots - released_before, 0) / 4.0
    widen = 1.0 + 0.15 * ahead_h / 24.0
    return Quantiles(p50 - widen * (p50 - p10), p50, p50 + widen * (p90 - p50)).tidy()


def _similar(table: Floats, days: Ints, day_rest: NDArray[np.bool_], day: int, rest: bool) -> tuple[Floats, Floats]:
    """Weighted P10, P50, P90 per slot of day for a target day, and the effective number of days behind them."""
    age = np.maximum(day - days, 0)
    weights = np.exp(-age / AGE_DAYS) * np.where(day_rest == rest, 1.0, OTHER_KIND_WEIGHT)
    samples = np.concatenate([np.roll(table, 1, axis=1), table, np.roll(table, -1, axis=1)])
    own = column_quantiles(samples, np.tile(weights, 3), (0.1, 0.5, 0.9))
    weight = np.where(np.isfinite(table), weights[:, None], 0.0)
    effective = weight.sum(axis=0) ** 2 / np.maximum(np.sum(weight**2, axis=0), 1e-12)
    return own, effective


def spot_band(base: Quantiles, lead_h: Floats, book: ResidualBook) -> Quantiles:
    """Correct a spot band [EUR/MWh] by own errors."""
    return book.correct(base, np.ones(len(lead_h)), lead_h).tidy()


def released_slot(grid: Grid, prices: Prices | None) -> int:
    """Return the number of the first slot from the grid's start on whose price is not public."""
    return grid.first if prices is None else max(slot_no(prices.known_until), grid.first)


def price_bands(grid: Grid, prices: Prices | None, spot: Quantiles, tariff: Tariff, zone: ZoneInfo) -> PriceBands:
    """Make buy and sell bands over the grid: what is published, and the tariff on `spot` [EUR/MWh] beyond."""
    rate = tariff.fallback_eur_czk if prices is None else prices.eur_czk
    buy = np.empty((3, grid.count))
    sell = np.empty((3, grid.count))
    known = np.zeros(grid.count, dtype=np.bool_)
    for i, slot in enumerate(grid.slots):
        at = slot_at(int(slot))
        if prices is not None and at < prices.known_until:
            paid, earned = prices.buy_czk_kwh.at(at), prices.sell_czk_kwh.at(at)
            if paid is not None and earned is not None:
                buy[:, i], sell[:, i], known[i] = paid, earned, True
                continue
        version = tariff.at(at, zone)
        local = at.astimezone(zone)
        for j, eur in enumerate((spot.p10[i], spot.p50[i], spot.p90[i])):
            czk = float(eur) * rate / 1000.0
            buy[j, i] = version.buy_czk_kwh(czk, local)
            sell[j, i] = version.sell_czk_kwh(czk)
    degraded = () if known[:4].any() else ("no_prices",)
    return PriceBands(Quantiles(*buy).tidy(), Quantiles(*sell).tidy(), known, degraded)
