"""REST of performance: figures per hour or day, and the report of a period."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query

from pems_monitor.domain.performance_report import BaselineWish, choose_baseline, day_row, hour_row
from pems_monitor.domain.savings import ASSUMED, Baseline
from pems_monitor.performance_book import PerformanceBook

__all__ = ["performance_router"]

_MOST_DAYS, _MOST_DAYS_BY_HOUR = 400, 31
FirstDay = Annotated[str | None, Query(alias="from", max_length=40, description="first local day: 2026-01-15")]
LastDay = Annotated[str | None, Query(alias="to", max_length=40, description="last local day, included")]


def _day(text: str, name: str) -> date:
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if 2000 <= day.year < 2200:
            return day
    raise HTTPException(422, f"{name}={text!r} is no day: give one such as 2026-01-15")


def _range(first: str | None, last: str | None, today: date, most: int) -> tuple[date, date]:
    """A checked period; by default the last 30 days.

    Raises:
        HTTPException: 422.
    """
    end = today if last is None else _day(last, "to")
    start = end - timedelta(days=29) if first is None else _day(first, "from")
    if start > end:
        raise HTTPException(422, f"from={start} is after to={end}")
    if start > today:
        raise HTTPException(422, f"from={start} is in the future: today is {today}")
    if (end - start).days >= most:
        raise HTTPException(422, f"at most {most} days at once; {start} to {end} are {(end - start).days + 1}")
    return start, end


def _wish(
    first: Annotated[str | None, Query(alias="baseline_from", max_length=40, description="first day of before")] = None,
    last: Annotated[str | None, Query(alias="baseline_to", max_length=40, description="its last day")] = None,
    daily_czk: Annotated[float, Query(alias="baseline_daily_czk", ge=-1e5, le=1e5)] = ASSUMED.daily_cost_czk,
    rate: Annotated[float, Query(alias="baseline_self_consumption", ge=0, le=1)] = ASSUMED.self_consumption or 0.0,
    peak_w: Annotated[float, Query(alias="baseline_peak_w", ge=0, le=1e6)] = ASSUMED.peak_import_w or 0.0,
) -> BaselineWish:
    """What to compare with: measured days, or numbers where none can serve.

    Raises:
        HTTPException: 422.
    """
    assumed = Baseline("assumed", daily_czk, rate, peak_w)
    if first is None and last is None:
        return BaselineWish(assumed=assumed)
    if first is None or last is None:
        raise HTTPException(422, "give both baseline_from and baseline_to, or neither")
    start, end = _day(first, "baseline_from"), _day(last, "baseline_to")
    if start > end:
        raise HTTPException(422, f"baseline_from={start} is after baseline_to={end}")
    if (end - start).days >= _MOST_DAYS:
        raise HTTPException(422, f"a baseline has at most {_MOST_DAYS} days")
    return BaselineWish(start, end, assumed)


Wish = Annotated[BaselineWish, Depends(_wish)]


def performance_router(book: PerformanceBook, reader: Callable[..., Awaitable[object]]) -> APIRouter:
    """Routes below /v1/performance; `reader` is the dependency that lets a caller read."""
    router = APIRouter(prefix="/v1/performance", tags=["performance"], dependencies=[Depends(reader)])

    @router.get("", summary="Figures per hour or day; null where unknown")
    async def performance(
        wish: Wish,
        first: FirstDay = None,
        last: LastDay = None,
        by: Annotated[str, Query(max_length=10, description="hour or day")] = "day",
    ) -> dict[str, Any]:
        if by not in ("hour", "day"):
            raise HTTPException(422, f"by={by!r}: there are hour and day")
        start, end = _range(first, last, book.today, _MOST_DAYS if by == "day" else _MOST_DAYS_BY_HOUR)
        period = await book.period(start, end, hours=by == "hour")
        answer: dict[str, Any] = {"from": start, "to": end, "by": by, "pending_days": period.pending}
        if by == "hour":
            hours = [hour for record in period.records for hour in record.hours]
            rows = [hour_row(hour.start.isoformat(), hour.tally, book.home) for hour in hours]
        else:
            baseline, _ = choose_baseline(wish, book.costs())
            rows = [day_row(record, book.home, baseline) for record in period.records]
            answer["baseline"] = baseline
        return {**answer, "rows": rows}

    @router.get("/report", summary="Summary, detailed metrics, savings and recommendations of a period")
    async def report(
        wish: Wish,
        first: FirstDay = None,
        last: LastDay = None,
    ) -> dict[str, Any]:
        start, end = _range(first, last, book.today, _MOST_DAYS)
        return await book.report(start, end, wish)

    return router
