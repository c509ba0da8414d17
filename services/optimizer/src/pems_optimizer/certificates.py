"""How good a plan is at worst: its bound, found after it was published, and told as its own message.

The gap is that of the very plan: its verified cost less the bound for the very problem it was made for.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from pems_common.bus import Bus
from pems_common.clock import Clock
from pems_common.logs import get_logger
from pems_common.messages import Certificate, wrap
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.domain.plan_record import PlanRecord
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Decision

__all__ = ["Certify", "FoundBound", "certificate_of", "certify_plan"]

TINY_CZK = 1.0  # below it a gap in per cent says nothing
_TOLERANCE = 1e-6
_log = get_logger("certificate")


class FoundBound(Protocol):
    """What `domain.certificate` finds: no decision for this problem costs less than `value_czk`."""

    @property
    def value_czk(self) -> float:
        """The bound, not finite where none was found in time."""

    @property
    def kind(self) -> Literal["proven", "estimate"]:
        """Whether it is proven for the problem solved."""


Certify = Callable[
    [PlanningProblem, Decision, Mapping[str, NDArray[Any]], float, Callable[[], float], float], FoundBound
]
"""`domain.certificate.certify(problem, decision, memory, objective, elapsed_s, limit_s)`."""


def certificate_of(plan_id: str, objective_czk: float, bound: FoundBound, took_s: float) -> Certificate | None:
    """Return the message; None where there is no bound, or a proven one above the plan's own cost: that is an error."""
    if not math.isfinite(bound.value_czk):
        _log.info("no bound was found in time", plan=plan_id)
        return None
    gap = objective_czk - bound.value_czk
    if bound.kind == "proven" and gap < -_TOLERANCE * max(1.0, abs(objective_czk)):
        _log.error("a proven bound above the plan's own cost", plan=plan_id, bound=bound.value_czk, cost=objective_czk)
        return None
    return Certificate(
        plan_id=plan_id,
        bound=round(bound.value_czk, 4),
        gap_rel=round(gap / abs(objective_czk), 6) if abs(objective_czk) >= TINY_CZK else None,
        gap_czk=round(gap, 4),
        kind=bound.kind,
        took_s=round(took_s, 3),
    )


async def certify_plan(
    clock: Clock,
    bus: Bus,
    plans: PlanMemory,
    site: str,
    plan_id: str,
    *,
    certify: Certify,
    source: str,
    limit_s: float,
) -> Certificate | None:
    """Find the bound of a plan and publish its certificate.

    Args:
        clock: Wall time.
        bus: Where it is published.
        plans: Where the plan's making is kept.
        site: Site id.
        plan_id: The plan.
        certify: Finds the bound.
        source: Name of this process in messages.
        limit_s: Wall seconds for finding it.

    Returns:
        The certificate; None where the plan is not known or superseded, or no bound was found.

    Raises:
        UnavailableError: The plan memory or the bus is away.
    """
    record = await plans.load(site, plan_id)
    if record is None:
        _log.warning("the making of this plan is not known", plan=plan_id)
        return None
    if await plans.newest_no(site) > record.plan_no:
        # Where bounds take longer than plans come, only so the newest gets one at all.
        _log.info("superseded before its certificate", plan=plan_id)
        return None
    certificate = _found(clock, record, certify, limit_s)
    if certificate is None:
        return None
    # Numbered like its plan: the bus refuses it once the certificate of a newer plan is there.
    taken = await bus.publish(
        wrap(certificate, site=site, clock=clock, source=source, cause=plan_id, seq=record.plan_no)
    )
    _log.info(
        "certificate",
        plan=plan_id,
        kind=certificate.kind,
        gap_czk=certificate.gap_czk,
        gap_rel=certificate.gap_rel,
        took_s=certificate.took_s,
        newest=taken,
    )
    return certificate


def _found(clock: Clock, record: PlanRecord, certify: Certify, limit_s: float) -> Certificate | None:
    began = clock.monotonic()
    bound = certify(
        record.problem,
        record.decision,
        record.solver_memory,
        record.objective_czk,
        lambda: clock.monotonic() - began,
        limit_s,
    )
    return certificate_of(record.plan_id, record.objective_czk, bound, clock.monotonic() - began)
