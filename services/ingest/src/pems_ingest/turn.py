"""When a source is asked again: on schedule while it answers, later and later while it fails, when it allows."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pems_common.logs import get_logger
from pems_ingest.sources.port import SourceError, SourceHealth

__all__ = ["Turn"]

T = TypeVar("T")

_RETRIES = (timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=15))
_log = get_logger("sources")


class Turn(Generic[T]):
    """One source, its schedule, and what it said last.

    Attributes:
        name: The source.
        health: How it has been doing.
        latest: What it said last, None before.
        latest_at: When it said that.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[datetime], Awaitable[T]],
        *,
        every: timedelta,
        counted: bool = False,
        note: Callable[[T], str] = lambda answer: "",
    ) -> None:
        """Ask by `ask`.

        Args:
            name: The source.
            ask: Asks it; raises `SourceError` where it gives nothing usable.
            every: Time between questions while it answers.
            counted: Its questions are counted: neither a failure nor a restart makes the next one come sooner.
            note: What is special about an answer, for people.
        """
        self.name, self._ask, self._every, self._counted, self._note = name, ask, every, counted, note
        self._next_at: datetime | None = None
        self.health = SourceHealth(name)
        self.latest: T | None = None
        self.latest_at: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Whether it is time to ask."""
        return self._next_at is None or now >= self._next_at

    def take_over(self, latest: T, at: datetime) -> None:
        """Begin with what an earlier run was told at `at`, unless something newer is known."""
        if self.latest_at is not None and self.latest_at >= at:
            return
        self.latest, self.latest_at = latest, at
        if self._counted:
            self._next_at = at + self._every

    def young(self, now: datetime, age: timedelta) -> T | None:
        """Return the last answer if it is not older than `age`."""
        return self.latest if self.latest_at is not None and now - self.latest_at <= age else None

    async def ask(self, now: datetime) -> None:
        """Ask. Never raises for a source that fails."""
        try:
            self.latest = await self._ask(now)
        except SourceError as error:
            self.health.failed(now, error)
            pause = self._every if self._counted else _RETRIES[min(self.health.failures, len(_RETRIES)) - 1]
            self._next_at = now + max(pause, timedelta(seconds=error.retry_after_s or 0.0))
            _log.warning("a source failed", source=self.name, error=error.message)
            return
        self.latest_at = now
        self.health.worked(now, self._note(self.latest))
        self._next_at = now + self._every
