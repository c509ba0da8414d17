"""What the fields of battery, car, water and appliances mean to each other: limits, windows, timers."""

from collections.abc import Iterator
from datetime import datetime

from pems_optimizer.domain.problem_file.devices import Appliance, Battery, Car
from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.errors import FieldProblem, shown
from pems_optimizer.domain.problem_file.series import at_slot, first_below, most_of

__all__ = ["device_mistakes"]

_TIMER_SLOTS_MOST = 96


def device_mistakes(document: ProblemDocument) -> Iterator[FieldProblem]:
    """Yield what is wrong between the fields of devices other than rooms."""
    yield from _timers(document)
    yield from _devices(document)


def _timers(document: ProblemDocument) -> Iterator[FieldProblem]:
    timers = {"min_on_minutes": document.min_on_minutes, "min_off_minutes": document.min_off_minutes}
    if document.water is not None:
        timers["water.min_on_minutes"] = document.water.min_on_minutes
        timers["water.min_off_minutes"] = document.water.min_off_minutes
    most = _TIMER_SLOTS_MOST * document.step_minutes
    for field, minutes in timers.items():
        if minutes > most:
            message = f"must be at most {most} minutes: {_TIMER_SLOTS_MOST} slots"
            yield FieldProblem(field, str(minutes), message)


def _devices(document: ProblemDocument) -> Iterator[FieldProblem]:
    if document.battery is not None:
        yield from _battery(document.battery)
    if document.ev is not None:
        yield from _car(document, document.ev)
    water = document.water
    if water is not None:
        t = first_below(water.low_c, water.high_c)
        if t is not None:
            message = f"must not be below low_c, which is {at_slot(water.low_c, t):g} in slot {t}"
            yield FieldProblem("water.high_c", shown(water.high_c), message)
    names: set[str] = set()
    for k, appliance in enumerate(document.appliances):
        if appliance.name in names:
            yield FieldProblem(f"appliances[{k}].name", shown(appliance.name), "stands twice: each needs its own name")
        names.add(appliance.name)
        yield from _appliance(document, f"appliances[{k}]", appliance)


def _battery(battery: Battery) -> Iterator[FieldProblem]:
    if battery.soc_min_pct >= battery.soc_max_pct:
        message = f"must be below soc_max_pct, which is {battery.soc_max_pct:g}"
        yield FieldProblem("battery.soc_min_pct", shown(battery.soc_min_pct), message)
    if battery.dispatch_min_w and battery.control == "setpoint":
        message = 'belongs to control "intents": a set-point battery does any power; leave it out'
        yield FieldProblem("battery.dispatch_min_w", shown(battery.dispatch_min_w), message)
    for name in ("charge_max_w", "discharge_max_w"):
        most = most_of(getattr(battery, name))
        if battery.dispatch_min_w > most:
            message = f"must not exceed {name}, which is {most:g}"
            yield FieldProblem("battery.dispatch_min_w", shown(battery.dispatch_min_w), message)
    taper = battery.taper
    if taper is not None:
        most = most_of(battery.charge_max_w)
        if taper.full_w > most:
            message = f"must not exceed charge_max_w, which is {most:g}"
            yield FieldProblem("battery.taper.full_w", shown(taper.full_w), message)
        if taper.from_soc_pct >= battery.soc_max_pct:
            message = f"must be below soc_max_pct, which is {battery.soc_max_pct:g}"
            yield FieldProblem("battery.taper.from_soc_pct", shown(taper.from_soc_pct), message)


def _car(document: ProblemDocument, ev: Car) -> Iterator[FieldProblem]:
    if ev.power_min_w > ev.power_max_w:
        message = f"must not exceed power_max_w, which is {ev.power_max_w:g}"
        yield FieldProblem("ev.power_min_w", shown(ev.power_min_w), message)
    yield from _window(document, "ev", ("plugged_at", ev.plugged_at), ("ready_at", ev.ready_at))


def _appliance(document: ProblemDocument, path: str, appliance: Appliance) -> Iterator[FieldProblem]:
    problems = list(_window(document, path, ("earliest_at", appliance.earliest_at), ("ready_at", appliance.ready_at)))
    yield from problems
    window = document.end_slot(appliance.ready_at) - document.first_slot(appliance.earliest_at)
    if not problems and appliance.run_minutes > window * document.step_minutes:
        message = f"does not fit into its window, which has {window} whole slots of {document.step_minutes} minutes"
        yield FieldProblem(f"{path}.run_minutes", str(appliance.run_minutes), message)


def _window(
    document: ProblemDocument, path: str, opens: tuple[str, datetime | None], closes: tuple[str, datetime | None]
) -> Iterator[FieldProblem]:
    """Check that a window has at least one whole slot of the horizon."""
    (open_name, opens_at), (close_name, closes_at) = opens, closes
    first = document.first_slot(opens_at)
    if first >= document.slots:
        message = (
            f"must be before the end of the horizon, {(document.start + document.slots * document.step).isoformat()}"
        )
        yield FieldProblem(f"{path}.{open_name}", shown(str(opens_at)), message)
    elif closes_at is not None and document.end_slot(closes_at) <= first:
        message = f"leaves no whole slot: must be {(document.start + (first + 1) * document.step).isoformat()} or later"
        yield FieldProblem(f"{path}.{close_name}", shown(closes_at.isoformat()), message)
