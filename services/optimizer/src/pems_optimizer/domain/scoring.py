"""What a full decision costs: one account for plans, rule plans and kept plans alike.

Rooms are simulated together with their coupling, the battery as its intents, so this is the verified truth of a
plan within the planner's models.
"""

from dataclasses import dataclass

import numpy as np

from pems_common.messages import PlanCost
from pems_optimizer.domain.battery_flow import HouseFlow
from pems_optimizer.domain.problem import ApplianceSpec, Bools, Floats, PlanningProblem, WaterSpec
from pems_optimizer.domain.thermal_response import RoomPath, simulate_rooms, simulate_water

__all__ = [
    "Decision",
    "HeatMoney",
    "Verified",
    "appliance_money",
    "controlled_load_w",
    "heat_money",
    "start_count",
    "verify",
    "water_money",
]


@dataclass(frozen=True)
class Decision:
    """Everything that is decided before battery and grid: relays (T, R), water (T,), car power [W] (T,).

    Attributes:
        appliances: Each appliance's schedule (T,), in the order of the problem.
    """

    relay_on: Bools
    water_on: Bools
    ev_w: Floats
    appliances: tuple[Bools, ...] = ()


@dataclass(frozen=True)
class HeatMoney:
    """Money of comfort [CZK], of the heat left at the end (below or above its reference), and of relay starts."""

    comfort: float
    end_heat: float
    starts: float

    @property
    def total(self) -> float:
        """Sum."""
        return self.comfort + self.end_heat + self.starts


@dataclass(frozen=True)
class Verified:
    """A decision with its simulated consequences and its cost."""

    decision: Decision
    flow: HouseFlow
    path: RoomPath
    water_c: Floats
    cost: PlanCost
    net_cost: float
    peak_w: float


def start_count(on: Bools, before: Bools | bool) -> int:
    """Number of off-to-on changes along the first axis."""
    if len(on) == 0:
        return 0
    first = int(np.sum(on[0] & ~np.asarray(before)))
    return first + int(np.sum(on[1:] & ~on[:-1]))


def controlled_load_w(problem: PlanningProblem, decision: Decision) -> Floats:
    """Power of everything decided, and of what is not (T,)."""
    water = 0.0 if problem.water is None else problem.water.electric_w
    heat = decision.relay_on.astype(np.float64) @ problem.rooms.heater_w
    load = problem.load_w + heat + decision.water_on * water + decision.ev_w
    for spec, on in zip(problem.appliances, decision.appliances, strict=False):
        load = load + on * spec.power_w
    return np.asarray(load, dtype=np.float64)


def room_comfort(problem: PlanningProblem, path: RoomPath) -> float:
    """Money for temperatures outside the planning bands [CZK]."""
    rooms, w = problem.rooms, problem.weights
    air = path.air_c[1:]
    below = np.maximum(rooms.low_c - air, 0.0).sum(axis=0) @ rooms.priority
    above = np.maximum(air - rooms.high_c, 0.0).sum(axis=0) @ rooms.priority
    return float(problem.dt_h * (w.below_czk_k_h * below + w.above_czk_k_h * above))


def heat_money(problem: PlanningProblem, relay_on: Bools, path: RoomPath) -> HeatMoney:
    """Account of the rooms: comfort, end state and starts."""
    rooms = problem.rooms
    gap = path.end_c(rooms) - rooms.end_reference_c
    end = -(rooms.end_value_czk_k * np.minimum(gap, 0.0) + rooms.end_bonus_czk_k * np.clip(gap, 0.0, 1.0)).sum()
    starts = start_count(relay_on, rooms.relay_on) * problem.weights.start_czk
    return HeatMoney(room_comfort(problem, path), float(end), starts)


def appliance_money(spec: ApplianceSpec, on: Bools) -> tuple[float, float]:
    """Money of an appliance's schedule (T,): for starts, and for slots it did not get [CZK]."""
    ran = int(on[: max(spec.deadline, spec.forced)].sum())
    return start_count(on, spec.on_now) * spec.start_czk, max(0, spec.run_slots - ran) * spec.missing_czk


def water_money(water: WaterSpec, tank_c: Floats, dt_h: float) -> tuple[float, float]:
    """Money of a tank path (T+1,): for being below what is wanted, and for ending cooler than full [CZK]."""
    cold = float(np.maximum(water.low_c - tank_c[1:], 0.0).sum()) * water.below_czk_k_h * dt_h
    return cold, water.end_value_czk_k * max(0.0, float(water.high_c[-1]) - float(tank_c[-1]))


def verify(problem: PlanningProblem, decision: Decision, flow: HouseFlow) -> Verified:
    """Simulate a decision in full and account for it."""
    path = simulate_rooms(problem.rooms, decision.relay_on)
    heat = heat_money(problem, decision.relay_on, path)
    money = flow.money
    comfort, end, starts = heat.comfort, heat.end_heat - money.end_value + money.reserve, heat.starts + money.switching
    water_c = np.empty(0)
    if problem.water is not None:
        water = problem.water
        water_c = simulate_water(water, decision.water_on, problem.dt_h)
        cold, cooler = water_money(water, water_c, problem.dt_h)
        comfort += cold
        end += cooler
        starts += start_count(decision.water_on, water.on_now) * problem.weights.start_czk
    if problem.ev is not None:
        got = float(decision.ev_w[: problem.ev.deadline].sum()) * problem.dt_h
        comfort += max(0.0, problem.ev.need_wh - got) / 1000.0 * problem.ev.short_czk_kwh
    for k, spec in enumerate(problem.appliances):
        on = decision.appliances[k] if k < len(decision.appliances) else np.zeros(problem.slots, dtype=np.bool_)
        begun, missing = appliance_money(spec, on)
        starts += begun
        comfort += missing
    heat_w = decision.relay_on.astype(np.float64) @ problem.rooms.heater_w
    too_much = float(np.maximum(heat_w - problem.grid.heating_max_w, 0.0).sum()) * problem.kwh
    overload = money.overload + too_much * problem.weights.overload_czk_kwh
    energy, peak = money.net_cost + money.export_term + end, money.peak + overload
    cost = PlanCost(
        energy=energy,
        wear=money.wear,
        peak=peak,
        comfort=comfort,
        switching=starts,
        total=energy + money.wear + peak + comfort + starts,
    )
    peak_w = float(np.maximum(flow.grid_w, 0.0).max(initial=0.0))
    return Verified(decision, flow, path, water_c, cost, money.net_cost, peak_w)
