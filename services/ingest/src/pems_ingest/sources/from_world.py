"""A simulated or replayed world as a source: prices are released when the market would publish them."""

from datetime import date, datetime

from pems_common.clock import Clock
from pems_common.messages import Weather
from pems_common.timegrid import local_day_slots
from pems_common.world import World
from pems_ingest.sources.day_prices import MARKET_ZONE, days_between
from pems_ingest.sources.port import SourceError, SpotDays

__all__ = ["WorldRates", "WorldSpot", "WorldWeather"]


class WorldSpot:
    """`SpotSource` on a world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Ask `world` what is public by house time."""
        self._world, self._clock = world, clock

    @property
    def name(self) -> str:
        """The world's kind, `world_generated`, `world_recorded` or `world_live`."""
        return "world_" + self._world.label.replace(":", " ").split(" ")[0]

    async def spot(self, first: date, last: date) -> SpotDays:
        """Return the public prices of the days `first..last`."""
        until = self._world.published_until(self._clock.now())
        prices: dict[datetime, float] = {}
        missing: list[datetime] = []
        for day in days_between(first, last):
            for slot in local_day_slots(day, MARKET_ZONE):
                if slot >= until:
                    break
                price = self._world.spot_eur_mwh(slot)
                if price is None:
                    missing.append(slot)
                else:
                    prices[slot] = price
        return SpotDays(self.name, prices, tuple(missing))


class WorldRates:
    """`RateSource` on a world."""

    def __init__(self, world: World, clock: Clock) -> None:
        """Ask `world`."""
        self._world, self._clock = world, clock
        self.name = "world"

    async def eur_czk(self, day: date) -> float:
        """Return the rate of the day."""
        rate = self._world.eur_czk(self._clock.now())
        if rate is None:
            raise SourceError("empty", "the world has no exchange rate")
        return rate


class WorldWeather:
    """`WeatherSource` on a world."""

    name = "world"

    def __init__(self, world: World, hours: int = 72) -> None:
        """Ask `world` for forecasts of so many hours."""
        self._world, self._hours = world, hours

    async def forecast(self, now: datetime) -> Weather:
        """Return what a weather service would say at `now`."""
        return self._world.weather_forecast(now, self._hours)
