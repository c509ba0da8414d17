"""The HTTP side that every service has: health, metrics, documentation, limits and one error shape."""

import html
from collections.abc import Collection

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse

from pems_common.health import Health
from pems_common.http_guard import Guard
from pems_common.metrics import CONTENT_TYPE, Metrics
from pems_common.problems import install_problems
from pems_common.settings import SERVICE_PORTS

__all__ = ["DEFAULT_HOSTS", "MAX_BODY_BYTES", "create_app"]

MAX_BODY_BYTES = 1_000_000
DEFAULT_HOSTS = frozenset(
    {"127.0.0.1", "localhost", "::1", "testserver", *SERVICE_PORTS, *(f"pems-{name}" for name in SERVICE_PORTS)}
)
_NOT_CACHED = {"Cache-Control": "no-store"}


def create_app(
    name: str,
    *,
    health: Health,
    metrics: Metrics,
    version: str = "",
    allowed_hosts: Collection[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """Create the app of a service; its own routes are added by `app.include_router`.

    Args:
        name: Name of the service.
        health: Source of /health/live and /health/ready.
        metrics: Source of /metrics.
        version: Version of PEMS, shown in the documentation.
        allowed_hosts: Host names beside the usual ones (`DEFAULT_HOSTS`).
        max_body_bytes: Largest request body.
    """
    app = FastAPI(
        title=f"PEMS {name}",
        version=version or "0",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        swagger_ui_oauth2_redirect_url=None,
    )
    install_problems(app)
    app.add_middleware(
        Guard,
        allowed_hosts=DEFAULT_HOSTS | set(allowed_hosts),
        max_body_bytes=max_body_bytes,
        metrics=metrics,
    )

    @app.get("/health/live", tags=["health"], summary="Whether the service's own loop turns")
    async def live() -> JSONResponse:
        silent = {name: round(seconds, 1) for name, seconds in health.silent().items()}
        content = {"live": not silent, "silent_s": silent}
        return JSONResponse(content, 503 if silent else 200, headers=_NOT_CACHED)

    @app.get("/health/ready", tags=["health"], summary="Whether everything the service needs is there")
    async def ready() -> JSONResponse:
        failing = sorted(health.failing())
        checks = {
            name: {"ok": check.ok, "detail": check.detail, "required": check.required}
            for name, check in sorted(health.checks.items())
        }
        content = {"ready": not failing, "failing": failing, "checks": checks}
        return JSONResponse(content, 503 if failing else 200, headers=_NOT_CACHED)

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics")
    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE, headers=_NOT_CACHED)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
        return HTMLResponse(_routes_page(app), headers={"Content-Security-Policy": policy})

    return app


def _routes_page(app: FastAPI) -> str:
    """Return a page that lists the routes; no script, nothing from elsewhere."""
    rows = []
    for path, methods in sorted(app.openapi().get("paths", {}).items()):
        for method, operation in methods.items():
            parameters = ", ".join(
                f"{item['name']}{'' if item.get('required') else '?'}" for item in operation.get("parameters", [])
            )
            text = operation.get("summary", "")
            if operation.get("security"):
                text += " (X-API-Key)"
            cells = (method.upper(), path, parameters, text)
            rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    title = html.escape(app.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color-scheme:light dark}"
        "td,th{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #8886;vertical-align:top}"
        "td:nth-child(-n+2){font-family:ui-monospace,monospace;white-space:nowrap}</style></head><body>"
        f'<h1>{title}</h1><p>The whole description: <a href="openapi.json">openapi.json</a></p>'
        "<table><tr><th>Method</th><th>Path</th><th>Parameters</th><th>What it does</th></tr>"
        f"{''.join(rows)}</table></body></html>"
    )
