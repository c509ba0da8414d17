"""Chooses where prices and weather come from: the world of a simulated run, or live sources."""

from dataclasses import dataclass
from datetime import timedelta

from pems_common.clock import Clock
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.settings import ServiceSettings
from pems_common.world import World, open_world
from pems_ingest.price_feed import PriceFeed
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.energy_charts import EnergyCharts
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.from_world import WorldRates, WorldSpot, WorldWeather
from pems_ingest.sources.open_meteo import OpenMeteo
from pems_ingest.sources.ote_chart import OteChart
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import SpotSource, WeatherSource
from pems_ingest.weather_feed import WeatherFeed

__all__ = ["Feeds", "choose_feeds", "live_feeds", "world_feeds"]


@dataclass(frozen=True)
class Feeds:
    """Both feeds, whether they answer at once, and where they come from (for people)."""

    prices: PriceFeed
    weather: WeatherFeed
    inline: bool
    label: str


def world_feeds(home: Home, clock: Clock, world: World) -> Feeds:
    """Return feeds from a world: prices when the market would publish them, forecasts each 3 h."""
    return Feeds(
        PriceFeed(home, clock, [WorldSpot(world, clock)], WorldRates(world, clock), poll=timedelta(minutes=1)),
        WeatherFeed([WorldWeather(world)], every=timedelta(hours=3)),
        inline=True,
        label=world.label,
    )


def live_feeds(home: Home, clock: Clock, fetcher: Fetcher, urls: IngestSettings, spare: World | None = None) -> Feeds:
    """Return feeds from the internet.

    Args:
        home: The site.
        clock: Real time.
        fetcher: HTTP.
        urls: Where the sources are.
        spare: Asked last, where generated data are better than none: only for a simulated house.
    """
    spot: list[SpotSource] = [
        OteSoap(fetcher, urls.ote_url),
        OteChart(fetcher, urls.ote_chart_url),
        EnergyCharts(fetcher, urls.energy_charts_url),
    ]
    site = home.site
    weather: list[WeatherSource] = [
        OpenMeteo(fetcher, clock, latitude=site.latitude, longitude=site.longitude, url=urls.open_meteo_url)
    ]
    provisional: list[str] = []
    if spare is not None:
        spot.append(WorldSpot(spare, clock))
        provisional.append(spot[-1].name)
        weather.append(WorldWeather(spare))
    return Feeds(
        PriceFeed(home, clock, spot, Cnb(fetcher, urls.cnb_url), poll=timedelta(minutes=5), provisional=provisional),
        WeatherFeed(weather, every=timedelta(hours=1)),
        inline=False,
        label="live: OTE prices, Open-Meteo weather" + (f"; else {spare.label}" if spare is not None else ""),
    )


def choose_feeds(settings: ServiceSettings, urls: IngestSettings, home: Home, clock: Clock, fetcher: Fetcher) -> Feeds:
    """Choose by `PEMS_SOURCES` and `PEMS_WORLD_FILE`.

    A world file is always used. Without one: `generated` and `replay` open a world too, `live` asks the internet, and
    `auto` asks the internet at real time (a simulated house falls back on generated days), else generates.

    Raises:
        PemsError: Live sources were asked for in scaled time, or the choice is unknown.
    """
    known = {"auto", "live", "replay", "generated"}
    if settings.sources not in known:
        raise PemsError(f"PEMS_SOURCES={settings.sources}", remedy=f"use one of {', '.join(sorted(known))}")
    world_file = settings.world_file
    has_file = world_file is not None and world_file.exists()
    real_time = clock.speed == 1.0
    if settings.sources == "live" and not has_file and not real_time:
        raise PemsError("live sources in scaled time", remedy="use speed 1, or a world file fetched before the run")
    if settings.sources == "replay" and not has_file:
        raise PemsError("PEMS_SOURCES=replay without a world file", remedy="set PEMS_WORLD_FILE")

    def world() -> World:
        return open_world(world_file, latitude=home.site.latitude, longitude=home.site.longitude, seed=settings.seed)

    if has_file or settings.sources == "generated" or not real_time:
        return world_feeds(home, clock, world())
    spare = world() if settings.sources == "auto" and home.devices.simulated else None
    return live_feeds(home, clock, fetcher, urls, spare)
