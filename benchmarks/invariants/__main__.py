"""What must hold for every plan, on random problems: one JSON line per family, then one for all.

    ./pems bench invariants                              # 500 instances of 10 families, about five minutes
    ./pems bench invariants --instances 2000 --first-seed 100
    ./pems bench invariants --only soc_outside --instances 40
    ./pems bench invariants --check                      # exits 1 where anything does not hold, and says what

Every instance gets a plan (better than the rules, or theirs), whose temperatures, stored energy, balances and cost are
worked out anew from the problem's numbers alone; relays, machines, car, battery and grid keep their rules; no bound is
above the plan, and no proven one above the rules. Small instances go to the reference model too: no plan is below its
optimum, no proven bound above. A fault begins with the rule of docs/planning-problem.md that it breaks.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.invariants.judge import Finding, judge
from benchmarks.invariants.random_house import FAMILIES

_TOLD = 5  # faults that a line tells in full


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and abs(value) != float("inf")]
    return round(statistics.median(known), 4) if known else None


def summary(case: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the line of a family."""
    faults = [f"{f.family} {f.seed}: {fault}" for f in findings for fault in f.faults]
    return {
        "case": case,
        "instances": len(findings),
        "solved": sum(f.solved for f in findings),
        "rules": dict(Counter(f.why for f in findings if f.why)),
        "proven": sum(f.kind == "proven" for f in findings),
        "estimates": sum(f.kind == "estimate" for f in findings),
        "median_proven_gap_pct": _median([f.gap_pct for f in findings if f.kind == "proven"]),
        "median_proven_gap_czk": _median([f.gap_czk for f in findings if f.kind == "proven"]),
        "against_reference": sum(f.reference_pct is not None for f in findings),
        "median_above_reference_pct": _median([f.reference_pct for f in findings]),
        "overloaded": sum(f.overloaded for f in findings),
        "median_plan_s": _median([f.plan_s for f in findings]),
        "max_plan_s": round(max((f.plan_s for f in findings), default=0.0), 3),
        "max_certificate_s": round(max((f.bound_s for f in findings), default=0.0), 3),
        "faulty": sum(bool(f.faults) for f in findings),
        "faults": faults[:_TOLD],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the instances."""
    parser = argparse.ArgumentParser(prog="pems bench invariants", description="What must hold for every plan.")
    parser.add_argument("--instances", type=int, default=500, help="number of instances, all families together (500)")
    parser.add_argument("--first-seed", type=int, default=0, help="first seed (0)")
    parser.add_argument("--only", default=",".join(FAMILIES), help=f"families, with commas: {','.join(FAMILIES)}")
    parser.add_argument("--processes", type=int, default=2, help="processes (2)")
    parser.add_argument("--check", action="store_true", help="exit 1 where anything does not hold")
    options = parser.parse_args(arguments)
    names = [name for name in options.only.split(",") if name]
    if unknown := set(names) - set(FAMILIES):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    if not names or options.instances < 1 or options.processes < 1:
        parser.error("at least one family, one instance and one process")
    cases = [(names[k % len(names)], options.first_seed + k // len(names)) for k in range(options.instances)]
    findings: list[Finding] = []
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for name in names:
            seeds = [seed for family, seed in cases if family == name]
            some = list(pool.map(judge, [name] * len(seeds), seeds))
            findings += some
            print(json.dumps(summary(name, some)), flush=True)
    print(json.dumps(summary("all", findings)), flush=True)
    faulty = [f for f in findings if f.faults]
    for finding in faulty:
        print(f"{finding.family} {finding.seed}: {'; '.join(finding.faults[:_TOLD])}", file=sys.stderr)
    return 1 if options.check and faulty else 0


if __name__ == "__main__":
    sys.exit(main())
