"""Errors over HTTP: every one is `application/problem+json` (RFC 9457), and none shows the program's insides."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pems_common.errors import PemsError, UnavailableError
from pems_common.logs import get_logger

__all__ = ["PROBLEM_JSON", "install_problems", "problem", "unexpected"]

PROBLEM_JSON = "application/problem+json"
_log = get_logger("http")


def problem(
    status: int,
    detail: str = "",
    *,
    title: str = "",
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    """Build a problem response.

    Args:
        status: HTTP status.
        detail: What is wrong with this request, for people.
        title: The kind of problem; the status' own phrase when empty.
        headers: Further headers.
        **extra: Extension members, such as `remedy` or `errors`.
    """
    content: dict[str, Any] = {"type": "about:blank", "title": title or _phrase(status), "status": status}
    if detail:
        content["detail"] = detail
    content |= {name: value for name, value in extra.items() if value}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _on_unexpected(request, error)
    given: Any = error.detail
    extra = dict(given) if isinstance(given, dict) else {"detail": given}
    detail, title = str(extra.pop("detail", "") or ""), str(extra.pop("title", ""))
    return problem(
        error.status_code,
        detail if detail != _phrase(error.status_code) else "",
        title=title,
        headers=error.headers,
        **{str(name): value for name, value in extra.items() if name not in {"status", "headers", "type"}},
    )


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        return await _on_unexpected(request, error)
    errors = [
        {"field": ".".join(str(part) for part in item.get("loc", ())), "message": str(item.get("msg", ""))}
        for item in error.errors()
    ]
    return problem(422, "some fields are missing or wrong", title="Invalid request", errors=errors)


async def _on_pems(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UnavailableError):
        return problem(503, error.message, headers={"Retry-After": "5"}, remedy=error.remedy)
    if isinstance(error, PemsError):
        return problem(422, error.message, remedy=error.remedy)
    return await _on_unexpected(request, error)


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    return unexpected(request.method, request.url.path, error)


def unexpected(method: str, path: str, error: BaseException) -> JSONResponse:
    """Log an error nobody foresaw and build its problem, which tells nothing of it."""
    _log.error("unexpected error in a route", method=method, path=path, exc_info=error)
    return problem(500, "an unexpected error happened; the log of the service tells more")


def install_problems(app: FastAPI) -> None:
    """Answer the errors of the app's routes with problems; unforeseen ones are the guard's (see `api`)."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(PemsError, _on_pems)
