"""Dispatch for an inverter that takes any power: the linear program itself, nothing charged and discharged at once."""

import numpy as np

from pems_common.messages import Intent
from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.battery_flow import HouseFlow, flow_money, flow_without_battery
from pems_optimizer.domain.house_lp import Flow, HouseLp
from pems_optimizer.domain.problem import Floats, PlanningProblem, Scenario

__all__ = ["setpoint_flow"]

_TINY_W = 1.0


def _intent(battery_w: float, grid_w: float, surplus_w: float) -> Intent:
    """Name what a power means for the house."""
    if battery_w < -_TINY_W:
        return "charge_from_grid" if grid_w > _TINY_W and -battery_w > surplus_w + _TINY_W else "self_consume"
    if battery_w > _TINY_W:
        return "discharge_to_grid" if grid_w < -_TINY_W else "self_consume"
    return "hold" if surplus_w <= 0.0 else "export_pv"


def setpoint_flow(
    problem: PlanningProblem, load_w: Floats, ev_w: Floats, *, wish: tuple[int, str] | None = None
) -> HouseFlow:
    """Return the cheapest flow against a load (T,) [W] that holds the car's power (T,).

    `wish` is a slot and what the battery does in it, in the words of intents.
    """
    course = Scenario("expected", 1.0, problem.pv_w, load_w - ev_w, problem.buy, problem.sell)
    lp = HouseLp(problem, courses=(course,))
    lp.limit_ev(ev_w, ev_w)
    if wish is not None:
        lp.limit_battery(*wish)
    done = lp.solve_physical()
    flow = flow_without_battery(problem, load_w) if done is None else _flow_of(problem, load_w, done.flows[0])
    if problem.battery is None or not lp.hurried:
        return flow
    # What an inverter with modes would do in the same time, this one can do as well.
    peak_w = float(np.maximum(flow.grid_w, 0.0).max(initial=0.0))
    return min(flow, plan_battery(problem, load_w, ev_w, peak_w, wish=wish), key=lambda flow: flow.money.total)


def _flow_of(problem: PlanningProblem, load_w: Floats, flow: Flow) -> HouseFlow:
    battery_w = flow.discharge_w - flow.charge_w
    grid_w = flow.import_w - flow.export_w
    pv_used = problem.pv_w - flow.curtail_w
    surplus = problem.pv_w - load_w
    intents = tuple(map(_intent, battery_w.tolist(), grid_w.tolist(), surplus.tolist())) if problem.battery else ()
    money = flow_money(problem, battery_w, grid_w, pv_used, (), flow.energy_wh)
    return HouseFlow(intents, battery_w, flow.energy_wh, grid_w, pv_used, flow.curtail_w > _TINY_W, money)
