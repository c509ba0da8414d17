"""Which kinds of study there are: the optimizer's own, and what other distributions plug in.

A kind of another distribution is an entry point of the group `pems.study_kinds` that names a `StudyKind`. It is
imported when it is first asked for, so one that cannot be imported harms neither the others nor a worker's start.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pems_common.logs import get_logger
from pems_optimizer.plan_fan_study import PLAN_FAN
from pems_optimizer.study import StudyError
from pems_optimizer.study_kind import StudyKind

__all__ = ["GROUP", "KINDS", "StudyKinds"]

GROUP = "pems.study_kinds"
_log = get_logger("study")


@cache
def _plugged_in() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


class StudyKinds(Mapping[str, StudyKind]):
    """Kinds by name. Naming them imports nothing; a kind that is taken is imported and checked."""

    def __init__(self, own: Mapping[str, StudyKind], plugged_in: Mapping[str, EntryPoint] | None = None) -> None:
        """Know these kinds.

        Args:
            own: Kinds that are there already; none of another distribution takes the place of one of them.
            plugged_in: Entry points of others; those that are installed where None, looked up when first needed.
        """
        self._own, self._given = dict(own), plugged_in
        self._loaded: dict[str, StudyKind] = {}

    @property
    def _others(self) -> Mapping[str, EntryPoint]:
        return _plugged_in() if self._given is None else self._given

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._others

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._others if name not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._others.keys())

    def __getitem__(self, name: str) -> StudyKind:
        """Return a kind.

        Raises:
            KeyError: There is none of this name.
            StudyError: It cannot be imported here, or is no kind of study.
        """
        if name in self._own:
            return self._own[name]
        if name not in self._loaded:
            self._loaded[name] = _loaded(self._others[name])
        return self._loaded[name]


def _loaded(entry: EntryPoint) -> StudyKind:
    try:
        kind = entry.load()
    except Exception as error:  # whatever a foreign module raises when it is imported
        _log.error("a kind of study cannot be imported", kind=entry.name, from_=entry.value, exc_info=error)
        raise StudyError(
            f"the kind of study {entry.name} cannot be imported here: {type(error).__name__}: {error}",
            remedy="install what it needs beside the planner and each bulk worker (PEMS's own: the extra `lab`)",
        ) from error
    if not isinstance(kind, StudyKind):
        raise StudyError(f"{entry.value} is a {type(kind).__name__} and no kind of study")
    return kind


KINDS: Mapping[str, StudyKind] = StudyKinds({"plan_fan": PLAN_FAN})
