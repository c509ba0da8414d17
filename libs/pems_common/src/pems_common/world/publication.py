"""When day-ahead prices become public: once a day between 12:45 and 14:00 Prague time, for all of the next day."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pems_common.timegrid import local_midnight, require_utc
from pems_common.world.noise import uniform

__all__ = ["published_until"]

_PRAGUE = ZoneInfo("Europe/Prague")


def published_until(at: datetime, key: str) -> datetime:
    """Return the end of the prices public at an instant; `key` seeds the minute of publication."""
    local = require_utc(at).astimezone(_PRAGUE)
    day = local.date()
    minutes = 12 * 60 + 45 + 75.0 * uniform(f"{key}:publication:{day}") ** 2  # mostly early
    public = local.hour * 60 + local.minute >= minutes
    return local_midnight(day + timedelta(days=2 if public else 1), _PRAGUE)
