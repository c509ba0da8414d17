"""What the feeds want from any source of prices, exchange rates, weather and PV forecasts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

from pems_common.errors import UnavailableError
from pems_common.messages import ExpectedPv, Weather, WeatherQuantiles

__all__ = [
    "PastSource",
    "PvSource",
    "RateSource",
    "SourceError",
    "SourceHealth",
    "SpotDays",
    "SpotSource",
    "SpreadSource",
    "WeatherSource",
]


class SourceError(UnavailableError):
    """A source gave nothing usable.

    Attributes:
        reason: Short stable code: `timeout`, `unreachable`, `http_<status>`, `too_large`, `truncated`,
            `wrong_type`, `malformed`, `wrong_units`, `impossible_value`, `empty`.
        retry_after_s: Wall seconds that the source asked to be left alone, None where it did not.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        """Keep what happened."""
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class SpotDays:
    """Day-ahead prices of some local days.

    Attributes:
        source: Name of the source.
        prices: EUR/MWh by start of each 15-min slot, UTC.
        missing: Slots of days that came at all, but not these.
    """

    source: str
    prices: Mapping[datetime, float]
    missing: tuple[datetime, ...] = ()


class SpotSource(Protocol):
    """A source of day-ahead prices."""

    @property
    def name(self) -> str:
        """Name in messages and on screens."""

    async def spot(self, first: date, last: date) -> SpotDays:
        """Return the prices of the market's local days `first..last`; days not published yet are absent.

        Raises:
            SourceError: Nothing usable came.
        """


class RateSource(Protocol):
    """A source of the exchange rate."""

    @property
    def name(self) -> str:
        """Name in messages and on screens."""

    async def eur_czk(self, day: date) -> float:
        """Return the rate of the day, or of the last banking day before it.

        Raises:
            SourceError: Nothing usable came.
        """


class WeatherSource(Protocol):
    """A source of weather forecasts."""

    @property
    def name(self) -> str:
        """Name in messages and on screens."""

    async def forecast(self, now: datetime) -> Weather:
        """Return the newest forecast run that is known at `now`.

        Raises:
            SourceError: Nothing usable came.
        """


class PastSource(Protocol):
    """An archive of weather forecasts."""

    @property
    def name(self) -> str:
        """Provider in messages."""

    @property
    def days_max(self) -> int:
        """Days that may be asked for at once."""

    async def history(self, first: date, last: date) -> list[Weather]:
        """Return one forecast per UTC day `first..last` as it could be known then; days without data are absent.

        Raises:
            SourceError: Nothing usable came.
        """


class SpreadSource(Protocol):
    """A source of how sure the weather is."""

    @property
    def name(self) -> str:
        """Name on screens."""

    @property
    def every(self) -> timedelta:
        """How often it has something new."""

    async def spread(self, now: datetime) -> WeatherQuantiles:
        """Return the newest quantiles that are known at `now`.

        Raises:
            SourceError: Nothing usable came.
        """


class PvSource(Protocol):
    """A service that forecasts the power of this PV plant."""

    @property
    def name(self) -> str:
        """Name in messages and on screens."""

    @property
    def every(self) -> timedelta:
        """Least time between two questions."""

    async def power(self, now: datetime) -> ExpectedPv:
        """Return the newest forecast that is known at `now`.

        Raises:
            SourceError: Nothing usable came.
        """


@dataclass
class SourceHealth:
    """How a source has been doing; house time.

    Attributes:
        name: The source.
        last_ok_at: When it last gave something usable.
        last_try_at: When it was last asked.
        last_error: Why the last try failed, empty where it did not.
        failures: Failed tries in a row.
        asked: Tries in all.
        note: What is special about what it gave (missing slots, filled values).
    """

    name: str
    last_ok_at: datetime | None = None
    last_try_at: datetime | None = None
    last_error: str = ""
    failures: int = 0
    asked: int = 0
    note: str = field(default="")

    def worked(self, now: datetime, note: str = "") -> None:
        """Record a success."""
        self.last_ok_at = self.last_try_at = now
        self.last_error, self.failures, self.note = "", 0, note
        self.asked += 1

    def failed(self, now: datetime, error: SourceError) -> None:
        """Record a failure."""
        self.last_try_at, self.last_error = now, error.message
        self.failures += 1
        self.asked += 1
