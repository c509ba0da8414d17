"""The last days are fetched whole or not at all, and open as a world."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pems_cli.prefetch import PAST_DAYS, gather_world, last_days_start
from pems_common.messages import Series, Weather
from pems_common.world import open_world, write_world_file
from pems_ingest.sources.port import SourceError, SpotDays

_NOW = datetime(2026, 1, 20, 10, tzinfo=UTC)
_PRAGUE = ZoneInfo("Europe/Prague")
_FIRST = datetime(2026, 1, 13, 23, tzinfo=UTC)


class _Sky:
    name = "toy"

    async def forecast(self, now: datetime) -> Weather:
        def hours(value: float) -> Series:
            return Series.of(_FIRST, 3600, [value] * 10 + [None] + [value] * (24 * (PAST_DAYS + 4) - 11), digits=3)

        return Weather(
            provider="toy",
            run_at=now,
            available_at=now,
            temperature_c=hours(-3.0),
            cloud_cover_pct=hours(50.0),
            ghi_w_m2=Series.of(_FIRST, 3600, [100.0] * 24 * (PAST_DAYS + 4), digits=3),
            dni_w_m2=hours(200.0),
            dhi_w_m2=hours(50.0),
            wind_m_s=hours(2.0),
            humidity_pct=hours(80.0),
        )


class _Market:
    name = "toy"

    def __init__(self, days: int = 7) -> None:
        self.days = days

    async def spot(self, first: date, last: date) -> SpotDays:
        if self.days == 0:
            raise SourceError("timeout", "no answer")
        slots = {_FIRST + i * timedelta(minutes=15): float(i) for i in range(96 * self.days)}
        return SpotDays("toy", slots)


class _Bank:
    name = "toy"

    async def eur_czk(self, day: date) -> float:
        if day.weekday() >= 5:
            raise SourceError("http_404", "closed")
        return 25.0


async def test_what_came_opens_as_a_world(tmp_path: Path) -> None:
    content = await gather_world(_Sky(), [_Market(0), _Market()], _Bank(), now=_NOW, zone=_PRAGUE, seed=1)
    assert content.kind == "live"
    assert len(content.prices) == 7 * 96
    assert 4 <= len(content.eur_czk) <= PAST_DAYS + 1
    write_world_file(tmp_path / "world.json", content)
    world = open_world(tmp_path / "world.json", latitude=49.5, longitude=17.4)
    start = last_days_start(_NOW, _PRAGUE)
    assert start == datetime(2026, 1, 16, 5, tzinfo=UTC)
    assert world.weather(start).temperature_c == pytest.approx(-3.0)


async def test_too_few_prices_are_no_world() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await gather_world(_Sky(), [_Market(0)], _Bank(), now=_NOW, zone=_PRAGUE, seed=1)
    assert caught.group_contains(SourceError, match="no answer")
    with pytest.raises(SourceError, match="slots with prices"):
        await gather_world(_Sky(), [_Market(2)], _Bank(), now=_NOW, zone=_PRAGUE, seed=1)
