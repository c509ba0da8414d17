"""The gateway: one address and one login for the REST of the other services.

It reaches named services below their `/v1/` only, follows no redirects, forwards a short list of headers, and
limits size and time; so nobody can be sent elsewhere through it.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
from fastapi import HTTPException, Response

__all__ = ["GATEWAY_SERVICES", "Gateway"]

GATEWAY_SERVICES = ("ingest", "forecaster", "optimizer", "controller")
_PATH = re.compile(r"v1(?:/[A-Za-z0-9_.:~-]+)*")
_REQUEST_HEADERS = ("accept", "content-type", "if-none-match")
_REPLY_HEADERS = ("content-type", "etag", "retry-after", "cache-control")
_TIMEOUT_S = 15.0
_MAX_REPLY_BYTES = 32_000_000


class Gateway:
    """Passes one request on to a service."""

    def __init__(self, client: httpx.AsyncClient, urls: Mapping[str, str], *, internal_key: str) -> None:
        """Use `client` for the base URLs by service name."""
        self._client = client
        self._urls = {name: urls[name].rstrip("/") for name in GATEWAY_SERVICES if urls.get(name)}
        self._key = internal_key

    async def forward(
        self, method: str, service: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send a request to a service and return its reply.

        Args:
            method: GET, POST, PUT or DELETE.
            service: Name of an allowed service.
            path: Below the service's root, such as `v1/plan`.
            query: Raw query string.
            headers: Of the caller; only a few go on.
            body: Of the caller.

        Raises:
            HTTPException: 404 for another service or path, 502 when it does not answer, 504 when it takes too long.
        """
        base = self._urls.get(service)
        if base is None or not _PATH.fullmatch(path) or any(set(part) <= {"."} for part in path.split("/")):
            raise HTTPException(404, "there is no such service or path behind this gateway")
        url = f"{base}/{path}" + (f"?{query}" if query else "")
        sent = {name: headers[name] for name in _REQUEST_HEADERS if name in headers}
        sent["x-api-key"] = self._key
        try:
            async with self._client.stream(
                method, url, headers=sent, content=body or None, timeout=_TIMEOUT_S, follow_redirects=False
            ) as reply:
                content = bytearray()
                async for chunk in reply.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_REPLY_BYTES:
                        raise HTTPException(502, f"the answer of {service} is larger than the gateway passes on")
                passed = {name: reply.headers[name] for name in _REPLY_HEADERS if name in reply.headers}
                location = self._location(service, reply.headers.get("location"))
                if location is not None:
                    passed["location"] = location
                return Response(bytes(content), reply.status_code, headers=passed)
        except httpx.TimeoutException:
            raise HTTPException(504, f"{service} did not answer within {_TIMEOUT_S:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise HTTPException(502, f"{service} does not answer") from None

    @staticmethod
    def _location(service: str, location: str | None) -> str | None:
        """A service's own path, as it is called through the gateway; anything else is dropped."""
        path = urlsplit(location).path if location else ""
        return f"/api/{service}{path}" if path.startswith("/v1/") else None
