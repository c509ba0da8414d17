"""The running plan on a new grid: what was decided for slots that are about to begin, and the plan moved on in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pems_common.messages import Intent, Plan
from pems_optimizer.domain.problem import ApplianceSpec, Bools, PlanningProblem, WaterSpec
from pems_optimizer.domain.run_names import appliance_of
from pems_optimizer.domain.scoring import Decision

__all__ = ["RunningPlan", "moved_on"]


@dataclass(frozen=True)
class RunningPlan:
    """A plan body with questions about instants."""

    plan: Plan

    def _index(self, at: datetime) -> int | None:
        i = int((at - self.plan.start).total_seconds() // self.plan.step_s)
        return i if 0 <= i < self.plan.slots else None

    def covers(self, at: datetime) -> bool:
        """Whether the plan has a slot at an instant."""
        return self._index(at) is not None

    def room_on(self, room: str, at: datetime) -> bool | None:
        """Relay planned for the slot at an instant; None where the plan does not say."""
        i = self._index(at)
        entry = self.plan.rooms.get(room)
        return None if i is None or entry is None else entry.relay_on[i]

    def slots_in_state(self, room: str, at: datetime, on: bool) -> int | None:
        """Planned slots before `at` in which the relay was as it is now; None where the plan says otherwise."""
        entry = self.plan.rooms.get(room)
        return None if entry is None else self._in_state(entry.relay_on, at, on)

    def water_slots_in_state(self, at: datetime, on: bool) -> int | None:
        """The same of the water heater."""
        return self._in_state(self.plan.water_on, at, on) if self.plan.water_on else None

    def _in_state(self, states: Sequence[bool], at: datetime, on: bool) -> int | None:
        i = self._index(at)
        if i is None or i == 0 or states[i - 1] != on:
            return None
        count = 0
        while i - 1 - count >= 0 and states[i - 1 - count] == on:
            count += 1
        return count if count < i else 1000

    def intent(self, at: datetime) -> Intent | None:
        """Battery intent at an instant."""
        i = self._index(at)
        return None if i is None or self.plan.battery is None else self.plan.battery.intent[i]

    def soc_pct(self, at: datetime) -> float | None:
        """Expected SoC at the start of the slot at an instant."""
        i = self._index(at)
        if i is None or self.plan.battery is None or i == 0:
            return None
        return self.plan.battery.soc_pct[i - 1]

    def room_c(self, room: str, at: datetime) -> float | None:
        """Expected air temperature at the start of the slot at an instant."""
        i = self._index(at)
        entry = self.plan.rooms.get(room)
        return None if i is None or entry is None or i == 0 else entry.temperature_c[i - 1]

    def ev_w(self, at: datetime) -> float | None:
        """Planned charging power at an instant."""
        i = self._index(at)
        return None if i is None or not self.plan.ev_power_w else self.plan.ev_power_w[i]

    def water_on(self, at: datetime) -> bool | None:
        """Planned state of the water heater at an instant."""
        i = self._index(at)
        return None if i is None or not self.plan.water_on else self.plan.water_on[i]

    def appliance_on(self, name: str, at: datetime) -> bool | None:
        """Planned state of an appliance at an instant."""
        i = self._index(at)
        schedule = self.plan.appliances.get(name)
        return None if i is None or schedule is None else schedule[i]


def _least_times_kept(on: Bools, first: int, min_on: int, min_off: int, before: bool, held: int) -> bool:
    state, run = before, held
    for t, now in enumerate(on.tolist()):
        if now == state:
            run += 1
            continue
        if t >= first and run < (min_on if state else min_off):
            return False
        state, run = now, 1
    return True


def moved_on(
    problem: PlanningProblem, running: RunningPlan, fresh: Decision, *, with_car: bool = False
) -> Decision | None:
    """Return the running plan's decision on this problem's grid, its missing tail filled from a fresh one.

    Args:
        problem: The new problem.
        running: The plan in force.
        fresh: A new decision on the new grid; the car is charged as it says, because its need moves fastest, and so
            are devices of which the running plan's schedule no longer fits.
        with_car: Keep the running plan's car too.

    Returns:
        The decision, or None where the running plan has another set of rooms, covers less than half of the
        horizon, or would break a room's minimum time at the seam.
    """
    rooms = problem.rooms
    if set(rooms.names) != set(running.plan.rooms) or running.plan.fallback_mode:
        return None
    instants = [problem.start + t * problem.step for t in range(problem.slots)]
    relay_on, ev_w = fresh.relay_on.copy(), fresh.ev_w.copy()
    covered = 0
    for t, at in enumerate(instants):
        planned = [running.room_on(name, at) for name in rooms.names]
        if not running.covers(at) or any(p is None for p in planned):
            break
        relay_on[t] = np.array(planned, dtype=np.bool_)
        covered = t + 1
        if with_car and problem.ev is not None and (power := running.ev_w(at)) is not None:
            ev_w[t] = power
    if covered < problem.slots // 2:
        return None
    for r in range(rooms.count):
        first = int(rooms.forced[r])
        relay_on[:first, r] = rooms.forced_on[:first, r]
        before, held = bool(rooms.relay_on[r]), int(rooms.slots_in_state[r])
        if not _least_times_kept(relay_on[:, r], first, rooms.min_on, rooms.min_off, before, held):
            return None
    water_on = fresh.water_on if problem.water is None else _water(problem.water, running, fresh.water_on, instants)
    runs = tuple(
        _run(spec, [running.appliance_on(appliance_of(spec.name), at) for at in instants], on)
        for spec, on in zip(problem.appliances, fresh.appliances, strict=True)
    )
    return Decision(relay_on, water_on, ev_w, runs)


def _water(water: WaterSpec, running: RunningPlan, fresh: Bools, instants: Sequence[datetime]) -> Bools:
    """Return the running plan's heating of the tank, a fresh one where it breaks a minimum time."""
    planned = [running.water_on(at) for at in instants]
    on = np.array([f if p is None else p for p, f in zip(planned, fresh.tolist(), strict=True)], dtype=np.bool_)
    on[: water.forced] = water.forced_on[: len(on)]
    times = (water.min_on, water.min_off, water.on_now, water.slots_in_state)
    return on if _least_times_kept(on, water.forced, *times) else fresh


def _run(spec: ApplianceSpec, planned: Sequence[bool | None], fresh: Bools) -> Bools:
    """Return the running plan's run of a machine, a fresh one where it is not whole, or not as forced (rules A1-A4)."""
    on = np.zeros(len(fresh), dtype=np.bool_)
    for part in (slice(0, spec.forced), slice(max(spec.earliest, spec.forced), spec.deadline)):
        on[part] = [bool(state) for state in planned[part]]
    forced = on[: spec.forced].tolist() == list(spec.forced_on[: len(on)])
    run = np.flatnonzero(on)
    whole = len(run) == spec.run_slots and (
        spec.interruptible or spec.run_slots == 0 or run[-1] - run[0] + 1 == spec.run_slots
    )
    return on if forced and whole else fresh
