"""From the market's day and period numbers to 15-min slots in UTC, on days of 92, 96 and 100 slots."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from math import isfinite
from zoneinfo import ZoneInfo

from pems_common.timegrid import SLOT, local_day_slots, local_midnight
from pems_ingest.sources.port import SourceError, SpotDays

__all__ = ["MARKET_ZONE", "PRICE_LIMITS_EUR_MWH", "days_between", "days_of_periods"]

MARKET_ZONE = ZoneInfo("Europe/Prague")
PRICE_LIMITS_EUR_MWH = (-1_000.0, 10_000.0)  # harmonised limits are -500 and 4,000, raised from time to time


def days_of_periods(source: str, periods: Mapping[date, Mapping[int, float]], *, hourly: bool = False) -> SpotDays:
    """Return the slots of numbered periods (1, 2, ...); hourly periods fill their four quarters.

    Args:
        source: Name of the source.
        periods: EUR/MWh by local day and 1-based period.
        hourly: Periods are hours (23, 24 or 25 a day).

    Raises:
        SourceError: A period that the day does not have, or an impossible price.
    """
    prices: dict[datetime, float] = {}
    missing: list[datetime] = []
    for day, by_index in periods.items():
        slots = local_day_slots(day, MARKET_ZONE)
        length = 4 if hourly else 1
        count = len(slots) // length
        midnight = local_midnight(day, MARKET_ZONE)
        for index, price in by_index.items():
            if not 1 <= index <= count:
                raise SourceError("malformed", f"{source}: period {index} on {day}, which has {count}")
            low, high = PRICE_LIMITS_EUR_MWH
            if not isfinite(price) or not low <= price <= high:
                raise SourceError("impossible_value", f"{source}: {price} EUR/MWh in period {index} of {day}")
            for quarter in range(length):
                prices[midnight + ((index - 1) * length + quarter) * SLOT] = price
        missing += [slot for slot in slots if slot not in prices]
    return SpotDays(source, prices, tuple(sorted(missing)))


def days_between(first: date, last: date) -> list[date]:
    """Return the days `first..last`.

    Raises:
        ValueError: More than a year, or none.
    """
    count = (last - first).days + 1
    if not 1 <= count <= 400:
        raise ValueError(f"{count} days")
    return [first + timedelta(days=i) for i in range(count)]
