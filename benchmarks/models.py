"""The life of forecast models in a house in lockstep: trained at night, tried, promoted, rolled back; memory watched.

    ./pems bench models                       # 40 generated days from March on, about 10 minutes
    ./pems bench models --days 30 --start 2026-06-01
    ./pems bench models --recorded --check    # real prices (needs PEMS_DATA_DIR)

The house runs on its own rules (no plans): what matters here is what the forecaster learns. Its roofs are built
otherwise than home.yaml says (turned by 40 degrees, a fifth smaller), as name plates lie: there is something to learn.
Prints one JSON line for each change of a model, each week, and kind. On day `--force` a person rolls the first active
model back. `--check` exits 1 where no model was ever active, a rollback failed, P10-P90 of a kind held less than 72 or
more than 90 % of all its lead days, or memory grew by 5 % or more over the second half.
"""

import argparse
import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import structlog
from benchmarks.house import HOME, open_case_world

from pems_common.home import Home
from pems_common.messages import Score
from pems_forecaster.model_life import ModelLife
from pems_forecaster.training import LIVE_KINDS
from pems_lab.house_run import HouseRun

Row = dict[str, Any]
LEAST_COVERAGE, MOST_COVERAGE, MOST_GROWTH_PCT = 72.0, 90.0, 5.0


def as_built() -> Home:
    """Return the house with its roofs turned and smaller."""
    roofs = tuple(
        roof.model_copy(update={"azimuth_deg": (roof.azimuth_deg + 40.0) % 360.0, "peak_w": 0.8 * roof.peak_w})
        for roof in HOME.pv.roofs
    )
    return HOME.model_copy(update={"pv": HOME.pv.model_copy(update={"roofs": roofs})})


def _print(row: Row) -> None:
    print(json.dumps(row), flush=True)


def _rss_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


class _Watch:
    """What happened to models, told as it happens."""

    def __init__(self, life: ModelLife) -> None:
        self._life, self._seen = life, 0
        self.active_days: dict[str, int] = dict.fromkeys(LIVE_KINDS, 0)
        self._told: set[tuple[str, int]] = set()

    def look(self, day: int) -> None:
        for record in reversed(self._life.registry.all()):
            for k, (at, status) in enumerate(record.changes):
                if (record.version, k) in self._told:
                    continue
                self._told.add((record.version, k))
                _print({"case": "change", "day": day, "model": record.version, "is": status, "at": at.isoformat(),
                        "why": record.why if k == len(record.changes) - 1 else ""})  # fmt: skip
        for kind, told in self._life.published().items():
            self.active_days[kind] += told["active"] in self._life.models


async def _run(days: int, start: datetime, seed: int, recorded: bool, force: int, folder: Path) -> list[str]:
    world = open_case_world(recorded, seed)
    run = HouseRun(HOME, world, start, seed=seed, planner="mute", built=as_built(), models=folder)
    life = run.forecaster.life
    assert life is not None
    watch, began = _Watch(life), time.perf_counter()
    memory: list[float] = []
    scores: list[dict[str, Score]] = []
    forced: Row | None = None
    for day in range(1, days + 1):
        await run.run(timedelta(days=1))
        watch.look(day)
        memory.append(_rss_mb())
        scores.append(run.forecaster.scores())
        if forced is None and day >= force:
            forced = _force(life, day)
        if day % 7 == 0:
            took_s = round(time.perf_counter() - began, 1)
            _print({"case": "week", "day": day, "rss_mb": round(memory[-1], 1), "took_s": took_s})
    await run.stop()
    return list(_judge(life, watch, memory, scores, forced))


def _force(life: ModelLife, day: int) -> Row | None:
    """Roll the first kind with an active model back; None where there is none yet."""
    for kind, told in life.published().items():
        if told["active"] in life.models:
            row = {"case": "forced_rollback", "day": day, "kind": kind, "from": told["active"]}
            row["to"] = life.roll_back(kind)
            _print(row)
            return row
    return None


def _judge(
    life: ModelLife, watch: _Watch, memory: list[float], scores: list[dict[str, Score]], forced: Row | None
) -> Iterator[str]:
    half = len(memory) // 2
    growth_pct = 100 * (max(memory[half:]) / memory[half] - 1)
    for kind in LIVE_KINDS:
        daily = [s[kind].metrics for s in (_by_kind(found) for found in scores[half:]) if kind in s]
        covered = [value for m in daily for name, value in m.items() if name.startswith("coverage_day")]
        skill = [m["skill_day1"] for m in daily if "skill_day1" in m]
        coverage_pct = round(sum(covered) / max(len(covered), 1), 1)
        row: Row = {
            "case": "kind",
            "kind": kind,
            "models": len(life.registry.all(kind)),
            "days_with_an_active_model": watch.active_days[kind],
            "published": life.published()[kind],
            "coverage_pct": coverage_pct,
            "skill_against_persistence": round(sum(skill) / max(len(skill), 1), 3),
        }
        _print(row)
        if covered and not LEAST_COVERAGE <= coverage_pct <= MOST_COVERAGE:
            yield f"{kind}: P10-P90 held {coverage_pct} % over the second half"
    _print({"case": "memory", "rss_mb": [round(m, 1) for m in memory], "growth_pct": round(growth_pct, 2)})
    if not any(watch.active_days.values()):
        yield "no model was ever active"
    if forced is None:
        yield "there was nothing to roll back"
    if growth_pct >= MOST_GROWTH_PCT:
        yield f"memory grew by {growth_pct:.1f} %"


def _by_kind(scores: dict[str, Score]) -> dict[str, Score]:
    return {name.removeprefix("forecast."): score for name, score in scores.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the days."""
    parser = argparse.ArgumentParser(prog="pems bench models", description="The life of forecast models.")
    parser.add_argument("--days", type=int, default=40)
    parser.add_argument("--start", type=datetime.fromisoformat, default=datetime(2026, 3, 1, tzinfo=UTC))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", type=int, default=32, help="day from which a model is rolled back by hand (32)")
    parser.add_argument("--recorded", action="store_true", help="recorded prices instead of generated ones")
    parser.add_argument("--check", action="store_true", help="exit 1 where something fails")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    start = options.start if options.start.tzinfo else options.start.replace(tzinfo=UTC)
    with TemporaryDirectory() as folder:
        failures = asyncio.run(_run(options.days, start, options.seed, options.recorded, options.force, Path(folder)))
    _print({"case": "all", "failures": failures})
    return 1 if options.check and failures else 0


if __name__ == "__main__":
    sys.exit(main())
