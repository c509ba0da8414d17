"""A study: many independent items of one kind, worked on in chunks by any number of workers.

Item `i` depends on the study and on `i` alone, so it does not matter how the items are cut into chunks, who works on
them, or whether a chunk is done twice.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self, TypeAlias

from pems_common.errors import PemsError
from pems_common.timegrid import parse_instant

__all__ = ["MOST_CHUNKS", "MOST_CHUNK_ITEMS", "MOST_ITEMS", "Row", "Study", "StudyError", "StudyProgress"]

MOST_ITEMS = 100_000
MOST_CHUNK_ITEMS = 1_000
MOST_CHUNKS = 1_000
MOST_PARAM_CHARS = 2_000
MOST_NUMBERS = 400_000  # of all items together: some 8 MB in Redis for a day
LEAST_CHUNK_LIMIT_S = 900.0
_BESIDE_ITEMS_S = 60.0  # for opening the study, and its store

Row: TypeAlias = tuple[float, ...]
"""The numbers of an item, by the study's columns."""


class StudyError(PemsError):
    """This study cannot be made."""


@dataclass(frozen=True)
class Study:
    """What is to be studied.

    Attributes:
        kind: One of `study_kinds.KINDS`.
        params: Parameters of the kind, JSON data.
        columns: Names of an item's numbers.
        items: How many items there are.
        chunk_items: Items of a chunk; the last one may have fewer.
        item_limit_s: Wall seconds that an item takes at most.
        created_at: Wall time.
    """

    study_id: str
    site: str
    kind: str
    params: dict[str, Any]
    columns: tuple[str, ...]
    items: int
    chunk_items: int
    item_limit_s: float
    created_at: datetime

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            StudyError: One of them is out of bounds.
        """
        if not 1 <= self.items <= MOST_ITEMS:
            raise StudyError(f"{self.items} items: a study has 1 to {MOST_ITEMS}")
        if not 1 <= self.chunk_items <= MOST_CHUNK_ITEMS:
            raise StudyError(f"{self.chunk_items} items in a chunk: 1 to {MOST_CHUNK_ITEMS} are possible")
        if self.chunks > MOST_CHUNKS:
            least = -(-self.items // MOST_CHUNKS)
            raise StudyError(f"{self.chunks} chunks are more than {MOST_CHUNKS}", remedy=f"chunk_items {least} or more")
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise StudyError("an item needs numbers, each with a name of its own")
        if self.items * len(self.columns) > MOST_NUMBERS:
            most = MOST_NUMBERS // len(self.columns)
            raise StudyError(f"{self.items} items of {len(self.columns)} numbers", remedy=f"at most {most} items")
        if len(json.dumps(self.params)) > MOST_PARAM_CHARS:
            raise StudyError(f"the parameters are longer than {MOST_PARAM_CHARS} characters")

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.items // self.chunk_items)

    @property
    def chunk_limit_s(self) -> float:
        """Wall seconds after which a worker is ended over a chunk."""
        return max(LEAST_CHUNK_LIMIT_S, self.chunk_items * self.item_limit_s + _BESIDE_ITEMS_S)

    def span(self, chunk: int) -> range:
        """Items of a chunk."""
        if not 0 <= chunk < self.chunks:
            raise StudyError(f"chunk {chunk} of study {self.study_id}: there are {self.chunks}")
        return range(chunk * self.chunk_items, min(self.items, (chunk + 1) * self.chunk_items))

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps({**asdict(self), "created_at": self.created_at.isoformat()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text.

        Raises:
            StudyError: It is malformed.
        """
        try:
            data = json.loads(text)
            found = {"columns": tuple(data["columns"]), "created_at": parse_instant(data["created_at"])}
            return cls(**{**data, **found})
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"malformed study: {error}") from error


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        done: Chunks with a result.
        failed: Chunks given up, with the reason.
        held: Chunks that a worker is at.
        tries: How often each chunk was begun.
    """

    done: frozenset[int] = frozenset()
    failed: dict[int, str] | None = None
    held: frozenset[int] = frozenset()
    tries: dict[int, int] | None = None

    def missing(self, study: Study) -> set[int]:
        """Chunks that are neither done nor given up."""
        return set(range(study.chunks)) - self.done - set(self.failed or {})
