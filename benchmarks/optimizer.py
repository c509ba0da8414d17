"""Plans: speed, proven gaps, worth, memory (TARGETS.md "Plans"), one JSON line per case.

    ./pems bench optimizer                              # everything, 50 seeds of the family: about ten minutes
    ./pems bench optimizer --seeds 5 --only reference,house
    ./pems bench optimizer --check                      # exits 1 where a gate fails, and says which

Cases: `reference` (16 rooms, 48 h: plan, then its certificate), `sizes` (5-min slots, 32 rooms, 72 h), `slab` (slab
state, coupling, both), `house` (the 17 rooms of config/home.yaml, battery by set-points and by the inverter's intents;
money against the rules), `warm` (re-plan after new prices, and after a new forecast), `scenarios` (ten, and robust),
`homes` (homes per hour, two processes), `monolith` (the same MILP in HiGHS, 30 s). Times are wall seconds of one
process with one thread (certificates use two), after one plan that wakes the compiled loops; medians over seeds.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks._family import Family, reference_problem
from benchmarks._winter import HOME, START, winter_case

from pems_common.home import load_home
from pems_optimizer.domain.assemble import assemble
from pems_optimizer.domain.certificate import certify
from pems_optimizer.domain.problem import PlanningProblem, Scenario, Uncertainty
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.solving import NoPlan, Solved, SolverOptions, solve

Row = dict[str, Any]
LIMIT_S = 60.0
TOTAL_S = 4.7  # for plan and certificate together


def _timed(work: Callable[[Callable[[], float]], Any]) -> tuple[Any, float]:
    began = time.perf_counter()

    def elapsed() -> float:
        return time.perf_counter() - began

    return work(elapsed), elapsed()


def _plan(problem: PlanningProblem, **more: Any) -> tuple[Solved, float]:
    outcome, took = _timed(lambda elapsed: solve(problem, SolverOptions(LIMIT_S), elapsed, **more))
    if isinstance(outcome, NoPlan):
        raise SystemExit(f"no plan: {outcome.why}")
    return outcome, took


def _certified(problem: PlanningProblem, limit_s: float | None = None) -> tuple[Row, Solved]:
    """Plan and certify one problem; what is left of `TOTAL_S` for the certificate where no limit is given."""
    solved, plan_s = _plan(problem)
    limit_s = max(1.0, TOTAL_S - plan_s) if limit_s is None else limit_s
    best = solved.best.cost.total
    bound, bound_s = _timed(
        lambda elapsed: certify(problem, solved.best.decision, solved.memory, best, elapsed, limit_s)
    )
    gap = best - bound.value_czk
    return {
        "plan_s": round(plan_s, 3),
        "certificate_s": round(bound_s, 3),
        "objective_czk": round(best, 3),
        "bound_czk": round(bound.value_czk, 3),
        "kind": bound.kind,
        "gap_pct": round(100.0 * gap / abs(best), 3),
        "gap_czk": round(gap, 3),
    }, solved


def _wake() -> None:
    """Compile, or load from the cache, before anything is timed."""
    problem = reference_problem(1000, Family(rooms=2, hours=12))
    _certified(problem, 1.0)
    _certified(reference_problem(1000, Family(rooms=2, hours=12, slab=True)), 1.0)


# --- cases ----------------------------------------------------------------------------------------


def reference(seeds: range) -> Iterable[Row]:
    """The gate's family."""
    for seed in seeds:
        row, _ = _certified(reference_problem(seed))
        yield {"case": "reference", "seed": seed, **row, "total_s": round(row["plan_s"] + row["certificate_s"], 3)}


def sizes(seeds: range) -> Iterable[Row]:
    """Finer, larger, longer."""
    shapes = {
        "5_min": Family(step_minutes=5.0),
        "32_rooms": Family(rooms=32, import_max_w=45_000.0),
        "72_h": Family(hours=72),
        "negative_prices": Family(negative=True),
    }
    for name, family in shapes.items():
        for seed in seeds[:3]:
            row, _ = _certified(reference_problem(seed, family), 10.0)
            yield {"case": name, "seed": seed, **row}


def slab(seeds: range) -> Iterable[Row]:
    """What slab and coupling cost."""
    for name, family in {
        "slab": Family(slab=True),
        "coupled": Family(coupled=True),
        "slab_coupled": Family(slab=True, coupled=True),
    }.items():
        for seed in seeds[:3]:
            row, _ = _certified(reference_problem(seed, family), 25.0)
            yield {"case": name, "seed": seed, **row}


def _money(plan: Verified) -> float:
    return plan.cost.total - plan.cost.comfort


def house(seeds: range) -> Iterable[Row]:
    """The first house: 17 rooms with slab and coupling, EV, water heater; both kinds of battery control."""
    home = load_home(HOME)
    for control in ("setpoint", "intents"):
        for seed in seeds[:8]:
            problem = assemble(home, winter_case(home, seed), now=START, decide_from=START)
            if problem.battery is not None:
                problem = replace(problem, battery=replace(problem.battery, control=control))
            row, solved = _certified(problem, 25.0)
            best, rules, rooms = solved.best, solved.rules, problem.rooms
            below = [np.maximum(rooms.band_low_c - v.path.air_c[1:], 0.0).sum() * problem.dt_h for v in (best, rules)]
            heat = best.decision.relay_on @ rooms.heater_w
            yield {
                "case": f"house_{control}",
                "seed": seed,
                **row,
                "saved_pct": round(100 * (1 - _money(best) / _money(rules)), 2),
                "below_k_h": [round(float(b), 2) for b in below],
                "breaker_ok": bool(
                    best.peak_w <= home.grid.import_max_w + 1 and heat.max() <= problem.grid.heating_max_w
                ),
                "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }


def warm(seeds: range) -> Iterable[Row]:
    """Plan again after new prices, and after a new forecast, with the columns and prices of the last plan."""
    for seed in seeds[:10]:
        problem = reference_problem(seed)
        first, cold_s = _plan(problem)
        rng = np.random.default_rng(seed + 500)
        dearer = replace(problem, buy=problem.buy * (1 + 0.1 * rng.normal(size=problem.slots)))
        cloudier = replace(problem, pv_w=0.7 * problem.pv_w, load_w=1.1 * problem.load_w)
        for name, changed in (("warm_prices", dearer), ("warm_forecast", cloudier)):
            again, warm_s = _plan(changed, warm=first.memory)
            anew, _ = _plan(changed)
            yield {
                "case": name,
                "seed": seed,
                "plan_s": round(warm_s, 3),
                "cold_s": round(cold_s, 3),
                "against_cold_pct": round(100 * (again.best.cost.total / anew.best.cost.total - 1), 3),
            }


def _courses(problem: PlanningProblem, count: int, seed: int) -> tuple[Scenario, ...]:
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        pv, load, price = rng.normal(size=3) * np.array([0.25, 0.15, 0.1])
        out.append(
            Scenario(
                f"course_{k}",
                1.0 / count,
                problem.pv_w * max(0.0, 1 + pv),
                problem.load_w * (1 + load),
                problem.buy * (1 + price),
                problem.sell * (1 + price),
            )
        )
    return tuple(out)


def scenarios(seeds: range) -> Iterable[Row]:
    """Ten courses with shared relays; the robust four."""
    for name, count, strategy in (("scenarios_10", 10, "scenarios"), ("robust_4", 4, "robust")):
        for seed in seeds[:3]:
            problem = reference_problem(seed)
            known = Uncertainty(strategy=strategy, scenarios=_courses(problem, count, seed))  # type: ignore[arg-type]
            solved, took = _plan(replace(problem, uncertainty=known))
            yield {
                "case": name,
                "seed": seed,
                "plan_s": round(took, 3),
                "objective_czk": round(solved.best.cost.total, 3),
                "relaxed_czk": None if solved.relaxed is None else round(solved.relaxed, 3),
            }


def _one_home(seed: int) -> float:
    return _plan(reference_problem(seed))[1]


def homes(seeds: range) -> Iterable[Row]:
    """Homes per hour of this machine: two processes, cold plans."""
    count = max(8, 2 * min(len(seeds), 12))
    with multiprocessing.get_context("spawn").Pool(2, initializer=_wake) as pool:
        pool.map(_one_home, [2000, 2001], chunksize=1)
        began = time.perf_counter()
        pool.map(_one_home, range(2010, 2010 + count), chunksize=1)
        took = time.perf_counter() - began
    yield {"case": "homes", "homes": count, "wall_s": round(took, 2), "homes_per_hour": round(3600 * count / took)}


def monolith(seeds: range) -> Iterable[Row]:
    """The same problem as one MILP in HiGHS, 30 s."""
    from pems_optimizer.domain.reference_model import solve_reference

    for seed in seeds[:1]:
        problem = reference_problem(seed)
        solved, plan_s = _plan(problem)
        found, took = _timed(lambda _: solve_reference(problem, gap=0.01, time_limit_s=30.0))  # noqa: B023
        yield {
            "case": "monolith_highs",
            "seed": seed,
            "wall_s": round(took, 1),
            "status": found.status,
            "objective_czk": round(found.objective, 2),
            "bound_czk": round(found.bound, 2),
            "gap_pct": round(100 * (found.objective - found.bound) / abs(found.objective), 2),
            "ours_czk": round(solved.best.cost.total, 2),
            "ours_s": round(plan_s, 2),
        }


CASES: dict[str, Callable[[range], Iterable[Row]]] = {
    "reference": reference,
    "sizes": sizes,
    "slab": slab,
    "house": house,
    "warm": warm,
    "scenarios": scenarios,
    "homes": homes,
    "monolith": monolith,
}

# (case, figure, how it is told, gate, goal): a figure must stay below its gate.
GATES: tuple[tuple[str, str, str, float, float], ...] = (
    ("reference", "plan_s", "max", 2.0, 0.5),
    ("reference", "gap_pct", "max", 1.0, 0.5),
    ("reference", "total_s", "max", 5.0, 3.0),
    ("5_min", "plan_s", "median", 10.0, 4.0),
    ("32_rooms", "plan_s", "median", 10.0, 4.0),
    ("72_h", "plan_s", "median", 10.0, 4.0),
    ("house_setpoint", "plan_s", "median", 4.0, 1.5),
    ("house_setpoint", "gap_pct", "median", 2.0, 1.0),
    ("house_intents", "plan_s", "median", 4.0, 1.5),
    ("warm_prices", "plan_s", "median", 0.5, 0.2),
    ("warm_forecast", "plan_s", "median", 0.5, 0.2),
    ("scenarios_10", "plan_s", "median", 5.0, 2.0),
    ("house_intents", "peak_rss_mb", "max", 300.0, 200.0),
)
LEAST_HOMES_PER_HOUR, WANTED_HOMES_PER_HOUR = 6_000, 15_000
COMFORT_TOLERANCE_K_H = 0.05


def _summary(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Medians and worst of each case, and the gates that fail."""
    told, failures = [], []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        spread: Row = {"case": "summary", "of": case, "count": len(mine)}
        for name in ("plan_s", "certificate_s", "total_s", "gap_pct", "gap_czk", "saved_pct", "against_cold_pct"):
            values = [row[name] for row in mine if name in row]
            if values:
                spread[name] = {"median": round(statistics.median(values), 3), "max": max(values)}
        kinds = {row["kind"] for row in mine if "kind" in row}
        if kinds:
            spread["kind"] = sorted(kinds)
        told.append(spread)
    for case, figure, how, gate, goal in GATES:
        values = [row[figure] for row in rows if row["case"] == case]
        if values:
            value = max(values) if how == "max" else statistics.median(values)
            state = "goal" if value < goal else "gate" if value < gate else "FAILED"
            told.append({"case": "gate", "of": case, "figure": f"{how} {figure}", "value": value, "is": state})
            if state == "FAILED":
                failures.append(f"{case}: {how} {figure} is {value}, not below {gate}")
    for row in rows:
        if row["case"] == "reference" and row["kind"] != "proven":
            failures.append(f"seed {row['seed']}: the bound is not proven")
        if "breaker_ok" in row and not row["breaker_ok"]:
            failures.append(f"{row['case']} seed {row['seed']}: the plan breaks the breaker or the heating limit")
        if "below_k_h" in row and row["below_k_h"][0] > row["below_k_h"][1] + COMFORT_TOLERANCE_K_H:
            failures.append(f"{row['case']} seed {row['seed']}: colder than the rules")
        if row["case"] == "homes" and row["homes_per_hour"] < LEAST_HOMES_PER_HOUR:
            failures.append(f"homes per hour: {row['homes_per_hour']}, not {LEAST_HOMES_PER_HOUR}")
    return told, failures


def main(arguments: list[str] | None = None) -> int:
    """Run the cases."""
    parser = argparse.ArgumentParser(prog="pems bench optimizer", description="Speed, gaps and worth of plans.")
    parser.add_argument("--seeds", type=int, default=50, help="number of seeds (50)")
    parser.add_argument("--first-seed", type=int, default=0, help="first of them (0)")
    parser.add_argument("--only", default=",".join(CASES), help=f"cases, with commas: {','.join(CASES)}")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    names = [name for name in options.only.split(",") if name]
    if options.seeds < 1:
        parser.error("--seeds: at least 1")
    if unknown := set(names) - set(CASES):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    _wake()
    rows: list[Row] = []
    for name in names:
        for row in CASES[name](range(options.first_seed, options.first_seed + options.seeds)):
            rows.append(row)
            print(json.dumps(row), flush=True)
    told, failures = _summary(rows)
    for line in told:
        print(json.dumps(line), flush=True)
    print(json.dumps({"case": "all", "failures": failures}), flush=True)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if options.check and failures else 0


if __name__ == "__main__":
    sys.exit(main())
