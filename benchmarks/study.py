"""One bulk worker against two on two "hosts": how much sooner a study is over.

    ./pems bench study                              # 400 draws of a plan's cost, chunks of 10
    ./pems bench study --items 1000 --rounds 3 --check

A real Redis, real Celery workers, each held to one core of its own; the hosts are network namespaces where that is
possible (root, iproute2), else plain processes, and the lines say which. The study is the Monte Carlo of a plan of
the house of config/home.yaml on a winter day. One JSON line per case; the ratio is of the medians; both ways must give
the same numbers to the last bit. `--check` exits 1 where two workers are not 1.7 times as fast.

On a machine that has other work to do the wall times tell of that too: `busiest_cpu_s` is what the worker with the most
to do computed, and `cpu_ratio` what the ratio would be on cores of their own. Where more than a tenth of the wall time
went elsewhere the machine counts as busy, and the gate is on that.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from benchmarks._two_hosts import Host, Hosts, two_hosts
from benchmarks._winter import HOME, START, winter_case

from pems_cli.child import signal_group, start_child
from pems_cli.embedded import RedisServer
from pems_common.clock import SystemClock
from pems_common.home import load_home
from pems_common.logs import setup_logging
from pems_common.messages import PlanInputs
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.adapters.plan_memory import RedisPlans
from pems_optimizer.adapters.queues import CeleryQueue
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.redis_studies import RedisStudies
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.planning import Ask, plan_with_making
from pems_optimizer.study_keeper import StudyKeeper

ROOT = Path(__file__).resolve().parents[1]
GATE_RATIO = 1.7
_READY_S = 180.0
_OVERHEAD_S = 0.3  # sending the chunks, and looking for the end
_CLOCK = SystemClock()


@dataclass(frozen=True)
class Bulk:
    """A bulk worker that runs."""

    pid: int
    log: Path

    def cpu_s(self) -> float:
        """CPU seconds of it and its children so far."""
        parent = psutil.Process(self.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return float(sum(t.user + t.system for t in times))


@dataclass(frozen=True)
class Run:
    """One study: wall seconds, CPU seconds of the worker that had the most to do, and all numbers as bytes."""

    wall_s: float
    cpu_s: float
    values: dict[str, bytes]


def a_plan() -> PlanRecord:
    """Plan a winter day."""
    home = load_home(HOME)
    known, began = winter_case(home, 1), time.perf_counter()
    ask = Ask(plan_id="bench", plan_no=1, now=START, decide_from=START, limit_s=20.0)
    made = plan_with_making(home, known, PlanInputs(), ask, elapsed_s=lambda: time.perf_counter() - began)
    return PlanRecord(
        site=home.site.id,
        plan_id="bench",
        plan_no=1,
        config_hash=home.config_hash(),
        issued_at=START,
        objective_czk=made.chosen.cost.total,
        peak_w=made.chosen.peak_w,
        problem=made.problem,
        decision=made.chosen.decision,
    )


@contextmanager
def bulk_worker(host: Host, redis_url: str, directory: Path) -> Iterator[Bulk]:
    """Run a bulk worker on a host. It is ended with its children, whatever happens."""
    log = directory / f"bulk-{host.name}-{secrets.token_hex(3)}.log"
    command = [*host.prefix, sys.executable, "-P", "-m", "celery", "-A", "pems_optimizer.worker:app", "worker"]
    command += ["-Q", "bulk", "-n", f"bulk@{host.name}", "--concurrency", "1", "--loglevel", "INFO"]
    command += ["--without-gossip", "--without-mingle"]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = {**os.environ, **one_thread, "PEMS_REDIS_URL": redis_url, "PEMS_HOME": str(HOME), "PEMS_LOG_FORMAT": "json"}
    process = start_child(command, env=env, log=log, cwd=ROOT)
    try:
        os.sched_setaffinity(process.pid, {host.cpu})  # before it has children, which inherit it
        yield Bulk(process.pid, log)
    finally:
        signal_group(process, signal.SIGKILL)
        process.wait(20)


async def run_study(keeper: StudyKeeper, workers: list[Bulk], *, items: int, chunk: int) -> Run:
    """Run a study to its end."""
    began, cpu_before = time.perf_counter(), [worker.cpu_s() for worker in workers]
    study = await keeper.create("plan_fan", {"seed": 1}, items=items, chunk_items=chunk)
    while True:
        report = await keeper.report(study.study_id, with_values=True)
        if report is None or report.state == "failed":
            raise RuntimeError(f"the study failed: {report}")
        if report.state == "done":
            wall_s = time.perf_counter() - began
            used = [worker.cpu_s() - before for worker, before in zip(workers, cpu_before, strict=True)]
            await keeper.look()
            values = {name: of.tobytes() for name, of in (report.values or {}).items()}
            return Run(wall_s, max(used), values)
        await asyncio.sleep(0.05)


async def wake(keeper: StudyKeeper, workers: list[Bulk]) -> None:
    """Run small studies until each worker has done a chunk, so that none has anything to compile later."""
    end = time.monotonic() + _READY_S
    while True:
        texts = [worker.log.read_text() for worker in workers]
        if all("pems.bulk.study" in text and "succeeded" in text for text in texts):
            return
        if time.monotonic() > end:
            raise RuntimeError(f"a worker did not wake: {[text[-500:] for text in texts]}")
        await run_study(keeper, workers, items=8, chunk=1)


async def measure(hosts: Hosts, record: PlanRecord, arguments: argparse.Namespace) -> int:
    """Measure rounds of one worker and two, print their lines, and return the exit status."""
    runs: dict[int, list[Run]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as scratch:
        server = RedisServer(Path(scratch) / "redis", password=secrets.token_hex(8))
        server.host = hosts.address
        with server:
            calls = RedisCalls(server.url, _CLOCK)
            plans = RedisPlans(calls)
            await plans.keep(record)
            queue = CeleryQueue(make_celery(ServiceSettings(redis_url=server.url)), _CLOCK)
            keeper = StudyKeeper(record.site, _CLOCK, RedisStudies(calls), plans, queue.send_chunks)
            for _ in range(arguments.rounds):
                for count in runs:
                    runs[count].append(await measure_once(keeper, hosts, count, server.url, Path(scratch), arguments))
            await calls.close()
    return tell(hosts, runs, arguments)


async def measure_once(
    keeper: StudyKeeper, hosts: Hosts, count: int, url: str, scratch: Path, arguments: argparse.Namespace
) -> Run:
    """Start so many workers, wake them, and time a study."""
    with ExitStack() as running:
        workers = [running.enter_context(bulk_worker(host, url, scratch)) for host in hosts.hosts[:count]]
        await wake(keeper, workers)
        return await run_study(keeper, workers, items=arguments.items, chunk=arguments.chunk)


def tell(hosts: Hosts, runs: dict[int, list[Run]], arguments: argparse.Namespace) -> int:
    """Print the lines; returns the exit status."""
    wall_s = {count: statistics.median(run.wall_s for run in done) for count, done in runs.items()}
    cpu_s = {count: statistics.median(run.cpu_s for run in done) for count, done in runs.items()}
    for count, done in runs.items():
        case: dict[str, Any] = {
            "case": f"{count} worker{'s' if count > 1 else ''}",
            "hosts": hosts.kind,
            "items": arguments.items,
            "chunk_items": arguments.chunk,
            "seconds": round(wall_s[count], 2),
            "rounds": [round(run.wall_s, 2) for run in done],
            "busiest_cpu_s": round(cpu_s[count], 2),
            "items_per_s": round(arguments.items / wall_s[count], 1),
        }
        print(json.dumps(case))
    ratio = wall_s[1] / wall_s[2]
    numbers = [run.values for done in runs.values() for run in done]
    same = all(values == numbers[0] for values in numbers)
    cpu_ratio = cpu_s[1] / cpu_s[2]
    busy = any(wall_s[count] > 1.1 * cpu_s[count] + _OVERHEAD_S for count in runs)
    summary = {"case": "ratio", "ratio": round(ratio, 3), "cpu_ratio": round(cpu_ratio, 3), "machine_busy": busy}
    print(json.dumps({**summary, "identical": same, "hosts": hosts.kind}))
    gated = cpu_ratio if busy else ratio
    if arguments.check and (gated < GATE_RATIO or not same):
        print(f"gate: two workers are {gated:.2f} times as fast, {GATE_RATIO} is asked for", file=sys.stderr)
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--chunk", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="exit 1 where two workers do not pay")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything below is cleared away
    setup_logging("bench", "study", level="warning", form="auto")
    record = a_plan()
    with two_hosts() as hosts:
        return asyncio.run(measure(hosts, record, arguments))


if __name__ == "__main__":
    sys.exit(main())
