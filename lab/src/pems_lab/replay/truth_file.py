"""Truth of a plan's horizon out of a CSV of one's own: one row per quarter of an hour.

`slot_start` (ISO with offset) is needed; every other column may be absent, and a cell may be empty: `pv_power_w` (that
could have been made), `load_power_w` (without rooms, car and tank), `buy_czk_kwh`, `sell_czk_kwh`, `outdoor_c`,
`solar_<side>_w_m2`; and of what happened `grid_power_w` (+ = import), `battery_power_w` (+ = discharge),
`battery_soc_pct`, `pv_used_w`, `ev_power_w`, `water_on` (share), `room.<name>.temperature_c`, `room.<name>.relay`
(share). All are means of the quarter.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PemsError
from pems_common.messages import Forecast
from pems_common.timegrid import SLOT, parse_instant, slot_start
from pems_lab.replay.courses import edges, part
from pems_optimizer.domain.plan_case import PlanCase
from pems_optimizer.domain.regret import Happened, TrueCourse

__all__ = ["TruthFile"]

Floats = NDArray[np.float64]

_MOST_ROWS = 100_000
_COURSE = ("pv_power_w", "load_power_w", "buy_czk_kwh", "sell_czk_kwh", "outdoor_c")
_HAPPENED = ("grid_power_w", "battery_power_w", "pv_used_w")


@dataclass(frozen=True)
class TruthFile:
    """What a file says.

    Attributes:
        start: Beginning of its first slot.
        columns: Values by name (T,), NaN where nothing stands.
    """

    start: datetime
    columns: Mapping[str, Floats]

    @classmethod
    def read(cls, path: Path) -> "TruthFile":
        """Read a CSV.

        Raises:
            PemsError: It cannot be read; line and column are named.
        """
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                reader = csv.DictReader(lines)
                rows = [row for _, row in zip(range(_MOST_ROWS + 1), reader, strict=False)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise PemsError(f"{path} cannot be read: {error}", remedy="name a CSV file") from error
        if not rows or "slot_start" not in rows[0]:
            raise PemsError(f"{path} has no rows with a slot_start", remedy="see docs/replay.md for its columns")
        if len(rows) > _MOST_ROWS:
            raise PemsError(f"{path} has more than {_MOST_ROWS} rows", remedy="leave the plan's two days in it")
        at = [_instant(path, line, row["slot_start"]) for line, row in enumerate(rows, 2)]
        start, count = min(at), (max(at) - min(at)) // SLOT + 1
        if count > _MOST_ROWS:
            raise PemsError(f"{path} spans more than {_MOST_ROWS} quarters of an hour", remedy="check slot_start")
        columns = {name: np.full(count, np.nan) for name in rows[0] if name and name != "slot_start"}
        for line, (instant, row) in enumerate(zip(at, rows, strict=True), 2):
            for name, values in columns.items():
                values[(instant - start) // SLOT] = _number(path, line, name, row[name])
        return cls(start, columns)

    def course(self, forecast: Forecast) -> TrueCourse:
        """Return what came in place of what a forecast told.

        Raises:
            PemsError: The file knows nothing of it.
        """
        grid = forecast.pv_power_w.p50

        def at(name: str) -> Floats:
            return self._part(name, grid.start, len(grid.values))

        pv_w, load_w, buy, sell, outdoor_c = (at(name) for name in _COURSE)
        solar = {side: at(name) for side in forecast.solar_w_m2 if (name := f"solar_{side}_w_m2") in self.columns}
        if not any(np.isfinite(values).any() for values in (pv_w, load_w, buy, sell, outdoor_c, *solar.values())):
            raise PemsError(
                f"the file knows nothing of {grid.start.isoformat()} and the two days after it",
                remedy=f"give at least one of {', '.join(_COURSE)} for them",
            )
        return TrueCourse(pv_w, load_w, buy, sell, outdoor_c, solar)

    def happened(self, case: PlanCase) -> Happened | None:
        """Return what was measured; None where grid, battery or PV are not told."""
        if any(name not in self.columns for name in _HAPPENED):
            return None
        start, count, names = slot_start(case.ask.now), case.plan.slots, tuple(case.plan.rooms)
        first = (start - self.start) // SLOT
        capacity_wh = 0.0 if case.home.battery is None else case.home.battery.capacity_wh

        def at(name: str) -> Floats:
            return self._part(name, start, count)

        def between(name: str) -> Floats:
            return edges(self.columns.get(name, np.full(1, np.nan)), first, count)

        def table(columns: Sequence[Floats], length: int) -> Floats:
            return np.stack(columns, axis=1) if columns else np.empty((length, 0))

        return Happened(
            air_c=table([between(f"room.{name}.temperature_c") for name in names], count + 1),
            relay=table([at(f"room.{name}.relay") for name in names], count),
            grid_w=at("grid_power_w"),
            battery_w=at("battery_power_w"),
            stored_wh=between("battery_soc_pct") / 100.0 * capacity_wh,
            pv_used_w=at("pv_used_w"),
            ev_w=at("ev_power_w"),
            water_on=at("water_on"),
        )

    def _part(self, name: str, start: datetime, count: int) -> Floats:
        values = self.columns.get(name)
        return np.full(count, np.nan) if values is None else part(values, (start - self.start) // SLOT, count)


def _instant(path: Path, line: int, text: str | None) -> datetime:
    text = text or ""  # a row that ends before this column has None there
    try:
        at = parse_instant(text)
    except ValueError as error:
        raise PemsError(
            f"{path}, line {line}: slot_start {text!r:.40} is no instant with its offset",
            remedy="write 2025-01-14T13:00:00+01:00",
        ) from error
    if slot_start(at) != at:
        raise PemsError(f"{path}, line {line}: {text} does not begin a quarter of an hour", remedy="use 00, 15, 30, 45")
    return at


def _number(path: Path, line: int, name: str, text: str | None) -> float:
    if text is None or not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise PemsError(f"{path}, line {line}, {name}: {text!r:.40} is no number", remedy="leave unknown cells empty")
    return value
