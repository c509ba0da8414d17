"""The simulated house through many days in a row with random faults: share of mpc, and nothing beyond limits.

    ./pems bench fault_days                       # 30 days of winter of the reference year, 1.5 faults a day
    ./pems bench fault_days --days 3 --generated --seed 2
    ./pems bench fault_days --start 2025-01-08 --check

Faults are of all kinds (docs/montecarlo.md); their number is drawn from Poisson's distribution, and they begin at any
time, several at once where it comes so. The real handlers run the house. Prints one JSON line for each fault and for
the whole; progress goes to stderr. `--check` exits 1 where at most 97 % of the ticks followed a plan of the solver
(the planner's own plans by the rules are mpc too, and told apart), or where a command was beyond a hard limit, a room
below its lower one, the house beyond a limit with no fault to explain it, or an exception unhandled. A tick is a minute
of a device; those that a dead controller did not make (`silent_pct`) are no part of the share.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pems_cli.paths import data_sets_directory
from pems_common.home import load_home
from pems_common.timegrid import local_midnight
from pems_house.domain.plant import StartState
from pems_lab.arms.jobs import WorldChoice
from pems_lab.faults.day import DayResult, live_day
from pems_lab.faults.draw import FaultDay, draw_faults
from pems_lab.resumable import silence

ROOT = Path(__file__).resolve().parents[1]
MPC_PCT, MPC_GOAL_PCT = 97.0, 99.5
_SAID_EVERY_H = 6


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def solver_pct(result: DayResult) -> float:
    """Share of ticks that followed a plan of the solver [%]."""
    return result.figures.mpc_pct - result.figures.stand_in_pct


def failures(result: DayResult) -> Iterator[str]:
    """Say which gates fail."""
    figures = result.figures
    if not solver_pct(result) > MPC_PCT:  # no tick at all fails too
        yield (
            f"by plans of the solver {solver_pct(result):.2f} % of ticks (in mpc {figures.mpc_pct:.2f} %, controller "
            f"dead {figures.silent_pct:.2f} %), wanted more than {MPC_PCT:g}"
        )
    if figures.sent_beyond:
        yield f"commands beyond hard limits: {result.sent}"
    if figures.frost_min:
        yield f"a room below its lower hard limit for {figures.frost_min:g} min, coldest {figures.coldest_c:.2f} C"
    if figures.beyond_unexplained_s:
        yield f"beyond limits of the house for {figures.beyond_unexplained_s:g} s with no fault to explain it"
    if figures.exceptions:
        yield f"{figures.exceptions:g} unhandled exceptions"


def main(arguments: list[str] | None = None) -> int:
    """Run the days; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pems bench fault_days", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=ROOT / "config" / "home.yaml")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--faults", type=float, default=1.5, help="a day, on the mean")
    parser.add_argument("--start", default="2025-01-08", help="first local day")
    parser.add_argument("--seed", type=int, default=1, help="of house and faults")
    parser.add_argument("--generated", action="store_true", help="generated days in place of the reference year")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    data = data_sets_directory()
    if data is None and not options.generated:
        sys.exit("no data sets of the reference year: set PEMS_DATA_DIR, or use --generated")
    choice = WorldChoice("generated") if options.generated else WorldChoice("reference", data=str(data))
    home = choice.home(load_home(options.home))
    start = local_midnight(date.fromisoformat(options.start), home.site.zone)
    length, rng = timedelta(days=options.days), np.random.default_rng(options.seed)
    faults = draw_faults(rng, home, start, length, int(rng.poisson(options.faults * options.days)))
    day = FaultDay(options.seed, 0, start, length, options.seed, StartState(), faults)
    for fault in faults:
        _print({"case": "fault", **fault.told()})
    began, total = time.perf_counter(), round(length / timedelta(hours=1)) + 6

    def hour_done(hour: int) -> None:
        if hour % _SAID_EVERY_H == 0:
            left_min = (time.perf_counter() - began) / hour * (total - hour) / 60.0
            _say(f"{hour} of {total} h, {left_min:.0f} min left")

    with silence():
        result = asyncio.run(live_day(home, choice.open(home, options.seed), day, hour_done=hour_done))
    told = result.told()
    found = list(failures(result))
    _print(
        {
            "case": f"{options.days} days, {len(faults)} faults",
            "world": choice.kind,
            "start": options.start,
            "seed": options.seed,
            "figures": told["figures"],
            "mpc_pct": result.figures.mpc_pct,
            "solver_pct": round(solver_pct(result), 4),
            "silent_pct": result.figures.silent_pct,
            "mpc": "see failures" if found else "goal" if solver_pct(result) > MPC_GOAL_PCT else "gate",
            "limits_s": told["limits_s"],
            "sent_beyond": told["sent_beyond"],
            "offences": told["offences"],
            "mishaps": told["mishaps"],
            "why_not_mpc": told["why_not_mpc"],
            "failures": found,
            "wall_s": round(time.perf_counter() - began, 1),
        }
    )
    for failure in found:
        _say(failure)
    return 1 if found and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
