"""The inner loops of simulated temperatures, compiled by numba: all rooms together, and the tank."""

import numba as nb
import numpy as np

from pems_optimizer.domain.problem import Bools, Floats

__all__ = ["room_states", "tank_c"]


@nb.njit(cache=True, nogil=True)
def room_states(start: Floats, step: Floats, pushed: Floats) -> Floats:
    """Return the states of a linear system at the slot boundaries (T+1, N).

    Args:
        start: State at the beginning (N,).
        step: Its transposed transition over a slot (N, N): row j is what state j does to all.
        pushed: What the inputs add in each slot (T, N).
    """
    slots, count = pushed.shape
    states = np.empty((slots + 1, count))
    states[0] = start
    for t in range(slots):
        now, after = states[t], states[t + 1]
        for i in range(count):
            after[i] = pushed[t, i]
        for j in range(count):
            of_j, row = now[j], step[j]
            for i in range(count):
                after[i] += of_j * row[i]
    return states


@nb.njit(cache=True, nogil=True)
def tank_c(start_c: float, on: Bools, loss_k: Floats, gain_k: float, high_c: Floats) -> Floats:
    """Return the tank's temperature at the slot boundaries (T+1,); its thermostat stops heating at the top.

    Args:
        start_c: At the beginning.
        on: Relay (T,).
        loss_k: What each slot takes (T,).
        gain_k: What a slot of heat adds.
        high_c: Where the thermostat cuts off (T,).
    """
    path = np.empty(len(on) + 1)
    path[0] = start_c
    for t in range(len(on)):
        warm = path[t] - loss_k[t]
        path[t + 1] = max(warm, min(warm + (gain_k if on[t] else 0.0), high_c[t]))
    return path
