"""Fetches recent days and the forecast once, before a run, into a world file of kind `live`.

`python -m pems_ingest.prefetch --out FILE --latitude 49.5 --longitude 17.4`: exit 0 with the file written, 1 with a
plain sentence where the internet gave nothing usable in time. All of it takes at most `--seconds`.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx

from pems_common.clock import Clock, SystemClock
from pems_common.errors import PemsError
from pems_common.messages import Weather
from pems_common.timegrid import SLOT
from pems_common.world import WorldFile, write_world_file
from pems_ingest.domain.prices import fill_gaps
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.day_prices import MARKET_ZONE
from pems_ingest.sources.energy_charts import EnergyCharts
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.open_meteo import OpenMeteo
from pems_ingest.sources.ote_chart import OteChart
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import SourceError, SpotSource

__all__ = ["main", "prefetch"]

_PAST_DAYS = 7
_LEAST_WEATHER_H = 72
_LEAST_PRICE_SLOTS = 2 * 92
_COLUMNS = ("temperature_c", "cloud_cover_pct", "ghi_w_m2", "dni_w_m2", "dhi_w_m2", "wind_m_s", "humidity_pct")


async def prefetch(
    clock: Clock, urls: IngestSettings, *, latitude: float, longitude: float, seed: int = 0, seconds: float = 10.0
) -> WorldFile:
    """Return the world of the last days.

    Args:
        clock: Real time.
        urls: Where the sources are.
        latitude: Of the site [deg].
        longitude: Of the site [deg].
        seed: Of the world's forecast errors.
        seconds: Wall time for everything.

    Raises:
        PemsError: Not enough came in time.
    """
    now = clock.now()
    async with httpx.AsyncClient(follow_redirects=True) as client:
        fetcher = Fetcher(client, clock, timeout_s=seconds / 2, total_s=seconds, attempts=2, backoff_s=0.3)
        weather_source = OpenMeteo(
            fetcher, clock, latitude=latitude, longitude=longitude, url=urls.open_meteo_url, past_days=_PAST_DAYS
        )
        work = asyncio.gather(
            weather_source.forecast(now),
            _prices(fetcher, urls, now.astimezone(MARKET_ZONE).date(), seconds),
            _rate(fetcher, urls, now),
        )
        try:
            weather, prices, rate = await clock.wait_for(work, seconds)
        except TimeoutError:
            raise PemsError(f"prices and weather did not come within {seconds:g} s") from None
    hours = _hours(weather)
    if len(hours) < _LEAST_WEATHER_H:
        raise PemsError(f"only {len(hours)} hours of weather came")
    if len(prices) < _LEAST_PRICE_SLOTS:
        raise PemsError(f"only {len(prices)} slots of prices came")
    return WorldFile(
        kind="live",
        seed=seed,
        weather={"start": weather.temperature_c.start.isoformat(), "hours": hours},
        prices={slot.isoformat(): price for slot, price in sorted(prices.items())},
        eur_czk={} if rate is None else {min(prices).date().isoformat(): rate},
    )


async def _prices(fetcher: Fetcher, urls: IngestSettings, today: date, seconds: float) -> Mapping[datetime, float]:
    """Return what the first source that answers knows of the last days."""
    sources: tuple[SpotSource, ...] = (
        OteSoap(fetcher, urls.ote_url),
        EnergyCharts(fetcher, urls.energy_charts_url),
        OteChart(fetcher, urls.ote_chart_url),
    )
    errors: list[str] = []
    for source in sources:
        try:
            got = await source.spot(today - timedelta(days=_PAST_DAYS), today + timedelta(days=1))
        except SourceError as error:
            errors.append(f"{source.name}: {error.message}")
            continue
        if len(got.prices) < _LEAST_PRICE_SLOTS:
            errors.append(f"{source.name}: {len(got.prices)} slots")
            continue
        first, last = min(got.prices), max(got.prices)
        slots = [first + i * SLOT for i in range((last - first) // SLOT + 1)]
        return {**got.prices, **fill_gaps(got.prices, slots)}
    raise SourceError("empty", "; ".join(errors))


async def _rate(fetcher: Fetcher, urls: IngestSettings, now: datetime) -> float | None:
    try:
        return await Cnb(fetcher, urls.cnb_url).eur_czk(now.astimezone(MARKET_ZONE).date())
    except SourceError:
        return None  # the tariff's own rate serves


def _hours(weather: Weather) -> list[list[float]]:
    """Return rows of all columns, as far as all are known."""
    rows: list[list[float]] = []
    for i in range(len(weather.temperature_c.values)):
        row: list[float] = []
        for name in _COLUMNS:
            series = getattr(weather, name)
            value = series.values[i] if series is not None and i < len(series.values) else None
            if value is None:
                return rows
            row.append(float(value))
        rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pems_ingest.prefetch", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--latitude", type=float, required=True)
    parser.add_argument("--longitude", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args(arguments)
    try:
        world = asyncio.run(
            prefetch(
                SystemClock(),
                IngestSettings(),
                latitude=given.latitude,
                longitude=given.longitude,
                seed=given.seed,
                seconds=given.seconds,
            )
        )
    except PemsError as error:
        print(f"no live data: {error.message}", file=sys.stderr)
        return 1
    write_world_file(given.out, world)
    starts = sorted(world.prices)
    print(f"prices {starts[0]} .. {starts[-1]}, {len(world.weather['hours'])} h of weather -> {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
