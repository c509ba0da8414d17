"""Kept plans against what came of them: truth out of a history, and days of the laboratory whose truth is known.

What a plan lost is split by `pems_optimizer.domain.regret`; here it gets its truth (docs/replay.md).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pems_common.errors import PemsError
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.messages import Forecast
from pems_common.timegrid import SLOT, slot_start
from pems_common.world import World
from pems_lab.foresight import Foresight
from pems_lab.house_run import HouseRun
from pems_lab.measured.span import MeasuredSpan, read_span
from pems_optimizer.adapters.case_memory import FolderCases
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.domain.plan_case import PlanCase, read_case
from pems_optimizer.domain.regret import Happened, TrueCourse
from pems_optimizer.plan_work import Worker

__all__ = [
    "LabDay",
    "edges",
    "executed_slots",
    "happened_of",
    "live_day",
    "part",
    "span_of",
    "true_course",
]

Floats = NDArray[np.float64]

_GRID = "grid_power_w"


async def span_of(case: PlanCase, reader: HistoryReader) -> MeasuredSpan:
    """Read what was measured over a plan's horizon as far as it is past, and in the slots before and after it.

    Raises:
        UnavailableError: The history is away.
        PemsError: It holds nothing of that time.
    """
    start = slot_start(case.ask.now)
    end = start + (case.plan.slots + 1) * SLOT  # temperatures at the end of the last slot lie between two means
    grid_w = (await reader.slots((_GRID,), start, end))[_GRID]
    past = max((k for k, value in enumerate(grid_w) if value is not None), default=0)  # the last one may still run
    if not past:
        raise PemsError(
            f"the history holds nothing of what came after plan {case.plan.plan_id}",
            remedy="wait until some of its horizon is past, or choose a plan of a time with history",
        )
    return await read_span(case.home, reader, start - SLOT, start + past * SLOT)


def true_course(span: MeasuredSpan, forecast: Forecast) -> TrueCourse:
    """Return what came in place of what a forecast told, on its slots."""
    grid = forecast.pv_power_w.p50
    first, count = span.index(grid.start), len(grid.values)

    def at(values: Floats) -> Floats:
        return part(values, first, count)

    return TrueCourse(
        pv_w=at(span.pv_possible_w),
        load_w=at(span.household_w),
        buy=at(span.buy_czk_kwh),
        sell=at(span.sell_czk_kwh),
        outdoor_c=at(span.outdoor_c),
        solar_w_m2={side: at(values) for side, values in span.solar_w_m2.items()},
    )


def happened_of(span: MeasuredSpan, case: PlanCase) -> Happened:
    """Return what was measured from a plan's first slot on, for the rooms it planned."""
    start = slot_start(case.ask.now)
    first = span.index(start)
    count = min(case.plan.slots, span.count - first)
    names, home = tuple(case.plan.rooms), case.home
    nothing = np.full(span.count, np.nan)
    water_w = 0.0 if home.water is None else home.water.power_w / home.water.cop
    capacity_wh = 0.0 if home.battery is None else home.battery.capacity_wh

    def columns(table: Sequence[Floats], length: int) -> Floats:
        return np.stack(table, axis=1) if table else np.empty((length, 0))

    return Happened(
        air_c=columns([edges(span.room_c.get(name, nothing), first, count) for name in names], count + 1),
        relay=columns([part(span.relay.get(name, nothing), first, count) for name in names], count),
        grid_w=part(span.grid_w, first, count),
        battery_w=part(span.battery_w, first, count),
        stored_wh=edges(span.soc_pct, first, count) / 100.0 * capacity_wh,
        pv_used_w=part(span.pv_w, first, count),
        ev_w=part(span.ev_w, first, count),
        water_on=np.clip(part(span.water_w, first, count) / water_w, 0.0, 1.0) if water_w else np.zeros(count),
    )


def part(values: Floats, first: int, count: int) -> Floats:
    """Return some slots of a series (count,), NaN outside of it."""
    out = np.full(count, np.nan)
    begin, end = max(first, 0), min(first + count, len(values))
    if begin < end:
        out[begin - first : end - first] = values[begin:end]
    return out


def edges(values: Floats, first: int, count: int) -> Floats:
    """Return a slow quantity at slot boundaries (count + 1,) from its means in the slots: between each two."""
    around = part(values, first - 1, count + 2)
    before, after = around[:-1], around[1:]
    middle = 0.5 * (before + after)
    return np.where(np.isfinite(middle), middle, np.where(np.isfinite(before), before, after))


def executed_slots(case: PlanCase, following: PlanCase | None) -> int:
    """Return the slots from a plan's first one on until the next plan took over; an hour's where none did.

    Those that the plan before it had decided already are among them.
    """
    start = slot_start(case.ask.now)
    until = case.ask.decide_from + timedelta(hours=1) if following is None else following.ask.decide_from
    return min(case.plan.slots, max(1, (until - start) // SLOT))


class LabDay:
    """A stretch of the simulated house's life under PEMS: its plans, and the truth about them.

    Attributes:
        run: The run: its history, and the house.
        cases: Its plans, in order.
    """

    def __init__(self, run: HouseRun, world: World, seed: int, cases: Sequence[PlanCase]) -> None:
        """Know a run that is over."""
        self.run, self.cases = run, cases
        self._foresight = Foresight(run.house.plant.home, world, seed)

    def truth(self, case: PlanCase) -> Forecast:
        """Return a plan's forecast as it should have been."""
        if case.known.forecast is None:
            raise ValueError(f"plan {case.plan.plan_id} was made without a forecast")
        return self._foresight.instead(case.known.forecast)

    async def happened(self, case: PlanCase) -> Happened:
        """Return what the house's devices told from a plan's first slot on."""
        return happened_of(await span_of(case, self.run.store), case)

    def following(self, case: PlanCase) -> PlanCase | None:
        """Return the next plan."""
        at = next(k for k, one in enumerate(self.cases) if one.plan.plan_id == case.plan.plan_id)
        return self.cases[at + 1] if at + 1 < len(self.cases) else None


async def live_day(
    home: Home,
    world: World,
    start: datetime,
    duration: timedelta,
    folder: Path,
    *,
    seed: int = 0,
    foreseen: bool = False,
    settle: timedelta = timedelta(0),
) -> LabDay:
    """Let the simulated house live under PEMS, and keep its plans' cases in a folder.

    Args:
        home: The site.
        world: Weather and prices.
        start: First house time.
        duration: How long its plans are kept.
        folder: For the cases; plans that are in it already are those of the day too.
        seed: Of house, household and forecast errors.
        foreseen: Whether forecasts of weather, load and price come true.
        settle: How long it lives on, so that what came of the last plans is known.
    """
    cases = FolderCases(folder)
    run = HouseRun(home, world, start, seed=seed, worker=Worker(plans=InMemoryPlans(), cases=cases), foreseen=foreseen)
    await run.run(duration)
    files = cases.files()
    if settle:
        await run.run(settle)
    await run.stop()
    return LabDay(run, world, seed, [read_case(file.read_bytes()) for file in files])
