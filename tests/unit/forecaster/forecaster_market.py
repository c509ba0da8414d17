"""A market whose prices follow rules: a level that wanders, peaks, dear workdays, a dip at noon."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from pems_forecaster.domain.grid import Floats, LocalCalendar
from pems_forecaster.domain.price_model import PriceSettings
from pems_forecaster.domain.quantile_trees import TreeSettings

CALENDAR = LocalCalendar(ZoneInfo("Europe/Prague"), "CZ")
QUICK = PriceSettings(trees=TreeSettings(rounds=15, depth=3, rate=0.3, least_rows=5.0))
SEED = 3


def slot_of(year: int, month: int, day: int) -> int:
    """Number of the first slot of a local day."""
    return int(datetime(year, month, day, tzinfo=CALENDAR.zone).astimezone(UTC).timestamp()) // 900


def market(first: int, until: int, *, wind_eur: float = 10.0) -> tuple[Floats, Floats]:
    """Prices [EUR/MWh] of slots, and wind (0 to 1) that lowers them by up to `wind_eur`."""
    rng = np.random.default_rng(SEED)
    day, of_day, rest = CALENDAR.places(np.arange(first, until))
    number = day - day[0]
    level = 80.0 + np.cumsum(rng.normal(0.0, 18.0, number[-1] + 1))
    wind = rng.uniform(0.0, 1.0, (number[-1] + 1, 24))
    hour = of_day / 4.0
    shape = 30.0 * np.sin((hour - 15.0) * np.pi / 6.0) - 100.0 * np.exp(-((hour - 13.0) ** 2) / 4.0)
    told = wind[number, of_day // 4]
    noise = rng.normal(0.0, 3.0, (number[-1] + 1, 24))[number, of_day // 4]
    return level[number] + shape + np.where(rest, -15.0, 0.0) - wind_eur * told + noise, told
