"""What stays of a plan's making, for the questions that come after it: its certificate, a "why", a study, a re-plan.

Compressed to bytes of bounded size; what the solver remembers (columns, duals) is left out where it would not fit.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.problem_store import StoreError, from_bytes, to_bytes
from pems_optimizer.domain.scoring import Decision

__all__ = ["MOST_BYTES", "PlanRecord", "read_record", "record_bytes"]

MOST_BYTES = 1_500_000
_MOST_UNPACKED_BYTES = 64_000_000


@dataclass(frozen=True)
class PlanRecord:
    """A plan's problem and what was chosen.

    Attributes:
        objective_czk: Verified cost of the decision, unrounded.
        peak_w: Highest import of the plan.
        correlation: Lag-1 correlation of the forecast's errors of `pv`, `load` and `price`.
        solver_memory: Whatever the solver wants back (columns, duals); empty where it keeps nothing.
    """

    site: str
    plan_id: str
    plan_no: int
    config_hash: str
    issued_at: datetime
    objective_czk: float
    peak_w: float
    problem: PlanningProblem
    decision: Decision
    correlation: Mapping[str, float] = field(default_factory=dict)
    solver_memory: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def record_bytes(record: PlanRecord, *, most: int = MOST_BYTES) -> bytes:
    """Return a record as at most `most` bytes, without the solver's memory where that is too large.

    Raises:
        StoreError: It is too large even so.
    """
    packed = zlib.compress(to_bytes(record))
    if len(packed) > most and record.solver_memory:
        packed = zlib.compress(to_bytes(replace(record, solver_memory={})))
    if len(packed) > most:
        raise StoreError(f"plan {record.plan_id} takes {len(packed)} bytes, at most {most} are kept")
    return packed


def read_record(packed: bytes) -> PlanRecord:
    """Return the record that was packed.

    Raises:
        StoreError: The bytes are damaged, too large, or of another version.
    """
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, _MOST_UNPACKED_BYTES)
    except zlib.error as error:
        raise StoreError(f"no stored plan: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise StoreError("no stored plan: cut off, or larger than any plan")
    return from_bytes(PlanRecord, data)
