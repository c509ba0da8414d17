"""The tasks there are, and how each travels: queue, end of life, and what Flower shows of it (names, no data)."""

from dataclasses import dataclass, field
from typing import Any

from pems_optimizer.requests import PlanRequest
from pems_optimizer.study import Study
from pems_optimizer.why import WhyQuestion

__all__ = [
    "CERTIFICATE_TASK",
    "EVALUATE_TASK",
    "SOLVE_TASK",
    "STUDY_TASK",
    "WHY_TASK",
    "TaskMessage",
    "certificate_message",
    "evaluate_message",
    "solve_message",
    "study_message",
    "why_message",
]

SOLVE_TASK = "pems.plan.solve"
WHY_TASK = "pems.plan.why"
CERTIFICATE_TASK = "pems.bulk.certificate"
EVALUATE_TASK = "pems.bulk.evaluate"
STUDY_TASK = "pems.bulk.study"

# Wall time. A message that is older when a worker takes it is thrown away.
_SOLVE_EXPIRES_S = 30.0
_AFTER_PLAN_EXPIRES_S = 600.0
_STUDY_EXPIRES_S = 86_400.0
_HARD_LIMIT_EXTRA_S = 10.0  # beyond the task's own limit: the backstop
_LAST = 9  # in Redis 0 comes first and is the default: what somebody waits for passes studies


@dataclass(frozen=True)
class TaskMessage:
    """A task as it is handed to Celery.

    Attributes:
        name: Of the task.
        args: Its arguments, JSON data.
        shown: What Flower and logs show instead of them.
        queue: `plan` or `bulk`.
        options: Further options of `send_task`.
    """

    name: str
    args: list[Any]
    shown: str
    queue: str
    options: dict[str, Any] = field(default_factory=dict)

    def for_celery(self) -> dict[str, Any]:
        """Return the keyword arguments of `send_task`."""
        return {"args": self.args, "argsrepr": self.shown, "kwargsrepr": "", "queue": self.queue, **self.options}


def solve_message(request: PlanRequest) -> TaskMessage:
    """Make a plan."""
    return TaskMessage(
        SOLVE_TASK,
        [request.to_json()],
        f"site={request.site} plan_no={request.plan_no} trigger={request.trigger}",
        "plan",
        {
            "expires": _SOLVE_EXPIRES_S,
            "time_limit": request.limit_s + _HARD_LIMIT_EXTRA_S,
            "task_id": request.request_id,
        },
    )


def why_message(question: WhyQuestion) -> TaskMessage:
    """Answer a "why?"."""
    wish = " ".join(f"{name}={value}" for name, value in sorted(question.wish.items()))
    return TaskMessage(
        WHY_TASK,
        [question.to_json()],
        f"site={question.site} plan={question.plan_id} {wish}"[:200],
        "plan",
        {
            "expires": question.limit_s,
            "time_limit": question.limit_s + _HARD_LIMIT_EXTRA_S,
            "task_id": question.question_id,
        },
    )


def certificate_message(site: str, plan_id: str, plan_no: int) -> TaskMessage:
    """Find the bound of a plan."""
    shown = f"site={site} plan_no={plan_no} plan={plan_id}"
    return TaskMessage(CERTIFICATE_TASK, [site, plan_id], shown, "bulk", {"expires": _AFTER_PLAN_EXPIRES_S})


def evaluate_message(site: str, plan_id: str) -> TaskMessage:
    """Judge a plan on sampled days."""
    shown = f"site={site} plan={plan_id}"
    return TaskMessage(EVALUATE_TASK, [site, plan_id], shown, "bulk", {"expires": _AFTER_PLAN_EXPIRES_S})


def study_message(study: Study, chunk: int) -> TaskMessage:
    """Work on one chunk of a study."""
    return TaskMessage(
        STUDY_TASK,
        [study.study_id, chunk],
        f"study={study.study_id} kind={study.kind} chunk={chunk + 1}/{study.chunks}",
        "bulk",
        {"expires": _STUDY_EXPIRES_S, "time_limit": study.chunk_limit_s, "priority": _LAST},
    )
