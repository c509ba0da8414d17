"""Speed and worth of plans: the house of config/home.yaml on generated winter days, one JSON line per case.

Run `python -m benchmarks.optimizer [seeds]`. Each case tells the time of a plan (assembling and solving), its cost
against the rule plan on the same forecast, the worst violations, and how far the rooms' own predictions (one room
at a time, as the dynamic program sees them) are from the simulation of all rooms together.
"""

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
    RoomReading,
    RoomState,
    Series,
    Telemetry,
    Thermal,
    WaterReading,
)
from pems_forecaster.domain.rooms import prior_models
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.solving import Solved, SolverOptions, solve
from pems_optimizer.domain.thermal_response import room_device

HOME = Path(__file__).resolve().parents[1] / "config" / "home.yaml"
START = datetime(2025, 1, 14, 13, 0, tzinfo=UTC)


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


def run_case(home: Home, seed: int, *, sweeps: int = 3, **case: Any) -> dict[str, Any]:
    """Plan once and tell what came of it."""
    known = winter_case(home, seed, **case)
    began = time.perf_counter()
    problem = assemble(home, known, now=START, decide_from=START)
    built = time.perf_counter()
    outcome = solve(problem, SolverOptions(limit_s=60.0, sweeps=sweeps), lambda: time.perf_counter() - built)
    ended = time.perf_counter()
    row: dict[str, Any] = {"case": "plan", "seed": seed, "build_s": round(built - began, 3)}
    row |= {"solve_s": round(ended - built, 3), "slots": problem.slots, "rooms": problem.rooms.count}
    rules = outcome.rules
    row["rules_czk"] = round(rules.cost.total, 2)
    if not isinstance(outcome, Solved):
        return row | {"status": "no plan", "why": outcome.why}
    best, rooms = outcome.best, problem.rooms
    air = best.path.air_c[1:]
    below = np.maximum(rooms.band_low_c - air, 0.0)
    rules_below = np.maximum(rooms.band_low_c - rules.path.air_c[1:], 0.0)
    heat = best.decision.relay_on @ rooms.heater_w
    return row | {
        "status": "ok" if outcome.complete else "incomplete",
        "sweeps": outcome.sweeps,
        "plan_czk": round(best.cost.total, 2),
        "parts": {k: round(v, 2) for k, v in best.cost.model_dump().items()},
        "rules_parts": {k: round(v, 2) for k, v in rules.cost.model_dump().items()},
        "net_czk": [round(best.net_cost, 2), round(rules.net_cost, 2)],
        "saved_pct": round(100 * (1 - best.cost.total / rules.cost.total), 2),
        "peak_w": [round(best.peak_w), round(rules.peak_w)],
        "heating_kwh": [
            round(float(v.decision.relay_on.sum(axis=0) @ rooms.heater_w) / 4000, 1) for v in (best, rules)
        ],
        "below_k_h": [round(float(below.sum()) / 4, 2), round(float(rules_below.sum()) / 4, 2)],
        "worst_below_k": round(float(below.max()), 2),
        "own_view_rms_c": round(_own_view_error_c(problem, best), 4),
        "breaker_ok": bool(best.peak_w <= home.grid.import_max_w + 1 and heat.max() <= problem.grid.heating_max_w),
        "starts": int(sum((~best.decision.relay_on[:-1] & best.decision.relay_on[1:]).sum(axis=0))),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Run cold, then over seeds."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    home = load_home(HOME)
    rows = []
    for seed in range(seeds):
        row = run_case(home, seed)
        rows.append(row)
        print(json.dumps(row), flush=True)
    times = [r["build_s"] + r["solve_s"] for r in rows]
    print(
        json.dumps(
            {
                "case": "summary",
                "seeds": seeds,
                "cold_s": round(times[0], 3),
                "median_s": round(statistics.median(times[1:] or times), 3),
                "max_s": round(max(times), 3),
                "saved_pct_median": statistics.median(r.get("saved_pct", 0.0) for r in rows),
                "breaker_ok": all(r.get("breaker_ok", True) for r in rows),
                "own_view_rms_c": max(r.get("own_view_rms_c", 0.0) for r in rows),
                "worst_below_k": max(r.get("worst_below_k", 0.0) for r in rows),
                "peak_rss_mb": max(r.get("peak_rss_mb", 0) for r in rows),
            }
        )
    )


if __name__ == "__main__":
    main()
