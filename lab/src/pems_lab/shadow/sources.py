"""Days for a shadow run: what a history measured, and what was known at each plan by the plans' kept cases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PermanentError
from pems_common.home import Home
from pems_lab.measured.span import MeasuredDay, MeasuredSpan
from pems_lab.shadow.days import ShadowDay
from pems_lab.shadow.twin import Replan
from pems_lab.shadow.twin_day import CarDay, DayTruth, TankDay
from pems_optimizer.domain.plan_case import PlanCase

__all__ = ["NEEDED_BEFORE", "Skipped", "as_known", "measured_days"]

Floats = NDArray[np.float64]

NEEDED_BEFORE = timedelta(hours=2)
"""Cases from so long before a day on belong to it: it begins with the last of them."""

_LONGEST_BETWEEN = timedelta(hours=3)  # a plan is followed for two hours: such a day was not run by plans
_WH_L_K = 1.163  # heat capacity of water


@dataclass(frozen=True)
class Skipped:
    """A day that cannot be lived again, and why."""

    day: str
    why: str


def as_known(home: Home, known: Home) -> Home:
    """Return a configuration for the part of the house that its history knows (`MeasuredSpan.home`)."""
    rooms = {
        name: room.model_copy(update={"neighbours": tuple(n for n in room.neighbours if n in known.rooms)})
        for name, room in home.rooms.items()
        if name in known.rooms
    }
    absent = {name: None for name in ("ev", "water") if getattr(known, name) is None}
    return home.model_copy(update={"rooms": rooms, **absent})


def measured_days(span: MeasuredSpan, cases: Iterable[PlanCase]) -> tuple[list[ShadowDay], list[Skipped]]:
    """Return the days of a span that can be lived again, and those that cannot.

    Args:
        span: What was measured.
        cases: Of the live system's plans; those of other days are left aside.
    """
    ordered = sorted(cases, key=lambda case: case.ask.now)
    found: list[ShadowDay] = []
    skipped: list[Skipped] = []
    for day in span.days:
        try:
            found.append(_day(span, day, ordered))
        except PermanentError as error:
            skipped.append(Skipped(day.day.isoformat(), error.message))
    return found, skipped


def _day(span: MeasuredSpan, day: MeasuredDay, ordered: Sequence[PlanCase]) -> ShadowDay:
    """Return a day.

    Raises:
        PermanentError: It cannot be lived again.
    """
    if not day.usable:
        raise PermanentError(day.why)
    starts = span.slot_starts()
    start = starts[day.first]
    end = starts[day.until - 1] + timedelta(minutes=15)
    mine = [case for case in ordered if start - NEEDED_BEFORE < case.ask.now < end]
    if not mine:
        raise PermanentError("no plan's inputs are kept")
    times = [start, *(case.ask.now for case in mine if case.ask.now > start), end]
    longest = max(after - before for before, after in pairwise(times))
    if longest > _LONGEST_BETWEEN:
        raise PermanentError(f"for {longest / timedelta(hours=1):.1f} h no plan's inputs are kept")
    before = [case for case in mine if case.ask.now <= start]
    return ShadowDay(
        _truth(span, day, (before or mine)[-1 if before else 0]), tuple(_replan(case) for case in mine), span.home
    )


def _replan(case: PlanCase) -> Replan:
    return Replan(case.ask.now, case.ask.decide_from, replace(case.known, last=None), case.inputs)


def _truth(span: MeasuredSpan, day: MeasuredDay, first: PlanCase) -> DayTruth:
    cut = slice(day.first, day.until)
    start = span.slot_starts()[day.first]
    soc = span.soc_pct[cut]
    known_soc = soc[np.isfinite(soc)]
    return DayTruth(
        day=day.day,
        start=start,
        pv_w=span.pv_possible_w[cut],
        load_w=np.maximum(span.household_w[cut], 0.0),
        buy=span.buy_czk_kwh[cut],
        sell=span.sell_czk_kwh[cut],
        outdoor_c=span.outdoor_c[cut],
        solar_w_m2={facade: np.maximum(sun[cut], 0.0) for facade, sun in span.solar_w_m2.items()},
        thermals={name: first.known.thermals[name] for name in span.home.rooms if name in first.known.thermals},
        soc_pct=float(known_soc[0]) if len(known_soc) else 50.0,
        relay_on={name: bool(share[day.first] >= 0.5) for name, share in span.relay.items()},
        peak_so_far_w=first.known.remembered.month_peak.so_far_w(start, span.zone),
        car=_car(span, cut),
        tank=_tank(span, cut),
    )


def _car(span: MeasuredSpan, cut: slice) -> CarDay | None:
    """The car's day: where it tells its charge, a trip took what it had before less what it came back with."""
    facts = span.home.ev
    if facts is None:
        return None
    here, soc = (
        np.nan_to_num(span.ev_connected[cut]) >= 0.5,
        np.where(np.nan_to_num(span.ev_connected[cut]) >= 0.5, span.ev_soc_pct[cut], np.nan),
    )
    driven, told = np.zeros(len(here)), np.flatnonzero(np.isfinite(soc))
    for slot in (np.flatnonzero(here[1:] & ~here[:-1]) + 1).tolist():
        before, after = told[told < slot], told[told >= slot]
        if len(before) and len(after):
            driven[slot] = max(0.0, float(soc[before[-1]] - soc[after[0]]) / 100.0 * facts.capacity_wh)
    return CarDay(here, driven, float(soc[told[0]]) if len(told) else None)


def _tank(span: MeasuredSpan, cut: slice) -> TankDay | None:
    """The tank's day: what the heater gave and the tank did not keep was taken."""
    facts = span.home.water
    if facts is None:
        return None
    tank_c = span.water_c[cut]
    if not np.isfinite(tank_c).all():
        raise PermanentError("the tank's temperature is not known for the whole day")
    kept_w = np.diff(tank_c, append=tank_c[-1]) * facts.volume_l * _WH_L_K * 4.0
    given_w = np.nan_to_num(span.water_w[cut]) * facts.cop
    # A tank told in tenths of a kelvin jitters: what was taken up to each slot never falls.
    taken_wh = np.maximum.accumulate(np.maximum(np.cumsum(given_w - kept_w) / 4.0, 0.0))
    return TankDay(np.diff(taken_wh, prepend=0.0) * 4.0, float(tank_c[0]))
