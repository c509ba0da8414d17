"""The shared problem: a measured house on days of a year, real prices, a battery, and machines with fixed run hours.

Both planners get exactly this, with perfect knowledge of the day, in slots of 30 min as the house was measured.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pems_common.home import Tariff

__all__ = ["DT_H", "SLOTS", "STEP", "ZONE", "Day", "Floats", "House", "Load", "days_of_year", "make_loads"]

Floats = NDArray[np.float64]

STEP = timedelta(minutes=30)
DT_H = 0.5
SLOTS = 48
ZONE = ZoneInfo("Europe/Prague")


@dataclass(frozen=True)
class Load:
    """A machine that is on or off and has to run for some slots of each day.

    Attributes:
        power_w: While it runs.
        run_slots: Slots it has to run.
        earliest: First slot in which it may run.
        deadline: It has to be done by the end of slot `deadline - 1`.
        one_piece: Whether it may not pause.
    """

    power_w: float
    run_slots: int
    earliest: int
    deadline: int
    one_piece: bool


@dataclass(frozen=True)
class House:
    """Battery and connection: energies stored [Wh], powers at the AC side [W], the battery's of HOUSE.md.

    Attributes:
        efficiency: Of each leg: what is stored per Wh taken, and given per Wh stored.
        end_value_share: What is stored at the end beyond `min_wh` is worth this share of the last slot's price.
    """

    capacity_wh: float = 10_000.0
    start_wh: float = 5_000.0
    min_wh: float = 2_000.0
    max_wh: float = 10_000.0
    battery_max_w: float = 5_000.0
    efficiency: float = 0.85**0.5
    import_max_w: float = 9_000.0
    export_max_w: float = 9_000.0
    end_value_share: float = 0.85**0.5


@dataclass(frozen=True)
class Day:
    """One local day: powers [W] and prices [CZK/kWh] per slot (48,)."""

    start: datetime
    load_w: Floats
    pv_w: Floats
    buy: Floats
    sell: Floats


def make_loads(count: int, seed: int = 0) -> tuple[Load, ...]:
    """Return machines of 0.5-3 kW and 1-4 h: every other one runs in one piece, each second pair in a window."""
    rng = np.random.default_rng(seed)
    loads = []
    for k in range(count):
        power_w, run = 50.0 * int(rng.integers(10, 61)), int(rng.integers(2, 9))
        length = min(SLOTS, run + int(rng.integers(8, 21)))
        earliest = int(rng.integers(0, SLOTS - length + 1))
        if k % 4 < 2:
            earliest, length = 0, SLOTS
        loads.append(Load(power_w, run, earliest, earliest + length, one_piece=k % 2 == 1))
    return tuple(loads)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _measured(folder: Path) -> dict[datetime, tuple[float, float]]:
    """Load and PV [W] by slot; slots whose load is missing are left out, PV is empty at night."""
    found = {}
    for row in _rows(folder / "french_house" / "load_pv_30min.csv"):
        if row["load_w"]:
            at = datetime.fromisoformat(row["slot_start"])
            found[at] = (float(row["load_w"]), float(row["pv_w"] or 0.0))
    return found


def _spot_czk_kwh(folder: Path, fallback_eur_czk: float) -> dict[datetime, float]:
    """Hourly day-ahead prices; the rate of the date where the bank's file has it."""
    rates = {row["date"]: float(row["eur_czk_rate"]) for row in _rows(folder / "ote_cz" / "cnb_eur_czk.csv")}
    spot = {}
    for row in _rows(folder / "ote_cz" / "day_ahead_60min.csv"):
        at = datetime.fromisoformat(row["slot_start"])
        rate = rates.get(at.astimezone(ZONE).date().isoformat(), fallback_eur_czk)
        spot[at] = float(row["price_eur_mwh"]) * rate / 1000.0
    return spot


def _day(
    start: datetime, measured: Mapping[datetime, tuple[float, float]], spot: Mapping[datetime, float], tariff: Tariff
) -> Day | None:
    """One day's arrays; None where something is missing."""
    slots = [start + k * STEP for k in range(SLOTS)]
    hours = [at.replace(minute=0) for at in slots]
    if any(at not in measured for at in slots) or any(at not in spot for at in hours):
        return None
    prices = [tariff.prices(spot[hour], at, ZONE) for at, hour in zip(slots, hours, strict=True)]
    load, pv = np.array([measured[at] for at in slots]).T
    buy, sell = np.array(prices).T
    return Day(start, load, pv, buy, sell)


def days_of_year(folder: Path, tariff: Tariff, count: int) -> Sequence[Day]:
    """Return `count` complete days, spread evenly over the year that was measured.

    Args:
        folder: The data sets.
        tariff: Makes retail prices of spot prices.
        count: Days wanted.
    """
    measured, spot = _measured(folder), _spot_czk_kwh(folder, tariff.fallback_eur_czk)
    by_date: dict[date, int] = defaultdict(int)
    for at in measured:
        by_date[at.astimezone(ZONE).date()] += 1
    midnights = [
        datetime(d.year, d.month, d.day, tzinfo=ZONE).astimezone(UTC) for d, n in by_date.items() if n >= SLOTS
    ]
    complete = [day for at in sorted(midnights) if (day := _day(at, measured, spot, tariff)) is not None]
    chosen = np.unique(np.linspace(0, len(complete) - 1, min(count, len(complete))).round().astype(int))
    return [complete[k] for k in chosen]
