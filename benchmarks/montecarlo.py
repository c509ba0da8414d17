"""The Monte Carlo of one plan: how long 1,000 possible courses of its days take (TARGETS.md "Plans").

    ./pems bench montecarlo                    # a winter day of config/home.yaml, 1,000 draws
    ./pems bench montecarlo --draws 200 --check

PV, load, prices, outdoor temperature and sun are drawn, the battery is dispatched anew for each draw, and the 17 rooms
are simulated. Cases: `strict` and `guarded` (how relays are held) in one process of one thread, `two processes` (the
strict draws dealt out by twenties; they must be the same to the last bit). Wall seconds, processes and plan ready
before; `cpu_s` is what the busiest process computed. Real Celery workers: `./pems bench study --items 1000`. `--check`
exits 1 where a gate fails: 180 s.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from benchmarks._gates import Gate, Row, told, verdict
from benchmarks.study import a_plan

from pems_common.logs import setup_logging
from pems_optimizer.domain.plan_fan import RELAYS, fan_columns, fan_item, fan_summary
from pems_optimizer.domain.plan_record import PlanRecord, read_record, record_bytes
from pems_optimizer.study_kind import ItemWork, by_column

GATE_S, GOAL_S = 180.0, 30.0
SEED = 1
CASES = (*RELAYS, "two processes")
CHUNK = 20
_open: dict[str, ItemWork] = {}


def _shown(case: str, wall_s: float, cpu_s: float, columns: tuple[str, ...], rows: list[tuple[float, ...]]) -> Row:
    found = fan_summary(by_column(columns, rows))
    return {
        "case": case,
        "draws": len(rows),
        "seconds": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "seconds_per_1000": round(wall_s / len(rows) * 1000.0, 2),
        **{name: found[name] for name in ("mean_czk", "p10_czk", "p50_czk", "p90_czk", "cvar90_czk")},
        "bill_mean_czk": found["bill"]["mean_czk"],
        "below_k_h_mean": found["comfort"]["mean_k_h"],
        "cold_share": found["comfort"]["cold_share"],
        "drivers": found["drivers"]["bill"],
    }


def _wake(packed: bytes) -> None:
    """Open the study in a process of the pool, and compile what it needs."""
    _open["work"] = fan_item(read_record(packed), SEED)
    _open["work"](0)


def _chunk(numbers: range) -> tuple[list[tuple[float, ...]], int, float]:
    began = time.process_time()
    rows = [tuple(_open["work"](number)) for number in numbers]
    return rows, os.getpid(), time.process_time() - began


def _two(record: PlanRecord, draws: int) -> tuple[list[tuple[float, ...]], float, float]:
    """Return the rows, wall seconds, and CPU seconds of the busier process."""
    chunks = [range(first, min(first + CHUNK, draws)) for first in range(0, draws, CHUNK)]
    packed = record_bytes(record)
    with multiprocessing.get_context("spawn").Pool(2, initializer=_wake, initargs=(packed,)) as pool:
        pool.map(_chunk, [range(1)] * 4, chunksize=1)  # both are awake
        began = time.perf_counter()
        done = pool.map(_chunk, chunks, chunksize=1)
        wall_s = time.perf_counter() - began
    busy: dict[int, float] = {}
    for _, pid, cpu_s in done:
        busy[pid] = busy.get(pid, 0.0) + cpu_s
    return [row for rows, _, _ in done for row in rows], wall_s, max(busy.values())


def measure(draws: int) -> Iterator[Row]:
    """Measure all cases.

    Raises:
        SystemExit: Two processes gave other numbers than one.
    """
    record = a_plan()
    columns = fan_columns(record.problem)
    strict: list[tuple[float, ...]] = []
    for relays in RELAYS:
        work = fan_item(record, SEED, relays)
        work(0)
        began, cpu = time.perf_counter(), time.process_time()
        rows = [work(number) for number in range(draws)]
        yield _shown(relays, time.perf_counter() - began, time.process_time() - cpu, columns, rows)
        strict = strict or rows
    rows, wall_s, cpu_s = _two(record, draws)
    if np.array(rows).tobytes() != np.array(strict).tobytes():
        raise SystemExit("two processes gave other numbers than one")
    yield _shown(CASES[-1], wall_s, cpu_s, columns, rows)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    arguments = parser.parse_args(argv)
    if arguments.draws < 1:
        parser.error("--draws: at least one is needed")
    setup_logging("bench", "montecarlo", level="warning", form="auto")
    gates = [Gate(case, "seconds_per_1000", GATE_S, GOAL_S) for case in CASES]
    rows: Iterable[dict[str, Any]] = measure(arguments.draws)
    return verdict(told(rows, gates), check=arguments.check)


if __name__ == "__main__":
    sys.exit(main())
