"""HTTP with manners: time limits, bounded answers, a few retries with growing jittered pauses, Retry-After obeyed.

Times here are wall time.
"""

import random
import zlib
from collections.abc import Collection, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from pems_common.clock import Clock
from pems_ingest.sources.port import SourceError

__all__ = ["Fetcher"]

_RETRY_AFTER_INLINE_S = 5.0  # a longer request to wait is handed to the caller
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
USER_AGENT = "pems-ingest (predictive energy management)"


class Fetcher:
    """Fetches bodies; every trouble becomes a `SourceError` with its reason."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        timeout_s: float = 15.0,
        total_s: float = 45.0,
        attempts: int = 3,
        backoff_s: float = 1.0,
        max_bytes: int = 2_000_000,
    ) -> None:
        """Use an open client.

        Args:
            client: Shared client.
            clock: For pauses and time limits, wall time.
            timeout_s: Limit of each network step.
            total_s: Limit of one attempt from request to last byte (a slow drip ends too).
            attempts: Tries in all.
            backoff_s: First pause; doubles each time, with jitter of half.
            max_bytes: Largest accepted body after decompression.
        """
        self._client, self._clock = client, clock
        self._timeout = httpx.Timeout(timeout_s)
        self._total_s, self._attempts, self._backoff_s, self._max_bytes = total_s, attempts, backoff_s, max_bytes

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[str] = ("json",),
        attempts: int | None = None,
    ) -> bytes:
        """Return the body of a GET whose content type contains one of `accept`.

        `attempts` instead of the usual number of tries: 1 where requests are counted.

        Raises:
            SourceError: No such body after all tries.
        """
        return await self._retried(
            "GET", url, params=params, content=None, headers=headers or {}, accept=accept, attempts=attempts
        )

    async def post(
        self, url: str, *, content: bytes, headers: Mapping[str, str], accept: Collection[str] = ("xml",)
    ) -> bytes:
        """Return the body of a POST.

        Raises:
            SourceError: No such body after all tries.
        """
        return await self._retried("POST", url, params=None, content=content, headers=headers, accept=accept)

    async def _retried(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        accept: Collection[str],
        attempts: int | None = None,
    ) -> bytes:
        attempt, most = 0, attempts or self._attempts
        while True:
            attempt += 1
            try:
                return await self._clock.wait_for(
                    self._once(method, url, params, content, headers, accept), self._total_s
                )
            except TimeoutError:
                error = SourceError("timeout", f"{url}: no whole answer within {self._total_s:g} s")
            except SourceError as failure:
                error = failure
                if failure.reason.startswith("http_") and int(failure.reason[5:]) not in _RETRIED_STATUS:
                    raise
                if failure.reason in {"too_large", "wrong_type"}:
                    raise
            if attempt >= most or (error.retry_after_s or 0.0) > _RETRY_AFTER_INLINE_S:
                raise error
            pause_s = self._backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            await self._clock.sleep_wall(max(pause_s, error.retry_after_s or 0.0))

    async def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        accept: Collection[str],
    ) -> bytes:
        all_headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            async with self._client.stream(
                method, url, params=params, content=content, headers=all_headers, timeout=self._timeout
            ) as response:
                if response.status_code != 200:
                    raise SourceError(
                        f"http_{response.status_code}",
                        f"{url} answered {response.status_code}",
                        retry_after_s=self._retry_after_s(response.headers.get("Retry-After")),
                    )
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise SourceError("too_large", f"{url}: more than {self._max_bytes} bytes")
                kind = response.headers.get("Content-Type", "").lower()
                encoding = response.headers.get("Content-Encoding", "").lower()
        except httpx.TimeoutException as error:
            raise SourceError("timeout", f"{url}: {type(error).__name__}") from error
        except (httpx.RemoteProtocolError, httpx.DecodingError, httpx.ReadError) as error:
            raise SourceError("truncated", f"{url}: {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError("unreachable", f"{url}: {error or type(error).__name__}") from error
        if kind and not any(part in kind for part in accept):
            raise SourceError("wrong_type", f"{url}: content type {kind[:60]!r}, not {' or '.join(accept)}")
        return self._decoded(bytes(body), encoding, url)

    def _decoded(self, body: bytes, encoding: str, url: str) -> bytes:
        """Unpack a body that is packed though nobody asked for it, never beyond the limit."""
        if encoding in {"", "identity"}:
            return body
        if encoding not in {"gzip", "deflate"}:
            raise SourceError("wrong_type", f"{url}: content encoding {encoding[:40]!r}")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            unpacked = unpacker.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise SourceError("truncated", f"{url}: {error}") from error
        if len(unpacked) > self._max_bytes:
            raise SourceError("too_large", f"{url}: more than {self._max_bytes} bytes unpacked")
        if not unpacker.eof:
            raise SourceError("truncated", f"{url}: the packed body ends early")
        return unpacked

    def _retry_after_s(self, text: str | None) -> float | None:
        """Read `Retry-After`: seconds or an HTTP date (RFC 9110 section 10.2.3), at most a day."""
        if not text:
            return None
        if text.strip().isdigit():
            return min(float(text.strip()[:9]), 86_400.0)
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return min(max(0.0, (at - self._clock.wall_now()).total_seconds()), 86_400.0)
