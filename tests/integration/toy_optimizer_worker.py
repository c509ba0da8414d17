"""The optimizer's real Celery worker with stand-ins for its solvers, which a test holds and kills through files.

In the directory `control` of its data directory: while `hold` is there, a solve (or an item of a study) does not go
on; `poison` makes it kill its own process; `at-work` names the process that is at it.
"""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tests.unit.optimizer.plan_record_cases import quick_plan

from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.celery_app import make_celery
from pems_optimizer.domain.planning import MadePlan
from pems_optimizer.study_kind import StudyInput, StudyKind
from pems_optimizer.study_kinds import KINDS
from pems_optimizer.tasks import Solving, add_tasks
from pems_optimizer.worker_deaths import tell_of_deaths

CONTROL = ServiceSettings().data / "control"


@dataclass(frozen=True)
class Found:
    value_czk: float
    kind: Literal["proven", "estimate"] = "proven"


def as_controlled(directory: Path) -> None:
    """Do what the test wants."""
    directory.mkdir(parents=True, exist_ok=True)
    note = directory / "at-work.new"
    note.write_text(str(os.getpid()))
    note.replace(directory / "at-work")
    if (directory / "poison").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (directory / "hold").exists():
        time.sleep(0.005)


def make(home, known, inputs, ask, *, elapsed_s) -> MadePlan:
    as_controlled(CONTROL)
    return quick_plan(home, known, inputs, ask, elapsed_s=elapsed_s)


def certify(problem, decision, memory, objective, elapsed_s, limit_s) -> Found:
    return Found(objective - float(len(memory["duals"])))


def explain(problem, decision, memory, wish, elapsed_s, limit_s):
    return {"wish": wish, "rooms": list(problem.rooms.names), "duals": memory["duals"].tolist()}


async def prepare(plans, site, params):
    return StudyInput(b"data", ("seventh",))


def open_items(data, params):
    def item(i: int) -> tuple[float]:
        if i in params.get("held", ()):
            as_controlled(CONTROL)
        return (i / 7,)

    return item


TOY = StudyKind("for tests", prepare, open_items, lambda values: {"sum": float(values["seventh"].sum())})
app = make_celery(ServiceSettings())
add_tasks(app, replace(Solving(), make=make, certify=certify, explain=explain, kinds={**KINDS, "toy": TOY}))
tell_of_deaths()
