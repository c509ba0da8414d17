"""Who may see the page: a session cookie or, for the REST, an API key; and the security headers of every answer.

Plain ASGI, so that it also stands before the websocket that updates the page.
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pems_common.problems import problem
from pems_monitor.adapters.store import MonitorStore

__all__ = ["COOKIE", "CSP", "SESSION", "PageGuard", "cookie_of"]

COOKIE = "pems_session"
SESSION = "pems_session"  # key in the ASGI scope
# NiceGUI compiles its templates in the browser, so scripts need unsafe-inline and unsafe-eval; nothing foreign may
# load, and no data is ever shown as HTML.
CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_OPEN = ("/login", "/health/", "/metrics", "/_nicegui/", "/favicon.ico")
_OWN_CHECK = ("/api/", "/v1/")  # these routes look for a session or an API key themselves
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_of(headers: Headers, name: str) -> str | None:
    """The value of a cookie, None where there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


class PageGuard:
    """Lets nothing through to the page without a session, and nothing from a foreign origin."""

    def __init__(self, app: ASGIApp, *, store: MonitorStore) -> None:
        """Wrap `app`."""
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session = self._store.session(cookie_of(headers, COOKIE))
        scope[SESSION] = session
        if scope["type"] == "websocket":
            if session is None or not _same_origin(headers):
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out[name] = value
                if scope.get("scheme") == "https":
                    out["strict-transport-security"] = "max-age=31536000"
                if out.get("content-type", "").startswith("text/html"):
                    out["cache-control"] = "no-store"
            await send(message)

        path: str = scope["path"]
        if scope["method"] not in _SAFE and not _same_origin(headers):
            refusal = problem(403, "this request came from another site")
            await refusal(scope, receive, guarded_send)
        elif session is not None or _is_open(path) or path.startswith(_OWN_CHECK):
            await self._app(scope, receive, guarded_send)
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            await guarded_send(
                {
                    "type": "http.response.start",
                    "status": 303,
                    "headers": [(b"location", b"/login"), (b"content-length", b"0")],
                }
            )
            await guarded_send({"type": "http.response.body", "body": b""})
        else:
            refusal = problem(401, "log in first", remedy="open /login in a browser")
            await refusal(scope, receive, guarded_send)


def _is_open(path: str) -> bool:
    return any(path == prefix or (prefix.endswith("/") and path.startswith(prefix)) for prefix in _OPEN)


def _same_origin(headers: Headers) -> bool:
    """A browser names where a request comes from; programs that send no Origin carry no cookies of a browser."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
