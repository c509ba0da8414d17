"""Perfect forecasts of weather, load and price: what the planner would save if it knew them.

Only what a forecast holds is known. Hot water, the car's trips, solar gains through blinds and the rooms' true physics
stay as unknown as they are to every other arm; so does what single minutes do inside a quarter of an hour.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pems_common.bus.memory import MemoryBus
from pems_common.home import Home
from pems_common.messages import Band, Envelope, Forecast, Series, Weather, read_body
from pems_common.timegrid import SLOT, local_midnight, require_utc
from pems_common.world import WeatherSample, World
from pems_common.world.outlook import hourly_mean
from pems_house.domain.building import FACADES
from pems_house.domain.household import draw_day
from pems_house.domain.inverter import Inverter
from pems_house.domain.prices import true_prices
from pems_house.domain.sky import Sky

__all__ = ["ForeseenWorld", "Foresight", "ForesightBus"]

Floats = NDArray[np.float64]

_DAY = timedelta(days=1)
_SLOT_MIN = 15
_KEPT_DAYS = 8


class ForeseenWorld:
    """A world whose weather services never err and whose prices are public two days ahead."""

    def __init__(self, home: Home, world: World) -> None:
        """Tell what `world` will be."""
        self._zone, self._world = home.site.zone, world

    @property
    def label(self) -> str:
        """Where the data come from."""
        return f"{self._world.label}, foreseen"

    def weather(self, at: datetime) -> WeatherSample:
        """Return the true weather at an instant."""
        return self._world.weather(at)

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return the true hourly means from the last full hour on."""
        issued_at = require_utc(issued_at)
        run_at = issued_at.replace(minute=0, second=0, microsecond=0)
        means = [hourly_mean(self._world.weather, run_at + timedelta(hours=lead)) for lead in range(hours)]
        series = {
            name: Series.of(run_at, 3600, [getattr(mean, name) for mean in means], digits=2)
            for name in WeatherSample.__dataclass_fields__
        }
        return Weather(provider="foreseen", run_at=run_at, available_at=issued_at, **series)

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of a slot."""
        return self._world.spot_eur_mwh(slot_start)

    def eur_czk(self, at: datetime) -> float | None:
        """Return the exchange rate of the day."""
        return self._world.eur_czk(at)

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the day after tomorrow."""
        return local_midnight(require_utc(at).astimezone(self._zone).date() + 3 * _DAY, self._zone)


@dataclass(frozen=True)
class _Day:
    """Slot means of a UTC day (96), by what a forecast calls them; `facades` (96, 4)."""

    pv_power_w: Floats
    outdoor_c: Floats
    facades_w_m2: Floats


class Foresight:
    """Knows what the simulated house of a seed will see."""

    def __init__(self, home: Home, world: World, seed: int) -> None:
        """Draw the same roofs, inverter and household as the house itself.

        Args:
            home: The house as it is built.
            world: True weather and prices.
            seed: Of the simulated house.
        """
        self._home, self._seed = home, seed
        self._sky = Sky(home, world.weather, seed)
        self._inverter = Inverter(home, seed, 50.0)
        self._prices = true_prices(home, world)
        self._days: dict[date, _Day] = {}
        self._household: dict[date, Floats] = {}

    def instead(self, forecast: Forecast) -> Forecast:
        """Return the forecast with the truth in place of every quantile; what it says beside that stays."""
        grid = forecast.pv_power_w.p50
        slots = [grid.start + k * SLOT for k in range(len(grid.values))]

        def series(values: list[float]) -> Series:
            return Series.of(grid.start, grid.step_s, values)

        def known(values: list[float]) -> Band:
            told = series(values)
            return Band(p10=told, p50=told, p90=told)

        days = [self._day(slot.date()) for slot in slots]
        at = [int((slot - datetime(slot.year, slot.month, slot.day, tzinfo=UTC)) / SLOT) for slot in slots]
        prices = [self._prices(slot) for slot in slots]
        return forecast.model_copy(
            update={
                "pv_power_w": known([float(day.pv_power_w[i]) for day, i in zip(days, at, strict=True)]),
                "load_power_w": known([self._load_w(slot) for slot in slots]),
                "buy_czk_kwh": known([buy for buy, _ in prices]),
                "sell_czk_kwh": known([sell for _, sell in prices]),
                "outdoor_temperature_c": known([float(day.outdoor_c[i]) for day, i in zip(days, at, strict=True)]),
                "solar_w_m2": {
                    side: series([float(day.facades_w_m2[i, k]) for day, i in zip(days, at, strict=True)])
                    for k, side in enumerate(FACADES)
                },
            }
        )

    def _day(self, day: date) -> _Day:
        found = self._days.get(day)
        if found is None:
            sky = self._sky.day(day)
            possible = np.array([self._inverter.possible_pv_w(float(w)) for w in sky.pv_dc_w.sum(axis=1)])
            found = _Day(_slot_means(possible), _slot_means(sky.outdoor_c), _slot_means(sky.facade_w_m2))
            _keep(self._days, day, found)
        return found

    def _load_w(self, slot: datetime) -> float:
        """Mean of what the household draws without controlled loads [W]."""
        local = slot.astimezone(self._home.site.zone)
        load_w = self._household.get(local.date())
        if load_w is None:
            load_w = draw_day(self._home, local.date(), self._seed).load_w
            _keep(self._household, local.date(), load_w)
        minute = local.hour * 60 + local.minute
        return float(load_w[minute : minute + _SLOT_MIN].mean())


class ForesightBus:
    """The bus as a forecaster sees it whose forecasts come true."""

    def __init__(self, bus: MemoryBus, foresight: Foresight) -> None:
        """Publish to `bus`."""
        self._bus, self._foresight = bus, foresight

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, envelope: Envelope) -> bool:
        """Publish a message, a forecast as it will be."""
        if envelope.type == "forecast":
            body = self._foresight.instead(read_body(envelope, Forecast))
            envelope = envelope.model_copy(update={"body": body.model_dump(mode="json")})
        return await self._bus.publish(envelope)


def _slot_means(minutes: Floats) -> Floats:
    """Means of quarters of an hour of a day by minutes (1440, ...)."""
    means: Floats = minutes.reshape(-1, _SLOT_MIN, *minutes.shape[1:]).mean(axis=1)
    return means


def _keep(days: dict[date, Any], day: date, value: Any) -> None:
    days[day] = value
    while len(days) > _KEPT_DAYS:
        del days[next(iter(days))]
