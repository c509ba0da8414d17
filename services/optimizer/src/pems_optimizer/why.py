"""The question "why?": the other action forced, worked out by a plan worker, asked for by REST, with an end in seconds.

The question travels as a task, the answer through an `AnswerBox`. Both are plain JSON data; what they say is the
matter of `domain.why`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_common.ids import new_id
from pems_common.logs import get_logger
from pems_common.timegrid import parse_instant
from pems_optimizer.adapters.answers import AnswerBox
from pems_optimizer.adapters.plan_memory import PlanMemory
from pems_optimizer.domain.problem import PlanningProblem
from pems_optimizer.domain.scoring import Decision

__all__ = [
    "Explain",
    "InlineWhy",
    "PlanForgottenError",
    "QueuedWhy",
    "WhyPort",
    "WhyQuestion",
    "answer_question",
]

LEAST_WAIT_S = 1.0  # wall time
LONGEST_WAIT_S = 10.0
_ON_THE_WAY_S = 0.5  # of the wait, for both ways through Redis
_log = get_logger("why")

Explain = Callable[
    [PlanningProblem, Decision, Mapping[str, NDArray[Any]], dict[str, Any], Callable[[], float], float], dict[str, Any]
]
"""`domain.why.explain_other(problem, decision, memory, wish, elapsed_s, limit_s)`."""


class PlanForgottenError(PemsError):
    """The making of this plan is not kept: it is too old, or of another site."""


@dataclass(frozen=True)
class WhyQuestion:
    """One question about a plan.

    Attributes:
        wish: What should be otherwise, as `domain.why` understands it.
        expires_at: Wall time after which nobody waits.
        limit_s: Wall seconds for the work.
    """

    question_id: str
    site: str
    plan_id: str
    wish: dict[str, Any]
    expires_at: datetime
    limit_s: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "expires_at": self.expires_at.isoformat()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read plain JSON data.

        Raises:
            PermanentError: Something is missing or malformed.
        """
        try:
            return cls(
                question_id=str(data["question_id"]),
                site=str(data["site"]),
                plan_id=str(data["plan_id"]),
                wish=dict(data["wish"]),
                expires_at=parse_instant(data["expires_at"]),
                limit_s=float(data["limit_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"malformed question: {error}") from error


class WhyPort(Protocol):
    """Answers questions about plans."""

    async def ask_why(self, plan_id: str, wish: dict[str, Any], wait_s: float = 5.0) -> dict[str, Any]:
        """Ask what it would cost if something were otherwise.

        Args:
            plan_id: The plan.
            wish: What should be otherwise.
            wait_s: Wall seconds to wait for the answer, 1 to 10.

        Raises:
            PlanForgottenError: Nothing is known of how this plan was made.
            UnavailableError: No answer came in time, or the queue is away.
            PemsError: The wish cannot be worked out; the text says why.
        """


async def answer_question(clock: Clock, plans: PlanMemory, question: WhyQuestion, explain: Explain) -> dict[str, Any]:
    """Work a question out; what goes wrong is part of the answer.

    Raises:
        UnavailableError: The plan memory is away.
    """
    began = clock.monotonic()
    record = await plans.load(question.site, question.plan_id)
    if record is None:
        return {"error": "forgotten", "text": f"the making of plan {question.plan_id} is not known any more"}
    try:
        answer = explain(
            record.problem,
            record.decision,
            record.solver_memory,
            question.wish,
            lambda: clock.monotonic() - began,
            question.limit_s,
        )
    except (PemsError, ValueError) as error:
        return {"error": "wish", "text": str(error)}
    except Exception as error:
        _log.error("a question could not be worked out", question=question.question_id, exc_info=error)
        return {"error": "failed", "text": f"the question could not be worked out: {type(error).__name__}"}
    return {"answer": answer}


def _opened(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the answer in a reply, or raise what it tells of."""
    text = str(reply.get("text", ""))
    match reply.get("error"):
        case None:
            return dict(reply["answer"])
        case "forgotten":
            raise PlanForgottenError(text, remedy="ask about one of the last plans (GET /v1/plans)")
        case _:
            raise PemsError(text)


def _question(clock: Clock, site: str, plan_id: str, wish: dict[str, Any], wait_s: float) -> WhyQuestion:
    now = clock.wall_now()
    return WhyQuestion(new_id(now), site, plan_id, wish, now + timedelta(seconds=wait_s), wait_s - _ON_THE_WAY_S)


class QueuedWhy:
    """Asks a worker."""

    def __init__(self, send: "SendQuestion", answers: AnswerBox, clock: Clock, site: str) -> None:
        """Ask for plans of `site`; `send` hands a question to the workers."""
        self._send, self._answers, self._clock, self._site = send, answers, clock, site

    async def ask_why(self, plan_id: str, wish: dict[str, Any], wait_s: float = 5.0) -> dict[str, Any]:
        """Ask what it would cost if something were otherwise."""
        wait_s = min(max(wait_s, LEAST_WAIT_S), LONGEST_WAIT_S)
        question = _question(self._clock, self._site, plan_id, wish, wait_s)
        deadline = self._clock.monotonic() + wait_s
        await self._send(question)
        reply = await self._answers.take(question.question_id, deadline - self._clock.monotonic())
        if reply is None:
            raise UnavailableError(
                f"no worker answered within {wait_s:g} s", remedy="ask again when the plan that is being made is there"
            )
        return _opened(reply)


class InlineWhy:
    """Works the answer out in this process: for lockstep runs and tests."""

    def __init__(self, plans: PlanMemory, clock: Clock, site: str, explain: Explain) -> None:
        """Answer for plans of `site` that are in `plans`."""
        self._plans, self._clock, self._site, self._explain = plans, clock, site, explain

    async def ask_why(self, plan_id: str, wish: dict[str, Any], wait_s: float = 5.0) -> dict[str, Any]:
        """Ask what it would cost if something were otherwise."""
        wait_s = min(max(wait_s, LEAST_WAIT_S), LONGEST_WAIT_S)
        question = _question(self._clock, self._site, plan_id, wish, wait_s)
        return _opened(await answer_question(self._clock, self._plans, question, self._explain))


class SendQuestion(Protocol):
    """Hands a question to the workers."""

    async def __call__(self, question: WhyQuestion) -> None:
        """Send it.

        Raises:
            UnavailableError: The queue did not take it.
        """
