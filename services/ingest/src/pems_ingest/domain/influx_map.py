"""From the first user's InfluxDB 2 to the series of PEMS: what is asked, its units and signs, how long a value holds.

Loxone's values were written on change, so silence means "as before" while the logger spoke at all, and nothing where
it was silent as a whole. Prices and weather hold for their own slot, powers for their own window.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.history import Point
from pems_ingest.domain.fields import CARRY_MAX_S, kind_of

__all__ = ["WINDOW_S", "Feed", "Question", "Rows", "exchange_rates", "house_feeds"]

Floats = NDArray[np.float64]
Rows = Mapping[tuple[str, str], Sequence[tuple[float, float]]]
"""(time [s since 1970], value) by (measurement, field), in any order; NaN is a value that is no number."""

WINDOW_S = 300
"""Powers come as means of windows of this length, told by their beginning: a value holds for its window, no longer."""

_SLOT_S, _HOUR_S, _DAY_S = 900.0, 3600.0, 86_400.0
_SILENT_S = _HOUR_S
"""A house in which no room's temperature and no relay changes for longer had no logger running."""
_HOLD_S, _RELAY_HOLD_S = _DAY_S, 7 * _DAY_S
"""An unchanged temperature holds for a day, as long as one is believed anywhere; a relay may rest for a week."""
_OUTDOOR = ("outdoor", "outside", "venku")
_NOISE_W, _POWER_MAX_W = -50.0, 50_000.0
_SOLAR: dict[str, tuple[tuple[tuple[str, float], ...], ...]] = {
    "pv_power_w": ((("InputPower", 1.0),), (("PV1InputPower", 1.0), ("PV2InputPower", 1.0))),
    "load_power_w": ((("INVPowerToLocalLoad", 1.0),),),
    "grid_power_w": ((("ACPowerToUser", 1.0), ("ACPowerToGrid", -1.0)),),
    "battery_power_w": ((("DischargePower", 1.0), ("ChargePower", -1.0)),),
    "battery_soc_pct": ((("SOC", 1.0),),),
}
"""Series: ways to add it up from fields of `energy/solar` (`pems_common.dialects.growatt_oig`), the best one first."""
_WEATHER: dict[str, tuple[tuple[str, ...], bool, float, float]] = {
    "weather.temperature_c": (("temperature_2m",), False, -60.0, 60.0),
    "weather.cloud_cover_pct": (("cloud_cover", "cloudcover"), False, 0.0, 100.0),
    "weather.ghi_w_m2": (("shortwave_radiation",), True, 0.0, 1_500.0),
    "weather.dni_w_m2": (("direct_normal_irradiance",), True, 0.0, 1_500.0),
    "weather.dhi_w_m2": (("diffuse_radiation",), True, 0.0, 1_200.0),
}
"""Series: (names at Open-Meteo, whether a value is the mean of the hour before its stamp, least, greatest).

Wind is left out: whether it was asked for in km/h or m/s is stored nowhere.
"""
_RATE_LOW, _RATE_HIGH, _RATE_AGREE, _LEAST_EUR_MWH, _LEAST_RATIOS = 20.0, 28.0, 0.01, 10.0, 6


@dataclass(frozen=True)
class Question:
    """What is asked of a bucket.

    Attributes:
        measurement: Its `_measurement`.
        fields: Its `_field`s.
        tags: Values that tags must have.
        window_s: Length of the windows of which means come; 0 asks for single values.
        low: Least value that counts in a mean.
        high: Greatest one.
    """

    measurement: str
    fields: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()
    window_s: int = 0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Feed:
    """A bucket and what becomes of it.

    Attributes:
        name: For people.
        bucket: Where it is.
        questions: What is asked for.
        points: Turns the rows of a page, and of its neighbours, into the points of `[start_s, end_s)`.
        around: Whether the neighbours matter.
        needed: Whether there is no backtest without it; else its absence is only told.
        without: What its absence means, and what to do about it.
    """

    name: str
    bucket: str
    questions: tuple[Question, ...]
    points: Callable[[Rows, float, float], list[Point]]
    around: bool = True
    needed: bool = True
    without: str = ""


def house_feeds(rooms: Iterable[str]) -> tuple[Feed, ...]:
    """Return what is read of the first user's buckets for these rooms of home.yaml."""
    rooms = tuple(rooms)
    outdoor = tuple(f"temperature_{place}" for place in _OUTDOOR)
    weather = tuple(name for names, *_ in _WEATHER.values() for name in names)
    solar = tuple(dict.fromkeys(name for ways in _SOLAR.values() for way in ways for name, _ in way if name != "SOC"))
    return (
        Feed(
            "rooms",
            "loxone",
            (
                Question("temperature", (*(f"temperature_{room}" for room in rooms), *outdoor)),
                Question("current_weather", ("temperature", "current_weather", *outdoor)),
                Question("relay", rooms, (("tag1", "heating"),)),
            ),
            partial(_house_points, rooms),
        ),
        Feed(
            "inverter",
            "solar",
            (
                Question("solar", solar, window_s=WINDOW_S, low=_NOISE_W, high=_POWER_MAX_W),
                Question("solar", ("SOC",), window_s=WINDOW_S, low=0.0, high=100.0),
            ),
            _solar_points,
            around=False,
        ),
        Feed(
            "prices",
            "ote_prices",
            (Question("electricity_prices", ("price", "price_czk_kwh")),),
            _price_points,
            needed=False,
            without="prices come from ote_cz/ of PEMS_DATA_DIR",
        ),
        Feed(
            "weather",
            "weather_forecast",
            (Question("weather_forecast", weather),),
            _weather_points,
            needed=False,
            without="no day can be used without the sun: fill it from Open-Meteo's archive",
        ),
    )


def exchange_rates(rows: Rows, zone: ZoneInfo) -> dict[date, float]:
    """Return CZK/EUR by local day, where both prices of its slots agree on one.

    A price with fees or VAT in it disagrees, or gives a rate that the koruna never had in these years; such a day has
    none.
    """
    czk = dict(rows.get(("electricity_prices", "price_czk_kwh"), ()))
    ratios: dict[date, list[float]] = {}
    for at_s, eur in rows.get(("electricity_prices", "price"), ()):
        if abs(eur) >= _LEAST_EUR_MWH and at_s in czk:
            day = datetime.fromtimestamp(at_s, UTC).astimezone(zone).date()
            ratios.setdefault(day, []).append(1000.0 * czk[at_s] / eur)
    found = {}
    for day, values in ratios.items():
        middle = float(np.median(values))
        agree = np.abs(np.array(values) - middle) <= _RATE_AGREE * abs(middle)
        if len(values) >= _LEAST_RATIOS and _RATE_LOW <= middle <= _RATE_HIGH and bool(agree.all()):
            found[day] = round(middle, 4)
    return found


# --- Loxone: values on change ---------------------------------------------------------------------


def _house_points(rooms: Sequence[str], rows: Rows, start_s: float, end_s: float) -> list[Point]:
    """Points of rooms and of the outdoor sensor; the first outdoor field that says anything is the one."""
    sources = {f"room.{room}.temperature_c": ("temperature", f"temperature_{room}") for room in rooms}
    sources |= {f"room.{room}.relay_on": ("relay", room) for room in rooms}
    outdoor = [("temperature", f"temperature_{place}") for place in _OUTDOOR]
    outdoor += [("current_weather", name) for name in ("temperature", "current_weather")]
    outdoor += [("current_weather", f"temperature_{place}") for place in _OUTDOOR]
    if told := next((source for source in outdoor if rows.get(source)), None):
        sources["outdoor_temperature_c"] = told
    signs = np.unique(np.array([at_s for source in sources.values() for at_s, _ in rows.get(source, ())]))
    points = []
    for series, source in sources.items():
        at_s, values = _sorted(rows.get(source, ()))
        if len(at_s):
            points += _held(series, at_s, values, _alive_until(signs, at_s), start_s, end_s)
    return points


def _alive_until(signs: Floats, at_s: Floats) -> Floats:
    """Return until when the logger went on speaking after each instant."""
    last = np.append(np.flatnonzero(np.diff(signs) > _SILENT_S), len(signs) - 1)
    run = np.searchsorted(last, np.searchsorted(signs, at_s))
    ends: Floats = signs[last[run]]
    return ends


def _held(
    series: str, at_s: Floats, values: Floats, alive_until_s: Floats, start_s: float, end_s: float
) -> list[Point]:
    """Points of a value on change, told again each `CARRY_MAX_S` while it holds: as ingest would have stored it.

    A value that cannot be true ends the one before it and gives none.
    """
    kind = kind_of(series)
    boolean = kind is not None and kind.boolean
    if kind is not None:
        values = np.where((values >= kind.low) & (values <= kind.high), values, np.nan)
    if boolean:
        values = np.where((values == 0.0) | (values == 1.0), values, np.nan)
    hold_s = _RELAY_HOLD_S if boolean else (kind.stuck_s if kind is not None and kind.stuck_s else _HOLD_S)
    next_s, last_s = np.append(at_s[1:], np.inf), np.minimum(at_s + hold_s, alive_until_s)
    points = []
    for at, value, following, last in zip(
        at_s.tolist(), values.tolist(), next_s.tolist(), last_s.tolist(), strict=True
    ):
        if value != value or at >= end_s:
            continue
        told = at if at >= start_s else at + CARRY_MAX_S * np.ceil((start_s - at) / CARRY_MAX_S)
        while told < min(end_s, following) and told <= last:
            points.append(Point(series, _at(told), value))
            told += CARRY_MAX_S
    return points


# --- powers, prices, weather ----------------------------------------------------------------------


def _solar_points(rows: Rows, start_s: float, end_s: float) -> list[Point]:
    """Powers with the signs of PEMS (grid + = import, battery + = discharge), where every part of them is known."""
    points = []
    for series, ways in _SOLAR.items():
        found: dict[float, float] = {}
        for way in reversed(ways):
            parts = [(dict(rows.get(("solar", name), ())), sign) for name, sign in way]
            for at_s in set.intersection(*(set(part) for part, _ in parts)):
                # A meter may read slightly below zero; such values count as zero.
                found[at_s] = sum(sign * max(part[at_s], 0.0) for part, sign in parts)
        points += [Point(series, _at(t), v) for t, v in sorted(found.items()) if start_s <= t < end_s and v == v]
    return points


def _price_points(rows: Rows, start_s: float, end_s: float) -> list[Point]:
    """Day-ahead prices slot by slot: one holds until the next, at most an hour, and no longer than its neighbours'."""
    at_s, values = _sorted(rows.get(("electricity_prices", "price"), ()))
    whole = np.isfinite(values) & (np.abs(at_s % _SLOT_S) < 0.5)
    at_s, values = at_s[whole], values[whole]
    steps_s = np.diff(at_s, prepend=-np.inf, append=np.inf)
    steps_s = np.minimum(np.minimum(steps_s[:-1], steps_s[1:]), _HOUR_S)
    return [
        Point("price.spot_eur_mwh", _at(at + i * _SLOT_S), value)
        for at, value, step in zip(at_s.tolist(), values.tolist(), steps_s.tolist(), strict=True)
        for i in range(round(step / _SLOT_S))
        if start_s <= at + i * _SLOT_S < end_s
    ]


def _weather_points(rows: Rows, start_s: float, end_s: float) -> list[Point]:
    """Means of whole hours, told slot by slot as ingest stores them.

    Open-Meteo stamps irradiance with the end of its hour and everything else with the instant. (Source: documentation
    of the Weather Forecast API, "Hourly Parameter Definition".)
    """
    points = []
    for series, (names, preceding, low, high) in _WEATHER.items():
        told = {
            t: v for name in reversed(names) for t, v in rows.get(("weather_forecast", name), ()) if low <= v <= high
        }
        for end, last in sorted(told.items()):
            begin = end - _HOUR_S
            first = last if preceding else told.get(begin)
            if end % _HOUR_S == 0 and first is not None:
                slots = (begin + i * _SLOT_S for i in range(4))
                points += [Point(series, _at(t), 0.5 * (first + last)) for t in slots if start_s <= t < end_s]
    return points


def _sorted(rows: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Return times and values, oldest first, one for each time: the later told stands."""
    table = np.array(sorted(dict(rows).items()), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _at(at_s: float) -> datetime:
    ms = round(at_s * 1000)
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
