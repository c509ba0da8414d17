"""The study kind `closed_loop_days`: days with faults, dealt out by Celery to bulk workers on any host.

A worker needs the lab's packages (`pip install pems[lab]`) and, for the reference year, the data sets of its own
`PEMS_DATA_DIR`. The planner that begins a study and sums it up imports none of that.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pems_common.errors import PemsError
from pems_common.home import load_home
from pems_common.settings import ServiceSettings
from pems_lab.faults.figures import COLUMNS, summarise
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.study import StudyError
from pems_optimizer.study_kind import StudyInput, StudyKind

__all__ = ["CLOSED_LOOP_DAYS"]

_WORLDS = ("generated", "reference")
_SEASONS = ("year", "winter")
_DEFAULTS: dict[str, Any] = {"seed": 1, "world": "generated", "season": "year"}
_ITEM_LIMIT_S = 1_800.0  # a day takes one to two minutes of a core; a busy host may have a tenth of one to give


def _parameters(params: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(params) - set(_DEFAULTS):
        known = ", ".join(_DEFAULTS)
        raise StudyError(f"closed_loop_days knows no parameter {sorted(unknown)[0]:.60}", remedy=f"it has {known}")
    given = {**_DEFAULTS, **params}
    if type(given["seed"]) is not int or not 0 <= given["seed"] < 2**63:
        raise StudyError(f"params.seed is {given['seed']!r:.60}: a whole number from 0 on is needed")
    for name, choices in (("world", _WORLDS), ("season", _SEASONS)):
        if given[name] not in choices:
            raise StudyError(f"params.{name} is {given[name]!r:.60}: there are {', '.join(choices)}")
    return given


async def _prepare(_: PlanMemory, site: str, params: dict[str, Any]) -> StudyInput:
    """Keep the planner's home.yaml with the study: workers may have another one."""
    _parameters(params)
    home = load_home(ServiceSettings().home)
    if home.site.id != site:
        raise StudyError(f"home.yaml is of site {home.site.id!r:.60}, not {site!r:.60}")
    return StudyInput(json.dumps(home.model_dump(mode="json")).encode(), COLUMNS)


def _open(data: bytes, params: dict[str, Any]) -> Callable[[int], Sequence[float]]:
    from pems_common.home import Home  # what a worker alone needs: it takes seconds
    from pems_lab.arms.jobs import WorldChoice
    from pems_lab.faults.day import run_day
    from pems_lab.faults.draw import draw_day

    given = _parameters(params)
    folder = ServiceSettings().data_dir
    if given["world"] == "reference" and (folder is None or not (folder / "weather").is_dir()):
        raise PemsError(
            f"this worker has no data sets of the reference year (PEMS_DATA_DIR is {folder or 'not set'})",
            remedy="set PEMS_DATA_DIR for the bulk workers, or ask for the generated world",
        )
    world = WorldChoice(given["world"], data=str(folder or ""))
    home = world.home(Home.model_validate(json.loads(data)))

    def item(number: int) -> Sequence[float]:
        day = draw_day(home, given["seed"], number, season=given["season"])
        return run_day(home, world.open(home, day.house_seed), day).figures.values()

    return item


CLOSED_LOOP_DAYS = StudyKind(
    "Days of the simulated house in closed loop with random faults: cost, comfort, limits, modes, and how soon it is"
    " back.",
    _prepare,
    _open,
    summarise,
    item_limit_s=_ITEM_LIMIT_S,
)
