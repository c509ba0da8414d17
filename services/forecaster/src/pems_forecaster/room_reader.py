"""Reads what rooms are identified from out of the stored history, and walks observers through it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.timegrid import SLOT
from pems_forecaster.domain.facade_sun import facade_history
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY, Floats, Ints, LocalCalendar, slot_at
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["WARM_UP_SLOTS", "read_house", "walk", "warm_up"]

WARM_UP_SLOTS = 2 * SLOTS_PER_DAY

_WINDOW_SHARE = 0.2  # of a slot from which a window counts as open


async def read_house(
    home: Home, reader: HistoryReader, calendar: LocalCalendar, lessons: Lessons | None, first: int, until: int
) -> HouseSeries:
    """Read slots `first..until` of all rooms.

    The history holds means of slots; the temperature at a slot's beginning is taken as that between two of them.

    Args:
        home: The site.
        reader: The stored history.
        calendar: Local hours of the site.
        lessons: Weather as it was told, for the sun; None leaves the sun unknown.
        first: Number of the first slot.
        until: Number of the slot after the last one.

    Raises:
        UnavailableError: The history is away.
    """
    names = ["outdoor_temperature_c", *(series(room) for room in home.rooms for series in (_sensor, _relay, _window))]
    columns = await reader.slots(names, slot_at(first) - SLOT, slot_at(until))

    return await asyncio.to_thread(_put_together, home, calendar, lessons, first, until, columns)


def _put_together(
    home: Home,
    calendar: LocalCalendar,
    lessons: Lessons | None,
    first: int,
    until: int,
    columns: Mapping[str, Sequence[float | None]],
) -> HouseSeries:
    """Align what was read: the sun's way over two months takes a second."""

    def values(name: str) -> Floats:
        """Of the slot before the first one on (1 + T,)."""
        return np.array([np.nan if v is None else v for v in columns.get(name, [])] or [np.nan] * (until - first + 1))

    def at_beginning(name: str) -> Floats:
        means = values(name)
        both = 0.5 * (means[:-1] + means[1:])
        return np.where(np.isfinite(both), both, np.where(np.isfinite(means[1:]), means[1:], means[:-1]))

    slots = np.arange(first, until, dtype=np.int64)
    outdoor_c = values("outdoor_temperature_c")[1:]
    opened = {name: values(_window(name))[1:] for name in home.rooms}
    return HouseSeries(
        start_s=first * SLOT_S,
        step_s=SLOT_S,
        air_c={name: at_beginning(_sensor(name)) for name in home.rooms},
        heat_w={name: values(_relay(name))[1:] * room.heat_w for name, room in home.rooms.items()},
        outdoor_c=outdoor_c if lessons is None else _outdoor(outdoor_c, lessons, slots),
        solar_w_m2={} if lessons is None else _sun(home, lessons, slots),
        local_hour=np.array([calendar.hour(int(slot)) for slot in slots], dtype=np.int64),
        open_window={
            name: np.nan_to_num(share) > _WINDOW_SHARE for name, share in opened.items() if np.isfinite(share).any()
        },
    )


def _sensor(room: str) -> str:
    return f"room.{room}.temperature_c"


def _relay(room: str) -> str:
    return f"room.{room}.relay_on"


def _window(room: str) -> str:
    return f"room.{room}.window_open"


def _outdoor(measured_c: Floats, lessons: Lessons, slots: Ints) -> Floats:
    """What was measured outdoors, and where it was not, what the weather service told (T,)."""
    return np.where(np.isfinite(measured_c), measured_c, _picked(lessons.weather()["temperature_c"], lessons, slots))


def _sun(home: Home, lessons: Lessons, slots: Ints) -> dict[str, Floats]:
    """Irradiance by quarter (T,), NaN where unknown; empty where nothing is known."""
    found = {name: _picked(values, lessons, slots) for name, values in facade_history(home, lessons).items()}
    return found if any(np.isfinite(values).any() for values in found.values()) else {}


def _picked(values: Floats, lessons: Lessons, slots: Ints) -> Floats:
    """Values of slots out of a series over all lessons, NaN outside."""
    place = slots - lessons.first
    inside = (place >= 0) & (place < len(values))
    return np.where(inside, values[np.where(inside, place, 0)], np.nan) if len(values) else np.full(len(slots), np.nan)


def walk(observer: HouseObserver, series: HouseSeries) -> int:
    """Let an observer see a history; returns how many steps it saw. Steps without outdoor temperature are passed over.

    At the end of each step it is given what was measured there.
    """
    seen = 0
    for k in range(series.steps - 1):
        air = {room: float(c[k + 1]) for room, c in series.air_c.items() if np.isfinite(c[k + 1])}
        if not air or not np.isfinite(series.outdoor_c[k]):
            continue
        inputs = RoomInputs(
            outdoor_c=float(series.outdoor_c[k]),
            heat_w={room: float(np.nan_to_num(heat[k])) for room, heat in series.heat_w.items()},
            air_c=air,
            solar_w_m2={plane: float(np.nan_to_num(sun[k])) for plane, sun in series.solar_w_m2.items()},
            hour=int(series.local_hour[k]),
            open_window=frozenset(room for room, opened in series.open_window.items() if opened[k]),
        )
        observer.step(datetime.fromtimestamp(series.start_s + (k + 1) * series.step_s, UTC), inputs)
        seen += 1
    return seen


async def warm_up(
    home: Home, reader: HistoryReader, observer: HouseObserver, calendar: LocalCalendar, slot: int
) -> int:
    """Let an observer that knows nothing walk through the two days before a slot; returns how many steps it saw.

    The sun is left out: what it did shows in the disturbance for some hours.

    Raises:
        UnavailableError: The history is away.
    """
    return walk(observer, await read_house(home, reader, calendar, None, slot - WARM_UP_SLOTS, slot))
