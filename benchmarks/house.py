"""The house in closed loop: PEMS against its own rules, in lockstep, on generated or recorded winter days.

    ./pems bench house                              # 5 seeds x 7 generated days
    ./pems bench house --seeds 2 --days 2
    ./pems bench house --recorded --start 2026-01-12 --days 7    # real OTE 15-min prices (needs PEMS_DATA_DIR)

Prints one JSON line per case. `--check` exits 1 where a case fails, and says why.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import structlog

from pems_common.home import load_home
from pems_common.messages import Mode
from pems_common.world import World, WorldFile, open_world, write_world_file
from pems_lab.comparison import limit_seconds
from pems_lab.house_run import HouseRun
from pems_lab.judgement import hourly_plans, judge

ROOT = Path(__file__).resolve().parents[1]
HOME = load_home(ROOT / "config" / "home.yaml")


def open_case_world(recorded: bool, seed: int) -> World:
    """Open the generated world of a seed, or the recorded one."""
    data = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
    if recorded and not data.is_dir():
        sys.exit(f"no data sets in {data}: set PEMS_DATA_DIR")
    content = WorldFile(kind="recorded" if recorded else "generated", seed=seed, data_dir=str(data))
    with TemporaryDirectory() as folder:
        write_world_file(Path(folder) / "world.json", content)
        site = HOME.site
        return open_world(Path(folder) / "world.json", latitude=site.latitude, longitude=site.longitude, seed=seed)


async def _case(start: datetime, days: float, seed: int, recorded: bool) -> bool:
    world, length = open_case_world(recorded, seed), timedelta(days=days)
    rules_run = HouseRun(HOME, world, start, seed=seed, planner="mute")
    rules = await rules_run.run(length)
    began = time.perf_counter()
    run = HouseRun(HOME, world, start, seed=seed)
    account = await run.run(length)
    took_s = time.perf_counter() - began
    verdict = judge(HOME, account, rules.truth, start)
    print(
        json.dumps(
            {
                "case": f"{'recorded' if recorded else 'generated'} {start:%Y-%m-%d} {days:g} d seed {seed}",
                "world": world.label,
                "cost_czk_day": round(verdict.cost_czk / days, 1),
                "rules_czk_day": round(verdict.reference_czk / days, 1),
                "saved_pct": round(100 * (1 - verdict.cost_czk / verdict.reference_czk), 2),
                "comfort_below_k_h_room_day": round(verdict.comfort_k_h / days, 3),
                "rules_comfort_below_k_h_room_day": round(verdict.reference_comfort_k_h / days, 3),
                "mean_c": account.truth["mean_house_temperature_c"],
                "rules_mean_c": rules.truth["mean_house_temperature_c"],
                "peak_w": account.truth["peak_import_15min_w"],
                "rules_peak_w": rules.truth["peak_import_15min_w"],
                "foreseen_4h_error_k": None if verdict.prediction_k is None else round(verdict.prediction_k, 3),
                "modes": {mode: round(account.share(mode), 4) for mode in get_args(Mode)},
                "mpc_rooms": round(account.share("mpc", "room:"), 4),
                "mpc_battery": round(account.share("mpc", "battery"), 4),
                "hours_with_plan": hourly_plans(account, start, int(days * 24)),
                "plans": len(account.plans),
                "rule_plans": account.rule_plans,
                "limits_broken": limit_seconds(account.truth),
                "rules_limits_broken": limit_seconds(rules.truth),
                "failures": verdict.failures,
                "took_s": round(took_s, 1),
            }
        ),
        flush=True,
    )
    return not verdict.failures


def main() -> int:
    """Run the cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--start", default="2026-01-12", help="YYYY-MM-DD, from noon")
    parser.add_argument("--recorded", action="store_true", help="real prices and a typical year's weather")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    start = datetime.fromisoformat(options.start).replace(hour=11, tzinfo=UTC)  # noon: see tests/e2e
    good = True
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        good &= asyncio.run(_case(start, options.days, seed, options.recorded))
    return 0 if good or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
