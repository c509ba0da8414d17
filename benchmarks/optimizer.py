"""Speed and worth of plans: the house of config/home.yaml on generated winter days, one JSON line per case.

    ./pems bench optimizer                          # 10 seeds
    ./pems bench optimizer --seeds 8 --check        # exits 1 where a gate fails, and says why
    ./pems bench optimizer --seeds 1 --first-seed 7

Each case is planned cold, as a worker does it: assembled, solved, verified in the full model, with its scenarios
and its message; wall and CPU seconds are of that. Its cost is told against the rule plan on the same forecast in
money alone (energy, end state, wear, peak, switching: no comfort), with the comfort of each beside it, then the
worst violations, and how far the rooms' own predictions (one room at a time, as the dynamic program sees them) are
from the simulation of all rooms together.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pems_common.home import Home, load_home
from pems_common.messages import (
    Band,
    EvReading,
    Forecast,
    PlanInputs,
    RoomReading,
    RoomState,
    Series,
    Telemetry,
    Thermal,
    WaterReading,
)
from pems_forecaster.domain.rooms import prior_models
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.planning import Ask, make_plan
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.solving import Solved, SolverOptions, solve
from pems_optimizer.domain.thermal_response import room_device

HOME = Path(__file__).resolve().parents[1] / "config" / "home.yaml"
START = datetime(2025, 1, 14, 13, 0, tzinfo=UTC)

PLAN_LIMIT_S = 5.0  # wall seconds of a verified plan, median
COMFORT_TOLERANCE_K_H = 0.05  # over all rooms and the horizon


def _spot_czk_kwh(hour: np.ndarray, day_level: np.ndarray, noise: np.ndarray, midday_dip: float) -> np.ndarray:
    shape = (
        2.2
        + 1.5 * np.exp(-(((hour - 8) / 1.8) ** 2))
        + 2.0 * np.exp(-(((hour - 18.5) / 2.2) ** 2))
        - (0.9 + midday_dip) * np.exp(-(((hour - 13) / 2.0) ** 2))
        - 0.8 * np.exp(-(((hour - 3) / 2.5) ** 2))
    )
    return np.asarray(shape * day_level + noise)


def winter_case(
    home: Home,
    seed: int,
    *,
    start: datetime = START,
    hours: int = 48,
    outdoor_c: float = 0.0,
    sun: float = 1.0,
    midday_dip: float = 0.0,
    ev_missing_wh: float | None = 8_000.0,
) -> Known:
    """Return everything a plan needs on a generated day: prices, weather, load, telemetry, room models."""
    rng = np.random.default_rng(seed)
    slots = hours * 4
    at = [start + timedelta(minutes=15 * k) for k in range(slots)]
    local = [a.astimezone(home.site.zone) for a in at]
    hour = np.array([a.hour + a.minute / 60 for a in local]) + 0.125
    day = np.array([a.toordinal() for a in local]) - local[0].toordinal()
    level = (1 + 0.15 * rng.normal(size=day.max() + 1))[day]
    spot = _spot_czk_kwh(hour, level, 0.15 * rng.normal(size=slots), midday_dip)
    prices = [home.tariff.prices(float(s), a, home.site.zone) for s, a in zip(spot, at, strict=True)]
    outdoor = outdoor_c + rng.normal(0, 2) + 4 * np.sin((hour - 9) / 24 * 2 * np.pi)
    cloud = np.clip(rng.uniform(0.2, 0.9, day.max() + 1)[day] + 0.1 * rng.normal(size=slots), 0.05, 1.0)
    light = np.clip(np.sin((hour - 7.5) / 9 * np.pi), 0, None) * ((hour > 7.5) & (hour < 16.5)) * sun
    ghi = 400 * light * cloud
    pv = home.pv.peak_w * 0.55 * light * cloud
    load = 350 + 500 * np.exp(-(((hour - 7) / 1.2) ** 2)) + 1300 * np.exp(-(((hour - 18.5) / 2.0) ** 2))
    load = load * rng.lognormal(0, 0.2, slots)

    def band(values: Any, spread: float) -> Band:
        values = np.asarray(values, dtype=float)
        width = np.abs(values) * spread
        return Band(
            p10=Series.of(start, 900, (values - width).tolist()),
            p50=Series.of(start, 900, values.tolist()),
            p90=Series.of(start, 900, (values + width).tolist()),
        )

    facade = {"south": 1.2, "east": 0.6, "west": 0.6, "north": 0.25}
    forecast = Forecast(
        issued_at=start,
        available_at=start,
        horizon_s=hours * 3600,
        pv_power_w=band(pv, 0.4),
        load_power_w=band(load, 0.25),
        buy_czk_kwh=band([p[0] for p in prices], 0.1),
        sell_czk_kwh=band([p[1] for p in prices], 0.1),
        outdoor_temperature_c=band(outdoor, 0.2),
        solar_w_m2={name: Series.of(start, 900, (ghi * f).tolist()) for name, f in facade.items()},
    )
    models = prior_models(home)
    rooms, thermals = {}, {}
    for name, room in home.rooms.items():
        air = room.day_c + float(rng.uniform(-0.4, 0.6))
        thermals[name] = Thermal(
            room=name,
            model=models[name],
            tier="prior",
            state=RoomState(air_c=air, mass_c=air + float(rng.uniform(0.3, 2.0)), at=start),
            version="prior-1",
        )
        rooms[name] = RoomReading(temperature_c=round(air, 1), relay_on=bool(rng.random() < 0.3))
    ev = None
    if home.ev is not None and ev_missing_wh is not None:
        missing_pct = ev_missing_wh * home.ev.efficiency / home.ev.capacity_wh * 100
        ev = EvReading(connected=True, soc_pct=home.ev.target_soc_pct - missing_pct)
    telemetry = Telemetry(
        battery_soc_pct=float(rng.uniform(25, 80)),
        inverter_online=True,
        ev=ev,
        water=WaterReading(temperature_c=float(rng.uniform(44, 51))) if home.water else None,
        outdoor_temperature_c=float(outdoor[0]),
        rooms=rooms,
    )
    return Known(forecast=forecast, telemetry=telemetry, thermals=thermals)


def _own_view_error_c(problem: PlanningProblem, plan: Verified) -> float:
    """RMS between what each room predicts alone and what the coupled house does [C]."""
    errors = []
    for r in range(problem.rooms.count):
        device = room_device(problem, plan.path, r, plan.decision.relay_on)
        first, modes = int(problem.rooms.forced[r]), np.zeros(2)
        for t, on in enumerate(plan.decision.relay_on[first:, r]):
            modes = device.decay * modes + device.push * on
            errors.append(device.free_c[t] + modes.sum() - plan.path.air_c[first + t + 1, r])
    return float(np.sqrt(np.mean(np.square(errors))))


def _money_czk(plan: Verified) -> float:
    """What a plan costs but for comfort, which is told apart."""
    return plan.cost.total - plan.cost.comfort


def run_case(home: Home, seed: int, **case: Any) -> dict[str, Any]:
    """Plan once, timed, and tell what came of it."""
    known = winter_case(home, seed, **case)
    wall, cpu = time.perf_counter(), time.process_time()
    plan = make_plan(
        home,
        known,
        PlanInputs(),
        Ask(plan_id=f"seed-{seed}", plan_no=1, now=START, decide_from=START, limit_s=60.0),
        elapsed_s=lambda: time.perf_counter() - wall,
    )
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    row: dict[str, Any] = {"case": "plan", "seed": seed, "wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3)}
    row |= {"build_s": round(plan.solver.build_s, 3), "solve_s": round(plan.solver.solve_s, 3)}
    # Once more, untimed, for what the message does not carry.
    problem = assemble(home, known, now=START, decide_from=START)
    outcome = solve(problem, SolverOptions(limit_s=60.0), lambda: 0.0)
    row |= {"slots": problem.slots, "rooms": problem.rooms.count}
    rules = outcome.rules
    if not isinstance(outcome, Solved):
        return row | {"status": "no plan", "why": outcome.why}
    best, rooms = outcome.best, problem.rooms
    air = best.path.air_c[1:]
    below = np.maximum(rooms.band_low_c - air, 0.0)
    rules_below = np.maximum(rooms.band_low_c - rules.path.air_c[1:], 0.0)
    heat = best.decision.relay_on @ rooms.heater_w
    return row | {
        "status": "ok" if outcome.complete else "incomplete",
        "objective_czk": [round(v.cost.total, 2) for v in (best, rules)],
        "money_czk": [round(_money_czk(v), 2) for v in (best, rules)],
        "saved_pct": round(100 * (1 - _money_czk(best) / _money_czk(rules)), 2),
        "net_czk": [round(v.net_cost, 2) for v in (best, rules)],
        "parts": {k: round(v, 2) for k, v in best.cost.model_dump().items()},
        "rules_parts": {k: round(v, 2) for k, v in rules.cost.model_dump().items()},
        "peak_w": [round(best.peak_w), round(rules.peak_w)],
        "heating_kwh": [
            round(float(v.decision.relay_on.sum(axis=0) @ rooms.heater_w) / 4000, 1) for v in (best, rules)
        ],
        "below_k_h": [round(float(b.sum()) * problem.dt_h, 2) for b in (below, rules_below)],
        "worst_below_k": [round(float(b.max()), 2) for b in (below, rules_below)],
        "own_view_rms_c": round(_own_view_error_c(problem, best), 4),
        "breaker_ok": bool(best.peak_w <= home.grid.import_max_w + 1 and heat.max() <= problem.grid.heating_max_w),
        "starts": int(sum((~best.decision.relay_on[:-1] & best.decision.relay_on[1:]).sum(axis=0))),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    planned = [row for row in rows if row["status"] != "no plan"]
    spread = {
        f"{name}_{what}": round(how(row[name] for row in rows), 3)
        for name in ("wall_s", "cpu_s")
        for what, how in (("median", statistics.median), ("max", max))
    }
    return {
        "case": "summary",
        "seeds": len(rows),
        "planned": len(planned),
        **spread,
        "first_wall_s": rows[0]["wall_s"],
        "saved_pct_median": round(statistics.median(row["saved_pct"] for row in planned), 2) if planned else None,
        "below_k_h": [round(sum(row["below_k_h"][k] for row in planned), 2) for k in (0, 1)],
        "worst_below_k": [max((row["worst_below_k"][k] for row in planned), default=0.0) for k in (0, 1)],
        "breaker_ok": all(row["breaker_ok"] for row in planned),
        "own_view_rms_c": max((row["own_view_rms_c"] for row in planned), default=0.0),
        "peak_rss_mb": max((row["peak_rss_mb"] for row in planned), default=0),
    }


def _failures(rows: list[dict[str, Any]], summary: dict[str, Any]) -> list[str]:
    """What is not as promised."""
    found = []
    if summary["wall_s_median"] >= PLAN_LIMIT_S:
        found.append(f"a plan takes {summary['wall_s_median']} s in the median, not less than {PLAN_LIMIT_S} s")
    for row in rows:
        if row["status"] != "ok":
            found.append(f"seed {row['seed']}: {row['status']} {row.get('why', '')}")
            continue
        if not row["breaker_ok"]:
            found.append(f"seed {row['seed']}: the plan breaks the breaker or the heating limit")
        plan, rules = row["below_k_h"]
        if plan > rules + COMFORT_TOLERANCE_K_H:
            found.append(f"seed {row['seed']}: {plan} K h below the band, the rules {rules} K h")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Plan each seed, tell about each, then about all."""
    parser = argparse.ArgumentParser(prog="pems bench optimizer", description="Speed and worth of plans.")
    parser.add_argument("--seeds", type=int, default=10, help="number of cases (10)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first (0)")
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error("--seeds: at least 1")
    home = load_home(HOME)
    rows = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        rows.append(run_case(home, seed))
        print(json.dumps(rows[-1]), flush=True)
    summary = _summary(rows)
    failures = _failures(rows, summary)
    print(json.dumps(summary | {"failures": failures}), flush=True)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if options.check and failures else 0


if __name__ == "__main__":
    sys.exit(main())
