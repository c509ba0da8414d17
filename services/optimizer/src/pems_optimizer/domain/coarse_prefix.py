"""What is forced at the start of a problem, on longer slots."""

from collections.abc import Sequence

__all__ = ["coarse_states", "relay_prefix"]


def coarse_states(states: Sequence[bool], factor: int) -> list[bool]:
    """Return the state of each long slot: that of most of its slots; of the last one that of its end, which goes on.

    Args:
        states: Of whole long slots.
        factor: Slots of a long one.
    """
    blocks = [states[k : k + factor] for k in range(0, len(states), factor)]
    out = [2 * sum(block) > len(block) for block in blocks]
    return [*out[:-1], blocks[-1][-1]] if blocks else []


def relay_prefix(
    forced: Sequence[bool], *, on_now: bool, held: int, least: tuple[int, int], factor: int, slots: int
) -> list[bool]:
    """Return what a relay is forced to do in the first long slots.

    The last forced state is held to the end of its long slot. Where long slots would count more time in that state
    than has passed, it is held for as long as its minimum time needs.

    Args:
        forced: States of the forced slots.
        on_now: State before them.
        held: Slots it has been in it; less than 1 counts as 1.
        least: Minimum slots off, and on.
        factor: Slots of a long one.
        slots: Long slots of the horizon.
    """
    padded = [*forced, *[forced[-1] if forced else on_now] * (-len(forced) % factor)]
    prefix = coarse_states(padded, factor)
    state, run = _run(padded, on_now, max(1, held))
    _, long_run = _run(prefix, on_now, max(1, held // factor))
    needed = -(-(least[state] - run) // factor)
    counted = -(-least[state] // factor) - long_run
    if needed > max(0, counted):
        prefix += [bool(state)] * needed
    return prefix[:slots]


def _run(states: Sequence[bool], before: bool, held: int) -> tuple[bool, int]:
    """Return the last state and for how many slots it has been."""
    state, run = before, held
    for now in states:
        state, run = (state, run + 1) if now == state else (now, 1)
    return state, run
