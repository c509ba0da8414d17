"""A made-up household: two peaks a day, late weekends, a level that drifts from day to day, and noise."""

from zoneinfo import ZoneInfo

import numpy as np

from pems_forecaster.domain.grid import LocalCalendar
from pems_forecaster.domain.load_series import LoadSeries
from pems_forecaster.domain.quantile_trees import TreeSettings

DAY_S = 86_400
HOUR_S = 3600
FIRST_S = 1_736_118_000  # Monday 2025-01-06 00:00 in Prague
CALENDAR = LocalCalendar(ZoneInfo("Europe/Prague"), "CZ")
QUICK = TreeSettings(rounds=25, depth=3, rate=0.2, subsample=0.8, columns=0.6, least_rows=20.0)
AWAY_W = 90.0


def household(days: int, *, seed: int = 1, drift: float = 0.12, away: tuple[int, ...] = ()) -> LoadSeries:
    """Hourly load from a Monday in winter on; on `away` days only the fridge runs."""
    rng = np.random.default_rng(seed)
    day, hour = np.divmod(np.arange(days * 24), 24)
    rest = day % 7 >= 5
    morning = np.exp(-(((hour - np.where(rest, 10.0, 7.0)) / 1.5) ** 2))
    evening = np.exp(-(((hour - 19.5) / 2.0) ** 2))
    level = np.exp(np.convolve(rng.normal(0.0, drift, days + 9), 0.8 ** np.arange(10), "valid"))
    usual_w = level[day] * (200.0 + 900.0 * morning + 1600.0 * evening)
    power_w = usual_w * rng.gamma(6.0, 1.0 / 6.0, len(day))
    power_w = np.where(np.isin(day, away), AWAY_W * rng.uniform(0.8, 1.2, len(day)), power_w)
    return LoadSeries(FIRST_S, HOUR_S, power_w, CALENDAR)


def midnight(day: int) -> int:
    """Start of the day with this number, while it is winter."""
    return FIRST_S + day * DAY_S
