"""Keeps the newest weather forecast: asks on schedule, and stretches the last one while nobody answers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pems_common.logs import get_logger
from pems_common.messages import Series, Weather
from pems_ingest.sources.port import SourceError, SourceHealth, WeatherSource

__all__ = ["WeatherFeed", "stretched"]

_log = get_logger("weather")
_RETRY = (timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=15))
_STALE = timedelta(hours=6)
_LEAST_AHEAD = timedelta(hours=49)
_STRETCH_TO = timedelta(hours=72)
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


class WeatherFeed:
    """The newest forecast of the first source that answers."""

    def __init__(self, sources: Sequence[WeatherSource], *, every: timedelta) -> None:
        """Ask `sources` in this order, every so often (house time)."""
        self._sources, self._every = sources, every
        self._latest: Weather | None = None
        self._next_at: datetime | None = None
        self._failed_rounds = 0
        self.health = [SourceHealth(s.name) for s in sources]
        self.revision = 0

    def seed(self, weather: Weather) -> None:
        """Take over what an earlier run knew."""
        if self._latest is None:
            self._latest = weather
            self.revision += 1

    def due(self, now: datetime) -> bool:
        """Whether it is time to ask."""
        return self._next_at is None or now >= self._next_at

    async def refresh(self, now: datetime) -> None:
        """Ask for a new run. Never raises for a source that fails."""
        asked_to_wait = 0.0
        for source, health in zip(self._sources, self.health, strict=True):
            try:
                weather = await source.forecast(now)
            except SourceError as error:
                health.failed(now, error)
                asked_to_wait = max(asked_to_wait, error.retry_after_s or 0.0)
                _log.warning("a source of weather failed", source=source.name, error=error.message)
                continue
            health.worked(now, "; ".join(weather.warnings))
            self._latest, self._failed_rounds = weather, 0
            self._next_at = now + self._every
            self.revision += 1
            return
        self._failed_rounds += 1
        pause = _RETRY[min(self._failed_rounds, len(_RETRY)) - 1]
        self._next_at = now + max(pause, timedelta(seconds=asked_to_wait))
        if self._latest is not None and self._latest.temperature_c.end < now + _LEAST_AHEAD:
            self._latest = stretched(self._latest, now)
            self.revision += 1

    def message(self) -> Weather | None:
        """Return the newest forecast."""
        return self._latest

    def stale(self, now: datetime) -> str:
        """Return what is overdue, in one sentence; empty when all is well."""
        if self._latest is None:
            return "no weather forecast has come yet" if self._failed_rounds >= 3 else ""
        age = now - self._latest.available_at
        if age > max(_STALE, 2 * self._every):
            return f"the weather forecast is {age / timedelta(hours=1):.0f} h old: its last day is repeated"
        return ""
