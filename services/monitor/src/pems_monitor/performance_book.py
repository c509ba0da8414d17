"""Use cases of performance: follow the controller, count days once they are over, answer for periods.

A finished day is counted from ingest's history once and kept; the running day is counted when it is asked for.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar

from pems_common.clock import Clock
from pems_common.errors import PemsError, PermanentError
from pems_common.history import HistoryReader
from pems_common.home import Home
from pems_common.messages import Envelope, Status, read_body
from pems_common.timegrid import SLOT, local_day_slots, local_midnight, slot_start
from pems_monitor.adapters.performance_store import PerformanceStore
from pems_monitor.domain.performance import DayRecord, HourRecord
from pems_monitor.domain.performance_control import LastStatus, count_control, follow
from pems_monitor.domain.performance_report import BaselineWish, day_cost, performance_report
from pems_monitor.domain.performance_slots import Measured, count_plans, count_slots, series_of
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.performance_told import (
    LEADS_H,
    Foreseen,
    PlanTold,
    Told,
    read_forecast,
    read_plan,
    told_by,
)
from pems_monitor.domain.savings import DayCost

__all__ = ["History", "PerformanceBook", "Period"]

_SETTLED = timedelta(minutes=30)  # house time after a day until its last readings are surely stored
_STATUS_WAIT = timedelta(hours=12)
_DAYS_PER_CALL, _DAYS_PER_ROUND = 31, 3
_BACKFILL_DAYS = 400
_EVERY_S, _RUNNING_S = 30.0, 30.0  # wall time
_SILENT_HOUSE_S, _SILENT_WALL_S = 300.0, 10.0
_HOUR = timedelta(hours=1)
_PLANS_AT_ONCE = timedelta(hours=6)


class History(HistoryReader, Protocol):
    """The history that days are counted from."""

    async def first_at(self) -> datetime | None:
        """Return since when the meter is stored; None before anything is."""


@dataclass(frozen=True)
class Period:
    """Days of a period.

    Attributes:
        records: In order, of those days of which the history can know anything.
        pending: Finished days that are still to be counted: ask again.
    """

    records: tuple[DayRecord, ...]
    pending: int


T = TypeVar("T", Foreseen, PlanTold)


class PerformanceBook:
    """The days of one house."""

    def __init__(self, home: Home, clock: Clock, history: History, store: PerformanceStore) -> None:
        """Count from `history`, keep in `store`."""
        self.home = home
        self._clock = clock
        self._history = history
        self._store = store
        self._counting = asyncio.Lock()
        self._running: tuple[float, DayRecord] | None = None
        self._days_of_history = _BACKFILL_DAYS + 1

    # --- the controller

    async def on_status(self, envelope: Envelope) -> None:
        """Take in one status of the stream; at least once is enough, for an old one adds nothing.

        Raises:
            PermanentError: It cannot be read.
        """
        if envelope.site != self.home.site.id:
            return
        here, last = LastStatus.of(envelope.at, read_body(envelope, Status)), self._store.last_status()
        if last is not None and here.at <= last.at:
            return
        tick = timedelta(seconds=self.home.control.tick_s)
        slots = follow(last, here, tick=tick, silent_after=self._silent_after)
        self._store.add_control(slots, here)

    @property
    def _silent_after(self) -> timedelta:
        return timedelta(seconds=max(_SILENT_HOUSE_S, _SILENT_WALL_S * self._clock.speed))

    # --- days

    @property
    def today(self) -> date:
        """The running local day."""
        return self._clock.now().astimezone(self.home.site.zone).date()

    async def watch(self) -> None:
        """Count days that are over, the newest first, for ever (wall time); ingest may be away meanwhile."""
        while True:
            with suppress(PemsError):
                await self.catch_up()
            await self._clock.sleep_wall(_EVERY_S)

    async def catch_up(self, most: int = _DAYS_PER_ROUND) -> int:
        """Count at most so many finished days that are not kept yet; returns how many were.

        Raises:
            UnavailableError: Ingest is away.
        """
        async with self._counting:
            now = self._clock.now()
            last = (now - _SETTLED).astimezone(self.home.site.zone).date() - timedelta(days=1)
            first = last - timedelta(days=_BACKFILL_DAYS)
            kept = self._store.kept(first, last)
            if last in kept and len(kept) >= min(self._days_of_history, _BACKFILL_DAYS + 1):
                return 0
            begun = await self._history.first_at()
            if begun is None:
                return 0
            days = _days(max(first, begun.astimezone(self.home.site.zone).date()), last)
            self._days_of_history = len(days)
            missing = [day for day in days if day not in kept][::-1][:most]
            for day in missing:
                await self._count(day, now, begun)
        return len(missing)

    async def period(self, first: date, last: date, *, hours: bool = False) -> Period:
        """Return the days of `[first, last]`, counting at most 31 that are not kept yet, the newest first.

        Args:
            first: First local day.
            last: Last local day.
            hours: Whether kept days are wanted with their hours.

        Raises:
            UnavailableError: Ingest is away.
        """
        async with self._counting:
            now = self._clock.now()
            records = self._store.days(first, last, hours=hours)
            missing = [day for day in _days(first, min(last, self.today)) if day not in records]
            begun = await self._history.first_at() if missing else None
            if begun is not None:
                missing = [day for day in missing if day >= begun.astimezone(self.home.site.zone).date()]
                for day in missing[::-1][:_DAYS_PER_CALL]:
                    records[day] = await self._fresh(day, now, begun)
            pending = max(0, len(missing) - _DAYS_PER_CALL) if begun is not None else 0
        return Period(tuple(records[day] for day in sorted(records)), pending)

    async def _fresh(self, day: date, now: datetime, begun: datetime) -> DayRecord:
        """A day that is not kept: counted, unless that was done a moment ago."""
        if self._running is not None and self._running[1].day == day and self._clock.monotonic() < self._running[0]:
            return self._running[1]
        record = await self._count(day, now, begun)
        if not record.complete:
            self._running = (self._clock.monotonic() + _RUNNING_S, record)
        return record

    async def report(self, first: date, last: date, wish: BaselineWish) -> dict[str, Any]:
        """Return the report of `[first, last]`, its site, when it was made, and the `pending_days` still to be counted.

        Raises:
            UnavailableError: Ingest is away.
        """
        period = await self.period(first, last)
        compared = period.pending
        if wish.first is not None and wish.last is not None:
            compared += (await self.period(wish.first, wish.last)).pending
        kept = self._store.days(date.min, date.max)
        history = [day_cost(record, self.home) for record in kept.values()]
        arguments = (self.home, first, last, period.records, history, wish)
        report = await asyncio.to_thread(performance_report, *arguments)
        site = {"name": self.home.site.name, "timezone": self.home.site.timezone}
        return {**report, "site": site, "made_at": self._clock.now(), "pending_days": compared}

    def costs(self) -> list[DayCost]:
        """Return all kept days as savings see them."""
        return [day_cost(record, self.home) for record in self._store.days(date.min, date.max).values()]

    async def _count(self, day: date, now: datetime, begun: datetime) -> DayRecord:
        zone = self.home.site.zone
        slots = [slot for slot in local_day_slots(day, zone) if slot <= now]
        end = local_midnight(day + timedelta(days=1), zone)
        complete = now >= end + _SETTLED
        before = slot_start(slots[0] - timedelta(hours=LEADS_H[0] + 4))
        measured = Measured(before, await self._history.slots(series_of(self.home), before, slots[-1] + SLOT))
        forecasts = await self._forecasts(slots)
        plans = await self._plans(before, slots[-1] + SLOT)
        control = self._store.control(slots[0], end)
        since, last = self._store.control_since(), self._store.last_status()
        told = now if last is None or now - last.at > self._silent_after else last.at

        def count() -> DayRecord:
            hours = []
            for place in range(0, len(slots), 4):
                hour = slots[place : place + 4]
                parts = (
                    count_slots(self.home, hour, measured, forecasts, plans, begun),
                    count_plans(hour, plans, begun),
                    count_control(hour, control, since, told),
                )
                hours.append(HourRecord(hour[0], Tally.total(parts)))
            return DayRecord.of_hours(day, hours, complete=complete)

        record = await asyncio.to_thread(count)
        if complete and (last is None or last.at >= end or now >= end + _STATUS_WAIT):
            self._store.keep_day(record)  # else statuses of that day may still be waiting in the stream
        return record

    async def _forecasts(self, slots: Sequence[datetime]) -> Told[Foreseen]:
        """The forecasts that had to be told by the marks of these slots: one a mark, for they are many."""
        marks = sorted({told_by(slot, lead_h) for slot in slots for lead_h in LEADS_H})
        found: dict[str, Envelope] = {}
        for mark in marks:
            until = mark + timedelta(milliseconds=1)
            for envelope in await self._history.messages("forecast", mark - 3 * _HOUR, until, limit=1):
                found[envelope.id] = envelope
        return Told(await asyncio.to_thread(_read_all, list(found.values()), read_forecast))

    async def _plans(self, start: datetime, end: datetime) -> Told[PlanTold]:
        plans: list[PlanTold] = []
        at = start
        while at < end:
            envelopes = await self._history.messages("plan", at, min(at + _PLANS_AT_ONCE, end), limit=200)
            plans += await asyncio.to_thread(_read_all, envelopes, read_plan)
            at += _PLANS_AT_ONCE
        return Told(sorted(plans, key=lambda plan: plan.at))


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _read_all(envelopes: Sequence[Envelope], read: Callable[[Envelope], T]) -> list[T]:
    found = []
    for envelope in envelopes:
        with suppress(PermanentError):
            found.append(read(envelope))
    return sorted(found, key=lambda item: item.at)
