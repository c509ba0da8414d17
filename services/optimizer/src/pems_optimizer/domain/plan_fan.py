"""The Monte Carlo of a plan: what one plan costs and how warm it keeps the rooms on possible courses of its days.

Relays, water and car stay as planned; the battery is dispatched anew for each draw, knowing its whole course, and the
grid takes the rest. The rooms' temperatures follow by the planner's own thermal model. Two ways to hold relays:

- `strict`: exactly as planned. What a plan is worth in itself.
- `guarded`: as the controller follows a plan. A room that is planned on stays off while it is above its band or 0.5 K
  above what the plan expected, one that is planned off is switched on below its band. Judged at the start of each slot,
  where the controller judges each minute.

Not in it: plans made anew on the way, minimum times of guarded relays, errors of the room models, hot water drawn
otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pems_optimizer.domain.dispatch import run_decision
from pems_optimizer.domain.drawn_day import drawn_errors, drawn_problem
from pems_optimizer.domain.guard_kernel import guarded
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem, RoomSet
from pems_optimizer.domain.scoring import Verified
from pems_optimizer.domain.spread_drivers import spread_shares
from pems_optimizer.domain.thermal_response import simulate_rooms

__all__ = ["COLD_BY_K", "DRIVERS", "RELAYS", "Relays", "fan_columns", "fan_item", "fan_summary", "guarded_relays"]

Relays = Literal["strict", "guarded"]
RELAYS: tuple[Relays, ...] = ("strict", "guarded")
COLD_BY_K = 0.5  # below the band for longer than an hour: a cold room
_COLD_FOR_H = 1.0
_ABOVE_PLAN_K = 0.5  # of the controller's guard (pems_controller.domain.plan_follow)
_ROOM = "below_k_h:"
_MONEY = ("cost_czk", "bill_czk", "peak_w")
_COMFORT = ("below_k_h", "coldest_below_k", "cold_h", "inside_share")
DRIVERS = ("pv_kwh", "load_kwh", "buy_czk_kwh", "outdoor_c")


@dataclass(frozen=True)
class _Comfort:
    """Comfort of a course.

    Attributes:
        below_k_h: K h below the home's own band, by room (R,).
        coldest_below_k: Deepest below it, of all rooms.
        cold_h: Most hours that one room is more than 0.5 K below.
        inside_share: Share of room-time inside the band widened by 0.5 K.
    """

    below_k_h: Floats
    coldest_below_k: float
    cold_h: float
    inside_share: float


def fan_columns(problem: PlanningProblem) -> tuple[str, ...]:
    """Return the names of a draw's numbers.

    `cost_czk` is everything a plan's objective counts, `bill_czk` what the meter counts, `peak_w` the highest mean
    import of a slot; then comfort (see `fan_summary`), what was drawn (energies and means over the horizon), and
    `below_k_h:<room>`.
    """
    return (*_MONEY, *_COMFORT, *DRIVERS, *(f"{_ROOM}{name}" for name in problem.rooms.names))


def fan_item(record: PlanRecord, seed: int, relays: Relays = "strict") -> Callable[[int], tuple[float, ...]]:
    """Return what gives the numbers of a draw, in the order of `fan_columns`.

    Args:
        record: The plan and its problem.
        seed: Of the study.
        relays: How they are held.
    """
    problem, decision = record.problem, record.decision
    expected_c = simulate_rooms(problem.rooms, decision.relay_on).air_c

    def numbers(draw: int) -> tuple[float, ...]:
        day = drawn_problem(problem, drawn_errors(seed, draw, problem.slots, record.correlation))
        held = decision
        if relays == "guarded":
            held = replace(decision, relay_on=guarded_relays(day.rooms, decision.relay_on, expected_c))
        return _numbers(day, run_decision(day, held, record.peak_w, thorough=False))

    return numbers


def guarded_relays(rooms: RoomSet, planned: Bools, expected_c: Floats) -> Bools:
    """Return the relays as the controller holds them on a day that is not as expected (T, R).

    Args:
        rooms: Of that day.
        planned: Relays as planned (T, R).
        expected_c: Air temperatures that the plan expected, at the slot boundaries (T+1, R).
    """
    count, heat_w = rooms.count, np.diag(rooms.heater_w)
    top = np.minimum(rooms.band_high_c, expected_c[:-1] + _ABOVE_PLAN_K)
    # What is forced is neither too warm nor too cold for anything else.
    forced = np.arange(len(planned))[:, None] < rooms.forced
    return guarded(
        np.ascontiguousarray(rooms.joint_a),
        np.ascontiguousarray(rooms.air_input_w @ rooms.joint_b[:, :count].T),
        rooms.joint_b @ np.concatenate([heat_w * (1.0 - rooms.heat_to_mass), heat_w * rooms.heat_to_mass]),
        np.concatenate([rooms.air_c, rooms.mass_c]),
        np.ascontiguousarray(planned),
        np.where(forced, np.inf, top),
        np.where(forced, -np.inf, rooms.band_low_c),
    )


def _comfort(problem: PlanningProblem, verified: Verified) -> _Comfort:
    rooms, dt = problem.rooms, problem.dt_h
    air = verified.path.air_c[1:]
    below = np.maximum(rooms.band_low_c - air, 0.0)
    inside = (below <= COLD_BY_K) & (air <= rooms.band_high_c + COLD_BY_K)
    return _Comfort(
        below_k_h=below.sum(axis=0) * dt,
        coldest_below_k=float(below.max(initial=0.0)),
        cold_h=float((below > COLD_BY_K).sum(axis=0).max(initial=0)) * dt,
        inside_share=float(inside.mean()) if rooms.count else 1.0,
    )


def _numbers(day: PlanningProblem, verified: Verified) -> tuple[float, ...]:
    comfort = _comfort(day, verified)
    return (
        verified.cost.total,
        verified.net_cost,
        verified.peak_w,
        float(comfort.below_k_h.sum()),
        comfort.coldest_below_k,
        comfort.cold_h,
        comfort.inside_share,
        float(day.pv_w.sum() * day.kwh),
        float(day.load_w.sum() * day.kwh),
        float(day.buy.mean()),
        float(day.outdoor_c.mean()),
        *comfort.below_k_h.tolist(),
    )


def fan_summary(values: Mapping[str, Floats]) -> dict[str, Any]:
    """Return what all draws say together.

    Args:
        values: By the names of `fan_columns` (N,).

    Returns:
        Of the cost mean, spread, quantiles and the mean of the worst tenth (CVaR 90), unnamed; the same of `bill`
        (CZK at the meter) and `peak` [W]; `comfort`: K h below the band over all rooms, `cold_share`: share of draws
        with a room more than 0.5 K below its band for over an hour, `inside_share`: mean share of room-time inside the
        band widened by 0.5 K, and by room the mean and P90 of its K h; `drivers`: which input the spread of cost, bill
        and comfort comes from.
    """
    rooms = [name for name in values if name.startswith(_ROOM)]
    drawn = {name: values[name] for name in DRIVERS}
    return {
        **_spread(values["cost_czk"], "_czk"),
        "bill": _spread(values["bill_czk"], "_czk"),
        "peak": _spread(values["peak_w"], "_w"),
        "comfort": {
            **_spread(values["below_k_h"], "_k_h"),
            "cold_share": _rounded((values["cold_h"] > _COLD_FOR_H).mean()),
            "coldest_below_k": _rounded(values["coldest_below_k"].max()),
            "inside_share": _rounded(values["inside_share"].mean(), 6),
            "rooms": {
                name.removeprefix(_ROOM): {
                    "mean_k_h": _rounded(values[name].mean()),
                    "p90_k_h": _rounded(np.quantile(values[name], 0.9)),
                }
                for name in rooms
            },
        },
        "drivers": {
            of: {name: _rounded(share) for name, share in spread_shares(values[column], drawn).items()}
            for of, column in (("cost", "cost_czk"), ("bill", "bill_czk"), ("comfort", "below_k_h"))
        },
    }


def _spread(of: Floats, unit: str) -> dict[str, float]:
    ordered = np.sort(of)
    worst = ordered[-max(1, len(ordered) // 10) :]
    p05, p10, p50, p90, p95 = np.quantile(ordered, [0.05, 0.1, 0.5, 0.9, 0.95])
    found = {
        "mean": ordered.mean(),
        "standard_deviation": ordered.std(),
        "p05": p05,
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "p95": p95,
        "cvar90": worst.mean(),
        "least": ordered[0],
        "most": ordered[-1],
    }
    return {f"{name}{unit}": _rounded(value) for name, value in found.items()}


def _rounded(value: float | np.floating[Any], digits: int = 4) -> float:
    return round(float(value), digits)
