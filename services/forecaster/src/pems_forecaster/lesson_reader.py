"""Fills the lessons, and the gaps in them, from the stored history: measurements and past weather forecasts."""

import asyncio
from contextlib import suppress

from pems_common.clock import Clock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.logs import get_logger
from pems_common.messages import Weather, read_body
from pems_forecaster.adapters.lesson_store import KEEP_DAYS, LessonStore
from pems_forecaster.backfill import measured_columns, past_run
from pems_forecaster.domain.grid import SLOTS_PER_DAY, slot_at, slot_no
from pems_forecaster.domain.lessons import MEASURED

__all__ = ["LessonReader"]

ARCHIVE = "open_meteo_previous_runs"
_AT_ONCE, _GAPS_WITHIN = 28, 84  # days
_ARCHIVE_DAYS, _ARCHIVE_AT_ONCE = 365, 60
_log = get_logger("forecaster.lessons")


class LessonReader:
    """Reads the stored history, a few weeks at a time, so that everything else goes on meanwhile."""

    def __init__(self, home: Home, clock: Clock, lessons: LessonStore, reader: HistoryReader) -> None:
        """Read from `reader` into `lessons`."""
        self._home, self._clock, self._lessons, self._reader = home, clock, lessons, reader

    async def read_all(self) -> bool:
        """Fill the gaps of the last weeks, then go back until nothing older is found; True when it came to an end."""
        try:
            now = slot_no(self._clock.now())
            for days in range(0, KEEP_DAYS, _AT_ONCE):
                before = self._lessons.oldest()
                until = now - days * SLOTS_PER_DAY
                await self._read(max(until - _AT_ONCE * SLOTS_PER_DAY, now - KEEP_DAYS * SLOTS_PER_DAY), until)
                oldest = self._lessons.oldest()
                if days >= _GAPS_WITHIN and oldest == before and (oldest is None or oldest >= until):
                    break
            await self.read_past_weather()
        except UnavailableError as error:
            _log.info("the stored history is read later", error=error.message)
            return False
        return True

    async def _read(self, first: int, until: int) -> None:
        columns = await measured_columns(self._home, self._reader, slot_at(first), slot_at(until))
        for name in MEASURED:
            self._lessons.put_series(name, first, columns.get(name, ()))

    async def read_past_weather(self) -> None:
        """Read the archived forecasts of days that the lessons lack.

        Raises:
            UnavailableError: The history or the lessons are away.
        """
        today = slot_no(self._clock.now()) // SLOTS_PER_DAY
        missing = set(range(today - _ARCHIVE_DAYS, today)) - self._lessons.run_days()
        for day in range(today - _ARCHIVE_DAYS, today, _ARCHIVE_AT_ONCE):
            some = range(day, min(day + _ARCHIVE_AT_ONCE, today))
            if missing.isdisjoint(some):
                continue
            start, end = slot_at(some.start * SLOTS_PER_DAY), slot_at(some.stop * SLOTS_PER_DAY)
            for envelope in await self._reader.messages("weather", start, end, subject=ARCHIVE, limit=_ARCHIVE_AT_ONCE):
                with suppress(PermanentError):
                    run = past_run(self._home, read_body(envelope, Weather))
                    if run.first // SLOTS_PER_DAY in missing:
                        self._lessons.put_run(run)
                await asyncio.sleep(0)  # others have their turn
