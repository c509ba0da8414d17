"""The cheapest run of a machine by dynamic programming over (slots run, running or not), compiled by numba."""

import numba as nb
import numpy as np

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["best_run"]


@nb.njit(cache=True, nogil=True)
def best_run(
    cost: Floats,
    may_off: Bools,
    may_on: Bools,
    length: int,
    start_czk: float,
    missing_czk: float,
    interruptible: bool,
    forced: int,
    on_now: bool,
) -> Bools:
    """Return when it runs (T,).

    Args:
        cost: Money for running in each slot (T,).
        may_off: Whether it may be off in a slot (T,).
        may_on: Whether it may be on (T,).
        length: Slots it has to run.
        start_czk: Money per start.
        missing_czk: Money per slot that it did not run.
        interruptible: Whether it may pause.
        forced: First slots that are not free: what happens there need not be a whole run.
        on_now: Whether it runs now.
    """
    slots = len(cost)
    worth = np.full((slots + 1, length + 1, 2), np.inf)
    choice = np.zeros((slots, length + 1, 2), dtype=np.bool_)
    for done in range(length + 1):
        worth[slots, done, :] = (length - done) * missing_czk
        if not interruptible and forced < slots and 0 < done < length:
            worth[slots, done, 1] = np.inf  # a run that the horizon cuts is no run (A4)
    for t in range(slots - 1, -1, -1):
        for done in range(length + 1):
            for before in range(2):
                begun = not interruptible and 0 < done < length
                stay = worth[t + 1, done, 0] if may_off[t] else np.inf
                if begun and before == 1 and t > forced:
                    stay = np.inf  # once begun it runs through, but for what was forced
                run = np.inf
                if may_on[t] and done < length:
                    run = worth[t + 1, done + 1, 1] + cost[t] + (0.0 if before == 1 else start_czk)
                elif may_on[t] and t < forced:  # a run that nobody needs may be forced too
                    run = worth[t + 1, length, 1] + cost[t]
                if begun and before == 0 and t >= forced:
                    run = np.inf  # no second start
                choice[t, done, before] = run < stay
                worth[t, done, before] = min(run, stay)
    on = np.zeros(slots, dtype=np.bool_)
    done, running = 0, int(on_now)
    for t in range(slots):
        on[t] = choice[t, done, running]
        running = int(on[t])
        done = min(length, done + running)
    return on
