"""A decision made on long slots brought back to the short ones of the true problem."""

import numpy as np

from pems_optimizer.domain.problem import ApplianceSpec, Bools, Floats, PlanningProblem
from pems_optimizer.domain.scoring import Decision

__all__ = ["refined", "run_left"]


def run_left(spec: ApplianceSpec) -> int:
    """Return the slots that a machine still has to run after its forced ones."""
    return max(0, spec.run_slots - sum(spec.forced_on[: spec.forced]))


def _repeated(states: Bools | Floats, factor: int, slots: int) -> Bools | Floats:
    """Do in each slot what the long slot does; what is left over at the end goes on as it was."""
    return np.concatenate([np.repeat(states, factor, axis=0), np.repeat(states[-1:], slots, axis=0)])[:slots]


def _machine(spec: ApplianceSpec, long_on: Bools, factor: int, slots: int) -> Bools:
    """Run a machine exactly as long as it has to, where the long slots have it."""
    on: Bools = np.zeros(slots, dtype=np.bool_)
    forced, left = min(spec.forced, slots), run_left(spec)
    on[:forced] = spec.forced_on[:forced]
    first, end = max(spec.earliest, forced), min(spec.deadline, slots)
    wished = np.zeros(slots, dtype=np.bool_)
    wished[: len(long_on) * factor] = np.repeat(long_on, factor)[:slots]
    wished[:first], wished[end:] = False, False
    if left == 0 or not wished.any():
        return on
    if spec.interruptible:
        # The wished slots first, then those around them.
        order = np.argsort(~wished[first:end], kind="stable")[:left]
        on[first + order] = True
    elif end - first >= left:
        begun = bool(on[forced - 1]) if forced else spec.on_now and spec.earliest <= 0
        start = first if begun else min(int(np.flatnonzero(wished)[0]), end - left)
        on[start : start + left] = True
    return on


def refined(problem: PlanningProblem, decision: Decision, factor: int) -> Decision:
    """Bring a decision on `coarsened(problem, factor)` back to the slots of `problem`.

    Minimum times hold, forced slots are as they were, a machine runs whole and in its window, and the car is charged
    with the same power in every short slot.

    Args:
        problem: The true problem.
        decision: What was decided on the long slots.
        factor: Slots of a long one.
    """
    slots, rooms = problem.slots, problem.rooms
    relay_on = np.asarray(_repeated(decision.relay_on, factor, slots), dtype=np.bool_)
    for r in range(rooms.count):
        forced = int(rooms.forced[r])
        relay_on[:forced, r] = rooms.forced_on[:forced, r]
    water_on = np.asarray(_repeated(decision.water_on, factor, slots), dtype=np.bool_)
    if problem.water is not None:
        water_on[: problem.water.forced] = problem.water.forced_on[:slots]
    ev_w = np.asarray(_repeated(decision.ev_w, factor, slots), dtype=np.float64)
    if problem.ev is not None:
        ev_w[len(decision.ev_w) * factor :] = 0.0
        forced_w = problem.ev.forced_w[:slots]
        ev_w[: len(forced_w)] = forced_w
    runs = tuple(
        _machine(spec, on, factor, slots) for spec, on in zip(problem.appliances, decision.appliances, strict=True)
    )
    return Decision(relay_on, water_on, ev_w, runs)
