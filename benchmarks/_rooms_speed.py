"""How long a refit of 17 rooms takes, and a step of the observer (TARGETS.md "Forecasts", issue of the rooms).

The house of config/home.yaml is drawn from the model class: its prior models, disturbed, under thermostats that lower
the temperature at night, for 60 days of quarters of an hour.
"""

import resource
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks._gates import Gate, Row
from benchmarks._rooms_faults import drawn_house, lived_by_model

from pems_common.home import load_home
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.room_fit.identify import identify_house
from pems_forecaster.domain.rooms import prior_models

GATES = (Gate("speed", "refit_s", 60.0, 20.0), Gate("speed", "state_ms", 10.0, 3.0))
HOME = load_home(Path(__file__).resolve().parents[1] / "config" / "home.yaml")
DAYS, SEED, TIMES = 60, 5, 50


def cases() -> Iterator[Row]:
    """Time both."""
    priors = prior_models(HOME)
    series = lived_by_model(drawn_house(priors, SEED), DAYS, SEED)
    begun = time.perf_counter()
    fits = identify_house(priors, series)
    refit_s = time.perf_counter() - begun
    observer, at, steps = HouseObserver(priors), datetime(2026, 1, 6, tzinfo=UTC), []
    inputs = RoomInputs(0.0, dict.fromkeys(priors, 500.0), dict.fromkeys(priors, 21.0), {"south": 100.0}, 12)
    for _ in range(TIMES):
        at += timedelta(minutes=5)
        begun = time.perf_counter()
        observer.step(at, inputs)
        steps.append(time.perf_counter() - begun)
    errors = [fit.evidence.mae_24h_c or 0.0 for fit in fits.values()]
    yield {
        "case": "speed",
        "rooms": len(fits),
        "days": DAYS,
        "refit_s": round(refit_s, 1),
        "state_ms": round(1000.0 * statistics.median(steps), 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "mae_24h_c": round(statistics.fmean(errors), 3),
        "control": sum(fit.tier() == "control" for fit in fits.values()),
    }
