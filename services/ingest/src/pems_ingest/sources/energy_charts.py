"""Day-ahead prices from energy-charts.info: the third way, operated by Fraunhofer ISE, by bidding zone."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from pems_common.timegrid import SLOT, local_day_slots, local_midnight
from pems_ingest.sources.day_prices import MARKET_ZONE, PRICE_LIMITS_EUR_MWH
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError, SpotDays

__all__ = ["ENERGY_CHARTS_URL", "EnergyCharts", "parse_energy_charts"]

ENERGY_CHARTS_URL = "https://api.energy-charts.info/price"


class EnergyCharts:
    """`SpotSource` on energy-charts' API."""

    name = "energy_charts"

    def __init__(self, fetcher: Fetcher, url: str = ENERGY_CHARTS_URL, zone: str = "CZ") -> None:
        """Ask at `url` for a bidding zone."""
        self._fetcher, self._url, self._zone = fetcher, url, zone

    async def spot(self, first: date, last: date) -> SpotDays:
        """Return the prices of the days `first..last` as far as they are published."""
        params = {"bzn": self._zone, "start": first.isoformat(), "end": last.isoformat()}
        return parse_energy_charts(await self._fetcher.get(self._url, params=params), name=self.name)


def parse_energy_charts(body: bytes, *, name: str = "energy_charts") -> SpotDays:
    """Read `{unix_seconds, price, unit}`; a longer step fills its quarters.

    Raises:
        SourceError: Not such an answer.
    """
    try:
        data = json.loads(body)
        starts = [datetime.fromtimestamp(int(s), UTC) for s in data["unix_seconds"]]
        values = [None if p is None else float(p) for p in data["price"]]
        unit = str(data["unit"]).replace(" ", "")
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise SourceError("malformed", f"{name}: {error}") from error
    if unit != "EUR/MWh":
        raise SourceError("wrong_units", f"{name}: unit {unit!r}")
    if len(starts) != len(values) or any(b <= a for a, b in pairwise(starts)):
        raise SourceError("malformed", f"{name}: times and prices do not fit")
    prices: dict[datetime, float] = {}
    step = min((b - a for a, b in pairwise(starts)), default=timedelta(hours=1))
    if step < SLOT or step > timedelta(hours=1) or step % SLOT:
        raise SourceError("malformed", f"{name}: step {step}")
    low, high = PRICE_LIMITS_EUR_MWH
    for start, value in zip(starts, values, strict=True):
        if value is None:
            continue
        if not low <= value <= high:
            raise SourceError("impossible_value", f"{name}: {value} EUR/MWh at {start}")
        for quarter in range(step // SLOT):
            prices[start + quarter * SLOT] = value
    return SpotDays(name, prices, _missing(prices))


def _missing(prices: dict[datetime, float]) -> tuple[datetime, ...]:
    days = {slot.astimezone(MARKET_ZONE).date() for slot in prices}
    whole = [d for d in days if local_midnight(d, MARKET_ZONE) in prices]
    return tuple(sorted(s for d in whole for s in local_day_slots(d, MARKET_ZONE) if s not in prices))
