"""`HistoryReader` over ingest's REST: `GET /v1/history?series=a&series=b&start&end&step_s`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

import httpx

from pems_common.errors import UnavailableError
from pems_common.messages import Envelope
from pems_common.timegrid import require_utc

__all__ = ["HistoryHttp"]

T = TypeVar("T")
_TIMEOUT_S = 5.0
_SLOTS_PER_REQUEST = 700
_SERIES_PER_REQUEST = 16


class HistoryHttp:
    """Reads slot means from ingest; its absence is an `UnavailableError`, nothing worse."""

    def __init__(self, base_url: str, *, api_key: str = "", client: httpx.AsyncClient | None = None) -> None:
        """Ask ingest at `base_url`; `client` is for tests."""
        self._base_url = base_url.rstrip("/")
        self._headers = {"X-API-Key": api_key} if api_key else {}
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT_S)

    async def slots(
        self, series: Sequence[str], start: datetime, end: datetime, *, step_s: int = 900
    ) -> Mapping[str, list[float | None]]:
        """Return the mean of each slot in `[start, end)` per series; None where nothing was stored.

        Raises:
            UnavailableError: Ingest is away, or did not answer in the agreed shape.
        """
        start, end = require_utc(start), require_utc(end)
        count = max(0, -int(-(end - start).total_seconds() // step_s))
        result: dict[str, list[float | None]] = {name: [] for name in series}
        for first in range(0, count, _SLOTS_PER_REQUEST):
            size = min(_SLOTS_PER_REQUEST, count - first)
            begin = start + timedelta(seconds=first * step_s)
            for some in range(0, len(series), _SERIES_PER_REQUEST):
                names = series[some : some + _SERIES_PER_REQUEST]
                answer = await self._ask(names, begin, begin + timedelta(seconds=size * step_s), step_s)
                for name in names:
                    result[name].extend(_numbers(answer.get(name), size))
        return result

    async def messages(
        self, type: str, start: datetime, end: datetime, *, subject: str | None = None, limit: int = 1000
    ) -> list[Envelope]:
        """Return kept messages by house time, oldest first; those that cannot be read are left out.

        Raises:
            UnavailableError: Ingest is away, or did not answer in the agreed shape.
        """
        params: list[tuple[str, str | int | float | bool | None]] = [
            ("type", type),
            ("start", require_utc(start).isoformat()),
            ("end", require_utc(end).isoformat()),
            ("limit", limit),
        ]
        if subject is not None:
            params.append(("subject", subject))
        found: list[Envelope] = []
        for item in await self._get("messages", params, list):
            with suppress(ValueError):
                found.append(Envelope.model_validate(item))
        return found

    async def _ask(self, names: Sequence[str], start: datetime, end: datetime, step_s: int) -> dict[str, Any]:
        params: list[tuple[str, str | int | float | bool | None]] = [("series", name) for name in names]
        params += [("start", start.isoformat()), ("end", end.isoformat()), ("step_s", step_s)]
        found: dict[str, Any] = await self._get("history", params, dict, part="series")
        return found

    async def _get(
        self,
        path: str,
        params: list[tuple[str, str | int | float | bool | None]],
        shape: type[T],
        *,
        part: str | None = None,
    ) -> T:
        """Return a part of ingest's answer (named as the path unless told)."""
        try:
            response = await self._client.get(f"{self._base_url}/v1/{path}", params=params, headers=self._headers)
            response.raise_for_status()
            found = response.json()[part or path]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise UnavailableError(f"{path} of ingest: {type(error).__name__}: {error}") from error
        if not isinstance(found, shape):
            raise UnavailableError(f"{path} of ingest: the answer holds no {part or path}")
        return found

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()


def _numbers(values: Any, count: int) -> list[float | None]:
    """Return `count` numbers; None for what is missing or no number."""
    given = values if isinstance(values, list) else []
    clean = [float(v) if isinstance(v, int | float) and not isinstance(v, bool) else None for v in given[:count]]
    return clean + [None] * (count - len(clean))
