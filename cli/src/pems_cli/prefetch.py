"""Fetches the last days' weather, prices and exchange rates once, before a scaled run that shall live through them.

A scaled run never asks live sources: what is fetched here goes into its world file, and comes out as it would
have been known at each moment.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx

from pems_common.clock import Clock, SystemClock
from pems_common.home import Home
from pems_common.messages import Series, Weather
from pems_common.world import WorldFile
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.energy_charts import EnergyCharts
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.open_meteo import OpenMeteo
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import RateSource, SourceError, SpotSource, WeatherSource

__all__ = ["PAST_DAYS", "compose_world", "fetch_last_days", "gather_world", "last_days_start"]

PAST_DAYS = 6
_RUN_DAYS = 4
_TOTAL_S = 12.0
_STEP_S = 5.0
_LEAST_PRICED_SLOTS = 96 * (_RUN_DAYS + 1)


def last_days_start(now: datetime, zone: ZoneInfo) -> datetime:
    """First house time (UTC) of a run through the last days: 06:00 local some days ago."""
    day = now.astimezone(zone).date() - timedelta(days=_RUN_DAYS)
    return datetime.combine(day, time(6), tzinfo=zone).astimezone(UTC)


def _column(series: Series | None, hours: int, what: str) -> list[float]:
    """Values without holes: an unknown hour takes the one before it."""
    values = [] if series is None else list(series.values[:hours])
    if len(values) < hours or values[0] is None:
        raise SourceError("empty", f"{what} does not cover the last days")
    filled: list[float] = []
    for value in values:
        filled.append(filled[-1] if value is None else value)
    return filled


def compose_world(
    weather: Weather, prices: Mapping[datetime, float], rates: Mapping[date, float], *, seed: int
) -> WorldFile:
    """Put what was fetched into a world file.

    Raises:
        SourceError: Too little of something.
    """
    if len(prices) < _LEAST_PRICED_SLOTS or not rates:
        raise SourceError("empty", f"only {len(prices)} slots with prices and {len(rates)} exchange rates")
    hours = len(weather.ghi_w_m2.values) - 1
    columns = (
        _column(weather.temperature_c, hours, "temperature"),
        _column(weather.cloud_cover_pct, hours, "cloud cover"),
        _column(weather.ghi_w_m2, hours, "irradiance"),
        _column(weather.dni_w_m2, hours, "direct irradiance"),
        _column(weather.dhi_w_m2, hours, "diffuse irradiance"),
        _column(weather.wind_m_s, hours, "wind"),
        _column(weather.humidity_pct, hours, "humidity"),
    )
    return WorldFile(
        kind="live",
        seed=seed,
        weather={
            "start": weather.ghi_w_m2.start.isoformat(),
            "hours": [list(row) for row in zip(*columns, strict=True)],
        },
        prices={at.isoformat(): value for at, value in sorted(prices.items())},
        eur_czk={day.isoformat(): rate for day, rate in sorted(rates.items())},
    )


async def _prices(sources: Sequence[SpotSource], first: date, last: date) -> Mapping[datetime, float]:
    failures = []
    for source in sources:
        try:
            return (await source.spot(first, last)).prices
        except SourceError as error:
            failures.append(str(error))
    raise SourceError("empty", "; ".join(failures))


async def _rates(source: RateSource, days: Sequence[date]) -> dict[date, float]:
    found = await asyncio.gather(*(source.eur_czk(day) for day in days), return_exceptions=True)
    return {day: rate for day, rate in zip(days, found, strict=True) if isinstance(rate, float)}


async def gather_world(
    weather: WeatherSource, spot: Sequence[SpotSource], rates: RateSource, *, now: datetime, zone: ZoneInfo, seed: int
) -> WorldFile:
    """Ask all sources at once and put the answers together.

    Raises:
        SourceError: One of them gave too little.
    """
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(PAST_DAYS, -1, -1)]
    async with asyncio.TaskGroup() as group:
        sky = group.create_task(weather.forecast(now))
        market = group.create_task(_prices(spot, days[0], days[-1]))
        bank = group.create_task(_rates(rates, days))
    return compose_world(sky.result(), market.result(), bank.result(), seed=seed)


async def _fetch(home: Home, clock: Clock, seed: int) -> WorldFile:
    urls = IngestSettings()
    async with httpx.AsyncClient(follow_redirects=True) as client:
        fetcher = Fetcher(client, clock, attempts=1, timeout_s=_STEP_S, total_s=_TOTAL_S)
        site = home.site
        sky = OpenMeteo(
            fetcher,
            clock,
            latitude=site.latitude,
            longitude=site.longitude,
            url=urls.open_meteo_url,
            past_days=PAST_DAYS,
        )
        market: list[SpotSource] = [OteSoap(fetcher, urls.ote_url), EnergyCharts(fetcher, urls.energy_charts_url)]
        rates = Cnb(fetcher, urls.cnb_url)
        return await gather_world(sky, market, rates, now=clock.wall_now(), zone=site.zone, seed=seed)


def fetch_last_days(home: Home, *, seed: int) -> tuple[WorldFile | None, str]:
    """Fetch the last days within some seconds.

    Returns:
        The world file's content, or None; and why not, in words.
    """
    try:
        return asyncio.run(asyncio.wait_for(_fetch(home, SystemClock(), seed), _TOTAL_S)), ""
    except* (SourceError, TimeoutError) as group:
        reason = str(group.exceptions[0]) or "no answer in time"
    return None, reason
