"""Reading the history of rooms from a CSV file (docs/rooms.md)."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from pems_common.errors import PermanentError
from pems_forecaster.backtest.csv_file import mistake, numbers_of, read_frame, seconds_of
from pems_forecaster.domain.grid import Floats, Ints
from pems_forecaster.domain.room_fit.identify import STEP_S
from pems_forecaster.domain.room_fit.series import HouseSeries

__all__ = ["ONLY_ROOM", "read_room_csv"]

ONLY_ROOM = "room"
"""Name of the room of a file whose columns have no prefix."""
_NEEDED = ("time", "outdoor_c")
_AIR, _HEAT, _RELAY, _WINDOW = "air_c", "heat_w", "relay", "window_open"
_LEAST_STEP_S, _LEAST_DAYS, _DAY_S = 60, 4, 86_400
_AIR_LIMITS, _OUTDOOR_LIMITS, _HEAT_LIMITS, _SUN_LIMITS = (
    (-60.0, 100.0),
    (-60.0, 60.0),
    (0.0, 50_000.0),
    (-20.0, 1500.0),
)


def read_room_csv(path: Path, *, zone: ZoneInfo | None, heater_w: float | None) -> HouseSeries:
    """Read rooms.

    Args:
        path: File with a header; `time` (ISO 8601 with offset, beginning of the step) and `outdoor_c` are needed, and
            `air_c` or, for several rooms, `<room>_air_c`. Beside it `heat_w` or `relay` (0..1), `window_open` (0 or
            1). `sun_w_m2` or `sun_<plane>_w_m2` tell of the sun. Other columns are not looked at. Rows may be missing,
            and in any order; cells may be empty.
        zone: Whose clock tells the hour of the day; the offsets in the file where None.
        heater_w: Power of a heater whose relay is on.

    Raises:
        PermanentError: Something in the file cannot be used; it names column, line, value and remedy.
    """
    frame = read_frame(path, _NEEDED, 2)
    rooms = _rooms(path, frame)
    time_s = seconds_of(path, frame, "time")
    step_s, row = _steps(path, frame, time_s)
    first_s, count = int(time_s.min()), int(row.max()) + 1

    def placed(name: str, limits: tuple[float, float]) -> Floats:
        values = np.full(count, np.nan)
        values[row] = numbers_of(path, frame, name, limits)
        return values

    heat = {room: _heat(path, frame, prefix, placed, heater_w) for room, prefix in rooms.items()}
    return HouseSeries(
        first_s,
        step_s,
        {room: placed(prefix + _AIR, _AIR_LIMITS) for room, prefix in rooms.items()},
        {room: values if values is not None else np.zeros(count) for room, values in heat.items()},
        placed("outdoor_c", _OUTDOOR_LIMITS),
        {_plane(name): placed(name, _SUN_LIMITS).clip(min=0.0) for name in frame.columns if _plane(name)},
        _hours(frame, first_s, step_s, count, zone),
        {
            room: np.nan_to_num(placed(prefix + _WINDOW, (0.0, 1.0))) > 0.0
            for room, prefix in rooms.items()
            if prefix + _WINDOW in frame.columns
        },
    )


def _rooms(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """Rooms of the file, and what their columns begin with."""
    rooms = {ONLY_ROOM: ""} if _AIR in frame.columns else {}
    for name in frame.columns:
        if name.endswith(f"_{_AIR}"):
            rooms[name.removesuffix(f"_{_AIR}")] = name.removesuffix(_AIR)
    if not rooms:
        raise PermanentError(
            f"{path}: no room is in it",
            remedy="name a room's temperature air_c, or <room>_air_c where there are several",
        )
    return rooms


def _steps(path: Path, frame: pd.DataFrame, time_s: Ints) -> tuple[int, Ints]:
    """Length of a step, and the place of each row."""
    order = np.argsort(time_s, kind="stable")
    apart = np.diff(time_s[order])
    if (twice := np.flatnonzero(apart <= 0)).size:
        raise mistake(path, frame, "time", int(order[twice[0] + 1]), "is there twice")
    step_s = int(np.median(apart))
    if step_s < _LEAST_STEP_S or STEP_S % step_s:
        raise PermanentError(f"{path}: rows are {step_s} s apart", remedy="give steps of 1, 3, 5 or 15 minutes")
    from_first = time_s - time_s.min()
    if (uneven := np.flatnonzero(from_first % step_s)).size:
        raise mistake(path, frame, "time", int(uneven[0]), f"is not in steps of {step_s} s from the first one")
    row = from_first // step_s
    if (int(row.max()) + 1) * step_s < _LEAST_DAYS * _DAY_S:
        raise PermanentError(
            f"{path}: {(row.max() + 1) * step_s / _DAY_S:.1f} days are too few", remedy=f"give at least {_LEAST_DAYS}"
        )
    return step_s, np.asarray(row, dtype=np.int64)


def _heat(
    path: Path,
    frame: pd.DataFrame,
    prefix: str,
    placed: Callable[[str, tuple[float, float]], Floats],
    heater_w: float | None,
) -> Floats | None:
    """Heat of a room; None where the file does not tell."""
    if prefix + _HEAT in frame.columns:
        return placed(prefix + _HEAT, _HEAT_LIMITS)
    if prefix + _RELAY in frame.columns:
        if heater_w is None:
            raise PermanentError(
                f"{path}: {prefix}{_RELAY} tells when it was heated, but not how strongly",
                remedy="say the heater's power: --heater-w 1200, or give heat_w",
            )
        return heater_w * placed(prefix + _RELAY, (0.0, 1.0))
    return None


def _plane(name: str) -> str:
    """Plane that a column of the sun belongs to; empty where it is another column."""
    if name == "sun_w_m2":
        return "horizontal"
    return name[len("sun_") : -len("_w_m2")] if name.startswith("sun_") and name.endswith("_w_m2") else ""


def _hours(frame: pd.DataFrame, first_s: int, step_s: int, count: int, zone: ZoneInfo | None) -> Ints:
    times = pd.to_datetime(first_s + step_s * np.arange(count), unit="s", utc=True)
    if zone is not None:
        return np.asarray(times.tz_convert(zone).hour, dtype=np.int64)
    here = pd.Timestamp(str(frame["time"].iloc[0])).tzinfo
    return np.asarray(times.tz_convert(here).hour, dtype=np.int64)
