"""Relays as the controller guards them through a drawn day, compiled by numba: a fan asks for thousands of days."""

import numba as nb
import numpy as np

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["guarded"]


@nb.njit(cache=True, nogil=True)
def guarded(
    step: Floats, pushed: Floats, warmed: Floats, start_c: Floats, planned: Bools, top_c: Floats, low_c: Floats
) -> Bools:
    """Return what each relay does (T, R).

    Args:
        step: Step matrix of all nodes, air 0..R-1, mass 0..R-1 (2R, 2R).
        pushed: What weather and gains add to the nodes over each slot (T, 2R) [K].
        warmed: What each relay adds to them while on, over a slot (2R, R) [K].
        start_c: Temperatures of the nodes now (2R,).
        planned: Relays as planned (T, R).
        top_c: A relay that is planned on stays off above this (T, R).
        low_c: One that is planned off is on below this (T, R).
    """
    slots, count = planned.shape
    held = np.empty((slots, count), dtype=np.bool_)
    now, after = start_c.copy(), np.empty_like(start_c)
    for t in range(slots):
        for r in range(count):
            held[t, r] = now[r] <= top_c[t, r] if planned[t, r] else now[r] < low_c[t, r]
        for i in range(2 * count):
            node = pushed[t, i]
            for j in range(2 * count):
                node += step[i, j] * now[j]
            for r in range(count):
                if held[t, r]:
                    node += warmed[i, r]
            after[i] = node
        now, after = after, now
    return held
