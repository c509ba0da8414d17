"""Ingest's REST: the present, the history, and what is known about the data's quality. It only reads."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from pems_common.clock import Clock
from pems_common.errors import UnavailableError
from pems_common.home import Home
from pems_common.messages import CATALOG, Envelope
from pems_common.timegrid import require_utc, slot_start
from pems_ingest.adapters.arrow import ARROW_STREAM, to_arrow
from pems_ingest.adapters.sqlite_history import SqliteHistory
from pems_ingest.domain.dataset import GROUPS, EnergyDataset
from pems_ingest.domain.quality import assess
from pems_ingest.handlers import IngestHandlers
from pems_ingest.sources.port import SourceHealth

__all__ = ["make_router"]

_VALUES_MAX = 3_000_000
_POINTS_MAX = 200_000
_SERIES_MAX = 200
_PERIOD_MAX = timedelta(days=800)

SeriesNames = Annotated[list[str], Query(max_length=_SERIES_MAX, description="names of series, see /v1/series")]
Start = Annotated[datetime | None, Query(description="ISO instant with offset; default a day before the end")]
End = Annotated[datetime | None, Query(description="ISO instant with offset; default now")]
StepS = Annotated[int, Query(ge=1, le=86_400, description="length of a slot [s]")]


def _period(start: datetime | None, end: datetime | None, clock: Clock) -> tuple[datetime, datetime]:
    """Return a checked period; the last day by default."""
    try:
        last = require_utc(end) if end is not None else clock.now()
        first = require_utc(start) if start is not None else last - timedelta(days=1)
    except ValueError as error:
        raise HTTPException(422, f"{error}") from error
    if not first < last:
        raise HTTPException(422, "start must be before end")
    if last - first > _PERIOD_MAX:
        raise HTTPException(422, f"at most {_PERIOD_MAX.days} days at once")
    return first, last


def _bounded(series: int, start: datetime, end: datetime, step_s: int) -> None:
    if series * (end - start).total_seconds() / step_s > _VALUES_MAX:
        raise HTTPException(422, f"more than {_VALUES_MAX} values: ask for fewer series, less time or longer slots")


def _health(health: SourceHealth) -> dict[str, Any]:
    return {
        "name": health.name,
        "last_ok_at": health.last_ok_at,
        "last_try_at": health.last_try_at,
        "last_error": health.last_error,
        "failures": health.failures,
        "asked": health.asked,
        "note": health.note,
    }


def make_router(handlers: IngestHandlers, store: SqliteHistory, home: Home, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["ingest"])

    def body_of(type: str) -> Response:
        envelope: Envelope | None = handlers.latest.get(type)
        if envelope is None:
            raise HTTPException(404, f"no {type} yet")
        headers = {"X-Message-Id": envelope.id, "X-Message-At": envelope.at.isoformat(), "Cache-Control": "no-store"}
        return JSONResponse(envelope.body, headers=headers)

    @router.get("/telemetry", summary="State of the house now (body of the telemetry message)")
    async def telemetry() -> Response:
        return body_of("telemetry")

    @router.get("/prices", summary="Known prices (body of the prices message)")
    async def prices() -> Response:
        return body_of("prices")

    @router.get("/weather", summary="Newest weather forecast (body of the weather message)")
    async def weather() -> Response:
        return body_of("weather")

    @router.get("/series", summary="What series are stored")
    async def series() -> dict[str, Any]:
        return {
            "series": [
                {"series": i.series, "count": i.count, "first_at": i.first_at, "last_at": i.last_at}
                for i in await store.info()
            ]
        }

    @router.get("/history", summary="Time-weighted slot means of series; null where nothing is known")
    async def history(series: SeriesNames, start: Start = None, end: End = None, step_s: StepS = 900) -> dict[str, Any]:
        first, last = _period(start, end, clock)
        _bounded(len(series), first, last, step_s)
        return {
            "start": first,
            "step_s": step_s,
            "series": dict(await store.slots(series, first, last, step_s=step_s)),
        }

    @router.get("/history/count", summary="How many points are stored, and how the store is")
    async def count() -> dict[str, Any]:
        return {
            "points": store.count,
            "waiting_bytes": handlers.history.waiting_bytes,
            "lost": handlers.history.lost,
            "away_since": handlers.history.away_since,
        }

    @router.get("/points", summary="Raw points of one series")
    async def points(
        series: Annotated[str, Query(max_length=200)],
        start: Start = None,
        end: End = None,
        limit: Annotated[int, Query(ge=1, le=_POINTS_MAX)] = 50_000,
    ) -> dict[str, Any]:
        first, last = _period(start, end, clock)
        found = await store.points(series, first, last)
        return {
            "series": series,
            "truncated": len(found) > limit,
            "points": [[p.at, p.value] for p in found[:limit]],
        }

    @router.get("/messages", summary="Kept messages by house time, oldest first (the newest `limit`)")
    async def messages(
        type: Annotated[str, Query(description="type of message")],
        start: Start = None,
        end: End = None,
        subject: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
    ) -> dict[str, Any]:
        if type not in CATALOG:
            raise HTTPException(422, f"no message type {type!r}; there are {', '.join(CATALOG)}")
        first, last = _period(start, end, clock)
        found = await store.messages(type, first, last, subject=subject, limit=limit)
        return {"messages": [envelope.model_dump(mode="json") for envelope in found]}

    @router.get("/sources", summary="How the sources of prices and weather are doing")
    async def sources() -> dict[str, Any]:
        now = clock.now()
        return {
            "label": handlers.label,
            "prices": {
                "sources": [_health(h) for h in handlers.prices.health],
                "stale": handlers.prices.stale(now),
                "eur_czk": handlers.prices.eur_czk,
                "rate": _health(handlers.prices.rate_health),
            },
            "weather": {
                "sources": [_health(h) for h in handlers.weather.health],
                "stale": handlers.weather.stale(now),
            },
            "devices": {"received": handlers.intake.received, "taken": handlers.intake.taken},
            "alerts": sorted(handlers.alerts.open),
        }

    @router.get("/rejected", summary="Readings that were not used: counts by reason, and the last ones")
    async def rejected() -> dict[str, Any]:
        return {
            "counts": dict(handlers.rejections.counts),
            "recent": [
                {"at": r.at, "origin": r.origin, "reason": r.reason, "detail": r.detail}
                for r in reversed(handlers.rejections.recent)
            ],
        }

    @router.get("/quality", summary="Completeness, gaps, outliers, stuck values, cadence and score per series")
    async def quality(
        start: Start = None,
        end: End = None,
        series: Annotated[list[str] | None, Query(max_length=_SERIES_MAX)] = None,
    ) -> dict[str, Any]:
        first, last = _period(start, end, clock)
        if last - first > timedelta(days=62):
            raise HTTPException(422, "at most 62 days at once")
        names = series or [info.series for info in await store.info()]
        results = []
        for name in names[:_SERIES_MAX]:
            found = await store.points(name, first, last)
            results.append(await asyncio.to_thread(assess, name, found, first, last))
        return {
            "start": first,
            "end": last,
            "series": [
                {
                    "series": q.series,
                    "count": q.count,
                    "completeness": q.completeness,
                    "gaps": [[g.start, g.end] for g in q.gaps],
                    "outliers": q.outliers,
                    "stuck_share": q.stuck_share,
                    "cadence_s": q.cadence_s,
                    "score": q.score,
                }
                for q in results
            ],
        }

    @router.get("/dataset", summary="EnergyDataset as JSON, or as Arrow stream by the Accept header")
    async def dataset(
        request: Request,
        start: Start = None,
        end: End = None,
        step_s: StepS = 900,
        group: Annotated[list[str] | None, Query(max_length=20)] = None,
    ) -> Response:
        unknown = set(group or ()) - set(GROUPS)
        if unknown:
            raise HTTPException(422, f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
        first, last = _period(start, end, clock)
        first = slot_start(first, timedelta(seconds=step_s))
        names = [info.series for info in await store.info() if info.last_at >= first and info.first_at < last]
        _bounded(len(names), first, last, step_s)
        result = EnergyDataset(first, step_s, dict(await store.slots(names, first, last, step_s=step_s)))
        if group:
            result = result.select(group)
        if ARROW_STREAM in request.headers.get("accept", ""):
            try:
                data = await asyncio.to_thread(to_arrow, result)
            except ImportError as error:
                raise UnavailableError("pyarrow is not installed", remedy="ask for JSON") from error
            return Response(data, media_type=ARROW_STREAM)
        return JSONResponse(result.to_dict())

    return router
