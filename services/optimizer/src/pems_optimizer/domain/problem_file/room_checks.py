"""What the fields of rooms mean to each other: names, neighbours, bands."""

from collections.abc import Iterator

from pems_optimizer.domain.problem_file.document import ProblemDocument
from pems_optimizer.domain.problem_file.errors import FieldProblem, shown
from pems_optimizer.domain.problem_file.rooms import Room, TwoCapacities
from pems_optimizer.domain.problem_file.series import at_slot, first_below

__all__ = ["room_mistakes"]

_BAND_LEAST_K = 0.1


def room_mistakes(document: ProblemDocument) -> Iterator[FieldProblem]:
    """Yield what is wrong between the fields of rooms."""
    seen: dict[str, int] = {}
    for k, room in enumerate(document.rooms):
        path = f"rooms[{k}]"
        if room.name in seen:
            message = f"is the name of rooms[{seen[room.name]}] too: each room needs its own"
            yield FieldProblem(f"{path}.name", shown(room.name), message)
        seen.setdefault(room.name, k)
        if room.gains_by_hour_w and len(room.gains_by_hour_w) != 24:
            message = "must be 24 numbers, one per local hour (a series goes into gains_w)"
            yield FieldProblem(f"{path}.gains_by_hour_w", f"{len(room.gains_by_hour_w)} values", message)
        if room.mass_c is not None and not isinstance(room.model, TwoCapacities):
            yield FieldProblem(f"{path}.mass_c", shown(room.mass_c), "a 1R1C room has no mass: leave it out")
        for facade in room.solar_m2:
            if facade not in document.solar_w_m2:
                known = ", ".join(document.solar_w_m2) or "none"
                message = f"solar_w_m2 has no such facade; there are: {known}"
                yield FieldProblem(f"{path}.solar_m2.{facade}", shown(room.solar_m2[facade]), message)
        yield from _comfort(path, room)
    if len(seen) == len(document.rooms):
        yield from _neighbours(document, seen)


def _neighbours(document: ProblemDocument, index: dict[str, int]) -> Iterator[FieldProblem]:
    for k, room in enumerate(document.rooms):
        for other, conductance in room.neighbours.items():
            field = f"rooms[{k}].neighbours.{other}"
            if other == room.name:
                yield FieldProblem(field, shown(conductance), "a room is not its own neighbour: remove it")
            elif other not in index:
                known = ", ".join(index)
                yield FieldProblem(field, shown(conductance), f"there is no room of that name; there are: {known}")
            else:
                back = document.rooms[index[other]].neighbours.get(room.name, conductance)
                if index[other] > k and abs(back - conductance) > 1e-9:
                    message = f"rooms[{index[other]}] says {back:g} about the same wall: say it once, or alike"
                    yield FieldProblem(field, shown(conductance), message)


def _comfort(path: str, room: Room) -> Iterator[FieldProblem]:
    given = [name for name in ("low_c", "high_c") if getattr(room, name) is not None]
    if room.schedule and given:
        message = "give the band by schedule, or by low_c and high_c, not both"
        yield FieldProblem(f"{path}.{given[0]}", shown(getattr(room, given[0])), message)
    elif not room.schedule and len(given) < 2:
        absent = "high_c" if given == ["low_c"] else "low_c"
        yield FieldProblem(f"{path}.{absent}", "", "the comfort band is needed: add low_c and high_c, or a schedule")
    elif not room.schedule:
        t = first_below(room.low_c, room.high_c, _BAND_LEAST_K)
        if t is not None:
            where = f"{path}.high_c" + (f"[{t}]" if isinstance(room.high_c, tuple) else "")
            message = f"must be at least {_BAND_LEAST_K} K above low_c, which is {at_slot(room.low_c, t):g} there"
            yield FieldProblem(where, shown(at_slot(room.high_c, t)), message)
    for k, entry in enumerate(room.schedule):
        where = f"{path}.schedule[{k}]"
        if k and entry.start <= room.schedule[k - 1].start:
            message = "times of a schedule must be sorted, each once"
            yield FieldProblem(f"{where}.start", f'"{entry.start // 60:02d}:{entry.start % 60:02d}"', message)
        if entry.high_c < entry.low_c + _BAND_LEAST_K:
            message = f"must be at least {_BAND_LEAST_K} K above low_c, which is {entry.low_c:g}"
            yield FieldProblem(f"{where}.high_c", shown(entry.high_c), message)
