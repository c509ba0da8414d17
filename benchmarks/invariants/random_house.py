"""Random planning problems by family: what a house, a day and a grid may look like, and some of what they should not.

The same family and seed give the same problem. Two families come through the messages of a real house, because what
they try (clock changes, prices that are not published yet) is only there.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
from benchmarks.invariants.assembled_house import clock_change, prices_missing
from benchmarks.invariants.random_devices import random_battery, random_car, random_machines, random_tank
from benchmarks.invariants.random_rooms import Slots, random_rooms

from pems_optimizer.domain.problem import Floats, GridSpec, PlanningProblem, Scenario, Uncertainty, Weights

__all__ = ["FAMILIES", "random_problem"]

_START = datetime(2025, 1, 14, tzinfo=UTC)


def _bump(hour: Floats, at: float, width: float) -> Floats:
    return np.asarray(np.exp(-(((hour - at) / width) ** 2)))


def _prices(rng: np.random.Generator, hour: Floats, *, negative: bool) -> tuple[Floats, Floats]:
    """Draw prices of import and export [CZK/kWh] (T,)."""
    kind = rng.random()
    if kind < 0.08:
        buy = np.full(len(hour), 3.0)  # a flat tariff
    else:
        buy = 2.5 + 1.5 * _bump(hour, 8, 2) + 2.0 * _bump(hour, 18.5, 2) - 1.2 * _bump(hour, 13, 2.5)
        buy = buy + rng.uniform(0.05, 0.5) * rng.normal(size=len(hour))
    if negative:
        buy = buy - rng.uniform(2.0, 6.0) * _bump(hour, 13, rng.uniform(1.0, 4.0))
        buy[rng.integers(len(hour)) :] -= rng.choice([0.0, 3.0])
        cheapest = np.argsort(buy)[: max(1, len(buy) // 4)]
        buy[cheapest] -= max(0.0, float(buy.min()) + 0.5)  # at night too
    # Now and then what is sold pays more than what is bought costs.
    sell = buy - rng.uniform(0.5, 2.0) + (1.5 * (rng.random(len(hour)) < 0.2) if rng.random() < 0.1 else 0.0)
    return buy, np.asarray(sell)


def _uncertainty(rng: np.random.Generator, pv: Floats, load: Floats, buy: Floats, sell: Floats) -> Uncertainty:
    kind = rng.random()
    if kind > 0.25:
        return Uncertainty()
    share = rng.dirichlet(np.ones(3))
    courses = tuple(
        Scenario(
            f"day_{k}",
            float(share[k]),
            pv * rng.uniform(0.3, 1.0),
            load * rng.uniform(0.7, 1.4),
            buy + 0.2 * np.abs(buy) * rng.normal(),
            sell + 0.2 * np.abs(sell) * rng.normal(),
        )
        for k in range(3)
    )
    cvar = float(rng.choice([0.0, 0.4]))
    return Uncertainty("robust" if kind < 0.1 else "scenarios", scenarios=courses, shared_slots=2, cvar_share=cvar)


def _house(family: str, rng: np.random.Generator, *, longest_h: float) -> PlanningProblem:
    """Draw a problem of a family."""
    dt_h = float(rng.choice([0.25, 0.25, 0.25, 0.5, 1.0]))
    thirty = family == "thirty_rooms"
    hours = min(longest_h, float(rng.choice([3.0, 6.0, 12.0] if thirty else [3.0, 6.0, 12.0, 24.0, 48.0])))
    count = max(8, round(hours / dt_h))
    start = _START + timedelta(hours=int(rng.integers(24)))
    hour = np.asarray((start.hour + (np.arange(count) + 0.5) * dt_h) % 24.0, dtype=np.float64)
    slots = Slots(count, dt_h, hour, int(rng.integers(1, 4)) if rng.random() < 0.3 else 0)
    outdoor = rng.uniform(-12.0, 12.0) + 4.0 * np.sin((hour - 9.0) / 12.0 * np.pi)
    least = 1 if family in {"cold_rooms", "hot_rooms"} else 0
    rooms = {"one_room": 1, "thirty_rooms": 30}.get(family, int(rng.integers(least, 6)))
    start_k = {"cold_rooms": (-15.0, -2.0), "hot_rooms": (3.0, 14.0)}.get(family, (-1.0, 2.0))
    light = np.clip(np.sin((hour - 7.0) / 10.0 * np.pi), 0.0, None) * ((hour > 7.0) & (hour < 17.0))
    sun = 0.0 if family == "no_pv" else float(rng.choice([500.0, 5_000.0, 12_000.0]))
    inverter = float(rng.choice([6_000.0, 12_000.0]))
    pv = np.minimum(sun * light * rng.uniform(0.3, 1.0, count), inverter)  # what the inverter clips is not in it
    load = (300.0 + 1_200.0 * _bump(hour, 18.5, 2.0)) * rng.lognormal(0.0, 0.3, count)
    buy, sell = _prices(rng, hour, negative=family == "negative_prices")
    battery, car, water = rng.random(3) < (0.8, 0.4, 0.4)
    with_battery = family == "soc_outside" or (battery and family != "no_battery")
    return PlanningProblem(
        start=start,
        slots=count,
        frozen=slots.frozen,
        pv_w=pv,
        load_w=load,
        buy=buy,
        sell=sell,
        outdoor_c=outdoor,
        cheap=buy <= np.quantile(buy, 0.3),
        heating_season=bool(rng.random() < 0.8),
        rooms=random_rooms(rng, rooms, slots, outdoor, start_k=start_k),
        battery=random_battery(rng, slots, outside=family == "soc_outside") if with_battery else None,
        ev=random_car(rng, slots) if car else None,
        water=random_tank(rng, slots) if water else None,
        grid=GridSpec(
            import_max_w=float(rng.choice([6_000.0, 16_000.0])) * (3.0 if thirty else 1.0),
            export_max_w=float(rng.choice([0.0, 2_000.0, 10_000.0])),
            heating_max_w=float(rng.choice([4_000.0, 20_000.0])),
            inverter_max_w=inverter,
            pv_curtailable=bool(rng.random() < 0.7),
            peak_so_far_w=float(rng.choice([0.0, 4_000.0])),
        ),
        weights=Weights(intent_czk=float(rng.choice([0.0, 0.25])), peak_czk_kw=float(rng.choice([0.0, 5.7]))),
        step=timedelta(hours=dt_h),
        appliances=random_machines(rng, slots),
        uncertainty=_uncertainty(rng, pv, load, buy, sell),
    )


_ASSEMBLED: dict[str, Callable[[np.random.Generator], PlanningProblem]] = {
    "clock_change": clock_change,
    "missing_prices": prices_missing,
}

FAMILIES = (
    "cold_rooms",
    "hot_rooms",
    "soc_outside",
    "no_pv",
    "negative_prices",
    "no_battery",
    "one_room",
    "thirty_rooms",
    *_ASSEMBLED,
)


def random_problem(family: str, seed: int, *, longest_h: float = 48.0) -> PlanningProblem:
    """Return one problem.

    Args:
        family: One of `FAMILIES`.
        seed: Of its chance.
        longest_h: Longest horizon [h]; not for the families that come from messages.
    """
    rng = np.random.default_rng([FAMILIES.index(family), seed])
    return _ASSEMBLED[family](rng) if family in _ASSEMBLED else _house(family, rng, longest_h=longest_h)
