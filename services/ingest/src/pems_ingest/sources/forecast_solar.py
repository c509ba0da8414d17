"""PV power as Forecast.Solar estimates it from the roofs of home.yaml: one value, no quantiles, no key.

One request per roof, at most twelve an hour from one address. Values are W at instants, straight lines between them,
from sunrise to sunset; stamps come with an offset when `time=utc` is asked for, and are the place's local time
otherwise. Azimuth there is 0 in the south and 90 in the west. (Source: documentation of Forecast.Solar, "API" and
"Solar production estimate".)
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.home.models import Pv, Site
from pems_common.messages import ExpectedPv, Series
from pems_common.timegrid import SLOT, slot_start
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.port import SourceError

__all__ = ["FORECAST_SOLAR_URL", "ForecastSolar", "parse_forecast_solar"]

FORECAST_SOLAR_URL = "https://api.forecast.solar"
_ABOVE_PEAK = 1.5
_DAYS_MAX = 16
_SLOT_S = round(SLOT.total_seconds())
Floats = NDArray[np.float64]


class ForecastSolar:
    """`PvSource` on Forecast.Solar's public interface; the powers of all roofs are added."""

    name = "forecast_solar"
    every = timedelta(hours=1)

    def __init__(self, fetcher: Fetcher, *, site: Site, pv: Pv, url: str = FORECAST_SOLAR_URL) -> None:
        """Ask at `url` for the roofs of a plant."""
        self._fetcher, self._pv, self._zone = fetcher, pv, site.zone
        self._urls = [
            f"{url}/estimate/watts/{site.latitude:.4f}/{site.longitude:.4f}"
            f"/{round(roof.tilt_deg)}/{round(roof.azimuth_deg - 180.0)}/{roof.peak_w / 1000.0:g}"
            for roof in pv.roofs
        ]

    async def power(self, now: datetime) -> ExpectedPv:
        """Return the newest forecast of all roofs, cut at the inverter's limit."""
        bodies = [await self._fetcher.get(url, params={"time": "utc"}, attempts=1) for url in self._urls]
        return parse_forecast_solar(bodies, now, pv=self._pv, zone=self._zone, name=self.name)


def parse_forecast_solar(
    bodies: Sequence[bytes], now: datetime, *, pv: Pv, zone: ZoneInfo, name: str = "forecast_solar"
) -> ExpectedPv:
    """Read the forecasts of a plant's roofs and add them up on the 15-min grid; outside of what was said it is night.

    Args:
        bodies: The JSON answers, one per roof.
        now: When they came; becomes `available_at`.
        pv: The plant: much more than its peak is of another plant, or of another unit.
        zone: Time zone of stamps without an offset.
        name: The source, for people.

    Raises:
        SourceError: No such forecast, or an impossible power.
    """
    roofs = [_roof(body, pv.peak_w, zone, name) for body in bodies]
    first = slot_start(datetime.fromtimestamp(min(times[0] for times, _ in roofs), UTC))
    end_s = max(times[-1] for times, _ in roofs)
    count = int(-((first.timestamp() - end_s) // _SLOT_S))
    edges = first.timestamp() + _SLOT_S * np.arange(count + 1.0)
    total = sum((_slot_means(times, watts, edges) for times, watts in roofs), np.zeros(count))
    series = Series.of(first, _SLOT_S, np.minimum(total, pv.inverter_ac_limit_w).tolist(), digits=1)
    return ExpectedPv(available_at=now, p50=series)


def _roof(body: bytes, peak_w: float, zone: ZoneInfo, name: str) -> tuple[Floats, Floats]:
    """Return instants [s] and watts of a roof, in order of time."""
    try:
        points = sorted(
            (_instant(stamp, zone).timestamp(), float(w)) for stamp, w in json.loads(body)["result"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise SourceError("malformed", f"{name}: {error!r} in {body[:60]!r}") from error
    times, watts = np.array(points, dtype=np.float64).reshape(-1, 2).T
    if len(times) < 2 or times[-1] - times[0] > _DAYS_MAX * 86_400:
        raise SourceError("malformed", f"{name}: {len(times)} values")
    if not (np.isfinite(watts).all() and watts.min() >= 0.0 and watts.max() <= _ABOVE_PEAK * peak_w):
        raise SourceError("impossible_value", f"{name}: {watts.min()} to {watts.max()} W of {peak_w:g} W")
    return times, watts


def _instant(stamp: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(stamp)
    return at.replace(tzinfo=zone) if at.tzinfo is None else at


def _slot_means(times: Floats, watts: Floats, edges: Floats) -> Floats:
    """Means between `edges` of straight lines through the points; 0 before the first and after the last."""
    knots = np.union1d(times, edges)
    power = np.interp(knots, times, watts, left=0.0, right=0.0)
    energy = np.concatenate([[0.0], np.cumsum(0.5 * (power[1:] + power[:-1]) * np.diff(knots))])
    return np.asarray(np.diff(np.interp(edges, knots, energy)) / np.diff(edges))
