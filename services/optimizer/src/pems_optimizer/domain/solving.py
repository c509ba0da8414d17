"""From problem to verified plan: price, let devices bid, fix, dispatch, simulate, keep the best.

Rooms bid one after the other against the price of the load that is already there, so they do not herd into the
cheapest slots. After a first round each device may change its mind as long as the whole house gains (relaxed
dispatch + full thermal simulation); then the car's power is rounded, the battery's intents are chosen for the
inverter that is there, and everything is simulated and accounted for. The time limit is looked at between steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pems_optimizer.domain.battery_dp import HouseFlow, plan_battery
from pems_optimizer.domain.dispatch_lp import Dispatch, DispatchLp, price_to_run
from pems_optimizer.domain.problem import Bools, Floats, PlanningProblem
from pems_optimizer.domain.relay_dp import best_schedule
from pems_optimizer.domain.rules import rule_plan
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, heat_money, verify
from pems_optimizer.domain.thermal_response import (
    RoomPath,
    room_device,
    simulate_rooms,
    water_device,
)

__all__ = ["NoPlan", "Solved", "SolverOptions", "dispatch_battery", "solve"]

_RESERVE_S = 0.4


@dataclass(frozen=True)
class SolverOptions:
    """How hard to try.

    Attributes:
        limit_s: Wall seconds for everything.
        sweeps: Rounds in which each device may change its mind.
        warmth_points: Grid of what heating has added to a room (relay_dp).
        fast_points: Grid of the rooms' fast mode.
    """

    limit_s: float = 5.0
    sweeps: int = 2
    warmth_points: int = 28
    fast_points: int = 5


@dataclass(frozen=True)
class Solved:
    """A verified plan.

    Attributes:
        best: The plan.
        rules: The rule plan on the same problem, simulated.
        complete: Whether everything was done before the time was up.
        sweeps: Rounds done.
    """

    best: Verified
    rules: Verified
    complete: bool
    sweeps: int


@dataclass(frozen=True)
class NoPlan:
    """No plan better than the rules was found in time."""

    rules: Verified
    why: str


class _House:
    """The present iterate: relays, water, and the prices they are made against."""

    def __init__(self, problem: PlanningProblem, options: SolverOptions, elapsed_s: Callable[[], float]) -> None:
        self.problem, self.options, self._elapsed_s = problem, options, elapsed_s
        self.lp = DispatchLp(problem, time_left_s=lambda: options.limit_s - elapsed_s())
        rooms = problem.rooms
        self.duty = _steady_duty(problem)  # (T, R); becomes 0/1 as rooms decide
        self.path: RoomPath = simulate_rooms(rooms, self.duty)
        self.water_duty = _water_duty(problem)
        self.order: list[int] = np.argsort(-rooms.heater_w, kind="stable").tolist()
        self.refused: set[int] = set()

    def out_of_time(self) -> bool:
        return self._elapsed_s() > self.options.limit_s - _RESERVE_S

    def load_w(self) -> Floats:
        water = 0.0 if self.problem.water is None else self.problem.water.electric_w
        return np.asarray(
            self.problem.load_w + self.duty @ self.problem.rooms.heater_w + self.water_duty * water, dtype=np.float64
        )

    def room_bid(self, room: int) -> Bools | None:
        """Let one room answer the price of the others; None when there is no time for it."""
        problem, rooms = self.problem, self.problem.rooms
        first = int(rooms.forced[room])
        if first >= problem.slots:
            return self.duty[:, room] > 0.5
        power = float(rooms.heater_w[room])
        without = self.load_w() - self.duty[:, room] * power
        dispatch = self.lp.solve(without)
        if dispatch is None:
            return None
        price = price_to_run(problem, dispatch, power) + self._heating_wall(room)
        device = room_device(problem, self.path, room, self.duty > 0.5)
        bid = best_schedule(
            device,
            price[first:],
            start_czk=problem.weights.start_czk,
            starts_max=int(rooms.starts_max[room]),
            warmth_points=self.options.warmth_points,
            fast_points=self.options.fast_points,
        )
        return np.concatenate([rooms.forced_on[:first, room], bid.on])

    def _heating_wall(self, room: int) -> Floats:
        """Price of exceeding the limit of all heating together (T,)."""
        problem, rooms = self.problem, self.problem.rooms
        others = self.duty @ rooms.heater_w - self.duty[:, room] * rooms.heater_w[room]
        above = np.maximum(others + rooms.heater_w[room] - problem.grid.heating_max_w, 0.0)
        return np.asarray(problem.weights.overload_czk_kwh * problem.kwh * above, dtype=np.float64)

    def water_bid(self) -> Bools | None:
        problem, water = self.problem, self.problem.water
        if water is None:
            return np.zeros(problem.slots, dtype=np.bool_)
        dispatch = self.lp.solve(self.load_w() - self.water_duty * water.electric_w)
        if dispatch is None:
            return None
        price = price_to_run(problem, dispatch, water.electric_w)
        bid = best_schedule(
            water_device(water, problem.dt_h), price[water.forced :], start_czk=problem.weights.start_czk
        )
        return np.concatenate([np.array(water.forced_on[: water.forced], dtype=np.bool_), bid.on])

    def money(self, duty: Floats, path: RoomPath) -> float | None:
        """Relaxed money of the whole house with these relays."""
        problem = self.problem
        water = 0.0 if problem.water is None else problem.water.electric_w
        dispatch = self.lp.solve(problem.load_w + duty @ problem.rooms.heater_w + self.water_duty * water)
        if dispatch is None:
            return None
        heat = np.maximum(duty @ problem.rooms.heater_w - problem.grid.heating_max_w, 0.0)
        wall = float(heat.sum()) * problem.kwh * problem.weights.overload_czk_kwh
        return dispatch.money + wall + heat_money(problem, duty > 0.5, path).total

    def first_round(self, fallback: Decision) -> bool:
        """Let every device decide once, in order of power.

        When time runs out the devices left over do what `fallback` says, and False is returned.
        """
        complete = True
        for room in self.order:
            on = None if self.out_of_time() else self.room_bid(room)
            complete = complete and on is not None
            self.duty[:, room] = fallback.relay_on[:, room] if on is None else on
        on = None if self.out_of_time() else self.water_bid()
        complete = complete and on is not None
        self.water_duty = (fallback.water_on if on is None else on).astype(np.float64)
        self.path = simulate_rooms(self.problem.rooms, self.duty)
        return complete

    def begin_from(self, decision: Decision) -> None:
        """Take an earlier decision as the first iterate; only the water heater decides anew."""
        self.duty = decision.relay_on.astype(np.float64)
        self.path = simulate_rooms(self.problem.rooms, self.duty)
        on = None if self.out_of_time() else self.water_bid()
        self.water_duty = (decision.water_on if on is None else on).astype(np.float64)

    def sweep(self) -> bool:
        """Let rooms change their mind where the house gains; False when time ran out or nothing changed.

        A room that was refused sits out the next sweep: it would mostly ask for the same again.
        """
        best = self.money(self.duty, self.path)
        changed = False
        asked = [room for room in self.order if room not in self.refused]
        self.refused = set()
        for room in asked:
            if best is None or self.out_of_time():
                return False
            on = self.room_bid(room)
            if on is None:
                return False
            if np.array_equal(on, self.duty[:, room] > 0.5):
                continue
            duty = self.duty.copy()
            duty[:, room] = on
            path = simulate_rooms(self.problem.rooms, duty)
            money = self.money(duty, path)
            if money is not None and money < best - 1e-6:
                self.duty, self.path, best, changed = duty, path, money, True
            else:
                self.refused.add(room)
        return changed


def _steady_duty(problem: PlanningProblem) -> Floats:
    """Share of each slot that would hold each room a little above the lower edge (T, R)."""
    rooms = problem.rooms
    hold = rooms.low_c + 0.2
    mean = hold.mean(axis=0)
    loss = rooms.outward_w_k + rooms.coupling_w_k.sum(axis=1)
    need = mean * loss - rooms.air_input_w - mean @ rooms.coupling_w_k
    duty = np.clip(need.mean(axis=0) / rooms.heater_w, 0.0, 1.0) * np.ones_like(rooms.low_c)
    for r in range(rooms.count):
        first = int(rooms.forced[r])
        duty[:first, r] = rooms.forced_on[:first, r]
    return np.asarray(duty, dtype=np.float64)


def _water_duty(problem: PlanningProblem) -> Floats:
    water = problem.water
    if water is None:
        return np.zeros(problem.slots)
    duty = np.full(problem.slots, min(1.0, float(water.drain_w.mean()) / water.heat_w))
    duty[: water.forced] = np.array(water.forced_on[: water.forced], dtype=np.float64)
    return duty


def _round_ev(house: _House) -> Floats:
    """Make the car's relaxed power zero or at least its least power, and fix it in the program."""
    problem = house.problem
    ev = problem.ev
    zero = np.zeros(problem.slots)
    if ev is None:
        return zero
    dispatch = house.lp.solve(house.load_w())
    wish = zero if dispatch is None else dispatch.ev_w
    price = problem.buy if dispatch is None else dispatch.price
    power = np.where(wish >= 0.5 * ev.power_min_w, np.clip(wish, ev.power_min_w, ev.power_max_w), 0.0)
    n = len(ev.forced_w)
    power[:n] = ev.forced_w
    power[ev.deadline :] = 0.0
    others = house.load_w()
    missing = ev.need_wh - float(power.sum()) * problem.dt_h
    for t in np.argsort(price, kind="stable").tolist():
        if t < n or t >= ev.deadline:
            continue
        if missing > 1.0:
            most = min(ev.power_max_w, problem.grid.import_max_w + float(problem.pv_w[t]) - float(others[t]))
            more = min(most, max(power[t] + missing / problem.dt_h, ev.power_min_w)) - power[t]
            if more > 0.0 and power[t] + more >= ev.power_min_w:
                power[t] += more
                missing -= more * problem.dt_h
    for t in np.argsort(-price, kind="stable").tolist():  # too much: give back in the dearest slots
        if missing >= -1.0:
            break
        if n <= t < ev.deadline and power[t] > 0.0:
            less = min(-missing / problem.dt_h, power[t] - ev.power_min_w)
            if -missing >= power[t] * problem.dt_h:
                less = power[t]
            power[t] -= less
            missing += less * problem.dt_h
    house.lp.limit_ev(power, power)
    return np.asarray(power, dtype=np.float64)


def dispatch_battery(problem: PlanningProblem, load_w: Floats, ev_w: Floats, peak_w: float) -> HouseFlow:
    """Choose intents around a peak, and take the cheaper of a tight and a loose one."""
    flows = [plan_battery(problem, load_w, ev_w, peak_w * factor) for factor in (1.0, 1.2)]
    return min(flows, key=lambda flow: flow.money.total)


def _finish(house: _House, ev_w: Floats, dispatch: Dispatch | None) -> Verified:
    decision = Decision(house.duty > 0.5, house.water_duty > 0.5, ev_w)
    load = controlled_load_w(house.problem, decision)
    peak = float(load.max()) if dispatch is None else dispatch.peak_w
    return verify(house.problem, decision, dispatch_battery(house.problem, load, ev_w, peak))


def solve(
    problem: PlanningProblem,
    options: SolverOptions,
    elapsed_s: Callable[[], float],
    *,
    move_on: Callable[[Decision], Decision | None] = lambda _: None,
) -> Solved | NoPlan:
    """Find a plan.

    Args:
        problem: The problem.
        options: How hard to try.
        elapsed_s: Wall seconds since the work began.
        move_on: Gives the running plan's decision on this grid, its tail filled from the decision it gets; None
            where there is none. It saves the first round.

    Returns:
        `Solved`, or `NoPlan` with the rule plan where there was no time or nothing better.
    """
    rules = rule_plan(problem)
    house = _House(problem, options, elapsed_s)
    if house.out_of_time():
        return NoPlan(rules, "the time limit was reached before any device had a schedule")
    running = move_on(rules.decision)
    complete = True
    if running is None:
        complete = house.first_round(rules.decision)
    else:
        house.begin_from(running)
    done = 0
    ev_w = _round_ev(house)
    for _ in range(options.sweeps):
        if house.out_of_time():
            complete = False
            break
        if not house.sweep():
            complete = not house.out_of_time()
            break
        done += 1
    best = _finish(house, ev_w, house.lp.solve(house.load_w()))
    if best.cost.total > rules.cost.total:
        return NoPlan(rules, "the rules were cheaper on this forecast")
    return Solved(best, rules, complete, done)
