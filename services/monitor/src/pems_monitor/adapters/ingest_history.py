"""Ingest's history over REST: slot means, kept messages, and since when there are any."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

from pems_common.errors import UnavailableError
from pems_common.messages import Envelope
from pems_common.timegrid import parse_instant, require_utc

__all__ = ["IngestHistory"]

_TIMEOUT_S = 20.0
_MAX_REPLY_BYTES = 64_000_000
_SERIES_PER_REQUEST = 24
_PLANT = "grid_power_w"

Params = list[tuple[str, str | int | float | bool | None]]


class IngestHistory:
    """Reads what ingest stores; its absence is an `UnavailableError`."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, *, internal_key: str) -> None:
        """Ask ingest at `base_url`."""
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._headers = {"X-API-Key": internal_key}

    async def slots(
        self, series: Sequence[str], start: datetime, end: datetime, *, step_s: int = 900
    ) -> Mapping[str, list[float | None]]:
        """Return the mean of each slot in `[start, end)` per series; None where nothing was stored.

        Raises:
            UnavailableError: Ingest is away, or did not answer in the agreed shape.
        """
        found: dict[str, list[float | None]] = {}
        for first in range(0, len(series), _SERIES_PER_REQUEST):
            names = series[first : first + _SERIES_PER_REQUEST]
            params: Params = [("series", name) for name in names]
            answer = await self._get("history", [*params, *_period(start, end), ("step_s", step_s)])
            columns = answer.get("series")
            if not isinstance(columns, dict):
                raise UnavailableError("history of ingest: the answer holds no series")
            found |= {name: [_number(value) for value in columns.get(name, ())] for name in names}
        return found

    async def messages(
        self, type: str, start: datetime, end: datetime, *, subject: str | None = None, limit: int = 1000
    ) -> list[Envelope]:
        """Return kept messages by house time, oldest first (the newest `limit`); unreadable ones are left out.

        Raises:
            UnavailableError: Ingest is away, or did not answer in the agreed shape.
        """
        params: Params = [("type", type), *_period(start, end), ("limit", limit)]
        answer = await self._get("messages", [*params, *([("subject", subject)] if subject is not None else [])])
        envelopes: list[Envelope] = []
        for item in answer.get("messages", ()):
            with suppress(ValueError):
                envelopes.append(Envelope.model_validate(item))
        return envelopes

    async def first_at(self) -> datetime | None:
        """Return since when the meter is stored; None before anything is.

        Raises:
            UnavailableError: Ingest is away, or did not answer in the agreed shape.
        """
        answer = await self._get("series", [])
        try:
            begun = {str(item["series"]): parse_instant(item["first_at"]) for item in answer["series"]}
        except (KeyError, TypeError, ValueError) as error:
            raise UnavailableError(f"series of ingest: {type(error).__name__}: {error}") from error
        return begun.get(_PLANT)

    async def _get(self, path: str, params: Params) -> dict[str, Any]:
        url = f"{self._base_url}/v1/{path}"
        try:
            reply = await self._client.get(url, params=params, headers=self._headers, timeout=_TIMEOUT_S)
            reply.raise_for_status()
            if len(reply.content) > _MAX_REPLY_BYTES:
                raise UnavailableError(f"{path} of ingest: the answer is too large")
            answer = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"{path} of ingest: {type(error).__name__}: {error}") from error
        if not isinstance(answer, dict):
            raise UnavailableError(f"{path} of ingest: the answer is no object")
        return answer


def _period(start: datetime, end: datetime) -> Params:
    return [("start", require_utc(start).isoformat()), ("end", require_utc(end).isoformat())]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
