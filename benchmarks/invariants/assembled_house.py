"""Problems as they come from messages: days with a clock change, and prices that are missing at the end."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
from benchmarks._winter import HOME, winter_case

from pems_common.home import Home, load_home
from pems_common.messages import Band, Series
from pems_common.timegrid import local_midnight
from pems_optimizer.domain.assemble import Known, assemble
from pems_optimizer.domain.problem import PlanningProblem

__all__ = ["clock_change", "prices_missing"]

_CLOCK_CHANGES = (date(2025, 3, 30), date(2025, 10, 26))


@cache
def _whole_home() -> Home:
    return load_home(HOME)


def _some_of(rng: np.random.Generator) -> Home:
    """Return the first house with one to four of its rooms, and often without some of its devices."""
    home = _whole_home()
    names = {str(n) for n in rng.choice(sorted(home.rooms), int(rng.integers(1, 5)), replace=False)}
    rooms = {
        name: home.rooms[name].model_copy(
            update={"neighbours": tuple(n for n in home.rooms[name].neighbours if n in names)}
        )
        for name in sorted(names)
    }
    without = {device: None for device in ("ev", "water") if rng.random() < 0.5}
    return home.model_copy(update={"rooms": rooms, **without})


def _problem(rng: np.random.Generator, home: Home, known: Known, start: datetime) -> PlanningProblem:
    decide_from = start + timedelta(minutes=15 * int(rng.integers(0, 3)))
    return assemble(home, known, now=start, decide_from=decide_from)


def clock_change(rng: np.random.Generator) -> PlanningProblem:
    """Return a problem whose horizon holds a change of the clock."""
    home = _some_of(rng)
    day = _CLOCK_CHANGES[int(rng.integers(len(_CLOCK_CHANGES)))]
    hours = int(rng.choice([12, 24, 48]))
    # The change is at 01:00 UTC, two or three hours into the local day.
    ahead = timedelta(hours=float(rng.uniform(0.0, hours - 6.0)))
    start = local_midnight(day, home.site.zone).astimezone(UTC) - ahead
    start = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
    known = winter_case(home, int(rng.integers(1000)), start=start, hours=hours, outdoor_c=float(rng.uniform(-6, 12)))
    return _problem(rng, home, known, start)


def _cut(series: Series, count: int) -> Series:
    return series.model_copy(update={"values": series.values[:count]})


def prices_missing(rng: np.random.Generator) -> PlanningProblem:
    """Return a problem whose last hours have no price in the forecast."""
    home, hours = _some_of(rng), int(rng.choice([24, 48]))
    start = datetime(2025, 1, 14, int(rng.integers(24)), tzinfo=UTC)
    known = winter_case(home, int(rng.integers(1000)), start=start, hours=hours, midday_dip=float(rng.uniform(0, 4)))
    forecast, left = known.forecast, 4 * int(rng.integers(4, hours - 1))
    if forecast is None:
        raise ValueError("a winter case has a forecast")

    def cut(band: Band) -> Band:
        return Band(p10=_cut(band.p10, left), p50=_cut(band.p50, left), p90=_cut(band.p90, left))

    shorter = {"buy_czk_kwh": cut(forecast.buy_czk_kwh), "sell_czk_kwh": cut(forecast.sell_czk_kwh)}
    return _problem(rng, home, replace(known, forecast=forecast.model_copy(update=shorter)), start)
