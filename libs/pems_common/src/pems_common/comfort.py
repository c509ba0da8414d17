"""Comfort targets and bands of rooms by schedule. Used by plans, rules and scores alike."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from pems_common.home import Home
from pems_common.home.tariff import minutes_of
from pems_common.timegrid import require_utc

__all__ = ["comfort_band_c", "comfort_target_c", "is_day"]


def is_day(home: Home, at: datetime) -> bool:
    """Tell whether the day targets hold at an instant (local schedule)."""
    minute = _local_minute(home.site.timezone, at)
    start, end = minutes_of(home.comfort.day_start), minutes_of(home.comfort.night_start)
    return start <= minute < end if start <= end else minute >= start or minute < end


def comfort_target_c(home: Home, room: str, at: datetime) -> float:
    """Target temperature of a room at an instant [C].

    Raises:
        KeyError: No such room.
    """
    description = home.rooms[room]
    return description.day_c if is_day(home, at) else description.night_c


def comfort_band_c(home: Home, room: str, at: datetime) -> tuple[float, float]:
    """Comfort band (low, high) of a room at an instant [C]: target - band_below .. target + band_above.

    The band's top uses the day target at night too: a floor heated at night for the morning is comfortable.
    """
    target = comfort_target_c(home, room, at)
    top = max(target, home.rooms[room].day_c)
    return target - home.comfort.band_below_k, top + home.comfort.band_above_k


@lru_cache(maxsize=4096)
def _local_minute(timezone: str, at: datetime) -> int:
    local = require_utc(at).astimezone(ZoneInfo(timezone))
    return local.hour * 60 + local.minute
