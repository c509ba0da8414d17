"""REST of the monitor: key figures, alerts, the session, and the gateway to the other services."""

import hmac
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.security import APIKeyHeader

from pems_common.auth import Auth, Principal
from pems_monitor.adapters.gateway import GATEWAY_SERVICES, Gateway
from pems_monitor.adapters.store import Session
from pems_monitor.api_performance import performance_router
from pems_monitor.handlers import MonitorHandlers
from pems_monitor.performance_book import PerformanceBook
from pems_monitor.web.guard import SESSION

__all__ = ["api_router"]

_KEY = APIKeyHeader(name="X-API-Key", auto_error=False)
_OVERRIDES = "v1/overrides/"
_MAX_BODY_BYTES = 256_000


def api_router(
    handlers: MonitorHandlers, auth: Auth, gateway: Gateway, book: PerformanceBook | None = None
) -> APIRouter:
    """Routes below /v1 and /api."""
    router = APIRouter()

    async def reader(request: Request, key: Annotated[str | None, Depends(_KEY)]) -> Principal:
        """A page's session, or a key of any scope."""
        if key is None and request.scope.get(SESSION) is not None:
            return Principal(name="page", scope="read")
        return await auth.check(key, client=request.client.host if request.client else "")

    @router.get("/v1/kpi", summary="Key figures of the running local day", dependencies=[Depends(reader)])
    async def kpi() -> dict[str, Any]:
        figures = handlers.kpi()
        if figures is None:
            raise HTTPException(404, "nothing was measured today yet")
        return asdict(figures)

    @router.get("/v1/alerts", summary="Active and ended alerts", dependencies=[Depends(reader)])
    async def alerts() -> dict[str, Any]:
        state = handlers.state
        return {
            "active": [alert.model_dump(mode="json") for alert in state.alerts],
            "ended": [alert.model_dump(mode="json") for alert in state.ended_alerts],
        }

    @router.get("/v1/services", summary="Which services answer", dependencies=[Depends(reader)])
    async def services() -> dict[str, Any]:
        return {"services": [asdict(service) for service in handlers.state.services]}

    @router.get("/v1/session", summary="The CSRF token of a logged-in browser")
    async def session(request: Request) -> dict[str, str]:
        found: Session | None = request.scope.get(SESSION)
        if found is None:
            raise HTTPException(401, "there is no session: log in at /login")
        return {"csrf": found.csrf, "expires_at": found.expires_at.isoformat()}

    if book is not None:
        router.include_router(performance_router(book, reader))

    @router.api_route(
        "/api/{service}/{path:path}",
        methods=["GET", "POST", "PUT", "DELETE"],
        summary=f"Gateway to {', '.join(GATEWAY_SERVICES)}",
        include_in_schema=False,
    )
    async def forward(service: str, path: str, request: Request, key: Annotated[str | None, Depends(_KEY)]) -> Response:
        principal = await reader(request, key)
        if request.method != "GET":
            _may_write(request, principal, service, path)
        body = b""
        if request.method in {"POST", "PUT"}:
            body = await request.body()
            if len(body) > _MAX_BODY_BYTES:
                raise HTTPException(413, f"the gateway passes on at most {_MAX_BODY_BYTES} bytes")
        return await gateway.forward(
            request.method, service, path, query=request.url.query, headers=request.headers, body=body
        )

    return router


def _may_write(request: Request, principal: Principal, service: str, path: str) -> None:
    """A key needs the scope `write`; a browser its CSRF token, and it may only set overrides.

    Raises:
        HTTPException: 403.
    """
    session: Session | None = request.scope.get(SESSION)
    if principal.name != "page":
        if principal.scope != "write":
            raise HTTPException(403, "this key may only read")
        return
    given = request.headers.get("x-csrf-token", "")
    if session is None or not hmac.compare_digest(session.csrf.encode(), given.encode()):
        raise HTTPException(
            403, {"detail": "the CSRF token is missing", "remedy": "GET /v1/session, send X-CSRF-Token"}
        )
    if service != "controller" or not path.startswith(_OVERRIDES):
        raise HTTPException(403, "a browser may only set overrides; use an API key with the scope write")
