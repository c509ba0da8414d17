"""Why a request for a plan led to nothing, as far as it can be known: from the queue, or from its worker's mark."""

from dataclasses import dataclass
from typing import Literal

from pems_optimizer.adapters.request_marks import RequestMarks

__all__ = ["Failure", "FailureKind", "fate_at_deadline", "known_fate"]

FailureKind = Literal["silent", "died", "gave_up"]


@dataclass(frozen=True)
class Failure:
    """Why there is no plan.

    Attributes:
        kind: `silent`: nobody took the request up; `died`: its worker died or hung; `gave_up`: it said why not.
        why: In words.
    """

    kind: FailureKind
    why: str


async def known_fate(marks: RequestMarks, request_id: str) -> Failure | None:
    """Return the failure of a request that needs no more waiting; None where it may still lead to a plan."""
    mark = await marks.read(request_id)
    if mark is None:
        return None
    if mark.state == "died":
        return Failure("died", f"a worker died while solving: {mark.worker}: {mark.detail}")
    if mark.state == "ended" and mark.detail:
        return Failure("gave_up", mark.detail)
    return None


async def fate_at_deadline(marks: RequestMarks, request_id: str) -> Failure:
    """Return the failure of a request whose deadline is over."""
    mark = await marks.read(request_id)
    if mark is None:
        return Failure("silent", "no plan came before the deadline: no worker took the request up")
    if mark.state == "begun":
        # Its hard time limit is before this deadline, so a living worker would have said something.
        return Failure("died", f"a worker died while solving: {mark.worker} began and never ended")
    return Failure("silent", f"no plan came before the deadline, though {mark.worker} ended its work")
