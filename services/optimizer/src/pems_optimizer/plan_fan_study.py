"""The study of one plan on many possible tomorrows (`plan_fan`)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pems_common.errors import PemsError
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.domain.plan_fan import RELAYS, Relays, fan_columns, fan_item, fan_summary
from pems_optimizer.domain.plan_record import read_record, record_bytes
from pems_optimizer.study import StudyError
from pems_optimizer.study_kind import ItemWork, StudyInput, StudyKind
from pems_optimizer.why import PlanForgottenError

__all__ = ["PLAN_FAN"]

_ITEM_LIMIT_S = 1.0
_PARAMS = {"plan_id", "relays", "seed"}


def _seed(params: Mapping[str, Any]) -> int:
    seed = params.get("seed", 1)
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise StudyError(f"params.seed is {seed!r}: a whole number from 0 on is needed")
    return seed


def _relays(params: Mapping[str, Any]) -> Relays:
    for relays in RELAYS:
        if params.get("relays", "strict") == relays:
            return relays
    raise StudyError(f"params.relays is {params['relays']!r:.60}: it is one of {', '.join(RELAYS)}")


async def _prepare(plans: PlanMemory, site: str, params: dict[str, Any]) -> StudyInput:
    if unknown := set(params) - _PARAMS:
        known = ", ".join(sorted(_PARAMS))
        raise StudyError(f"plan_fan knows no parameter {sorted(unknown)[0]}", remedy=f"it has {known}")
    _seed(params)
    _relays(params)
    plan_id = params.get("plan_id")
    record = await (plans.newest(site) if plan_id is None else plans.load(site, str(plan_id)))
    if record is None:
        text = "no plan is kept yet" if plan_id is None else f"the making of plan {plan_id} is not known any more"
        raise PlanForgottenError(text, remedy="studies are about the plans of the last hours")
    return StudyInput(record_bytes(replace(record, solver_memory={})), fan_columns(record.problem))


def _open(data: bytes, params: dict[str, Any]) -> ItemWork:
    try:
        return fan_item(read_record(data), _seed(params), _relays(params))
    except ValueError as error:
        raise PemsError(f"the study's plan cannot be read: {error}") from error


PLAN_FAN = StudyKind(
    "What a plan costs and how warm it keeps the rooms on sampled days: relays as planned, battery and grid react.",
    _prepare,
    _open,
    fan_summary,
    item_limit_s=_ITEM_LIMIT_S,
)
