"""A year of one house: how long its models take to train, and a forecast with them (TARGETS.md "Forecasts").

    ./pems bench refit                # about two minutes
    ./pems bench refit --check        # exits 1 where a gate fails, and says which

The year is generated: PV from true weather on roofs that are turned, weather forecasts as the world would have told
them four times a day, a made-up household, prices. All models are trained one after another in the processes that the
forecaster uses (`ProcessTrainer`), with one thread as there. Then the whole 54-hour forecast is made twenty times: by
the simple methods, with a model of each kind published, and with one more of each on trial.
"""

import argparse
import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from benchmarks._gates import Gate, told, verdict
from benchmarks.house import HOME, open_case_world
from benchmarks.models import as_built

from pems_common.world import World
from pems_forecaster.adapters.trainers import ProcessTrainer
from pems_forecaster.domain.fine_weather import FineWeather, fine_weather
from pems_forecaster.domain.forecast import Contests, Inputs, horizon_slots, make_forecast
from pems_forecaster.domain.grid import SLOTS_PER_DAY, Floats, Grid, LocalCalendar, slot_at, slot_no
from pems_forecaster.domain.lessons import Lessons, run_of
from pems_forecaster.domain.live_model import LiveModel
from pems_forecaster.domain.load import prior_shape
from pems_forecaster.domain.pv import pv_power
from pems_forecaster.domain.slot_history import KEEP_DAYS, SlotHistory
from pems_forecaster.domain.sun import sun_at
from pems_forecaster.training import LIVE_KINDS

GATES = (
    Gate("refit", "refit_s", 60.0, 20.0),
    Gate("refit", "child_peak_mb", 500.0, 350.0),
    Gate("forecast", "forecast_ms", 300.0, 100.0),
)
TIMES = 20
MEMORY_MB = 1500


def year_of(world: World, end: datetime, days: int) -> Lessons:
    """Return what a house of `as_built` would have kept."""
    first, slots = slot_no(end) - days * SLOTS_PER_DAY, days * SLOTS_PER_DAY
    calendar, rng = LocalCalendar(HOME.site.zone, HOME.site.country), np.random.default_rng(0)
    numbers = np.arange(first, first + slots)
    _, of_day, rest = calendar.places(numbers)
    usual = np.where(rest, prior_shape(True)[of_day], prior_shape(False)[of_day])
    load_w = HOME.base_load_w * usual * rng.lognormal(0.0, 0.5, slots)
    runs = []
    for k in range(0, slots, SLOTS_PER_DAY // 4):
        grid = Grid(slot_at(first + k), horizon_slots(HOME))
        runs.append(run_of(grid, _fine(grid, world)))
    spot = np.array([world.spot_eur_mwh(slot_at(int(n))) or np.nan for n in numbers], dtype=np.float64)
    measured = {
        "pv_w": _pv(world, first, slots),
        "pv_limited": np.zeros(slots),
        "load_w": load_w,
        "spot_eur_mwh": spot,
        "pv_snow": np.zeros(slots),
    }
    return Lessons(first, measured, tuple(runs))


def _fine(grid: Grid, world: World) -> FineWeather:
    site = HOME.site
    told = world.weather_forecast(grid.issued_at, 72)
    return fine_weather(
        grid, told, SlotHistory(), latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
    )


def _pv(world: World, first: int, slots: int) -> Floats:
    """Power with true weather of each slot's middle."""
    site = HOME.site
    sun = sun_at(
        np.arange(first, first + slots), latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
    )
    seen = [world.weather(slot_at(n) + timedelta(minutes=7.5)) for n in range(first, first + slots)]
    nothing = np.zeros(slots, dtype=np.bool_)
    weather = FineWeather(
        sun=sun,
        temperature_c=np.array([w.temperature_c for w in seen]),
        cloud_pct=np.array([w.cloud_cover_pct for w in seen]),
        ghi_w_m2=np.where(sun.up, [w.ghi_w_m2 for w in seen], 0.0),
        dhi_w_m2=None,
        wind_m_s=np.array([w.wind_m_s for w in seen]),
        guessed=nothing,
        temperature_guessed=nothing,
    )
    return pv_power(as_built().pv, weather).expected_w


async def _train(lessons: Lessons, folder: Path) -> dict[str, Any]:
    trainer = ProcessTrainer(folder / "lock", threads=1, memory_mb=MEMORY_MB)
    row: dict[str, Any] = {"case": "refit", "days": (lessons.until - lessons.first) // SLOTS_PER_DAY}
    peak_mb, took_s = 0.0, 0.0
    for kind in LIVE_KINDS:
        began = time.perf_counter()
        training = asyncio.create_task(trainer.train(kind, HOME, lessons, folder / kind, lambda share, what: None))
        while not training.done():
            peak_mb = max([peak_mb, *(child.memory_info().rss / 1e6 for child in psutil.Process().children())])
            await asyncio.sleep(0.1)
        result = training.result()
        row[kind] = {"s": round(time.perf_counter() - began, 1), "rows": result.rows, **result.metrics}
        took_s += time.perf_counter() - began
    return {**row, "refit_s": round(took_s, 1), "child_peak_mb": round(peak_mb)}


def _forecast(world: World, lessons: Lessons, folder: Path) -> dict[str, Any]:
    """Time whole forecasts, with no, three and six models."""
    now, history = lessons.until, SlotHistory()
    for name, values in lessons.measured.items():
        history.put_missing(name, now - KEEP_DAYS * SLOTS_PER_DAY, values[-KEEP_DAYS * SLOTS_PER_DAY :].tolist())
    calendar = LocalCalendar(HOME.site.zone, HOME.site.country)
    inputs = Inputs(world.weather_forecast(slot_at(now), 72), None, history, load_now_w=400.0, outdoor_now_c=10.0)
    grid, row = Grid(slot_at(now), horizon_slots(HOME)), dict[str, Any](case="forecast")
    contests, models = Contests(), dict[str, LiveModel]()
    for name in ("simple", "published", "and_on_trial"):
        if name != "simple":
            for kind, live in LIVE_KINDS.items():
                version = f"{kind}-{name}"
                models[version] = live.load(folder / kind)
                contests.of(kind).challenge(version)
                if name == "published":
                    contests.of(kind).promote()
        took_ms = []
        for _ in range(TIMES):
            began = time.perf_counter()
            made = make_forecast(HOME, calendar, grid, inputs, contests, models)
            took_ms.append(1000 * (time.perf_counter() - began))
        if made.failed:
            raise RuntimeError(f"models failed: {made.failed}")
        row[f"{name}_ms"] = round(statistics.median(took_ms), 1)
        row[f"{name}_max_ms"] = round(max(took_ms), 1)
    return {**row, "forecast_ms": row["and_on_trial_ms"]}


def main(arguments: list[str] | None = None) -> int:
    """Train and forecast."""
    parser = argparse.ArgumentParser(prog="pems bench refit", description="Training and forecasts of one house.")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--check", action="store_true", help="exit 1 where a gate fails")
    options = parser.parse_args(arguments)
    world = open_case_world(False, 0)
    lessons = year_of(world, datetime(2026, 6, 1, tzinfo=UTC), options.days)
    with TemporaryDirectory() as folder:
        refit = asyncio.run(_train(lessons, Path(folder)))
        forecast = _forecast(world, lessons, Path(folder))
    return verdict(told([refit, forecast], GATES), check=options.check)


if __name__ == "__main__":
    sys.exit(main())
