"""Rules R3 to R8 for whatever is switched: forced first slots, minimum times, starts. Rooms and the tank share them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pems_optimizer.domain.reference.model import Model, Series, Term, total

__all__ = ["Switch", "add_switch"]


@dataclass(frozen=True)
class Switch:
    """What is known of a switch.

    Attributes:
        on_now: State before the first slot.
        slots_in_state: Slots it has been so; less than one counts as one.
        forced_on: States in the first slots, which are not free.
        min_on: Least slots on.
        min_off: Least slots off.
        starts_max: Starts allowed over the horizon; None for any number.
    """

    on_now: bool
    slots_in_state: int
    forced_on: Sequence[bool]
    min_on: int
    min_off: int
    starts_max: int | None = None

    def owed_slots(self) -> tuple[bool, int]:
        """Return the state after the forced slots, and how many free slots it has to go on (R6)."""
        state, held = self.on_now, max(1, self.slots_in_state)
        for forced in self.forced_on:
            held = held + 1 if forced == state else 1
            state = forced
        return state, (self.min_on if state else self.min_off) - held


def add_switch(model: Model, name: str, switch: Switch) -> Series:
    """Add a switch: 1 where it is on, per slot; its starts are charged."""
    slots, first = model.problem.slots, len(switch.forced_on)
    on, start = model.choices(f"{name}_on"), model.numbers(f"{name}_start", 0.0, 1.0)
    model.fix(on, switch.forced_on)  # R3
    before: Term = int(switch.on_now)
    for t in range(slots):
        model.demand(start[t] >= on[t] - before)  # R8
        if t >= first:
            for later in on[t + 1 : t + switch.min_on]:
                model.demand(later >= on[t] - before)  # R4
            for later in on[t + 1 : t + switch.min_off]:
                model.demand(later <= 1 - before + on[t])  # R5
        before = on[t]
    state, owed = switch.owed_slots()
    for held in on[first : first + max(0, owed)]:
        model.demand(held == int(state))  # R6
    if switch.starts_max is not None:
        left = max(0, switch.starts_max - _starts(switch.on_now, switch.forced_on))
        model.demand(total(start[first:]) <= left)  # R7
    model.own_money.append(model.problem.weights.start_czk * total(start))  # R8
    return on


def _starts(before: bool, states: Sequence[bool]) -> int:
    count = 0
    for state in states:
        count += state and not before
        before = state
    return count
