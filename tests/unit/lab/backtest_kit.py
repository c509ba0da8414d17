"""A made past of a small house, whose every figure is known."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pems_common.history import HistoryStore, Point
from pems_common.home import Home, load_home
from pems_common.messages import RoomModel
from pems_common.timegrid import SLOT
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_lab.measured.span import MeasuredSpan, read_span

__all__ = ["BEGIN", "FULL", "MODEL", "SMALL", "made_columns", "read", "stored"]

Floats = NDArray[np.float64]

FULL = load_home(Path(__file__).parents[3] / "config" / "home.yaml")
ROOM = FULL.rooms["loznice"].model_copy(update={"neighbours": ()})
SMALL = FULL.model_copy(update={"rooms": {"loznice": ROOM}, "ev": None, "water": None})
"""One room, a battery and PV."""
BEGIN = datetime(2026, 1, 5, 23, tzinfo=UTC)
"""Local midnight."""
MODEL = RoomModel(
    ria_k_w=0.01, rea_k_w=0.04, ci_j_k=2e6, cm_j_k=1e7, gains_w={str(h): 0.0 for h in range(24)}, heater_w=ROOM.heat_w
)
"""25 W/K."""


def made_columns(days: float, **changed: Floats) -> dict[str, Floats]:
    """Return a steady past in slots: the room held at 20 C in 0 C by 500 W, 400 W of household, no PV, no battery.

    Args:
        days: How long.
        changed: Other values by name, `__` for a dot.
    """
    count = round(days * 96)

    def flat(value: float) -> Floats:
        return np.full(count, value)

    columns = {
        "pv_power_w": flat(0.0),
        "load_power_w": flat(900.0),
        "grid_power_w": flat(900.0),
        "battery_power_w": flat(0.0),
        "battery_soc_pct": flat(50.0),
        "outdoor_temperature_c": flat(0.0),
        "room.loznice.temperature_c": flat(20.0),
        "room.loznice.relay_on": flat(500.0 / ROOM.heat_w),
        "weather.temperature_c": flat(0.0),
        "weather.cloud_cover_pct": flat(100.0),
        "weather.ghi_w_m2": flat(0.0),
        "weather.wind_m_s": flat(3.0),
        "price.spot_eur_mwh": flat(100.0),
    }
    return columns | {name.replace("__", "."): values for name, values in changed.items()}


async def stored(columns: Mapping[str, Floats], *, begin: datetime = BEGIN, home: Home = SMALL) -> SqliteHistory:
    """Return a history of slot means, none where a value is NaN: a power holds 5 minutes, all else a quarter."""
    store = SqliteHistory(":memory:", home.site.id)
    points = [
        Point(name, begin + i * SLOT + timedelta(minutes=minute), float(values[i]))
        for name, values in columns.items()
        for i in np.flatnonzero(np.isfinite(values)).tolist()
        for minute in ((0, 5, 10) if name.endswith("power_w") or name == "battery_soc_pct" else (0,))
    ]
    await cast(HistoryStore, store).write(home.site.id, points)
    return store


async def read(
    columns: Mapping[str, Floats],
    days: float,
    *,
    begin: datetime = BEGIN,
    home: Home = SMALL,
    spot: Callable[[datetime], float | None] | None = None,
    **options: Any,
) -> MeasuredSpan:
    """Store columns and read them back as a span."""
    store = await stored(columns, begin=begin, home=home)
    return await read_span(home, store, begin, begin + days * timedelta(days=1), spot=spot, **options)
