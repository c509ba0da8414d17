"""A day with faults, lived through by the real handlers, told as named numbers and, where wanted, as a story."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import nan
from typing import Any, Literal

from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.messages import Status
from pems_common.world import World
from pems_lab.comparison import limit_seconds
from pems_lab.faults.blame import Blame
from pems_lab.faults.border import FaultBorders
from pems_lab.faults.draw import SETTLE, FaultDay
from pems_lab.faults.figures import DayFigures
from pems_lab.faults.kinds import KINDS
from pems_lab.faults.state import Mishap
from pems_lab.faults.watch import Offence, SentWatch
from pems_lab.house_run import HouseRun
from pems_lab.resumable import silence
from pems_lab.tally import MinuteWatch, Tally, period_truth
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.plan_work import Worker

__all__ = ["DayResult", "StoryLine", "live_day", "run_day"]

_MINUTE = timedelta(minutes=1)
_LISTED = 50


@dataclass(frozen=True)
class StoryLine:
    """Something that happened."""

    at: datetime
    text: str


@dataclass
class DayResult:
    """What a day came to.

    Attributes:
        day: What it was drawn as.
        figures: Its numbers.
        limits: Beyond limits of the house, by limit [s].
        sent: Beyond limits by command, by rule.
        offences: The first of those.
        mishaps: Exceptions that services let out.
        why: Ticks outside mpc by device kind, mode and reason.
        story: What happened, where it was asked for.
    """

    day: FaultDay
    figures: DayFigures
    limits: dict[str, float]
    sent: dict[str, int]
    offences: tuple[Offence, ...]
    mishaps: tuple[Mishap, ...]
    why: dict[str, int]
    story: list[StoryLine] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """For JSON; a number that does not apply is null."""
        figures = {name: None if value != value else value for name, value in asdict(self.figures).items()}
        return {
            "day": self.day.told(),
            "figures": figures,
            "limits_s": self.limits,
            "sent_beyond": self.sent,
            "offences": [f"{line.at.isoformat()} {line.rule}: {line.text}" for line in self.offences],
            "mishaps": [
                f"{mishap.at.isoformat()} {mishap.service} {mishap.where}: {mishap.error}"
                for mishap in self.mishaps
                if not mishap.expected
            ],
            "why_not_mpc": self.why,
        }


async def live_day(
    home: Home,
    world: World,
    day: FaultDay,
    *,
    planner: Literal["on", "mute"] = "on",
    story: bool = False,
    hour_done: Callable[[int], None] = lambda hour: None,
) -> DayResult:
    """Live through a day with faults.

    Args:
        home: The site.
        world: Weather and prices without the faults.
        day: When, which house, which faults.
        planner: As of `HouseRun`.
        story: Whether to tell what happened.
        hour_done: Called after each hour of house time with its number from 1 on.

    Raises:
        PemsError: The day has a fault that there is not.
    """
    if unknown := {fault.kind for fault in day.faults} - set(KINDS):
        raise PemsError(f"there is no fault {sorted(unknown)[0]!r:.60}", remedy=f"there are {', '.join(KINDS)}")
    # An owner's file may begin in shadow: here PEMS is to act.
    control = home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)})
    home = home.model_copy(update={"control": control})
    borders = FaultBorders([(fault, KINDS[fault.kind]) for fault in day.faults])
    run = HouseRun(
        home,
        world,
        day.start - SETTLE,
        seed=day.house_seed,
        planner=planner,
        worker=Worker(plans=InMemoryPlans()),
        borders=borders,
        state=day.state,
    )
    watch = _DayWatch(home, run, borders, story=story)
    hours = 0

    def look(now: datetime) -> None:
        nonlocal hours
        watch.look(now)
        if now.minute == 0:
            hours += 1
            hour_done(hours)

    await run.run(SETTLE, look)
    watch.begin()
    await run.run(day.length, look)
    result = watch.result(day)
    await run.stop()
    return result


def run_day(
    home: Home, world: World, day: FaultDay, *, planner: Literal["on", "mute"] = "on", story: bool = False
) -> DayResult:
    """Live through a day without the services' log, which is written for one house. Not inside an event loop."""
    with silence():
        return asyncio.run(live_day(home, world, day, planner=planner, story=story))


class _DayWatch:
    """Looks at a run after each minute."""

    def __init__(self, home: Home, run: HouseRun, borders: FaultBorders, *, story: bool) -> None:
        self._home, self._run, self._borders = home, run, borders
        self._clock = run.clock
        self._sent = SentWatch(home, self._clock.now())
        borders.watch_sent = lambda service, message: self._sent.sent(service, message, self._clock.now())
        borders.watch_heard = lambda service, message: self._sent.heard(service, message, self._clock.now())
        self._story: list[StoryLine] | None = [] if story else None
        self._told: dict[str, str] = {}
        self._stand_ins: set[str] = set()  # ids of plans by the rules
        self._blame = Blame(home, run.house.plant, [active.fault for active in borders.all])
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        plant = self._run.house.plant
        self._began, self._minutes = Tally.of(plant), MinuteWatch()
        self._blame.begin()
        self._sent.begin(self._clock.now())
        self._run.account.forget()
        self._borders.mishaps.clear()
        self._ticks: Counter[str] = Counter()
        self._stand_in_ticks = 0
        self._why: Counter[str] = Counter()
        self._coldest_c, self._soc_min_pct = float("inf"), nan
        self._frost_min = self._frost_unheated_min = 0
        self._was_on = False
        self._waits_since: datetime | None = None
        self._back_min = nan

    def look(self, now: datetime) -> None:
        """Look at the minute that has just ended."""
        plant = self._run.house.plant
        self._minutes.look(plant)
        self._blame.look(now)
        air_c = plant.rooms.air_c
        self._coldest_c = min(self._coldest_c, float(air_c.min()))
        cold = air_c < self._home.control.limits.room_min_c
        self._frost_min += bool(cold.any())
        self._frost_unheated_min += bool((cold & ~plant.loxone.relay_on).any())
        if plant.inverter.battery is not None:
            soc = plant.inverter.battery.soc_pct
            self._soc_min_pct = soc if self._soc_min_pct != self._soc_min_pct else min(self._soc_min_pct, soc)
        alive = not self._borders.dead("controller")
        if alive and not self._borders.without_broker("controller"):
            self._sent.look(now, self._run.controller)
        status = self._run.controller.status
        if status is not None:
            self._look_at_modes(now, status, alive=alive)
        if self._story is not None:
            self._tell(now, status)

    def _look_at_modes(self, now: datetime, status: Status, *, alive: bool) -> None:
        newest = self._run.controller.newest_plan
        if newest is not None and newest.fallback_mode:
            self._stand_ins.add(newest.plan_id)
        for name, device in status.devices.items():
            mode = device.mode if alive else "silent"
            self._ticks[mode] += 1
            self._stand_in_ticks += mode == "mpc" and status.plan_id in self._stand_ins
            if mode != "mpc":
                self._why[f"{name.partition(':')[0]} {mode}: {device.why if alive else 'controller dead'}"] += 1
        on = bool(self._borders.on())
        if self._was_on and not on and self._waits_since is None:
            self._waits_since = now
        elif on:
            self._waits_since = None
        self._was_on = on
        if self._waits_since is not None:
            minutes = (now - self._waits_since) / _MINUTE
            self._back_min = minutes if self._back_min != self._back_min else max(self._back_min, minutes)
            if alive and status.house_mode == "mpc" and status.plan_id not in self._stand_ins:
                self._waits_since = None

    def result(self, day: FaultDay) -> DayResult:
        """Tell what it came to."""
        plant, account = self._run.house.plant, self._run.account
        truth = period_truth(self._home, plant, Tally.of(plant) - self._began, self._minutes)
        limits = {name: round(value, 1) for name, value in limit_seconds(truth).items()}
        without = self._blame.unexplained
        ours = {**truth, "violations_s": without, "short_switchings": without["short_switchings"]}
        unexplained = limit_seconds(ours)  # its allowances hold for what is PEMS's own alone, too
        below = truth["comfort_below_k_h"].values()
        made = self._ticks.total() - self._ticks["silent"]
        mishaps = tuple(self._borders.mishaps)

        def share_pct(mode: str, total: int) -> float:
            return round(100.0 * self._ticks[mode] / total, 4) if total else nan

        figures = DayFigures(
            faults=float(len(day.faults)),
            cost_czk=truth["energy_cost_czk"] + truth["wear_czk"],
            peak_w=max(truth["monthly_peaks_w"].values(), default=0.0),
            below_worst_k_h=max(below),
            below_sum_k_h=sum(below),
            coldest_c=self._coldest_c,
            frost_min=float(self._frost_min),
            frost_unheated_min=float(self._frost_unheated_min),
            sent_beyond=float(self._sent.beyond.total()),
            beyond_s=sum(limits.values()),
            beyond_unexplained_s=round(sum(unexplained.values()), 1),
            mpc_pct=share_pct("mpc", made),
            stand_in_pct=round(100.0 * self._stand_in_ticks / made, 4) if made else nan,
            rules_pct=share_pct("rule_based", made),
            safety_pct=share_pct("safety", made),
            silent_pct=share_pct("silent", self._ticks.total()),
            back_min=self._back_min,
            soc_min_pct=self._soc_min_pct,
            plans=float(len(account.plans)),
            rule_plans=float(account.rule_plans),
            exceptions=float(sum(not mishap.expected for mishap in mishaps)),
        )
        return DayResult(
            day,
            figures,
            limits,
            dict(self._sent.beyond),
            tuple(self._sent.offences),
            mishaps[:_LISTED],
            dict(self._why.most_common(_LISTED)),
            self._story or [],
        )

    # --- the story -----------------------------------------------------------------------------

    def _tell(self, now: datetime, status: Status | None) -> None:
        for active in self._borders.all:
            fault = active.fault
            state = "on" if fault.holds(now) else "over" if now >= fault.ends else ""
            hit = " ".join(filter(None, (fault.kind, fault.target, f"{fault.strength:g}" if fault.strength else "")))
            self._news(now, f"fault {hit}", state)
        if status is not None:
            self._news(now, "house", status.house_mode)
            for name, device in status.devices.items():
                self._news(now, name, f"{device.mode} ({device.why})")
                if name in ("battery", "ev"):
                    action = " ".join(str(value) for value in device.action.values())
                    self._news(now, f"{name} is told", action)
        if now.minute == 0:
            plant = self._run.house.plant
            place = int(plant.rooms.air_c.argmin())
            soc = "" if plant.inverter.battery is None else f", SoC {plant.inverter.battery.soc_pct:.0f} %"
            on = int(plant.loxone.relay_on.sum())
            text = (
                f"outdoor {plant.outdoor_c:.1f} C, coldest {plant.building.names[place]} "
                f"{plant.rooms.air_c[place]:.1f} C, {on} relays on, import {plant.inverter.flows.grid_w:.0f} W{soc}"
            )
            self._line(now, text)
        for offence in self._sent.offences:
            if offence.at == now:
                self._line(now, f"SENT BEYOND A LIMIT {offence.rule}: {offence.text}")
        for mishap in self._borders.mishaps:
            if mishap.at == now:
                self._line(now, f"exception in {mishap.service}: {mishap.error}")

    def _news(self, now: datetime, what: str, state: str) -> None:
        if state and self._told.get(what) != state:
            self._told[what] = state
            self._line(now, f"{what}: {state}")

    def _line(self, now: datetime, text: str) -> None:
        if self._story is not None:
            self._story.append(StoryLine(now, text))
