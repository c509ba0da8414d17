"""The tariff: how a spot price becomes what is paid for import and received for export."""

from datetime import date, datetime, time
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from pems_common.home.section import Section
from pems_common.timegrid import require_utc

__all__ = ["Tariff", "TariffVersion", "TimeWindow"]


class TimeWindow(Section):
    """A daily window `[start, end)` in local time; `end` 24:00 is the end of the day."""

    start: str = Field(description="HH:MM")
    end: str = Field(description="HH:MM, 24:00 allowed")
    months: tuple[int, ...] = tuple(range(1, 13))
    weekdays: tuple[int, ...] = Field(default=tuple(range(7)), description="0 = Monday")

    @field_validator("start", "end")
    @classmethod
    def _hh_mm(cls, text: str) -> str:
        minutes_of(text)
        return text

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if minutes_of(self.end) <= minutes_of(self.start):
            raise ValueError(f"window {self.start}-{self.end} ends before it starts: split it at midnight")
        return self

    def holds(self, local: datetime) -> bool:
        """Tell whether a local time lies inside."""
        minute = local.hour * 60 + local.minute
        return (
            local.month in self.months
            and local.weekday() in self.weekdays
            and minutes_of(self.start) <= minute < minutes_of(self.end)
        )


@lru_cache(maxsize=1024)
def minutes_of(text: str) -> int:
    """Return the minutes after midnight of HH:MM (24:00 allowed).

    Raises:
        ValueError: Not of that form.
    """
    if text == "24:00":
        return 1440
    try:
        at = time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time of day: write HH:MM") from None
    return at.hour * 60 + at.minute


class TariffVersion(Section):
    """One price list, valid from a local date on. Money in CZK/kWh."""

    valid_from: date
    low_windows: tuple[TimeWindow, ...] = Field(description="hours of the low tariff (NT), local time")
    high_addition_czk_kwh: float = Field(description="added to spot outside the low windows (VT), all in")
    low_addition_czk_kwh: float = Field(description="added to spot in the low windows (NT), all in")
    vat_pct: float = Field(default=0.0, ge=0, le=50, description="on everything; 0 when the figures include it")
    sell_fee_czk_kwh: float = 0.5
    export_charged_when_negative: bool = Field(default=True, description="false: export at negative prices is free")

    def is_low(self, local: datetime) -> bool:
        """Tell whether the low tariff holds at a local time."""
        return any(window.holds(local) for window in self.low_windows)

    def buy_czk_kwh(self, spot_czk_kwh: float, local: datetime) -> float:
        """Price of import. Spot may be negative and is not clamped."""
        addition = self.low_addition_czk_kwh if self.is_low(local) else self.high_addition_czk_kwh
        return (spot_czk_kwh + addition) * (1 + self.vat_pct / 100)

    def sell_czk_kwh(self, spot_czk_kwh: float) -> float:
        """Money received for export; negative means it costs."""
        value = spot_czk_kwh - self.sell_fee_czk_kwh
        return value if self.export_charged_when_negative else max(0.0, value)


class Tariff(Section):
    """Versions of the tariff, each valid from its date."""

    name: str = "D57d"
    versions: tuple[TariffVersion, ...] = Field(min_length=1)
    fallback_eur_czk: float = Field(default=24.5, gt=10, lt=50, description="rate when the bank does not answer")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        dates = [v.valid_from for v in self.versions]
        if dates != sorted(dates) or len(set(dates)) != len(dates):
            raise ValueError("versions must be in order of valid_from, each date once")
        return self

    def at(self, instant: datetime, zone: ZoneInfo) -> TariffVersion:
        """Return the version valid at an instant; before the first one, the first."""
        day = require_utc(instant).astimezone(zone).date()
        valid = [v for v in self.versions if v.valid_from <= day]
        return valid[-1] if valid else self.versions[0]

    def prices(self, spot_czk_kwh: float, instant: datetime, zone: ZoneInfo) -> tuple[float, float]:
        """Return (buy, sell) [CZK/kWh] for a spot price in the slot that starts at `instant`."""
        version = self.at(instant, zone)
        local = require_utc(instant).astimezone(zone)
        return version.buy_czk_kwh(spot_czk_kwh, local), version.sell_czk_kwh(spot_czk_kwh)
