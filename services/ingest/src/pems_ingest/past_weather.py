"""Fills the history with a year of weather forecasts as they could be known then: models can be trained at once.

Days that the history has are not asked for again, so a run that was interrupted goes on where it was. Each message is
kept under the house time at which its forecast could be known.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from pems_common.clock import Clock
from pems_common.history import HistoryStore
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.messages import Weather, wrap
from pems_ingest.adapters.spooled_history import SpooledHistory
from pems_ingest.sources.port import PastSource, SourceError
from pems_ingest.weather_feed import checked

__all__ = ["PastWeather", "spans"]

_log = get_logger("weather")
_DAY = timedelta(days=1)
_DAYS = 365
_BETWEEN_WALL_S = 5.0
_AGAIN_WALL_S = 3600.0
_ROUNDS = 24


def spans(days: Iterable[date], longest: int) -> list[tuple[date, date]]:
    """Return the first and last day of requests of at most `longest` days that cover all of `days`, newest first."""
    found: list[tuple[date, date]] = []
    for day in sorted(days, reverse=True):
        if not found or (found[-1][1] - day).days >= longest:
            found.append((day, day))
        else:
            found[-1] = (day, found[-1][1])
    return found


class PastWeather:
    """Fetches what the history lacks of the last year."""

    def __init__(
        self,
        runs: PastSource,
        store: HistoryStore,
        history: SpooledHistory,
        clock: Clock,
        *,
        site: str,
        source: str,
    ) -> None:
        """Ask `runs` for what `store` lacks; write through `history` as `source`."""
        self._runs, self._store, self._history, self._clock = runs, store, history, clock
        self._site, self._source = site, source

    async def run(self) -> None:
        """Fetch, newest first; what fails is tried again each hour for a day. Returns when done.

        Raises:
            UnavailableError: The history cannot be read.
        """
        wanted = spans(await self._missing(), self._runs.days_max)
        for _ in range(_ROUNDS):
            wanted = [span for span in wanted if not await self._fill(*span)]
            if not wanted:
                return
            await self._clock.sleep_wall(_AGAIN_WALL_S)

    async def _missing(self) -> list[date]:
        today = self._clock.now().date()
        days = [today - i * _DAY for i in range(1, _DAYS + 1)]
        start = datetime.combine(days[-1], time(), UTC)
        kept = await self._store.messages("weather", start, self._clock.now(), subject=self._runs.name, limit=2 * _DAYS)
        there = {envelope.at.date() for envelope in kept}
        return [day for day in days if day not in there]

    async def _fill(self, first: date, last: date) -> bool:
        """Fetch and keep some days; False where that has to be tried again."""
        try:
            found = [checked(weather) for weather in await self._runs.history(first, last)]
        except SourceError as error:
            _log.warning("forecasts of the past did not come", first=first, last=last, error=error.message)
            return False
        for weather in found:
            await self._keep(weather)
        _log.info("forecasts of the past are kept", first=first, last=last, days=len(found))
        await self._clock.sleep_wall(_BETWEEN_WALL_S)
        return True

    async def _keep(self, weather: Weather) -> None:
        at = weather.available_at
        envelope = wrap(weather, site=self._site, clock=self._clock, source=self._source)
        then = {"id": new_id(at), "at": at, "seq": int(at.timestamp() * 1000)}
        await self._history.write_message(envelope.model_copy(update=then), self._clock.now())
