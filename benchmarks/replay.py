"""A day of the simulated house: each of its plans made again bit for bit, and what they lost, split by where.

    ./pems bench replay                                   # 6 hours of 14 January of the reference year, all rooms
    ./pems bench replay --rooms pokoj_1,pokoj_2 --generated --hours 12 --settle 24
    ./pems bench replay --foreseen                        # forecasts that come true: their part has to be nothing
    ./pems bench replay --plans 0                         # only bit for bit

Prints a JSON line a plan, then one of all. `--plans` says of how many plans, spread over the day, the regret is split:
each takes some ten times as long as it was planned. `--settle` house hours are lived on after the last plan, so that
more of its horizon is measured. `--check` exits 1 where a plan does not come again, or where forecasts that came true
cost more than a hundredth of a crown. See docs/replay.md.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pems_common.home import Home, load_home
from pems_common.logs import setup_logging
from pems_common.timegrid import local_midnight
from pems_lab.arms.jobs import WorldChoice
from pems_lab.replay.courses import LabDay, executed_slots, live_day
from pems_optimizer.domain.plan_case import PlanCase
from pems_optimizer.domain.regret import RegretSplit, regret_split
from pems_optimizer.plan_case_replay import replay_case

ROOT = Path(__file__).resolve().parents[1]
NOTHING_CZK = 0.01


def _home(options: argparse.Namespace, world: WorldChoice) -> Home:
    home = world.home(load_home(ROOT / "config" / "home.yaml"))
    uncertainty = home.optimization.uncertainty.model_copy(update={"strategy": options.strategy})
    update: dict[str, Any] = {
        "optimization": home.optimization.model_copy(update={"uncertainty": uncertainty}),
        "control": home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)}),
    }
    if options.rooms:
        names = options.rooms.split(",")
        if unknown := sorted(set(names) - set(home.rooms)):
            sys.exit(f"no room {', '.join(unknown)}; there are {', '.join(home.rooms)}")
        update["rooms"] = {
            name: home.rooms[name].model_copy(
                update={"neighbours": tuple(n for n in home.rooms[name].neighbours if n in names)}
            )
            for name in names
        }
    return home.model_copy(update=update)


def _world(options: argparse.Namespace) -> WorldChoice:
    if options.generated:
        return WorldChoice("generated")
    data = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"no data sets in {data}: set PEMS_DATA_DIR, or use --generated")
    return WorldChoice("reference", data=str(data))


async def _split(day: LabDay, case: PlanCase) -> RegretSplit:
    slots = executed_slots(case, day.following(case))
    return regret_split(case, day.truth(case), await day.happened(case), executed_slots=slots)


def _chosen(cases: Sequence[PlanCase], wanted: int) -> set[str]:
    count = min(wanted, len(cases))
    return {cases[int(k * len(cases) / count)].plan.plan_id for k in range(count)}


async def _run(options: argparse.Namespace) -> int:
    setup_logging("bench", "bench", level="error")
    choice = _world(options)
    home = _home(options, choice)
    start = local_midnight(options.start, home.site.zone) + timedelta(hours=options.hour)
    world = choice.open(home, options.seed)
    with TemporaryDirectory() as folder:
        day = await live_day(
            home,
            world,
            start,
            timedelta(hours=options.hours),
            Path(folder),
            seed=options.seed,
            foreseen=options.foreseen,
            settle=timedelta(hours=options.settle),
        )
    chosen, failed, splits = _chosen(day.cases, options.plans), [], []
    for case in day.cases:
        began = time.perf_counter()
        replay = replay_case(case)
        row: dict[str, Any] = {
            "case": "replay",
            "plan": case.plan.plan_id,
            "issued_at": case.plan.issued_at.isoformat(),
            "identical": replay.identical,
            "complete": case.complete,
            "replay_s": round(time.perf_counter() - began, 2),
        }
        if not replay.identical:
            failed.append(f"{case.plan.plan_id}: {'; '.join(replay.reasons)}")
            row["differences"] = [asdict(one) for one in replay.differences[:5]]
        if case.plan.plan_id in chosen:
            began = time.perf_counter()
            split = await _split(day, case)
            splits.append(split)
            row |= split.to_json() | {"split_s": round(time.perf_counter() - began, 1)}
            for span in (split.executed, split.horizon):
                if options.foreseen and abs(span.forecast.total) > NOTHING_CZK:
                    failed.append(f"{case.plan.plan_id}: true forecasts cost {span.forecast.total:.3f} CZK")
        print(json.dumps(row), flush=True)
    print(json.dumps(_summary(day, splits, len(failed))), flush=True)
    for one in failed:
        print(one, file=sys.stderr)
    return 1 if options.check and (failed or not day.cases) else 0


def _summary(day: LabDay, splits: Sequence[RegretSplit], failed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"case": "replay of all", "plans": len(day.cases), "failed": failed, "split": len(splits)}
    for name in ("executed", "horizon"):
        spans = [getattr(split, name) for split in splits]
        for part in ("total", "forecast", "model", "execution", "solver"):
            known = [account.total for span in spans if (account := getattr(span, part)) is not None]
            row[f"{name}_{part}_czk"] = round(sum(known) / len(known), 3) if known else None
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2025, 1, 14), help="local day")
    parser.add_argument("--hour", type=float, default=0.0, help="local hour to begin at")
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--settle", type=float, default=3.0)
    parser.add_argument("--plans", type=int, default=2, help="plans whose regret is split")
    parser.add_argument("--rooms", default="", help="only these, with commas")
    parser.add_argument("--strategy", choices=("point", "robust", "scenarios"), default="point")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generated", action="store_true", help="a generated world, which needs no data")
    parser.add_argument("--foreseen", action="store_true", help="forecasts that come true")
    parser.add_argument("--check", action="store_true")
    return asyncio.run(_run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
