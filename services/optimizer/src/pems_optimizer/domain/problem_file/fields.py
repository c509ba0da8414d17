"""The kinds of fields of a problem file: numbers within plausible ranges, series, instants, times of day.

Numbers are strict: a text or a truth value is refused, never converted. A series is one number, which holds in every
slot, or one number per slot.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Strict, StringConstraints, Tag
from pydantic import WithJsonSchema as Shown

__all__ = [
    "Capacity",
    "Energy",
    "Flag",
    "Instant",
    "MinuteOfDay",
    "Minutes",
    "Money",
    "Name",
    "Part",
    "Percent",
    "Power",
    "PowerSeries",
    "Price",
    "PriceSeries",
    "RoomPower",
    "RoomTemperature",
    "Share",
    "Sun",
    "Temperature",
    "TemperatureSeries",
    "TimeZone",
]

_TIME_OF_DAY = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")


class Part(BaseModel):
    """A part of the file: frozen, refuses unknown fields, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _constant_or_series(value: Any) -> str:
    return "series" if isinstance(value, list | tuple) else "constant"


def _instant(value: Any) -> datetime:
    example = "write it with its offset, such as 2026-01-15T00:00:00+01:00"
    if isinstance(value, datetime):
        at = value
    elif isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"is no ISO 8601 instant: {example}") from None
    else:
        raise ValueError(f"is no text: {example}")
    if at.tzinfo is None:
        raise ValueError(f"has no time zone, and PEMS never guesses one: {example}")
    if not 1970 <= at.year <= 2200:
        raise ValueError("must lie between the years 1970 and 2200")
    return at.astimezone(UTC)


def _minute_of_day(value: Any) -> int:
    if not isinstance(value, str) or not _TIME_OF_DAY.match(value):
        raise ValueError('is no time of day: write a local time such as "06:00"')
    return int(value[:2]) * 60 + int(value[3:])


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        if not isinstance(value, str) or len(value) > 64:
            raise ValueError
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones, such as Europe
        raise ValueError("is no IANA time zone: write a name such as Europe/Prague") from None


Flag = Annotated[bool, Strict()]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Minutes = Annotated[int, Strict(), Field(ge=0, le=100_000)]
Share = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]
Percent = Annotated[float, Strict(), Field(ge=0.0, le=100.0)]
Power = Annotated[float, Strict(), Field(ge=0.0, le=1e7, description="[W]")]
RoomPower = Annotated[float, Strict(), Field(ge=1.0, le=1e5, description="[W]")]
Energy = Annotated[float, Strict(), Field(ge=0.0, le=1e9, description="[Wh]")]
Capacity = Annotated[float, Strict(), Field(ge=1.0, le=1e9, description="[Wh]")]
Temperature = Annotated[float, Strict(), Field(ge=-60.0, le=60.0, description="[C]")]
RoomTemperature = Annotated[float, Strict(), Field(ge=-30.0, le=60.0, description="[C]")]
Price = Annotated[float, Strict(), Field(ge=-1e4, le=1e4, description="[currency/kWh]")]
Money = Annotated[float, Strict(), Field(ge=0.0, le=1e6)]
_Irradiance = Annotated[float, Strict(), Field(ge=0.0, le=1500.0, description="[W/m2]")]

_Kind = Discriminator(_constant_or_series)
PowerSeries = Annotated[Annotated[Power, Tag("constant")] | Annotated[tuple[Power, ...], Tag("series")], _Kind]
PriceSeries = Annotated[Annotated[Price, Tag("constant")] | Annotated[tuple[Price, ...], Tag("series")], _Kind]
TemperatureSeries = Annotated[
    Annotated[Temperature, Tag("constant")] | Annotated[tuple[Temperature, ...], Tag("series")], _Kind
]
Sun = Annotated[Annotated[_Irradiance, Tag("constant")] | Annotated[tuple[_Irradiance, ...], Tag("series")], _Kind]

Instant = Annotated[datetime, PlainValidator(_instant), Shown({"type": "string", "format": "date-time"})]
MinuteOfDay = Annotated[int, PlainValidator(_minute_of_day), Shown({"type": "string", "pattern": _TIME_OF_DAY.pattern})]
TimeZone = Annotated[
    ZoneInfo, PlainValidator(_zone), Shown({"type": "string", "description": "IANA name, such as Europe/Prague"})
]
