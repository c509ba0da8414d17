"""The house in closed loop under seven managements, in one world: what PEMS saves, and how much was to be saved.

    ./pems bench arms                                         # 3 days of January of the reference year, all arms
    ./pems bench arms --start 2025-01-01 --days 31 --jobs 2   # a reference month
    ./pems bench arms --start 2025-01-01 --days 365 --stretch 31 --arms b0,b1,rules,point,perfect --jobs 2
    ./pems bench arms --weather my-hours.csv --prices my-prices.csv --start 2024-02-01 --days 28
    ./pems bench arms --generated                             # needs no data

Arms: b0 (thermostats, load first), b1 (b0 and the owner's old rules: the baseline), rules (PEMS without a planner),
point, robust, scenarios, perfect (point, with forecasts that come true). The reference year needs PEMS_DATA_DIR.
Prints JSON lines and then the table; progress goes to stderr. A finished arm stays in `--out`: an interrupted
comparison goes on where it was. `--check` exits 1 where a gate of the closed loop fails. See docs/laboratory.md.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pems_common.home import Home, load_home
from pems_lab.arms.jobs import Job, WorldChoice, code_version, stretches
from pems_lab.arms.run import ARMS, Arm, Stretch
from pems_lab.arms.table import ArmRow, arm_rows, gained, habits, joined, readable
from pems_lab.resumable import finish
from pems_lab.shadow.arms import arm_pairs
from pems_lab.shadow.strategy_meter import weeks

ROOT = Path(__file__).resolve().parents[1]
SEEN = {"switchings_room_day": [2, 16], "peaks_w": [5_900, 12_700], "hours": ["09", "22"]}
"""Habits of the first house, of two months of winter: what the baseline is held against."""
OF_PERFECT_PCT, SELF_POINTS, PEAK_PCT, INSIDE_PCT, MPC_PCT = 80.0, 10.0, 15.0, 99.0, 99.5
BALANCE = 1e-6
BASELINES, STRATEGIES = ("b0", "b1"), ("robust", "scenarios")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _world(options: argparse.Namespace) -> WorldChoice:
    if options.weather or options.prices:
        if not (options.weather and options.prices):
            sys.exit("--weather and --prices belong together")
        return WorldChoice("own", weather=options.weather, prices=options.prices)
    if options.generated:
        return WorldChoice("generated")
    data = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"no data sets in {data}: set PEMS_DATA_DIR, or use --generated")
    return WorldChoice("reference", data=str(data))


def arms_of(text: str) -> list[Arm]:
    """Read the names of arms, in the order of `ARMS`.

    Raises:
        ArgumentTypeError: There is no such arm.
    """
    wanted = text.split(",")
    unknown = sorted(set(wanted) - set(ARMS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    return [arm for arm in ARMS if arm in wanted]


def gates(rows: Sequence[ArmRow]) -> Iterator[str]:
    """Say which gates of the closed loop `point` fails against B1; nothing where one of both is missing."""
    by_arm = {row.arm: row for row in rows}
    base, point = by_arm.get("b1"), by_arm.get("point")
    if base is None or point is None:
        return
    if point.of_perfect_pct is not None and point.of_perfect_pct < OF_PERFECT_PCT:
        yield f"point saves {point.of_perfect_pct} % of what perfect foresight does, wanted {OF_PERFECT_PCT:g}"
    mine, theirs = point.self_consumption_pct, base.self_consumption_pct
    # Where the baseline uses nearly all, as under the heating load of winter, there are no points to gain.
    if mine is not None and theirs is not None and theirs <= 100.0 - SELF_POINTS and mine < theirs + SELF_POINTS:
        yield f"self-consumption {mine} %, B1 {theirs} %, wanted {SELF_POINTS:g} points more"
    if point.peak_kw > base.peak_kw * (1.0 - PEAK_PCT / 100.0):
        yield f"peak {point.peak_kw} kW, B1 {base.peak_kw} kW, wanted {PEAK_PCT:g} % less"
    if point.below_k_h_room_day > base.below_k_h_room_day:
        yield f"below the band {point.below_k_h_room_day} K h, B1 {base.below_k_h_room_day}"
    if point.inside_heating_pct <= INSIDE_PCT:
        inside = point.inside_heating_pct
        yield f"inside the wider band {inside} % of heating's part of the time, wanted more than {INSIDE_PCT:g}"
    if point.mpc_pct is not None and point.mpc_pct <= MPC_PCT:
        yield f"in mpc {point.mpc_pct} % of ticks, wanted more than {MPC_PCT:g}"


def _tell(home: Home, case: dict[str, Any], parts: dict[Arm, list[dict[str, Any]]]) -> list[str]:
    """Print the table of a case; returns what fails."""
    results = {arm: joined(found) for arm, found in parts.items()}
    rows = arm_rows(home, results)
    for row in rows:
        _print({**row.told(), **case, "wall_s": results[row.arm]["took"]["wall_s"]})
    for arm, result in results.items():
        if arm in BASELINES:
            _print({"case": "habits", **case, "arm": arm, **vars(habits(result)), "seen": SEEN})
        if arm in STRATEGIES and "point" in results:
            found = gained(home, result, results["point"])
            told = None if found is None else [round(value, 2) for value in found]
            _print({"case": "strategy", **case, "arm": arm, "gained_on_point_pct": told})
            for week in weeks(arm_pairs(home, parts["point"], parts[arm])):
                _print({"case": "strategy_week", **case, "arm": arm, **vars(week)})
    worst = max(result["balance"]["worst"] for result in results.values())
    _print({"case": "balance", **case, "worst": worst})
    _say("")
    print(readable(rows), flush=True)
    failures = list(gates(rows))
    if worst > BALANCE:
        failures.append(f"the house's energy balance is off by {worst:.2g} of what flowed")
    return failures


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pems bench arms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=ROOT / "config" / "home.yaml")
    parser.add_argument("--arms", type=arms_of, default=list(ARMS), help=f"of {','.join(ARMS)}")
    parser.add_argument("--start", default="2025-01-13", help="first day that counts, from 11:00 UTC")
    parser.add_argument("--days", type=int, default=3, help="days that count")
    parser.add_argument("--settle", type=int, default=1, help="days before them that do not")
    parser.add_argument("--stretch", type=int, default=0, help="cut the days into runs of so many; 0 does not")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--learn", action="store_true", help="train forecast and room models on the way")
    parser.add_argument("--generated", action="store_true", help="generated days in place of the reference year")
    parser.add_argument("--weather", default="", help="CSV of your own hours (docs/laboratory.md)")
    parser.add_argument("--prices", default="", help="CSV of their prices")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "arms", help="where finished arms stay")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    world, version = _world(options), code_version()
    home = world.home(load_home(options.home))
    first = datetime.fromisoformat(options.start).replace(hour=11, tzinfo=UTC)
    failures: list[str] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        whole = Stretch(first, options.days, options.settle, seed, options.learn)
        parts = stretches(whole, options.stretch or options.days)
        jobs = [Job(options.home, world, arm, part) for part in parts for arm in options.arms]
        found = dict(finish(jobs, options.out, processes=options.jobs, version=version, say=_say))
        case = {"world": world.kind, "start": options.start, "days": options.days, "seed": seed}
        by_arm = {arm: [found[job] for job in jobs if job.arm == arm] for arm in options.arms}
        failures += [f"seed {seed}: {failure}" for failure in _tell(home, case, by_arm)]
    _print({"case": "all", "failures": failures})
    return 1 if failures and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
