"""The battery's part of a plan: dispatched for the inverter that is there, against everything else as it is."""

from pems_optimizer.domain.battery_dp import plan_battery
from pems_optimizer.domain.battery_flow import HouseFlow
from pems_optimizer.domain.problem import Floats, PlanningProblem
from pems_optimizer.domain.scoring import Decision, Verified, controlled_load_w, verify
from pems_optimizer.domain.setpoints import setpoint_flow

__all__ = ["dispatch_battery", "run_decision"]

_PEAKS = (1.0, 1.2)  # tight and loose


def dispatch_battery(
    problem: PlanningProblem,
    load_w: Floats,
    ev_w: Floats,
    peak_w: float,
    *,
    wish: tuple[int, str] | None = None,
    thorough: bool = True,
) -> HouseFlow:
    """Return the cheapest flow found.

    Args:
        problem: The problem.
        load_w: Everything the house draws, car included (T,) [W].
        ev_w: The car's part of it (T,) [W].
        peak_w: Import that intents are chosen around: tight and loose, and the cheaper kept.
        wish: A slot and the intent it must have.
        thorough: Whether the loose peak is tried too, on a fine grid; not needed where many days are judged.
    """
    if problem.battery is not None and problem.battery.control == "setpoint":
        return setpoint_flow(problem, load_w, ev_w, wish=wish)
    if not thorough:
        return plan_battery(problem, load_w, ev_w, peak_w, points=61, wish=wish)
    flows = [plan_battery(problem, load_w, ev_w, peak_w * factor, wish=wish) for factor in _PEAKS]
    return min(flows, key=lambda flow: flow.money.total)


def run_decision(problem: PlanningProblem, decision: Decision, peak_w: float, *, thorough: bool = True) -> Verified:
    """Let battery and grid follow a decision, simulate it, and account for it; `peak_w`, `thorough` as in dispatch."""
    load_w = controlled_load_w(problem, decision)
    return verify(problem, decision, dispatch_battery(problem, load_w, decision.ev_w, peak_w, thorough=thorough))
