"""What a kind of study is: what it needs, how an item comes to its numbers, what all of them say together.

Another distribution may bring kinds of its own: it names a `StudyKind` in the entry-point group `pems.study_kinds`
(`study_kinds.py`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.domain.problem import Floats

__all__ = ["ITEM_LIMIT_S", "ItemWork", "StudyInput", "StudyKind", "by_column"]

ITEM_LIMIT_S = 15.0  # wall time

ItemWork = Callable[[int], Sequence[float]]
"""Gives the numbers of an item, one for each column; NaN where one does not apply."""


@dataclass(frozen=True)
class StudyInput:
    """What all items of a study need. It is kept with it, so nothing that is forgotten meanwhile is missed.

    Attributes:
        data: For `StudyKind.open`.
        columns: Names of an item's numbers.
    """

    data: bytes
    columns: tuple[str, ...]


@dataclass(frozen=True)
class StudyKind:
    """A kind of study.

    `prepare` and `summarise` run in the planner's process and have to be light; `open` and what it returns run in a
    worker, in a thread of its own, and may take long.

    Attributes:
        about: One sentence for people.
        prepare: From (plan memory, site, parameters): what the items need. It raises `StudyError` where parameters are
            wrong.
        open: From (data of `prepare`, parameters): what works on an item. An item depends on these and on its number
            alone.
        summarise: From all numbers, by column and in the order of the items (N,): what they say together, JSON data.
        item_limit_s: Wall seconds that an item takes at most; a chunk that takes more than all its items may is ended.
    """

    about: str
    prepare: Callable[[PlanMemory, str, dict[str, Any]], Awaitable[StudyInput]]
    open: Callable[[bytes, dict[str, Any]], ItemWork]
    summarise: Callable[[Mapping[str, Floats]], dict[str, Any]]
    item_limit_s: float = ITEM_LIMIT_S


def by_column(columns: Sequence[str], rows: Sequence[Sequence[float]]) -> dict[str, Floats]:
    """Return the rows of all items as one array (N,) for each column."""
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))
    return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(columns)}
