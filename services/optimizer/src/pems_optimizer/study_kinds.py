"""Which kinds of study there are. A new one is an entry of `KINDS`: what it needs, an item, a summary."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pems_common.errors import PemsError
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.domain.plan_fan import fan_item, fan_summary
from pems_optimizer.domain.plan_record import read_record, record_bytes
from pems_optimizer.study import StudyError
from pems_optimizer.why import PlanForgottenError

__all__ = ["KINDS", "StudyKind"]


@dataclass(frozen=True)
class StudyKind:
    """A kind of study.

    Attributes:
        about: One sentence for people.
        prepare: From (plan memory, site, parameters): what all items need, as bytes. It is kept with the study, so
            that a study does not depend on what is forgotten meanwhile.
        open: From (those bytes, parameters): what gives the number of an item.
        summarise: What all numbers, in the order of the items, say together.
    """

    about: str
    prepare: Callable[[PlanMemory, str, dict[str, Any]], Awaitable[bytes]]
    open: Callable[[bytes, dict[str, Any]], Callable[[int], float]]
    summarise: Callable[[Sequence[float]], dict[str, float]]


def _fan_seed(params: dict[str, Any]) -> int:
    seed = params.get("seed", 1)
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise StudyError(f"params.seed is {seed!r}: a whole number from 0 on is needed")
    return seed


async def _prepare_fan(plans: PlanMemory, site: str, params: dict[str, Any]) -> bytes:
    if unknown := set(params) - {"plan_id", "seed"}:
        raise StudyError(f"plan_fan knows no parameter {sorted(unknown)[0]}", remedy="it has plan_id and seed")
    _fan_seed(params)
    plan_id = params.get("plan_id")
    record = await (plans.newest(site) if plan_id is None else plans.load(site, str(plan_id)))
    if record is None:
        text = "no plan is kept yet" if plan_id is None else f"the making of plan {plan_id} is not known any more"
        raise PlanForgottenError(text, remedy="studies are about the plans of the last hours")
    return record_bytes(replace(record, solver_memory={}))


def _open_fan(data: bytes, params: dict[str, Any]) -> Callable[[int], float]:
    try:
        return fan_item(read_record(data), _fan_seed(params))
    except ValueError as error:
        raise PemsError(f"the study's plan cannot be read: {error}") from error


KINDS: Mapping[str, StudyKind] = {
    "plan_fan": StudyKind(
        "What a plan costs on sampled days of PV, load and prices: relays as planned, battery and grid react.",
        _prepare_fan,
        _open_fan,
        fan_summary,
    ),
}
