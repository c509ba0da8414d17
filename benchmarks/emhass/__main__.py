"""Against EMHASS 0.18: what a day costs and how long a plan takes, on one shared problem, in one run.

    ./pems bench emhass                                  # 30 days, 0, 4 and 16 machines: about ten minutes
    ./pems bench emhass --days 5 --loads 4
    ./pems bench emhass --emhass shipped,exact,rebuilt   # with EMHASS building its model anew each day
    ./pems bench emhass --check                          # exits 1 where a gate fails, and says which

The French house on days spread over its year, Czech day-ahead prices of the same days with the tariff of
config/home.yaml, a 10 kWh battery, machines that are on or off with fixed hours a day (`case.py`). Both know the day
perfectly; both start at half full, and what is left at the end is worth the same to both. EMHASS comes from the package
index into an environment of its own (`PEMS_DATA`, else `var`). It runs with its shipped settings (HiGHS, 1 % gap),
`exact` with gap 0; both keep their model from day to day, as its own service does. Each day is planned by all in turn,
after one that is not timed; one simulator makes the bill (`simulator.py`). Cost counts import, export and the worth of
what is stored; times are of planning alone, building the model included, medians over days.
"""

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.emhass.case import SLOTS, Day, House, Load, days_of_year, make_loads
from benchmarks.emhass.ours import plan_ours
from benchmarks.emhass.simulator import Account, Schedule, idle_schedule, settle
from benchmarks.emhass.theirs import Emhass, NotInstalled, python_with_emhass

from pems_cli.paths import ROOT, data_directory, data_sets_directory
from pems_common.home import load_home

Row = dict[str, Any]

TIME_GATE = 0.5  # of EMHASS's time
SAME_CZK = 0.005  # a day's costs nearer than this are the same
_SETTINGS = {
    "shipped": {"mip_rel_gap": None, "kept": True},
    "exact": {"mip_rel_gap": 0.0, "kept": True},
    "rebuilt": {"mip_rel_gap": None, "kept": False},
}


@dataclass
class Record:
    """What one planner did on all days."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    status: Counter[str] = field(default_factory=Counter)
    fractional_days: int = 0
    bills: list[Account] = field(default_factory=list)

    def add(self, bill: Account, wall_s: float, cpu_s: float, status: str, *, fractional: bool = False) -> None:
        """Add a day."""
        self.bills.append(bill)
        self.wall_s.append(wall_s)
        self.cpu_s.append(cpu_s)
        self.status[status] += 1
        self.fractional_days += fractional

    def cost_czk(self) -> np.ndarray:
        """Cost of each day."""
        return np.array([bill.cost_czk for bill in self.bills])

    def row(self) -> Row:
        """Totals and medians."""
        return {
            "cost_czk": round(float(self.cost_czk().sum()), 3),
            "wall_s": round(statistics.median(self.wall_s), 4),
            "wall_max_s": round(max(self.wall_s), 3),
            "cpu_s": round(statistics.median(self.cpu_s), 4),
            "cpu_max_s": round(max(self.cpu_s), 3),
            "status": dict(self.status),
            "faulty_days": sum(not bill.faultless for bill in self.bills),
            "fractional_days": self.fractional_days,
            "missed_kwh": round(sum(bill.missed_kwh for bill in self.bills), 3),
            "overload_kwh": round(sum(bill.overload_kwh for bill in self.bills), 3),
            "unserved_kwh": round(sum(bill.unserved_kwh for bill in self.bills), 3),
        }


def run_case(python: Path, days: Sequence[Day], house: House, loads: tuple[Load, ...], names: Sequence[str]) -> Row:
    """Let all plan each day, and tell what came of it."""
    ours, theirs = Record(), {name: Record() for name in names}
    idle = idle_schedule(loads, SLOTS)
    with ExitStack() as stack:
        planners = {
            name: stack.enter_context(Emhass(python, house, loads, **_SETTINGS[name]))  # type: ignore[arg-type]
            for name in names
        }
        versions = {name: planner.versions() for name, planner in planners.items()}
        plan_ours(days[0], house, loads)
        for planner in planners.values():
            planner.plan(days[0])
        for day in days:
            schedule, wall_s, cpu_s, status = plan_ours(day, house, loads)
            ours.add(settle(day, house, loads, schedule), wall_s, cpu_s, status)
            for name, planner in planners.items():
                told = planner.plan(day)
                # Without a plan the machines run as soon as they may.
                bill = settle(day, house, loads, told.schedule or Schedule(idle.on, idle.battery_w))
                theirs[name].add(bill, told.wall_s, told.cpu_s, told.status, fractional=told.fractional)
    unplanned = sum(settle(day, house, loads, idle).cost_czk for day in days)
    return {
        "case": f"loads_{len(loads)}",
        "days": len(days),
        "versions": versions[names[0]],
        "unplanned_czk": round(unplanned, 3),
        "pems": ours.row(),
        **{f"emhass_{name}": record.row() | _against(ours, record, unplanned) for name, record in theirs.items()},
    }


def _against(ours: Record, theirs: Record, unplanned_czk: float) -> Row:
    """What PEMS is against one EMHASS: below 0 is cheaper, below 1 faster."""
    more = ours.cost_czk() - theirs.cost_czk()
    total, saved = float(more.sum()), unplanned_czk - float(theirs.cost_czk().sum())
    return {
        "pems_more_czk": round(total, 3),
        "pems_more_pct": round(100.0 * total / abs(float(theirs.cost_czk().sum())), 4),
        "pems_more_pct_of_saving": round(100.0 * total / saved, 4),
        "days_pems_cheaper": int((more < -SAME_CZK).sum()),
        "days_pems_dearer": int((more > SAME_CZK).sum()),
        "worst_day_czk": round(float(more.max()), 3),
        "best_day_czk": round(float(more.min()), 3),
        "wall_ratio": round(statistics.median(ours.wall_s) / statistics.median(theirs.wall_s), 4),
        "cpu_ratio": round(statistics.median(ours.cpu_s) / statistics.median(theirs.cpu_s), 4),
    }


def failures(row: Row) -> list[str]:
    """What is not as promised in one case: cost against EMHASS as shipped, time against its fastest setting."""
    found, case = [], row["case"]
    if row["pems"]["faulty_days"]:
        found.append(f"{case}: {row['pems']['faulty_days']} days of PEMS cannot be carried out as planned")
    settings = {name: part for name, part in row.items() if name.startswith("emhass_")}
    shipped = settings.get("emhass_shipped")
    if shipped is not None and shipped["pems_more_czk"] > SAME_CZK:
        found.append(f"{case}: PEMS costs {shipped['pems_more_czk']} CZK more than EMHASS as shipped")
    for kind in ("wall_ratio", "cpu_ratio"):
        slowest = max(part[kind] for part in settings.values())
        if slowest > TIME_GATE:
            found.append(f"{case}: {kind} {slowest}, not at most {TIME_GATE}")
    return found


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pems bench emhass", description="Cost and time against EMHASS 0.18.")
    parser.add_argument("--days", type=int, default=30, help="days, spread over a year (30)")
    parser.add_argument("--loads", default="0,4,16", help="numbers of on/off machines (0,4,16)")
    parser.add_argument("--seed", type=int, default=0, help="of the machines (0)")
    parser.add_argument("--emhass", default="shipped,exact", help=f"its settings, of {','.join(_SETTINGS)}")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    options.emhass = options.emhass.split(",")
    if not set(options.emhass) <= set(_SETTINGS):
        parser.error(f"--emhass: of {', '.join(_SETTINGS)}")
    try:
        options.loads = [int(count) for count in options.loads.split(",")]
    except ValueError:
        parser.error("--loads: numbers, separated by commas")
    if options.days < 1 or min(options.loads) < 0:
        parser.error("--days: at least 1; --loads: at least 0")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Tell about each number of machines, then about all."""
    options = _options(arguments)
    folder = data_sets_directory()
    if folder is None or not (folder / "french_house").is_dir() or not (folder / "ote_cz").is_dir():
        print("skipped: no french_house/ and ote_cz/ in the data sets (set PEMS_DATA_DIR)", file=sys.stderr)
        return 0
    try:
        python = python_with_emhass(data_directory() / "bench" / "emhass")
    except NotInstalled as error:
        print(f"skipped: EMHASS could not be installed from the package index: {error}", file=sys.stderr)
        return 0
    days, house = days_of_year(folder, load_home(ROOT / "config" / "home.yaml").tariff, options.days), House()
    found: list[str] = []
    for count in options.loads:
        row = run_case(python, days, house, make_loads(count, options.seed), options.emhass)
        print(json.dumps(row), flush=True)
        found += failures(row)
    print(json.dumps({"case": "summary", "failures": found}), flush=True)
    for failure in found:
        print(failure, file=sys.stderr)
    return 1 if options.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
