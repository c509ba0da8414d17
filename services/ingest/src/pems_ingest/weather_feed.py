"""Keeps the newest weather forecast of every provider: asks each on schedule, and stretches the last one when all fail.

One forecast leads: the first provider's, unless it has been silent. It carries what others add to it: the spread of an
ensemble, and PV power as outside services expect it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pems_common.messages import Series, Weather
from pems_ingest.domain.weather_check import check_weather
from pems_ingest.sources.port import PvSource, SourceError, SourceHealth, SpreadSource, WeatherSource
from pems_ingest.turn import Turn

__all__ = ["WeatherFeed", "checked", "stretched"]

_STALE = timedelta(hours=6)
_LEAST_AHEAD = timedelta(hours=49)
_STRETCH_TO = timedelta(hours=72)
_ADDED_FOR = timedelta(hours=24)  # spread and PV power are told no longer than this after they came
_FIELDS = (
    "temperature_c",
    "cloud_cover_pct",
    "ghi_w_m2",
    "dni_w_m2",
    "dhi_w_m2",
    "wind_m_s",
    "humidity_pct",
    "snow_depth_m",
)


def stretched(weather: Weather, now: datetime) -> Weather:
    """Return the forecast made longer by repeating its last day until 72 h ahead; a warning says so."""
    update: dict[str, Series] = {}
    for name in _FIELDS:
        series: Series | None = getattr(weather, name)
        if series is None:
            continue
        day = round(timedelta(days=1) / series.step)
        values = list(series.values)
        if len(values) < day:
            continue
        missing = max(0, round((now + _STRETCH_TO - series.end) / series.step))
        for _ in range(missing):
            values.append(values[-day])
        update[name] = series.model_copy(update={"values": tuple(values)})
    warnings = tuple(w for w in weather.warnings if not w.startswith("persistence"))
    text = f"persistence: the last day of the run of {weather.run_at.isoformat()} repeated"
    return weather.model_copy(update={**update, "warnings": (*warnings, text)})


def checked(weather: Weather) -> Weather:
    """Return the forecast with the warnings of its check.

    Raises:
        SourceError: It must not be used.
    """
    found = check_weather(weather)
    if found.errors:
        raise SourceError("impossible_value", f"{weather.provider}: {'; '.join(found.errors)}")
    return weather.model_copy(update={"warnings": (*weather.warnings, *found.warnings)})


class WeatherFeed:
    """The newest forecast of each provider, and which one leads.

    Attributes:
        revision: Grows whenever `messages` change.
    """

    def __init__(
        self,
        sources: Sequence[WeatherSource],
        *,
        every: timedelta,
        spare: WeatherSource | None = None,
        spread: SpreadSource | None = None,
        pv: Sequence[PvSource] = (),
        daylight: Callable[[datetime], bool] = lambda now: True,
    ) -> None:
        """Ask each source every so often (house time).

        Args:
            sources: Providers, the best one first.
            every: Time between questions to a provider.
            spare: Asked only while all `sources` are silent.
            spread: How sure the weather is.
            pv: Services that forecast PV power; they count questions, so a failure makes none come sooner.
            daylight: Whether PV is worth asking about.
        """
        self._every, self._daylight = every, daylight
        self._turns = [_turn(source, every) for source in sources]
        self._spare = None if spare is None else _turn(spare, every)
        self._spread = None if spread is None else Turn(spread.name, spread.spread, every=spread.every)
        self._pv = [Turn(service.name, service.power, every=service.every, counted=True) for service in pv]
        self._messages: tuple[Weather, ...] = ()
        self.revision = 0

    @property
    def health(self) -> list[SourceHealth]:
        """How all sources have been doing, providers of weather first."""
        extra = [turn for turn in (self._spare, self._spread) if turn is not None]
        return [turn.health for turn in (*self._turns, *extra, *self._pv)]

    def seed(self, weather: Weather) -> None:
        """Take over what an earlier run knew of a provider, and what its message carried; of others nothing."""
        at = weather.available_at
        for turn in self._turns:
            if turn.name == weather.provider:
                turn.take_over(weather.model_copy(update={"quantiles": None, "pv_power_w": {}}), at)
        if self._spread is not None and weather.quantiles is not None:
            self._spread.take_over(weather.quantiles, at)
        for service in self._pv:
            expected = weather.pv_power_w.get(service.name)
            if expected is not None:
                service.take_over(expected, expected.available_at)
        self._renew(at)

    def due(self, now: datetime) -> bool:
        """Whether it is time to ask anyone."""
        return bool(self._due(now))

    async def refresh(self, now: datetime) -> None:
        """Ask all that are due. Never raises for a source that fails."""
        await asyncio.gather(*(self._ask(turn, now) for turn in self._due(now)))
        if self._spare is not None and self._spare.due(now) and self._fresh(now) is None:
            await self._spare.ask(now)
        if all(turn.health.failures for turn in self._turns):
            self._stretch(now)
        self._renew(now)

    def message(self) -> Weather | None:
        """Return the forecast that leads."""
        return self._messages[0] if self._messages else None

    def messages(self) -> tuple[Weather, ...]:
        """Return the newest forecast of each provider, the one that leads first."""
        return self._messages

    def stale(self, now: datetime) -> str:
        """Return what is overdue, in one sentence; empty when all is well."""
        leading = self.message()
        if leading is None:
            silent = all(turn.health.failures >= 3 for turn in self._turns)
            return "no weather forecast has come yet" if silent else ""
        age = now - leading.available_at
        if age > max(_STALE, 2 * self._every):
            return f"the weather forecast is {age / timedelta(hours=1):.0f} h old: its last day is repeated"
        return ""

    async def _ask(self, turn: Turn[Any], now: datetime) -> None:
        """Ask one, and tell what it said without waiting for the others."""
        await turn.ask(now)
        self._renew(now)

    def _due(self, now: datetime) -> list[Turn[Any]]:
        turns: list[Turn[Any]] = [*self._turns]
        if self._spread is not None:
            turns.append(self._spread)
        if self._daylight(now):
            turns += self._pv
        return [turn for turn in turns if turn.due(now)]

    def _fresh(self, now: datetime) -> Turn[Weather] | None:
        """Return the first provider that has answered lately."""
        return next((turn for turn in self._turns if turn.young(now, 2 * self._every) is not None), None)

    def _leader(self, now: datetime) -> Turn[Weather] | None:
        """Return the first provider that has answered lately, else whoever answered last."""
        answered = [turn for turn in (*self._turns, self._spare) if turn is not None and turn.latest_at is not None]
        return self._fresh(now) or max(answered, key=lambda turn: turn.latest_at or now, default=None)

    def _stretch(self, now: datetime) -> None:
        leader = self._leader(now)
        if leader is not None and leader.latest is not None and leader.latest.temperature_c.end < now + _LEAST_AHEAD:
            leader.latest = stretched(leader.latest, now)

    def _renew(self, now: datetime) -> None:
        """Put the messages together anew."""
        leader = self._leader(now)
        if leader is None or leader.latest is None:
            return
        added: dict[str, Any] = {}
        if self._spread is not None:
            added["quantiles"] = self._spread.young(now, _ADDED_FOR)
        if self._pv:
            expected = {service.name: service.young(now, _ADDED_FOR) for service in self._pv}
            added["pv_power_w"] = {name: power for name, power in expected.items() if power is not None}
        others = [turn.latest for turn in self._turns if turn is not leader and turn.latest is not None]
        messages = (leader.latest.model_copy(update=added), *others)
        if messages != self._messages:
            self._messages = messages
            self.revision += 1


def _turn(source: WeatherSource, every: timedelta) -> Turn[Weather]:
    async def ask(now: datetime) -> Weather:
        return checked(await source.forecast(now))

    return Turn(source.name, ask, every=every, note=lambda weather: "; ".join(weather.warnings))
