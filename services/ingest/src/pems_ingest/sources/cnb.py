"""The exchange rate EUR/CZK of the Czech National Bank, declared on each banking day after 14:30."""

import json
from datetime import date

from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError

__all__ = ["CNB_URL", "Cnb", "parse_cnb"]

CNB_URL = "https://api.cnb.cz/cnbapi/exrates/daily"
_POSSIBLE = (15.0, 45.0)


class Cnb:
    """`RateSource` on the bank's API."""

    name = "cnb"

    def __init__(self, fetcher: Fetcher, url: str = CNB_URL) -> None:
        """Ask at `url`."""
        self._fetcher, self._url = fetcher, url

    async def eur_czk(self, day: date) -> float:
        """Return the rate of the day, or of the last banking day before it."""
        body = await self._fetcher.get(self._url, params={"date": day.isoformat(), "lang": "EN"})
        return parse_cnb(body)


def parse_cnb(body: bytes, *, name: str = "cnb") -> float:
    """Read the euro's rate [CZK per EUR].

    Raises:
        SourceError: No believable rate.
    """
    try:
        row = next(r for r in json.loads(body)["rates"] if r["currencyCode"] == "EUR")
        rate = float(row["rate"]) / float(row["amount"])
    except StopIteration as error:
        raise SourceError("malformed", f"{name}: no EUR among the rates") from error
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise SourceError("malformed", f"{name}: {error!r}") from error
    if not _POSSIBLE[0] <= rate <= _POSSIBLE[1]:
        raise SourceError("impossible_value", f"{name}: {rate} CZK/EUR")
    return rate
