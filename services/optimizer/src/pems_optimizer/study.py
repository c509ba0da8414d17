"""A study: many independent items of one kind, worked on in chunks by any number of workers.

Item `i` depends on the study and on `i` alone, so it does not matter how the items are cut into chunks, who works on
them, or whether a chunk is done twice.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from pems_common.errors import PemsError
from pems_common.timegrid import parse_instant

__all__ = ["MOST_CHUNKS", "MOST_CHUNK_ITEMS", "MOST_ITEMS", "Study", "StudyError", "StudyProgress"]

MOST_ITEMS = 100_000
MOST_CHUNK_ITEMS = 1_000
MOST_CHUNKS = 1_000
MOST_PARAM_CHARS = 2_000


class StudyError(PemsError):
    """This study cannot be made."""


@dataclass(frozen=True)
class Study:
    """What is to be studied.

    Attributes:
        kind: One of `study_kinds.KINDS`.
        params: Parameters of the kind, JSON data.
        items: How many items there are.
        chunk_items: Items of a chunk; the last one may have fewer.
        created_at: Wall time.
    """

    study_id: str
    site: str
    kind: str
    params: dict[str, Any]
    items: int
    chunk_items: int
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
        if len(json.dumps(self.params)) > MOST_PARAM_CHARS:
            raise StudyError(f"the parameters are longer than {MOST_PARAM_CHARS} characters")

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.items // self.chunk_items)

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
            return cls(**{**data, "created_at": parse_instant(data["created_at"])})
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
