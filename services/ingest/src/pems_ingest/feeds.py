"""Chooses where prices and weather come from: the world of a simulated run, or live sources."""

from dataclasses import dataclass
from datetime import timedelta

from pems_common.clock import Clock
from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.settings import ServiceSettings
from pems_common.world import World, open_world
from pems_common.world.sky import cos_zenith
from pems_ingest.price_feed import PriceFeed
from pems_ingest.settings import IngestSettings
from pems_ingest.sources.bright_sky import BrightSky
from pems_ingest.sources.cnb import Cnb
from pems_ingest.sources.energy_charts import EnergyCharts
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.forecast_solar import ForecastSolar
from pems_ingest.sources.from_world import WorldRates, WorldSpot, WorldWeather
from pems_ingest.sources.open_meteo import OpenMeteo
from pems_ingest.sources.open_meteo_ensemble import OpenMeteoEnsemble
from pems_ingest.sources.open_meteo_previous import PreviousRuns
from pems_ingest.sources.ote_chart import OteChart
from pems_ingest.sources.ote_soap import OteSoap
from pems_ingest.sources.port import PastSource, PvSource, SpotSource
from pems_ingest.sources.solcast import Solcast
from pems_ingest.weather_feed import WeatherFeed

__all__ = ["Feeds", "choose_feeds", "live_feeds", "world_feeds"]

_BEFORE_SUNRISE = timedelta(hours=1)


@dataclass(frozen=True)
class Feeds:
    """Both feeds and where they come from.

    Attributes:
        prices: Known prices.
        weather: Weather forecasts.
        inline: Whether they answer at once.
        label: Where they come from, for people.
        past: Forecasts of the past, None where there is none to learn from.
    """

    prices: PriceFeed
    weather: WeatherFeed
    inline: bool
    label: str
    past: PastSource | None = None


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

    Raises:
        PemsError: A key is missing or cannot be read.
    """
    spot: list[SpotSource] = [
        OteSoap(fetcher, urls.ote_url),
        OteChart(fetcher, urls.ote_chart_url),
        EnergyCharts(fetcher, urls.energy_charts_url),
    ]
    provisional: list[str] = []
    if spare is not None:
        spot.append(WorldSpot(spare, clock))
        provisional.append(spot[-1].name)
    latitude, longitude = home.site.latitude, home.site.longitude
    weather = WeatherFeed(
        [
            OpenMeteo(fetcher, clock, latitude=latitude, longitude=longitude, url=urls.open_meteo_url),
            BrightSky(fetcher, latitude=latitude, longitude=longitude, url=urls.bright_sky_url),
        ],
        every=timedelta(hours=1),
        spare=None if spare is None else WorldWeather(spare),
        spread=OpenMeteoEnsemble(fetcher, latitude=latitude, longitude=longitude, url=urls.open_meteo_ensemble_url),
        pv=_pv_sources(home, fetcher, urls),
        daylight=lambda now: cos_zenith(now + _BEFORE_SUNRISE, latitude, longitude) > 0.0,
    )
    past = PreviousRuns(fetcher, latitude=latitude, longitude=longitude, url=urls.open_meteo_previous_url)
    return Feeds(
        PriceFeed(home, clock, spot, Cnb(fetcher, urls.cnb_url), poll=timedelta(minutes=5), provisional=provisional),
        weather,
        inline=False,
        label="live: OTE prices, Open-Meteo weather" + (f"; else {spare.label}" if spare is not None else ""),
        past=past if spare is None else None,
    )


def _pv_sources(home: Home, fetcher: Fetcher, urls: IngestSettings) -> list[PvSource]:
    """Return the services that the user wants to be asked about PV power.

    Raises:
        PemsError: Solcast's key is missing or cannot be read.
    """
    found: list[PvSource] = []
    sites, key, pv = urls.solcast_site_ids, urls.solcast_secret(), home.pv
    if sites and key is None:
        raise PemsError("PEMS_SOLCAST_SITES without a key", remedy="set PEMS_SOLCAST_KEY or PEMS_SOLCAST_KEY_FILE")
    if sites and key is not None:
        found.append(Solcast(fetcher, sites=sites, key=key, peak_w=pv.peak_w, url=urls.solcast_url))
    if urls.forecast_solar and pv.roofs:
        found.append(ForecastSolar(fetcher, site=home.site, pv=pv, url=urls.forecast_solar_url))
    return found


def choose_feeds(settings: ServiceSettings, urls: IngestSettings, home: Home, clock: Clock, fetcher: Fetcher) -> Feeds:
    """Choose by `PEMS_SOURCES` and `PEMS_WORLD_FILE`.

    A world file is always used. Without one: `generated` and `replay` open a world too, `live` asks the internet, and
    `auto` asks the internet at real time (a simulated house falls back on generated days), else generates.

    Raises:
        PemsError: Live sources were asked for in scaled time, the choice is unknown, or a key is missing.
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
