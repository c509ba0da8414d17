"""Forecasts of the past from Open-Meteo's previous-runs API: what had been said of each hour one to three days before.

`shortwave_radiation_previous_day1` is the value that was predicted 24 h before the hour it is for, `_previous_day2`
48 h before. (Source: documentation of the Previous Runs API.) A run can be read some hours after the instant it
begins at: "typically 4-6 hours for global models" (documentation of the Single Runs API). So a forecast as it could be
known at T holds, for a value stamped t, the newest lead of n days with t - n x 24 h <= T - 6 h. It is a little worse
than what PEMS would have had at T, never better.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from pems_common.messages import Series, Weather
from pems_ingest.sources.fetch import Fetcher
from pems_ingest.sources.hourly import HOUR, REQUIRED, Slots, weather_of
from pems_ingest.sources.open_meteo import COLUMNS, place_params, read_table
from pems_ingest.sources.port import SourceError

__all__ = ["PREVIOUS_RUNS_URL", "PreviousRuns", "parse_previous_runs"]

PREVIOUS_RUNS_URL = "https://previous-runs-api.open-meteo.com/v1/forecast"
_DAY = timedelta(days=1)
_RELEASE = timedelta(hours=6)
_LEADS = (1, 2, 3)
_REACH = _LEADS[-1] * _DAY - _RELEASE  # of a forecast made of these leads: 66 h
_FIELDS = [field for field in COLUMNS if field != "snow_depth_m"]  # the archive has no snow


class PreviousRuns:
    """The archive of one place; nothing in it knows more than could be known at its `available_at`."""

    name = "open_meteo_previous_runs"
    days_max = 90

    def __init__(self, fetcher: Fetcher, *, latitude: float, longitude: float, url: str = PREVIOUS_RUNS_URL) -> None:
        """Ask at `url` for a place [deg]."""
        self._fetcher, self._url = fetcher, url
        self._params = {
            **place_params(latitude, longitude),
            "hourly": ",".join(_column(field, lead) for field in _FIELDS for lead in _LEADS),
        }

    async def history(self, first: date, last: date) -> list[Weather]:
        """Return a forecast per day, as known at 00:00 UTC of `first..last`, 66 h long; days without data are absent.

        Raises:
            SourceError: Nothing usable came.
            ValueError: More than `days_max` days, or none.
        """
        if not 1 <= (last - first).days + 1 <= self.days_max:
            raise ValueError(f"{first} to {last}")
        params = {**self._params, "start_date": first.isoformat(), "end_date": (last + _LEADS[-1] * _DAY).isoformat()}
        return parse_previous_runs(await self._fetcher.get(self._url, params=params), first, last, name=self.name)


def parse_previous_runs(
    body: bytes, first: date, last: date, *, name: str = "open_meteo_previous_runs"
) -> list[Weather]:
    """Put the leads of an answer together to one forecast per day.

    Args:
        body: The JSON answer.
        first: First day, UTC.
        last: Last day.
        name: Provider in the messages.

    Raises:
        SourceError: Columns missing, of another unit, length or range.
    """
    table = read_table(body, name)
    leads = {
        field: [Series.of(table.times[0], 3600, table.slots(field, _column(field, n), fill=False)[0]) for n in _LEADS]
        for field in _FIELDS
        if field in REQUIRED or all(_column(field, n) in table.columns for n in _LEADS)
    }
    days = [first + i * _DAY for i in range((last - first).days + 1)]
    found = [_known_at(datetime.combine(day, time(), UTC), leads, name) for day in days]
    return [weather for weather in found if weather is not None]


def _column(field: str, lead: int) -> str:
    return f"{COLUMNS[field]}_previous_day{lead}"


def _known_at(at: datetime, leads: Mapping[str, list[Series]], name: str) -> Weather | None:
    """Return the forecast as known at `at`; None where the archive has too little of it."""
    run_at = at - _RELEASE
    slots = [at + i * HOUR for i in range(_REACH // HOUR)]
    days = [-((run_at - (slot + HOUR)) // _DAY) for slot in slots]  # from run to the slot's later stamp, rounded up
    columns: dict[str, Slots] = {
        field: ([series[n - 1].at(slot) for slot, n in zip(slots, days, strict=True)], 0)
        for field, series in leads.items()
    }
    try:
        return weather_of(columns, provider=name, start=at, run_at=run_at, available_at=at)
    except SourceError:
        return None
