"""Prices and weather as nobody foresaw them, and forecasts that are wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np

from pems_common.home import Home
from pems_common.messages import Band, Envelope, Forecast, Series, Weather, read_body
from pems_common.world import WeatherSample
from pems_ingest.sources.port import SourceError
from pems_lab.faults.model import Active, FaultKind, either_way

__all__ = [
    "ColdSnap",
    "LoadBiased",
    "PriceSpike",
    "PricesLate",
    "PvBiased",
    "TemperatureBiased",
    "WeatherOld",
    "WeatherSilent",
]

_HOUR = timedelta(hours=1)


class PriceSpike(FaultKind):
    """The market prices some hours at several times the usual, or far below zero; both are public as ever."""

    name, family, hours = "price_spike", "price", (0.5, 6.0)

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw what comes on top [EUR/MWh]: two spikes in three are upwards."""
        if rng.random() < 2.0 / 3.0:
            return "", float(rng.uniform(200.0, 1_500.0))
        return "", -float(rng.uniform(100.0, 500.0))

    def spot_eur_mwh(self, active: Active, slot: datetime, price: float) -> float:
        """Add it."""
        return price + active.fault.strength if active.fault.holds(slot) else price


class PricesLate(FaultKind):
    """The next day's prices are not published while it lasts."""

    name, family, hours = "prices_late", "price", (2.0, 24.0)

    def published_until(self, active: Active, until: datetime, ask: Callable[[datetime], datetime]) -> datetime:
        """What was public when it began."""
        return min(until, ask(active.fault.begins))


class ColdSnap(FaultKind):
    """The air is 8 to 15 K colder than any forecast says, with a cold wind."""

    name, family, hours = "cold_snap", "cold", (12.0, 30.0)
    explains = frozenset({"room_below_min"})
    _RAMP_H: ClassVar[float] = 3.0

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw how much colder [K]."""
        return "", float(rng.uniform(8.0, 15.0))

    def weather(self, active: Active, at: datetime, true: WeatherSample) -> WeatherSample:
        """Come and go within three hours each."""
        fault, ramp = active.fault, self._RAMP_H * _HOUR
        share = min(1.0, max(0.0, min((at - fault.begins) / ramp, (fault.ends + ramp - at) / ramp)))
        if share == 0.0:
            return true
        colder = true.temperature_c - share * fault.strength
        return replace(true, temperature_c=colder, wind_m_s=true.wind_m_s + 3.0 * share)


def _series(series: Series, change: Callable[[float], float]) -> Series:
    values = [None if value is None else change(value) for value in series.values]
    return Series.of(series.start, series.step_s, values)


def _band(band: Band, change: Callable[[float], float]) -> Band:
    return Band(**{name: _series(getattr(band, name), change) for name in ("p10", "p50", "p90")})


class _Biased(FaultKind):
    """One quantity of every forecast is wrong by the same."""

    family = "forecast"
    hours = (6.0, 36.0)
    quantity: ClassVar[str]

    def changed(self, value: float, strength: float) -> float:
        """Return the wrong value."""
        return value * strength

    def published(self, active: Active, service: str, envelope: Envelope) -> tuple[Envelope, timedelta]:
        """Change the forecast."""
        if envelope.type == "forecast":
            body = read_body(envelope, Forecast)
            band = _band(getattr(body, self.quantity), lambda value: self.changed(value, active.fault.strength))
            body = body.model_copy(update={self.quantity: band})
            envelope = envelope.model_copy(update={"body": body.model_dump(mode="json")})
        return envelope, timedelta()


class PvBiased(_Biased):
    """PV is forecast at a fifth to two and a half times of what it would be."""

    name, quantity = "pv_biased", "pv_power_w"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the factor."""
        return "", float(rng.choice((rng.uniform(0.2, 0.6), rng.uniform(1.5, 2.5))))


class LoadBiased(PvBiased):
    """The household's load is forecast at a fifth to two and a half times of what it would be."""

    name, quantity = "load_biased", "load_power_w"


class TemperatureBiased(_Biased):
    """The outdoor temperature is forecast 3 to 8 K too high or too low."""

    name, quantity = "temperature_biased", "outdoor_temperature_c"

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw the error [K]."""
        return "", either_way(rng, 3.0, 8.0)

    def changed(self, value: float, strength: float) -> float:
        """Add it."""
        return value + strength


class WeatherOld(FaultKind):
    """The weather service repeats a run that was old when it began."""

    name, family, hours = "weather_old", "forecast", (6.0, 24.0)

    def aim(self, rng: np.random.Generator, home: Home) -> tuple[str, float]:
        """Draw how old [h]."""
        return "", float(rng.uniform(3.0, 20.0))

    def told_weather(self, active: Active, ask: Callable[[datetime], Weather]) -> Weather:
        """The old run."""
        return ask(active.fault.begins - active.fault.strength * _HOUR)


class WeatherSilent(FaultKind):
    """The weather service does not answer."""

    name, family, hours = "weather_silent", "forecast", (3.0, 24.0)

    def told_weather(self, active: Active, ask: Callable[[datetime], Weather]) -> Weather:
        """Nothing.

        Raises:
            SourceError: Always.
        """
        raise SourceError("unreachable", "the weather service does not answer (a fault)")
