"""One arm of a comparison: who runs the house, run once through a case, told as figures that can be written down.

Arms of a case live in the same world, in the same house, with the same household and the same seed.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol, get_args

from pems_common.bus.memory import MemoryBus
from pems_common.clock import FakeClock
from pems_common.home import Home
from pems_common.messages import Plan, PlanInputs
from pems_common.mqtt import MemoryBroker
from pems_common.service import Service
from pems_common.world import World
from pems_house.domain.plant import Plant
from pems_house.handlers import HouseHandlers
from pems_lab.arms.owner_rules import OldHabits, OwnerRules
from pems_lab.arms.owner_thermostats import OwnerThermostats, night_targets
from pems_lab.house_balance import Stores, balance
from pems_lab.house_run import OFF_DELAY_S, HouseRun, RunAccount
from pems_lab.lockstep import Lockstep
from pems_lab.tally import MinuteWatch, Tally, period_truth
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.domain.assemble import Known
from pems_optimizer.domain.planning import Ask, MadePlan, plan_with_making
from pems_optimizer.plan_work import Worker

__all__ = ["ARMS", "Arm", "BaselineRun", "Stretch", "run_arm"]

Arm = Literal["b0", "b1", "rules", "point", "robust", "scenarios", "perfect"]
"""b0: thermostats and load first; b1: the owner's old rules; rules: PEMS without a planner; point, robust,
scenarios: PEMS with that strategy; perfect: point with forecasts that come true."""

ARMS: tuple[Arm, ...] = get_args(Arm)

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Stretch:
    """What an arm lives through.

    Attributes:
        start: Beginning of the first day that counts.
        days: Days that count.
        settle_days: Days before it that do not: each arm's own habits are in the walls when the first one counts.
        seed: Of house, household and forecast errors.
        learn: Whether forecast and room models are trained on the way.
    """

    start: datetime
    days: int
    settle_days: int = 1
    seed: int = 0
    learn: bool = False


class _Run(Protocol):
    """The part of a run that an arm needs."""

    house: HouseHandlers

    async def run(self, duration: timedelta, each: Callable[[datetime], None] | None = None) -> RunAccount:
        """Run for a while."""

    async def stop(self) -> None:
        """Stop."""


class BaselineRun:
    """The house without PEMS: its own car timer and tank, and its own thermostats or the owner's old rules."""

    def __init__(
        self,
        home: Home,
        world: World,
        start: datetime,
        *,
        seed: int = 0,
        habits: OldHabits | None = None,
        built: Home | None = None,
    ) -> None:
        """Wire the house; `habits` None leaves the inverter at load first and rooms to their own thermostats.

        `built` is the house as it really is, where that differs from what the rules are told.
        """
        self.clock = FakeClock(start)
        broker = MemoryBroker()
        self.house = HouseHandlers(
            home if built is None else built,
            self.clock,
            broker.client(),
            world,
            seed=seed,
            tick_every=timedelta(minutes=1),
            off_delay_s=OFF_DELAY_S,
        )
        services: list[Service] = [self.house]
        if habits is not None:
            targets = night_targets(home, habits.night_share, habits.boosted, habits.boost_k)
            services.append(OwnerRules(home, self.clock, broker.client(), world, habits))
            services.append(OwnerThermostats(targets, self.clock, broker.client()))
        self._lockstep = Lockstep(self.clock, MemoryBus(self.clock), services)
        self._account = RunAccount()

    async def run(self, duration: timedelta, each: Callable[[datetime], None] | None = None) -> RunAccount:
        """Run for a while."""
        if self.clock.monotonic() == 0.0:
            await self._lockstep.start()

        async def after_step(now: datetime) -> None:
            if each is not None:
                each(now)

        await self._lockstep.run(self.clock.now() + duration, after_step)
        self._account.truth = self.house.truth()
        return self._account

    async def stop(self) -> None:
        """Stop the services."""
        await self._lockstep.stop()


class _TimedPlans:
    """Makes plans as the worker does, and keeps how long each took by the real clock."""

    def __init__(self) -> None:
        self.took_s: list[float] = []

    def __call__(
        self, home: Home, known: Known, inputs: PlanInputs, ask: Ask, *, elapsed_s: Callable[[], float]
    ) -> MadePlan:
        began = time.perf_counter()
        made = plan_with_making(home, known, inputs, ask, elapsed_s=elapsed_s)
        self.took_s.append(time.perf_counter() - began)
        return made


async def run_arm(
    home: Home,
    world: World,
    arm: Arm,
    stretch: Stretch,
    *,
    built: Home | None = None,
    day_done: Callable[[int], None] = lambda day: None,
) -> dict[str, Any]:
    """Run an arm through a stretch.

    Args:
        home: The site, as who runs it is told.
        world: Weather and prices.
        arm: Who runs the house.
        stretch: When, how long, and with which seed.
        built: The site whose house it is, by whose bands, limits and prices the run is counted; None for `home`.
        day_done: Called after each day with its number from 1 on, settling days among them.

    Returns:
        JSON-ready figures: `truth` of the days that count (as `tally.period_truth`), `days` (the same few figures of
        each day), `modes`, `plans`, `balance`, and `took`, the only part that depends on the machine.
    """
    plans, began = _TimedPlans(), time.perf_counter()
    with ExitStack() as folders:
        models = Path(folders.enter_context(TemporaryDirectory())) if stretch.learn and _is_pems(arm) else None
        run = _wired(home, built or home, world, arm, stretch, plans, models)
        told = await _lived(built or home, run, stretch, day_done)
        await run.stop()
    told["arm"] = arm
    told["took"] = {
        "wall_s": round(time.perf_counter() - began, 1),
        "plan_s_median": round(median(plans.took_s), 3) if plans.took_s else None,
        "plan_s_max": round(max(plans.took_s), 3) if plans.took_s else None,
        "plan_s": round(sum(plans.took_s), 1),
    }
    return told


def _is_pems(arm: Arm) -> bool:
    return arm not in ("b0", "b1")


def _wired(
    home: Home, built: Home, world: World, arm: Arm, stretch: Stretch, plans: _TimedPlans, models: Path | None
) -> BaselineRun | HouseRun:
    """Return the arm's run, not begun."""
    start, seed = stretch.start - stretch.settle_days * _DAY, stretch.seed
    if not _is_pems(arm):
        return BaselineRun(home, world, start, seed=seed, habits=OldHabits() if arm == "b1" else None, built=built)
    strategy = arm if arm in ("robust", "scenarios") else "point"
    uncertainty = home.optimization.uncertainty.model_copy(update={"strategy": strategy})
    optimization = home.optimization.model_copy(update={"uncertainty": uncertainty})
    # An owner's file may begin in shadow: here PEMS is to act.
    control = home.control.model_copy(update={"armed": True, "shadow": False, "rollout": ("*",)})
    return HouseRun(
        home.model_copy(update={"optimization": optimization, "control": control}),
        world,
        start,
        seed=seed,
        built=built,
        planner="mute" if arm == "rules" else "on",
        models=models,
        worker=Worker(make=plans, plans=InMemoryPlans()),
        foreseen=arm == "perfect",
    )


async def _lived(home: Home, run: _Run, stretch: Stretch, day_done: Callable[[int], None]) -> dict[str, Any]:
    """Live through the stretch day by day."""
    plant = run.house.plant
    begun = Stores.of(plant)
    for day in range(1, stretch.settle_days + 1):
        account = await run.run(_DAY)
        account.forget()
        day_done(day)
    watch, first, counted = MinuteWatch(), Tally.of(plant), _Counted()
    days: list[dict[str, Any]] = []
    for day in range(stretch.settle_days + 1, stretch.settle_days + stretch.days + 1):
        before, of_day = Tally.of(plant), MinuteWatch()

        def look(_: datetime, of_day: MinuteWatch = of_day) -> None:
            watch.look(plant)
            of_day.look(plant)

        account = await run.run(_DAY, look)
        days.append(_day_row(home, plant, Tally.of(plant) - before, of_day))
        counted.add(account)
        account.forget()
        day_done(day)
    closed = balance(plant, begun)
    return {
        "truth": period_truth(home, plant, Tally.of(plant) - first, watch),
        "days": days,
        "modes": counted.modes(),
        "plans": {"made": counted.made, "kept": counted.kept, "rules": counted.by_rules},
        "balance": {**vars(closed), "worst": closed.worst},
        "final_c": plant.rooms.air_c.tolist(),
    }


class _Counted:
    """Plans and modes of the days that count."""

    def __init__(self) -> None:
        self.made = self.kept = self.by_rules = 0
        self._ticks: Counter[str] = Counter()

    def add(self, account: RunAccount) -> None:
        self.made += len(account.plans)
        self.kept += sum(_was_kept(plan) for _, plan in account.plans)
        self.by_rules += account.rule_plans
        for of_device in account.mode_ticks.values():
            self._ticks.update(of_device)

    def modes(self) -> dict[str, float]:
        total = self._ticks.total()
        return {mode: count / total for mode, count in sorted(self._ticks.items())}


def _was_kept(plan: Plan) -> bool:
    """Whether the relays of the plan before it went on: a new plan would have gained too little."""
    return bool(plan.diff) and plan.diff[0].startswith("kept:")


def _day_row(home: Home, plant: Plant, period: Tally, watch: MinuteWatch) -> dict[str, Any]:
    truth: Mapping[str, Any] = period_truth(home, plant, period, watch)
    kept = (
        "elapsed_h",
        "energy_cost_czk",
        "wear_czk",
        "bought_czk",
        "import_wh",
        "export_wh",
        "pv_used_wh",
        "pv_possible_wh",
        "heating_wh",
        "ev_wh",
        "mean_house_temperature_c",
        "loss_w_k",
        "rooms_stored_wh",
        "battery_stored_wh",
        "ev_stored_wh",
        "water_stored_wh",
        "inside_wider_band_share",
    )
    return {
        "to": plant.at.isoformat(),
        **{name: truth[name] for name in kept if name in truth},
        "peak_import_15min_w": max(truth["monthly_peaks_w"].values(), default=0.0),
        "below_k_h_room": float(period.below_k_h.mean()),
    }
