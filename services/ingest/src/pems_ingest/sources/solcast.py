"""PV power as Solcast forecasts it for rooftop sites that the user has described there: P10, P50 and P90.

Values are kW, the mean of the period that *ends* at `period_end` (UTC). A free account may ask ten times a day, all
sites together; the key travels in a header. (Source: documentation of Solcast's rooftop sites.)
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from pems_common.messages import ExpectedPv, Series
from pems_common.timegrid import parse_instant
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError

__all__ = ["SOLCAST_URL", "Solcast", "parse_solcast"]

SOLCAST_URL = "https://api.solcast.com.au"
_EVERY = timedelta(hours=2, minutes=30)  # of one site in daylight: seven requests on the longest day, ten are free
_NAMES = ("pv_estimate10", "pv_estimate", "pv_estimate90")
_ABOVE_PEAK = 1.5  # cold modules under broken clouds exceed their label, but not by that much
_PERIOD = re.compile(r"PT([1-9]\d?)M")
_SLOTS_MAX = 3_000


class Solcast:
    """`PvSource` on Solcast; the powers of all sites are added."""

    name = "solcast"

    def __init__(
        self, fetcher: Fetcher, *, sites: Sequence[str], key: str, peak_w: float, url: str = SOLCAST_URL
    ) -> None:
        """Ask at `url` for `sites` (resource ids), which together have `peak_w` of modules."""
        self._fetcher, self._url, self._sites, self._peak_w = fetcher, url, sites, peak_w
        self._headers = {"Authorization": f"Bearer {key}"}
        self.every = _EVERY * len(sites)

    async def power(self, now: datetime) -> ExpectedPv:
        """Return the newest forecast of all sites; quantiles are added as if all sites were wrong together."""
        bodies: list[bytes] = []
        for site in self._sites:
            url = f"{self._url}/rooftop_sites/{site}/forecasts"
            bodies.append(await self._fetcher.get(url, params={"format": "json"}, headers=self._headers, attempts=1))
        return parse_solcast(bodies, now, peak_w=self._peak_w, name=self.name)


def parse_solcast(bodies: Sequence[bytes], now: datetime, *, peak_w: float, name: str = "solcast") -> ExpectedPv:
    """Read the forecasts of a plant's sites and add them up; a slot that one of them lacks is unknown.

    Args:
        bodies: The JSON answers.
        now: When they came; becomes `available_at`.
        peak_w: Power of the plant's modules: much more than that is of another plant, or of another unit.
        name: The source, for people.

    Raises:
        SourceError: No such forecast, or an impossible power.
    """
    sites = [_site(body, peak_w, name) for body in bodies]
    step = sites[0][0]
    starts = {start for _, powers in sites for start in powers}
    first = min(starts)
    slots = [first + i * step for i in range(min((max(starts) - first) // step, _SLOTS_MAX) + 1)]
    if any(other != step for other, _ in sites) or not starts <= set(slots):
        raise SourceError("malformed", f"{name}: periods do not follow each other")
    whole = [all(slot in powers for _, powers in sites) for slot in slots]

    def series(quantile: int) -> Series:
        sums = [
            sum(powers[slot][quantile] for _, powers in sites) if known else None
            for slot, known in zip(slots, whole, strict=True)
        ]
        return Series.of(first, round(step.total_seconds()), sums, digits=1)

    return ExpectedPv(available_at=now, p10=series(0), p50=series(1), p90=series(2))


def _site(body: bytes, peak_w: float, name: str) -> tuple[timedelta, dict[datetime, list[float]]]:
    """Return the length of a site's periods, and its P10, P50 and P90 [W] by start of the period."""
    try:
        rows = json.loads(body)["forecasts"]
        step = _step({str(row["period"]) for row in rows}, name)
        return step, {parse_instant(row["period_end"]) - step: _powers(row, peak_w, name) for row in rows}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SourceError("malformed", f"{name}: {error!r} in {body[:60]!r}") from error


def _step(periods: Collection[str], name: str) -> timedelta:
    minutes = _PERIOD.fullmatch(next(iter(periods))) if len(periods) == 1 else None
    if minutes is None:
        raise SourceError("wrong_units", f"{name}: periods {sorted(periods)[:3]}")
    return timedelta(minutes=int(minutes[1]))


def _powers(row: Mapping[str, Any], peak_w: float, name: str) -> list[float]:
    powers = [1000.0 * float(row[quantile]) for quantile in _NAMES]
    if not all(isfinite(p) and 0.0 <= p <= _ABOVE_PEAK * peak_w for p in powers):
        raise SourceError("impossible_value", f"{name}: {powers} W of {peak_w:g} W at {row['period_end']}")
    return sorted(powers)
