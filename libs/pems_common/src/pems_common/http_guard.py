"""What stands between the network and the routes: host check, body limit, last catch of errors, request metrics.

Written as plain ASGI, so that streaming and websockets pass untouched.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pems_common.metrics import Metrics
from pems_common.problems import problem, unexpected

__all__ = ["Guard", "host_name"]

_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}


def host_name(header: str) -> str:
    """Return the name in a Host header, without port, in lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") <= 1 else text


def _is_address(name: str) -> bool:
    """Tell whether a host name is an IP address: no foreign DNS server can point one here."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class _TooLargeError(Exception):
    """The body grew past the limit while it was read."""


class Guard:
    """The outermost part of every service's app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        max_body_bytes: int,
        metrics: Metrics,
    ) -> None:
        """Wrap `app`.

        Args:
            app: What to protect.
            allowed_hosts: Names a Host header may carry beside IP addresses, against DNS rebinding; `*` allows all.
            max_body_bytes: Largest request body.
            metrics: Where requests are counted.
        """
        self._app = app
        self._hosts = {name.lower() for name in allowed_hosts}
        self._limit = max_body_bytes
        self._seconds = metrics.histogram("http_seconds", "Duration of HTTP requests", ["method", "route", "status"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._answers_to(host_name(headers.get("host", ""))):
            await self._refuse_host(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._serve_http(scope, headers, receive, send)

    def _answers_to(self, name: str) -> bool:
        return "*" in self._hosts or name in self._hosts or _is_address(name)

    async def _refuse_host(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = problem(421, "this service does not answer to that host name", remedy="see PEMS_ALLOWED_HOSTS")
        await answer(scope, receive, send)

    async def _serve_http(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        started = perf_counter()
        read_bytes = 0
        status = 0
        too_large = False

        async def counted_receive() -> Message:
            nonlocal read_bytes, too_large
            message = await receive()
            if message["type"] == "http.request":
                read_bytes += len(message.get("body", b""))
                if read_bytes > self._limit:
                    too_large = True
                    raise _TooLargeError
            return message

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                if too_large:  # the framework answered 400 to a body that it could not read
                    return
                status = int(message["status"])
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
            elif too_large and status == 0:
                return
            await send(message)

        declared = headers.get("content-length", "0")
        try:
            if declared.isdigit() and int(declared) > self._limit:
                too_large = True
            else:
                await self._app(scope, counted_receive, watched_send)
        except _TooLargeError:
            pass
        except Exception as error:
            if status:
                raise
            answer = unexpected(scope["method"], scope["path"], error)
            status = answer.status_code
            await answer(scope, receive, send)
        finally:
            if too_large and status == 0:
                status = 413
                answer = problem(413, f"the request body is larger than {self._limit} bytes")
                answer.headers["connection"] = "close"
                await answer(scope, receive, send)
            route = getattr(scope.get("route"), "path", "other")
            self._seconds.labels(scope["method"], route, str(status)).observe(perf_counter() - started)
