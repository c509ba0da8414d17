"""Asking "why?": an answer in seconds or a plain no, by a worker or in this process."""

import asyncio
from datetime import timedelta

import pytest
from tests.unit.optimizer.optimizer_cases import START
from tests.unit.optimizer.plan_record_cases import a_record

from pems_common.clock import FakeClock, SystemClock
from pems_common.errors import PemsError, PermanentError, UnavailableError
from pems_optimizer.adapters.answers import InMemoryAnswers
from pems_optimizer.adapters.plan_memory import InMemoryPlans
from pems_optimizer.why import InlineWhy, PlanForgottenError, QueuedWhy, WhyQuestion, answer_question

WISH = {"device": "room:pokoj_1", "slot": 3, "action": "on"}


def explain(problem, decision, memory, wish, elapsed_s, limit_s):
    """A stand-in for the domain's."""
    if wish.get("slot", 0) >= problem.slots:
        raise ValueError(f"there is no slot {wish['slot']}")
    if wish.get("action") == "explode":
        raise ZeroDivisionError
    return {"difference_czk": 1.25, "wish": wish, "limit_s": limit_s, "elapsed_s": elapsed_s()}


async def plans_kept() -> InMemoryPlans:
    plans = InMemoryPlans()
    await plans.keep(a_record(1))
    return plans


class Workers:
    """Takes questions as the queue does and answers them with its own event."""

    def __init__(self, plans, answers, clock):
        self.plans, self.answers, self.clock, self.questions = plans, answers, clock, []
        self.work: asyncio.Task | None = None

    async def take(self, question):
        self.questions.append(question)

        async def answer():
            again = WhyQuestion.from_json(question.to_json())
            await self.answers.put(again.question_id, await answer_question(self.clock, self.plans, again, explain))

        self.work = asyncio.create_task(answer())


@pytest.fixture(params=["inline", "queued"])
async def port(request):
    plans, clock = await plans_kept(), SystemClock()
    if request.param == "inline":
        return InlineWhy(plans, clock, "home", explain)
    answers = InMemoryAnswers(clock)
    return QueuedWhy(Workers(plans, answers, clock).take, answers, clock, "home")


async def test_an_answer_comes_back(port):
    answer = await port.ask_why("plan-1", WISH, 3.0)
    assert answer["difference_czk"] == 1.25
    assert answer["wish"] == WISH
    assert answer["limit_s"] == 2.5, "less the way there and back"


async def test_what_cannot_be_answered_says_why(port):
    with pytest.raises(PlanForgottenError, match="not known any more"):
        await port.ask_why("plan-9", WISH)
    with pytest.raises(PemsError, match="there is no slot 999"):
        await port.ask_why("plan-1", {"slot": 999})
    with pytest.raises(PemsError, match="could not be worked out: ZeroDivisionError"):
        await port.ask_why("plan-1", {"action": "explode"})


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.0, 1.0), (4.0, 4.0), (99.0, 10.0)])
async def test_nobody_waits_longer_than_ten_seconds(asked_s, waited_s):
    clock = FakeClock(START, auto_advance=True)
    taken = []

    async def nobody(question):
        taken.append(question)

    with pytest.raises(UnavailableError, match="no worker answered"):
        await QueuedWhy(nobody, InMemoryAnswers(clock), clock, "home").ask_why("plan-1", WISH, asked_s)
    assert clock.now() - START == timedelta(seconds=waited_s)
    assert taken[0].expires_at == START + timedelta(seconds=waited_s)


async def test_a_queue_that_is_away_is_said_at_once():
    async def away(question):
        raise UnavailableError("no broker")

    clock = FakeClock(START)
    with pytest.raises(UnavailableError, match="no broker"):
        await QueuedWhy(away, InMemoryAnswers(clock), clock, "home").ask_why("plan-1", WISH)
    assert clock.now() == START


def test_a_malformed_question_is_refused():
    with pytest.raises(PermanentError, match="malformed question"):
        WhyQuestion.from_json({"question_id": "q", "wish": 3})
