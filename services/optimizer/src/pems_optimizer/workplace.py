"""What a task finds when it begins: the site, the clock, the bus, and what the optimizer keeps in Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pems_common.bus import Bus
from pems_common.bus.redis_streams import RedisBus
from pems_common.clock import Clock, open_clock
from pems_common.home import Home, load_home
from pems_common.settings import ServiceSettings
from pems_optimizer.adapters.answers import AnswerBox, RedisAnswers
from pems_optimizer.adapters.case_memory import CaseMemory, RedisCases
from pems_optimizer.adapters.plan_memory import PlanMemory, RedisPlans
from pems_optimizer.adapters.redis_calls import RedisCalls
from pems_optimizer.adapters.redis_studies import RedisStudies
from pems_optimizer.adapters.request_marks import RedisMarks, RequestMarks
from pems_optimizer.adapters.study_store import StudyStore

__all__ = ["Workplace", "open_workplace"]


@dataclass(frozen=True)
class Workplace:
    """Everything a task works with.

    Attributes:
        source: Name of this process in messages.
    """

    home: Home
    clock: Clock
    bus: Bus
    plans: PlanMemory
    cases: CaseMemory
    marks: RequestMarks
    answers: AnswerBox
    studies: StudyStore
    source: str


@asynccontextmanager
async def open_workplace(settings: ServiceSettings) -> AsyncIterator[Workplace]:
    """Open it with fresh connections; a task has an event loop of its own."""
    home, clock = load_home(settings.home), open_clock(settings.clock_file)
    url = settings.redis_address()
    bus, redis = RedisBus(url, clock), RedisCalls(url, clock)
    try:
        yield Workplace(
            home=home,
            clock=clock,
            bus=bus,
            plans=RedisPlans(redis),
            cases=RedisCases(redis),
            marks=RedisMarks(redis),
            answers=RedisAnswers(redis),
            studies=RedisStudies(redis),
            source=f"optimizer-worker@{settings.instance}",
        )
    finally:
        await redis.close()
        await bus.close()
