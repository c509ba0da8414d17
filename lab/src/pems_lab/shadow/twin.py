"""A twin: one configuration lives through a day that has been, planner and controller being the real ones.

It plans when the live system planned, on what was known then; only what the house itself tells (temperatures, charge,
relays, its own plans) is the twin's. Between plans it is told each tick what to do by the controller's own decision.
Searches have all the time they need, so that nothing depends on how fast this machine is: two twins of one
configuration are alike to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pems_common.home import Home
from pems_common.messages import PlanInputs, Prices, Status, Thermal
from pems_common.timegrid import slot_start
from pems_controller.domain.decide import Decided, HouseInputs, decide_house
from pems_controller.domain.overrides import Override
from pems_controller.domain.plan_follow import HeldPlan, choose, refuse
from pems_controller.domain.prices import PriceView, view_prices
from pems_controller.domain.safety import room_limit_broken
from pems_controller.domain.state import HouseState
from pems_lab.shadow.twin_day import DayTruth
from pems_lab.shadow.twin_house import TwinAccount, TwinHouse
from pems_optimizer.domain.assemble import InputProblem
from pems_optimizer.domain.known import Known
from pems_optimizer.domain.month_peak import MonthPeak
from pems_optimizer.domain.plan_search import Effort
from pems_optimizer.domain.planning import Ask, MadePlan, plan_with_making
from pems_optimizer.domain.warm_start import LastSearch

__all__ = ["LivedDay", "Replan", "live_through"]

_LIMIT_S = 60.0  # is told to the search and never reached
_KEPT_BEFORE = timedelta(hours=2)  # a day begins with what was known for the last plan before it, if that was so recent


@dataclass(frozen=True)
class Replan:
    """A moment at which the live system planned, and what was known then.

    Attributes:
        now: House time of the measurements.
        decide_from: First slot that the plan could still decide.
        known: The messages it had.
        inputs: Their ids.
    """

    now: datetime
    decide_from: datetime
    known: Known
    inputs: PlanInputs = field(default_factory=PlanInputs)


@dataclass(frozen=True)
class LivedDay:
    """A configuration's day.

    Attributes:
        account: What it amounted to.
        stored_wh: What rooms, battery, car and tank hold more at its end than at its beginning.
        loss_w_k: Loss of each room to outdoors (R,).
        plans: Plans that were made, those of the rules among them.
        rule_plans: Plans that the rules stood in for.
        failed: Times that no plan could be made.
        followed: Share of ticks of devices that followed a plan.
    """

    account: TwinAccount
    stored_wh: dict[str, float]
    loss_w_k: tuple[float, ...]
    plans: int
    rule_plans: int
    failed: int
    followed: float


class _Twin:
    def __init__(self, home: Home, house: TwinHouse, effort: Effort | None) -> None:
        control = home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)})
        self.home, self.house = home.model_copy(update={"control": control}), house
        self.config_hash = self.home.config_hash()
        self.plans = self.rule_plans = self.failed = 0
        self._effort = effort
        self._held: list[HeldPlan] = []
        self._last: LastSearch | None = None
        self._known = Known(forecast=None)
        self._peak = MonthPeak()
        self._broken: frozenset[str] = frozenset()
        self._floor_since: datetime | None = None
        self._view: PriceView | None = None
        self._viewed: Prices | None = None
        self._ticks = self._followed = 0

    @property
    def _mono_s(self) -> float:
        return (self.house.at - self.house.truth.start).total_seconds()

    @property
    def followed(self) -> float:
        """Share of ticks of devices that followed a plan."""
        return self._followed / max(1, self._ticks)

    def hear(self, replan: Replan) -> None:
        """Take in what was known at a re-plan, and plan."""
        if not self.plans and not self._known.forecast:
            self._peak = replan.known.remembered.month_peak
        self._known = replan.known
        known = self._as_mine(replan.known)
        ask = Ask(f"twin-{self.plans}", self.plans + 1, replan.now, replan.decide_from, _LIMIT_S)
        try:
            made = plan_with_making(self.home, known, replan.inputs, ask, elapsed_s=lambda: 0.0, effort=self._effort)
        except InputProblem:
            self.failed += 1
            return
        self.plans += 1
        self._take(made)

    def _as_mine(self, known: Known) -> Known:
        """What was known, with the twin's own house and plans in it."""
        telemetry = self.house.telemetry()
        thermals = {name: self._thermal(thermal) for name, thermal in known.thermals.items()}
        remembered = replace(known.remembered, month_peak=self._peak).seen(self.home, telemetry, self.house.at)
        running = choose(self._held, self.house.at, self._mono_s)
        return replace(
            known,
            telemetry=telemetry,
            thermals=thermals,
            running=None if running is None else running.plan,
            remembered=remembered,
            last=self._last,
        )

    def _thermal(self, thermal: Thermal) -> Thermal:
        if thermal.room not in self.house.rooms.names:
            return thermal
        disturbance_w = 0.0 if thermal.state is None else thermal.state.disturbance_w
        return thermal.model_copy(update={"state": self.house.rooms.state(thermal.room, disturbance_w, self.house.at)})

    def _take(self, made: MadePlan) -> None:
        if made.plan.fallback_mode:
            self.rule_plans += 1
        if refuse(made.plan, self.config_hash, self.house.at):
            return
        running = choose(self._held, self.house.at, self._mono_s)
        held = HeldPlan(made.plan, self.house.at, self._mono_s)
        self._held = [held] if running is None else [held, running]
        self._last = LastSearch(self.config_hash, made.problem.start, made.problem.step, made.memory)

    def tick(self) -> None:
        """Decide, and let the house live through a tick."""
        state = self.house.house_state()
        decided = self._decide(state)
        self._ticks += len(decided)
        self._followed += sum(one.decision.acts_as == "mpc" for one in decided.values())
        self.house.step({device: one.wish for device, one in decided.items() if one.decision.live})
        self._peak = self._peak.seen(self.house.at, self.house.grid_w, self.home.site.zone)

    def _decide(self, state: HouseState) -> dict[str, Decided]:
        floor = self._floor_since
        decided = decide_house(
            self.home,
            HouseInputs(
                state=state,
                mono_s=self._mono_s,
                armed=True,
                stopping=False,
                outranked=False,
                overrides=_overrides(self._known.status),
                plan=choose(self._held, state.at, self._mono_s),
                config_hash=self.config_hash,
                prices=self._prices(state.at),
                thermal=self._known.thermals,
                broken=self._broken,
                floor_held_s=None if floor is None else (state.at - floor).total_seconds(),
            ),
        )
        self._broken = frozenset(
            f"room:{name}"
            for name, room in state.rooms.items()
            if room_limit_broken(self.home, room.temperature_c, was_broken=f"room:{name}" in self._broken)
        )
        battery = decided.get("battery")
        held = battery is not None and any(clamp.limit == "soc_min_pct" for clamp in battery.clamps)
        self._floor_since = (floor or state.at) if held else None
        return decided

    def _prices(self, at: datetime) -> PriceView:
        """Prices as they were known, looked at anew in each slot."""
        slot = slot_start(at)
        if self._view is None or self._view.slot != slot or self._viewed is not self._known.prices:
            self._view, self._viewed = view_prices(self._known.prices, slot, self.home.site.zone), self._known.prices
        return self._view


def _overrides(status: Status | None) -> dict[str, Override]:
    """What persons had asked for: it holds for every configuration."""
    entries = () if status is None else status.overrides
    return {e.device: Override(e.device, e.action, dict(e.params), e.until, e.by, e.revision) for e in entries}


def _of_the_day(replans: Sequence[Replan], truth: DayTruth) -> list[Replan]:
    """Re-plans of a day in order; the last one shortly before it stands at its beginning."""
    ordered = sorted(replans, key=lambda replan: replan.now)
    before = [r for r in ordered if truth.start - _KEPT_BEFORE < r.now <= truth.start]
    first = [replace(r, now=truth.start, decide_from=truth.start) for r in before[-1:]]
    return first + [r for r in ordered if truth.start < r.now < truth.end]


def live_through(
    home: Home,
    truth: DayTruth,
    replans: Sequence[Replan],
    *,
    site: Home | None = None,
    tick: timedelta = timedelta(minutes=1),
    effort: Effort | None = None,
) -> LivedDay:
    """Let a configuration live through a day.

    Args:
        home: The configuration.
        truth: The day.
        replans: When the live system planned, and what it knew.
        site: The house it lives in and whose comfort is counted; the configuration's own where None.
        tick: Of the controller.
        effort: How hard searches try; the usual where None.

    Raises:
        PermanentError: A room has no model.
    """
    twin = _Twin(home, TwinHouse(site or home, truth, tick=tick), effort)
    waiting = _of_the_day(replans, truth)
    while twin.house.at < truth.end:
        while waiting and waiting[0].now <= twin.house.at:
            replan = waiting.pop(0)
            twin.hear(replace(replan, now=twin.house.at))
        twin.tick()
    house = twin.house
    stored = {name: wh - house.begun[name] for name, wh in house.stored_wh().items()}
    return LivedDay(
        house.account,
        stored,
        tuple(house.rooms.loss_w_k.tolist()),
        twin.plans,
        twin.rule_plans,
        twin.failed,
        twin.followed,
    )
