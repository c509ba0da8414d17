"""Filling the forecaster's memory from the stored history: loads, PV, prices of the last weeks."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pems_common.held_back import held_back
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.messages import Weather
from pems_common.timegrid import slot_start
from pems_forecaster.domain.fine_weather import fine_weather
from pems_forecaster.domain.forecast import horizon_slots
from pems_forecaster.domain.grid import Grid, slot_no
from pems_forecaster.domain.lessons import WeatherRun, run_of
from pems_forecaster.domain.slot_history import KEEP_DAYS, SlotHistory

__all__ = ["backfill", "measured_columns", "past_run"]

DIRECT = {
    "pv_w": "pv_power_w",
    "outdoor_c": "outdoor_temperature_c",
    "spot_eur_mwh": "price.spot_eur_mwh",
}

_LIMITING = ("pv_power_w", "grid_power_w", "battery_power_w", "battery_soc_pct", "price.sell_czk_kwh")

Columns = Mapping[str, list[float | None]]


def _relay(room: str) -> str:
    return f"room.{room}.relay_on"


async def backfill(home: Home, reader: HistoryReader, history: SlotHistory, now: datetime) -> int:
    """Fill slots that the own memory lacks from the last weeks; returns how many load slots were new.

    Raises:
        UnavailableError: The history is away.
    """
    end = slot_start(now)
    start = end - timedelta(days=KEEP_DAYS)
    first = slot_no(start)
    columns = await measured_columns(home, reader, start, end)
    new = {name: history.put_missing(name, first, values) for name, values in columns.items()}
    return new["load_w"]


async def measured_columns(
    home: Home, reader: HistoryReader, start: datetime, end: datetime
) -> dict[str, list[float | None]]:
    """Read what the forecaster learns from of `[start, end)`, by its own names of series.

    Raises:
        UnavailableError: The history is away.
    """
    direct = dict.fromkeys([*DIRECT.values(), "load_power_w", "ev.power_w", "water.power_w", *_LIMITING])
    names = [*direct, *map(_relay, home.rooms)]
    columns = await reader.slots(names, start, end)
    return {
        **{own: columns.get(stored, []) for own, stored in DIRECT.items()},
        "load_w": uncontrolled(home, columns),
        "pv_limited": _limited(home, columns),
    }


def _limited(home: Home, columns: Columns) -> list[float | None]:
    """1 where PV may have been held back; None where power is unknown."""
    empty: list[float | None] = [None] * max(map(len, columns.values()), default=0)
    series = zip(*(columns.get(name) or empty for name in _LIMITING), strict=True)
    return [
        None
        if pv is None
        else float(held_back(home, pv_w=pv, grid_w=grid, battery_w=battery, soc_pct=soc, sell_czk_kwh=sell))
        for pv, grid, battery, soc, sell in series
    ]


def uncontrolled(home: Home, columns: Columns) -> list[float | None]:
    """Take the controlled loads out of the stored load [W].

    A slot in which a relay that is known elsewhere in the window is unknown stays unknown: its heating would
    otherwise count as base load.
    """
    load = columns.get("load_power_w", [])
    stored = {name: columns.get(_relay(name), []) for name in home.rooms}
    relays = {name: values for name, values in stored.items() if any(v is not None for v in values)}
    extra = [columns.get(name, []) for name in ("ev.power_w", "water.power_w")]
    result: list[float | None] = []
    for i, value in enumerate(load):
        if value is None or any(values[i] is None for values in relays.values()):
            result.append(None)
            continue
        heating = sum((values[i] or 0.0) * home.rooms[name].heat_w for name, values in relays.items())
        others = sum(column[i] or 0.0 for column in extra if i < len(column))
        result.append(max(0.0, value - heating - others))
    return result


def past_run(home: Home, weather: Weather) -> WeatherRun:
    """Return an archived forecast as it stood when it became known."""
    grid = Grid(weather.available_at, horizon_slots(home))
    site = home.site
    fine = fine_weather(
        grid, weather, SlotHistory(), latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
    )
    return run_of(grid, fine)
