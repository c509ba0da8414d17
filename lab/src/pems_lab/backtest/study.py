"""What PEMS would have saved in a user's own house, over days of its own history (docs/backtest.md)."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pems_common.errors import PemsError
from pems_common.history import HistoryReader, SeriesInfo
from pems_common.home import Home
from pems_common.messages import Weather
from pems_common.timegrid import SLOT, local_midnight
from pems_common.world import World
from pems_lab.arms.jobs import code_version
from pems_lab.backtest.parts import (
    AFTER_DAYS,
    LEAST_TRAIN_DAYS,
    TRAIN_DAYS,
    BacktestArm,
    BaseTask,
    Chunk,
    LivedTask,
    account_from_json,
    chunks,
    training_days,
)
from pems_lab.backtest.verdict import Backtest, JudgedDay, judged, month_rows
from pems_lab.measured.span import MeasuredSpan, read_span
from pems_lab.measured.world import archived_weather, temperature_scale
from pems_lab.resumable import finish

__all__ = ["BacktestRequest", "BacktestResult", "KnownHistory", "run_backtest"]

_DAY = timedelta(days=1)
_BEGIN = "start PEMS (./pems up): it records from then on; or name another file: --history sqlite:PATH"
_REASONS = 3
_TOLD_AHEAD = ("price.", "weather.")


class KnownHistory(HistoryReader, Protocol):
    """A history that knows what it holds."""

    async def info(self) -> list[SeriesInfo]:
        """Return what is stored."""


@dataclass(frozen=True)
class BacktestRequest:
    """What is asked for.

    Attributes:
        home: The site.
        first: First local day.
        last: Last local day.
        arms: Who runs the house.
        folder: Where finished parts are and go.
        processes: How many run at once.
        seed: Of modelled forecast errors and of draws.
        learn: Whether forecast and room models are trained on the way.
        market: Prices and exchange rates by date, for slots that the history has none of.
    """

    home: Home
    first: date
    last: date
    arms: tuple[BacktestArm, ...]
    folder: Path
    processes: int = 1
    seed: int = 0
    learn: bool = False
    market: World | None = None


@dataclass(frozen=True)
class BacktestResult:
    """What came of it.

    Attributes:
        verdict: Error of the simulator, and what each arm would have paid.
        months: A row per month and arm, and one for the whole, JSON-ready.
        days: The judged days by arm.
        asked_days: Local days that were asked for.
        left_out: Why days do not count: days by reason.
        missing: What the history lacks, with what to do about it.
        notes: What was filled in, and what the history told of the house.
        modelled_share: Of the weather forecasts, how many came from the error model instead of the archive.
    """

    verdict: Backtest
    months: list[dict[str, Any]]
    days: Mapping[str, Sequence[JudgedDay]]
    asked_days: int
    left_out: Mapping[str, int]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    modelled_share: float


def run_backtest(request: BacktestRequest, history: KnownHistory, say: Callable[[str], None]) -> BacktestResult:
    """Backtest days of a history.

    Args:
        request: What is asked for.
        history: The stored history.
        say: Is told how far it is.

    Raises:
        PemsError: The history is empty, too short, or lacks what is needed; each with what to do.
    """
    span = asyncio.run(_read(request, history))
    parts = chunks(span.days, lambda day: request.first <= day.day <= request.last)
    left_out = _left_out(request, span, parts)
    if not parts:
        raise PemsError(
            f"no day of {request.first} to {request.last} can be used: {_most(left_out)}",
            remedy=_advice(span) or "choose days without gaps, with a whole day before them",
        )
    _enough(span, parts)
    say(f"{sum(len(part.days) for part in parts)} of {_asked(request)} days can be used, in {len(parts)} parts")
    say("identifying rooms, and driving what really ran through the simulator")
    finished = partial(finish, folder=request.folder, processes=request.processes, version=code_version(), say=say)
    bases = {task.chunk: found for task, found in finished([BaseTask(span, part) for part in parts])}
    archive = asyncio.run(archived_weather(history, span.start, _last_day_end(span)))
    scale = temperature_scale(span, archive)
    tasks = [
        LivedTask(span, part, bases[part]["models"], arm, _of(archive, span, part), scale, request.seed, request.learn)
        for arm in request.arms
        for part in parts
    ]
    days: dict[str, list[JudgedDay]] = defaultdict(list)
    lived: dict[tuple[str, Chunk], dict[str, Any]] = {}
    for task, found in finished(tasks):
        lived[task.arm, task.chunk] = found
    for arm in request.arms:
        for part in parts:
            days[arm] += _days(bases[part], lived[arm, part])
    forecasts = sum(found["forecasts"] for found in lived.values())
    modelled = sum(found["modelled_forecasts"] for found in lived.values())
    return BacktestResult(
        verdict=judged(span.home, days, seed=request.seed),
        months=month_rows(span.home, days, seed=request.seed),
        days=days,
        asked_days=_asked(request),
        left_out=left_out,
        missing=tuple(f"{missing.what}: {missing.remedy}" for missing in span.missing),
        notes=(*span.notes, *dict.fromkeys(bases[part]["battery"] for part in parts if bases[part]["battery"])),
        modelled_share=modelled / forecasts if forecasts else 0.0,
    )


def _last_day_end(span: MeasuredSpan) -> datetime:
    """End of the last day that can be used."""
    return span.start + span.usable_days()[-1].until * SLOT


def _asked(request: BacktestRequest) -> int:
    return (request.last - request.first).days + 1


async def _read(request: BacktestRequest, history: KnownHistory) -> MeasuredSpan:
    """Read the days, and those around them that rooms are identified from."""
    if request.last < request.first:
        raise PemsError(f"{request.last} is before {request.first}", remedy="give --to a later day than --from")
    info = await history.info()
    if not info:
        raise PemsError("the history is empty", remedy=_BEGIN)
    zone = request.home.site.zone
    first_at, last_at = min(one.first_at for one in info), max(one.last_at for one in info)
    # A day that is still being recorded would make every part that sees it another one with each new point.
    measured = [one.last_at for one in info if not one.series.startswith(_TOLD_AHEAD)]
    whole = local_midnight(_local(max(measured, default=last_at) + SLOT, request), zone)
    since, until = local_midnight(request.first, zone), local_midnight(request.last + _DAY, zone)
    if since >= last_at or until <= first_at:
        raise PemsError(
            f"the history holds {_local(first_at, request)} to {_local(last_at, request)}, "
            f"nothing of {request.first} to {request.last}",
            remedy="choose days in it",
        )
    market = request.market
    return await read_span(
        request.home,
        history,
        max(first_at, since - (TRAIN_DAYS - AFTER_DAYS) * _DAY),
        max(first_at + SLOT, min(local_midnight(_local(last_at + SLOT, request), zone), until + AFTER_DAYS * _DAY)),
        spot=None if market is None else market.spot_eur_mwh,
        spot_label="" if market is None else "OTE's files by date",
        rate=None if market is None else market.eur_czk,
        measured_until=whole,
    )


def _local(at: datetime, request: BacktestRequest) -> date:
    return at.astimezone(request.home.site.zone).date()


def _left_out(request: BacktestRequest, span: MeasuredSpan, parts: Sequence[Chunk]) -> dict[str, int]:
    """Count the days asked for that do not count, by reason."""
    counted = {day.day for part in parts for day in part.days}
    known = {day.day: day for day in span.days}
    why: Counter[str] = Counter()
    for number in range(_asked(request)):
        day = request.first + number * _DAY
        if day in counted:
            continue
        found = known.get(day)
        if found is None:
            why["not in the history, or not whole"] += 1
        else:
            why[found.why or "the day before cannot be used: a house has to settle"] += 1
    return dict(why.most_common())


def _most(left_out: Mapping[str, int]) -> str:
    return "; ".join(f"{count} x {reason}" for reason, count in list(left_out.items())[:_REASONS])


def _advice(span: MeasuredSpan) -> str:
    return "; ".join(f"{missing.what}: {missing.remedy}" for missing in span.missing[:_REASONS])


def _enough(span: MeasuredSpan, parts: Sequence[Chunk]) -> None:
    """Refuse parts whose rooms cannot be identified from other days."""
    if not span.home.rooms:
        raise PemsError("no room has both a temperature and a relay in the history", remedy=_advice(span))
    least = min(training_days(span, part) for part in parts)
    if least < LEAST_TRAIN_DAYS:
        lacking = LEAST_TRAIN_DAYS - least
        raise PemsError(
            f"the history is too short: rooms are identified from {LEAST_TRAIN_DAYS} usable days beside those judged, "
            f"there are {least}",
            remedy=f"ask for fewer days, or again in {lacking} {'day' if lacking == 1 else 'days'} of recording: "
            f"from {span.end.astimezone(span.zone).date() + lacking * _DAY} on",
        )


def _of(archive: Sequence[Weather], span: MeasuredSpan, part: Chunk) -> tuple[Weather, ...]:
    """Return the forecasts that a part needs."""
    first = span.start + SLOT * part.settle.first - _DAY
    until = span.start + SLOT * part.days[-1].until
    return tuple(weather for weather in archive if first <= weather.available_at < until)


def _days(base: Mapping[str, Any], lived: Mapping[str, Any]) -> list[JudgedDay]:
    rows = zip(base["measured"], base["replayed"], lived["days"], strict=True)
    return [
        JudgedDay(
            account_from_json(measured), account_from_json(replayed), account_from_json(own), float(base["loss_w_k"])
        )
        for measured, replayed, own in rows
    ]
