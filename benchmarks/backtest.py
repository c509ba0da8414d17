"""Does `./pems backtest` tell the truth? On a house whose truth is known.

    ./pems bench backtest                           # 5 days of January of the reference year, arm rules
    ./pems bench backtest --days 7 --arms rules,point --jobs 2 --check
    ./pems bench backtest --generated --seed 3      # needs no data

A simulated house lives `--before` days and the judged ones under the owner's old rules (arm b1); ingest stores what its
devices say. The backtest sees that history and home.yaml, nothing else. Beside it stands what the same simulated house
costs on the same days when PEMS really runs it, against the owner's rules (`./pems bench arms`). Prints JSON lines: the
simulator's error, and per arm the saving told with its interval and the true one. `--check` exits 1 where an interval
does not hold the truth. What is finished stays in `--out`. The reference year needs PEMS_DATA_DIR.
"""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pems_common.home import Home, load_home
from pems_common.timegrid import local_midnight
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_lab.arms.jobs import Job, WorldChoice, code_version
from pems_lab.arms.owner_rules import OldHabits
from pems_lab.arms.run import Arm, Stretch
from pems_lab.backtest.parts import BACKTEST_ARMS, LEAST_TRAIN_DAYS, BacktestArm
from pems_lab.backtest.study import BacktestRequest, run_backtest
from pems_lab.comparison import fair_cost
from pems_lab.measured.record import record_house
from pems_lab.resumable import finish, silence

ROOT = Path(__file__).resolve().parents[1]
DAY = timedelta(days=1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _choice(options: argparse.Namespace) -> WorldChoice:
    if options.generated:
        return WorldChoice("generated")
    data = Path(os.environ.get("PEMS_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"no data sets in {data}: set PEMS_DATA_DIR, or use --generated")
    return WorldChoice("reference", data=str(data))


def _arms(text: str) -> list[BacktestArm]:
    wanted = text.split(",")
    unknown = sorted(set(wanted) - set(BACKTEST_ARMS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no arm {', '.join(unknown)}; there are {', '.join(BACKTEST_ARMS)}")
    return [arm for arm in BACKTEST_ARMS if arm in wanted]


def recorded(home: Home, choice: WorldChoice, folder: Path, first: datetime, until: datetime, seed: int) -> Path:
    """Return the history of a house under the owner's rules; one that was recorded before is taken."""
    path = folder / f"history-{choice.kind}-{first:%Y%m%d}-{until:%Y%m%d}-s{seed}.sqlite"
    if path.is_file():
        return path
    scratch = path.with_suffix(".part")
    for stale in folder.glob(f"{scratch.name}*"):
        stale.unlink()
    days = (until - first) // DAY

    def each(now: datetime) -> None:
        if (now - first) % DAY == timedelta(0):
            _say(f"recorded {(now - first) // DAY} of {days} days")

    async def live() -> None:
        store = SqliteHistory(scratch, home.site.id)
        world = choice.open(home, seed)
        await record_house(home, world, store, first, until, seed=seed, habits=OldHabits(), each=each)
        await store.close()

    asyncio.run(live())
    scratch.replace(path)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Record, backtest, and hold the truth against it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pems bench backtest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, default=ROOT / "config" / "home.yaml")
    parser.add_argument("--arms", type=_arms, default=["rules"], help=f"of {','.join(BACKTEST_ARMS)}")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2025, 1, 21), help="first judged day")
    parser.add_argument("--days", type=int, default=5, help="judged days")
    parser.add_argument("--before", type=int, default=14, help="recorded days before them")
    parser.add_argument("--after", type=int, default=9, help="recorded days after them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--generated", action="store_true", help="a generated world")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "backtest-bench")
    parser.add_argument("--check", action="store_true", help="exit 1 where an interval does not hold the truth")
    options = parser.parse_args(arguments)
    if options.days < 3 or options.before + options.after < LEAST_TRAIN_DAYS + 2:
        parser.error(f"at least 3 judged days, and {LEAST_TRAIN_DAYS + 2} before and after them")
    with silence():
        return _held_against_truth(options)


def _held_against_truth(options: argparse.Namespace) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    choice = _choice(options)
    home = choice.home(load_home(options.home))
    start = local_midnight(options.start, home.site.zone)
    until = local_midnight(options.start + (options.days + options.after) * DAY, home.site.zone)
    begin = local_midnight(options.start - options.before * DAY, home.site.zone)
    path = recorded(home, choice, options.out, begin, until, options.seed)
    told = run_backtest(
        BacktestRequest(
            home=home,
            first=options.start,
            last=options.start + (options.days - 1) * DAY,
            arms=tuple(options.arms),
            folder=options.out / "backtest",
            processes=options.jobs,
            seed=options.seed + 1,  # not the seed that the world's own forecasts were made with
        ),
        SqliteHistory(path, home.site.id, read_only=True),
        _say,
    )
    case = {"world": choice.kind, "start": options.start.isoformat(), "days": options.days, "seed": options.seed}
    _print({"case": "simulator_error", **case, **asdict(told.verdict.error)})
    stretch = Stretch(start, options.days, seed=options.seed)
    wanted: list[Arm] = ["b1", *options.arms]
    jobs = [Job(options.home, choice, arm, stretch) for arm in wanted]
    found = {
        job.arm: result["truth"]
        for job, result in finish(jobs, options.out / "truth", processes=options.jobs, version=code_version(), say=_say)
    }
    base = fair_cost(home, found["b1"], found["b1"]).total
    failures = []
    for arm in options.arms:
        verdict = told.verdict.arms[arm]
        true_pct = 100.0 * (1.0 - fair_cost(home, found[arm], found["b1"]).total / base)
        low, high = verdict.saved_low_pct, verdict.saved_high_pct
        held = low is not None and high is not None and low <= true_pct <= high
        if not held:
            failures.append(f"{arm}: {low}..{high} % do not hold the true {true_pct:.2f} %")
        _print(
            {
                "case": "backtest",
                **case,
                "arm": arm,
                "told_pct": round(verdict.saved_pct, 2),
                "low_pct": None if low is None else round(low, 2),
                "high_pct": None if high is None else round(high, 2),
                "true_pct": round(true_pct, 2),
                "held": held,
                "paid_czk_day": round(verdict.paid_czk / verdict.days, 1),
                "true_paid_czk_day": round(base / options.days, 1),
            }
        )
    for failure in failures:
        _say(failure)
    return 1 if options.check and failures else 0


if __name__ == "__main__":
    sys.exit(main())
