"""Day-ahead prices from the data of the chart on OTE's page: the second way to the same prices, one day a request."""

import json
from datetime import date, datetime

from pems_ingest.sources.day_prices import days_between, days_of_periods
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError, SpotDays

__all__ = ["OTE_CHART_URL", "OteChart", "parse_ote_chart"]

OTE_CHART_URL = "https://www.ote-cr.cz/en/short-term-markets/electricity/day-ahead-market/@@chart-data"
_HOURS_MAX = 25


class OteChart:
    """`SpotSource` on the chart's JSON."""

    name = "ote_chart"

    def __init__(self, fetcher: Fetcher, url: str = OTE_CHART_URL) -> None:
        """Ask at `url`."""
        self._fetcher, self._url = fetcher, url

    async def spot(self, first: date, last: date) -> SpotDays:
        """Return the prices of the days `first..last` as far as they are published."""
        prices: dict[datetime, float] = {}
        missing: list[datetime] = []
        for day in days_between(first, last):
            body = await self._fetcher.get(self._url, params={"report_date": day.isoformat()}, accept=("json",))
            got = parse_ote_chart(body, day, name=self.name)
            prices.update(got.prices)
            missing += got.missing
        return SpotDays(self.name, prices, tuple(missing))


def parse_ote_chart(body: bytes, day: date, *, name: str = "ote_chart") -> SpotDays:
    """Read `data.dataLine[]`: the line whose title names a price in EUR/MWh (15 min before 60 min).

    Raises:
        SourceError: No such lines.
    """
    try:
        lines = json.loads(body)["data"]["dataLine"]
        titled = [(str(line.get("title", "")).lower(), line.get("point") or []) for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError("malformed", f"{name}: no data.dataLine: {error}") from error
    if not titled:
        return SpotDays(name, {})  # not published yet
    found = [(t, points) for t, points in titled if ("price" in t or "cena" in t) and "eur" in t]
    if not found:
        raise SourceError("wrong_units", f"{name}: no line of prices in EUR/MWh among {[t for t, _ in titled]}"[:300])
    found.sort(key=lambda line: (not line[0].startswith("15"), -len(line[1])))
    periods: dict[int, float] = {}
    for point in found[0][1]:
        try:
            if point.get("y") is not None:
                periods[int(point["x"])] = float(point["y"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError("malformed", f"{name}: point {str(point)[:80]}") from error
    if not periods:
        return SpotDays(name, {})
    return days_of_periods(name, {day: periods}, hourly=max(periods) <= _HOURS_MAX)
