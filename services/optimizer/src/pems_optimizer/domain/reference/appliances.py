"""Rules A1 to A6: machines that have to run for some slots in a window, at a stretch or not."""

from pems_optimizer.domain.problem import ApplianceSpec
from pems_optimizer.domain.reference.model import Model, Series, Term, total

__all__ = ["add_appliance"]


def add_appliance(model: Model, number: int, spec: ApplianceSpec) -> Series:
    """Add a machine; returns 1 where it runs, per slot."""
    slots, name = model.problem.slots, f"appliance{number}"
    first = min(spec.forced, slots)
    forced = list(spec.forced_on[:first])
    on, start = model.choices(f"{name}_on"), model.numbers(f"{name}_start", 0.0, 1.0)
    model.fix(on, forced)  # A2
    done = min(spec.run_slots, sum(forced))
    opens, closes = max(first, spec.earliest), min(spec.deadline, slots)
    for t in range(first, slots):
        if not opens <= t < closes:
            model.demand(on[t] == 0)  # A1
    model.demand(total(on[first:]) <= spec.run_slots - done)  # A3
    if not spec.interruptible:
        _at_a_stretch(model, name, spec, on, (first, opens, closes), done)
    before: Term = int(spec.on_now)
    for t in range(slots):
        model.demand(start[t] >= on[t] - before)  # A5
        before = on[t]
    missing = model.number(f"{name}_missing")
    model.demand(missing >= spec.run_slots - total(on[: max(spec.deadline, spec.forced)]))  # A6
    model.own_money.append(spec.start_czk * total(start) + spec.missing_czk * missing)
    return on


def _at_a_stretch(
    model: Model, name: str, spec: ApplianceSpec, on: Series, window: tuple[int, int, int], done: int
) -> None:
    """Let the free slots hold one whole run, the rest of the run that is under way, or nothing (A4; A3: no two)."""
    first, opens, closes = window
    rest = spec.run_slots - done
    if rest <= 0:
        return
    running = bool(spec.forced_on[first - 1]) if first else spec.on_now
    begins = range(opens, closes - rest + 1)
    if done:  # begun: it goes on at once, or not at all
        begins = range(first, first + 1) if running and first in begins else range(0)
    run = {begin: model.choice(f"{name}_run_{begin}") for begin in begins}
    for t in range(first, len(on)):
        model.demand(on[t] == total([0.0, *(run[b] for b in begins if b <= t < b + rest)]))
