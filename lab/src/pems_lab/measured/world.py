"""The past of a user's house as a world: the weather that came, the prices, and forecasts as they were known then."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import sqrt

import numpy as np

from pems_common.errors import PermanentError
from pems_common.history import HistoryReader
from pems_common.messages import Series, Weather, read_body
from pems_common.timegrid import SLOT, require_utc
from pems_common.world import WeatherSample
from pems_common.world.outlook import forecast_from_truth
from pems_common.world.publication import published_until
from pems_lab.measured.span import MeasuredSpan

__all__ = ["MeasuredWorld", "archived_weather", "temperature_scale"]

_FRESH = timedelta(hours=9)
"""An archived run older than this is not what PEMS would have had: it asks every few hours."""
_KEEP = timedelta(hours=36)
_LEADS = range(6, 25)
_LEAST_ERRORS = 100
_MODEL_RMS_K = sqrt(sum((0.4 + 0.025 * lead) ** 2 for lead in _LEADS) / len(_LEADS))


async def archived_weather(reader: HistoryReader, start: datetime, end: datetime) -> list[Weather]:
    """Read the forecasts that became known from shortly before `start` until `end`, oldest first.

    Where several services were asked, those of the one that told most often are taken.

    Raises:
        UnavailableError: The history is away.
    """
    by_subject: dict[str, list[Weather]] = {}
    at = start - _FRESH
    while at < end:
        for envelope in await reader.messages("weather", at, min(at + _KEEP, end), limit=1000):
            try:
                by_subject.setdefault(envelope.subject, []).append(read_body(envelope, Weather))
            except PermanentError:
                continue  # a damaged message tells nothing
        at += _KEEP
    if not by_subject:
        return []
    most, _ = Counter({subject: len(runs) for subject, runs in by_subject.items()}).most_common(1)[0]
    return sorted(by_subject[most], key=lambda weather: weather.available_at)


def temperature_scale(span: MeasuredSpan, archive: Sequence[Weather]) -> float:
    """Return how large forecast errors of temperature were here, against those of the documented model.

    Root mean squares of leads of 6 to 24 h; 1 where less than 100 errors are known.
    """
    errors = []
    for weather in archive:
        for lead in _LEADS:
            hour = weather.run_at + timedelta(hours=lead)
            first = span.index(hour)
            told = weather.temperature_c.at(hour)
            if told is not None and 0 <= first <= span.count - 4:
                came = float(span.outdoor_c[first : first + 4].mean())
                if np.isfinite(came):
                    errors.append(told - came)
    if len(errors) < _LEAST_ERRORS:
        return 1.0
    # A sensor that hangs a kelvin too warm is no error of the forecast.
    return float(np.clip(np.std(errors) / _MODEL_RMS_K, 0.3, 3.0))


class MeasuredWorld:
    """Implements `World` on a measured span.

    Forecasts are the archived ones, each from when it was known; where there is none that is fresh, the documented
    error model of `pems_common.world.outlook` about the weather that came, its errors of temperature as large as the
    archived ones were here.
    """

    def __init__(
        self, span: MeasuredSpan, archive: Sequence[Weather] = (), *, scale: float = 1.0, seed: int = 0
    ) -> None:
        """Keep the past.

        Args:
            span: What was measured.
            archive: Forecasts in the order in which they became known (see `archived_weather`).
            scale: Size of temperature errors where the model speaks (see `temperature_scale`).
            seed: Of the model's errors and of the minute in which prices become public.
        """
        self._span, self._archive, self._scale = span, list(archive), scale
        self._known_at = [weather.available_at for weather in self._archive]
        self._key = f"measured:{seed}"
        self._weather = span.true_weather()
        self.told = self.modelled = 0

    @property
    def label(self) -> str:
        """Where the data come from."""
        return "measured: the house's own history"

    def weather(self, at: datetime) -> WeatherSample:
        """Return the weather that came."""
        return self._weather.at(at)

    def weather_forecast(self, issued_at: datetime, hours: int = 72) -> Weather:
        """Return what was known of the weather at an instant."""
        issued_at = require_utc(issued_at)
        self.told += 1
        place = bisect_right(self._known_at, issued_at)
        if place and issued_at - self._known_at[place - 1] <= _FRESH:
            return self._archive[place - 1]
        self.modelled += 1
        return self._modelled(issued_at, hours)

    def _modelled(self, issued_at: datetime, hours: int) -> Weather:
        site = self._span.home.site
        told = forecast_from_truth(
            self.weather,
            issued_at,
            hours,
            key=f"{self._key}:outlook",
            provider="measured",
            latitude=site.latitude,
            longitude=site.longitude,
        )
        run_at = told.run_at
        values = []
        for lead, value in enumerate(told.temperature_c.values):
            came = self.weather(run_at + timedelta(hours=lead, minutes=30)).temperature_c
            values.append(None if value is None else came + self._scale * (value - came))
        return told.model_copy(update={"temperature_c": Series.of(run_at, 3600, values, digits=2)})

    def spot_eur_mwh(self, slot_start: datetime) -> float | None:
        """Return the day-ahead price of a slot; None where the history has none."""
        index = self._span.index(slot_start)
        if not 0 <= index < self._span.count:
            return None
        value = float(self._span.spot_eur_mwh[index])
        return value if np.isfinite(value) else None

    def eur_czk(self, at: datetime) -> float | None:
        """Return the exchange rate of the day; at an end of the span that of its nearest day."""
        return float(self._span.eur_czk[min(max(self._span.index(at), 0), self._span.count - 1)])

    def published_until(self, at: datetime) -> datetime:
        """Return the end of the prices that were public at an instant, no further than the history has any."""
        known = np.flatnonzero(np.isfinite(self._span.spot_eur_mwh))
        last = self._span.start + (int(known[-1]) + 1 if len(known) else 0) * SLOT
        return min(published_until(at, self._key), last)
