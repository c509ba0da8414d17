"""Logging in and out: one password, a form without scripts, and a limit on tries."""

import asyncio
import hmac
import html
import secrets
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import Headers

from pems_common.clock import Clock
from pems_common.logs import get_logger
from pems_monitor.adapters.store import MonitorStore, Session
from pems_monitor.domain.formats import Language
from pems_monitor.domain.login_limit import LoginLimit
from pems_monitor.domain.texts import t
from pems_monitor.web.guard import COOKIE, SESSION, cookie_of

__all__ = ["language_of", "login_router"]

_FORM_COOKIE = "pems_form"
_MAX_FORM_BYTES = 4096
_log = get_logger("login")

_STYLE = """
:root{color-scheme:light dark;--bg:#f4f5f2;--card:#fff;--ink:#1c2420;--soft:#66716b;--line:#dfe4e0;--go:#1f7a4d}
@media(prefers-color-scheme:dark){:root{--bg:#101513;--card:#19201d;--ink:#e8eeea;--soft:#93a099;--line:#2b3530;--go:#37a26c}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;padding:20px}
main{width:100%;max-width:380px;
background:var(--card);border:1px solid var(--line);border-radius:18px;padding:36px 32px}
.mark{display:flex;align-items:center;gap:12px;margin-bottom:6px}
h1{font-size:22px;margin:0;letter-spacing:.02em}
p{margin:0 0 24px;color:var(--soft)}
label{display:block;font-size:14px;font-weight:600;margin-bottom:6px}
input{width:100%;font:inherit;
padding:12px 14px;border-radius:10px;border:1px solid var(--line);background:var(--bg);color:inherit}
input:focus-visible{outline:2px solid var(--go);outline-offset:1px}
button{width:100%;margin-top:16px;padding:12px;border:0;border-radius:10px;background:var(--go);color:#fff;font:inherit;font-weight:600;cursor:pointer}
button:hover{filter:brightness(1.07)}
.wrong{margin:0 0 16px;padding:10px 14px;border-radius:10px;background:#c0392b1f;color:#b8362a;font-size:14px}
@media(prefers-color-scheme:dark){.wrong{color:#ff9d90}}
.hint{margin:20px 0 0;font-size:13px}
"""
_MARK = (
    '<svg width="38" height="38" viewBox="0 0 38 38" aria-hidden="true">'
    '<rect width="38" height="38" rx="11" fill="#1f7a4d"/>'
    '<path d="M9 19.5 19 10l10 9.5M12.5 17.5V28h13V17.5" fill="none" stroke="#fff" stroke-width="2.4" '
    'stroke-linecap="round" stroke-linejoin="round"/><path d="M20 15.5 16 22h6l-3.5 5" fill="none" stroke="#ffd27a" '
    'stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def language_of(headers: Headers, session: Session | None, *, default: Language) -> Language:
    """The language to speak: what was chosen, else the browser's first known one, else the house's."""
    if session is not None and session.language:
        return "cs" if session.language == "cs" else "en"
    for part in headers.get("accept-language", "").lower().split(","):
        tag = part.partition(";")[0].strip()
        if tag.startswith(("cs", "sk")):
            return "cs"
        if tag.startswith("en"):
            return "en"
    return default


def _form(lang: Language, token: str, message: str) -> str:
    """The form. Every text goes through `html.escape`."""

    def text(key: str) -> str:
        return html.escape(t(key, lang))

    wrong = f'<p class="wrong" role="alert">{html.escape(message)}</p>' if message else ""
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>PEMS</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><main><div class='mark'>{_MARK}<h1>PEMS</h1></div>"
        f"<p>{text('login.title')}</p>{wrong}"
        '<form method="post" action="/login">'
        f'<input type="hidden" name="token" value="{html.escape(token)}">'
        f'<label for="password">{text("login.password")}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>'
        f'<button type="submit">{text("login.enter")}</button></form>'
        f'<p class="hint">{text("login.hint")}</p></main></body></html>'
    )


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a small form; empty where it is too large or malformed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return {}
    try:
        pairs = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in pairs.items()}


def login_router(store: MonitorStore, clock: Clock, *, default_language: Language) -> APIRouter:
    """Routes /login and /logout."""
    router = APIRouter(include_in_schema=False)
    limit = LoginLimit()
    verifying = asyncio.Semaphore(2)

    def show(request: Request, message: str = "", status: int = 200, **headers: str) -> Response:
        lang = language_of(request.headers, None, default=default_language)
        token = secrets.token_urlsafe(24)
        response = HTMLResponse(_form(lang, token, message), status, headers=headers)
        secure = request.url.scheme == "https"
        response.set_cookie(
            _FORM_COOKIE, token, max_age=3600, path="/login", httponly=True, samesite="strict", secure=secure
        )
        return response

    @router.get("/login")
    async def form(request: Request) -> Response:
        if request.scope.get(SESSION) is not None:
            return RedirectResponse("/", 303)
        return show(request)

    @router.post("/login")
    async def enter(request: Request) -> Response:
        lang = language_of(request.headers, None, default=default_language)
        address = request.client.host if request.client else "?"
        if wait_s := limit.wait_s(address, clock.monotonic()):
            message = t("login.locked", lang, seconds=wait_s)
            return show(request, message, 429, **{"Retry-After": str(wait_s)})
        fields = await _fields(request)
        cookie = cookie_of(request.headers, _FORM_COOKIE) or ""
        if not cookie or not hmac.compare_digest(cookie.encode(), fields.get("token", "").encode()):
            return show(request, t("login.expired", lang), 403)
        async with verifying:
            # Asked again: many tries sent at once all passed the first look, before the first of them had failed.
            if wait_s := limit.wait_s(address, clock.monotonic()):
                message = t("login.locked", lang, seconds=wait_s)
                return show(request, message, 429, **{"Retry-After": str(wait_s)})
            right = await asyncio.to_thread(store.check_password, fields.get("password", ""))
        if not right:
            limit.failed(address, clock.monotonic())
            _log.warning("wrong password on the page", client=address)
            return show(request, t("login.wrong", lang), 401)
        limit.succeeded(address)
        token, session = store.open_session()
        _log.info("logged in", client=address)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, token, **_cookie(request, session, clock))
        response.delete_cookie(_FORM_COOKIE, path="/login")
        return response

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        session: Session | None = request.scope.get(SESSION)
        fields = await _fields(request)
        given = request.headers.get("x-csrf-token") or fields.get("csrf", "")
        if session is None or not hmac.compare_digest(session.csrf.encode(), given.encode()):
            return show(request, t("login.expired", "en"), 403)
        store.close_session(session.key)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    return router


def _cookie(request: Request, session: Session, clock: Clock) -> dict[str, Any]:
    life_s = int((session.expires_at - clock.wall_now()).total_seconds())
    return {
        "max_age": life_s,
        "path": "/",
        "httponly": True,
        "samesite": "lax",
        "secure": request.url.scheme == "https",
    }
