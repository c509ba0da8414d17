"""The page: one screen for a family, put together from its panels and refreshed once a second.

Refreshing is cheap: panels compare what they show with the view model and send only what changed, and only to
browsers that are open.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from nicegui import app as nicegui_app
from nicegui import ui

from pems_common.logs import get_logger
from pems_monitor.adapters.store import Session
from pems_monitor.domain.formats import Language
from pems_monitor.web.alerts_panel import AlertBanner, AlertsPanel
from pems_monitor.web.context import PageContext, PageParts, box, text
from pems_monitor.web.forecast_panel import ForecastPanel
from pems_monitor.web.guard import SESSION
from pems_monitor.web.header import Header
from pems_monitor.web.keys_dialog import KeysDialog
from pems_monitor.web.login import language_of
from pems_monitor.web.now_panel import FiguresPanel, FlowPanel, StatePanel
from pems_monitor.web.override_panel import OverrideDialog, OverridePanel
from pems_monitor.web.plan_panel import PlanPanel
from pems_monitor.web.room_model_dialog import RoomModelDialog
from pems_monitor.web.rooms_panel import RoomsPanel

__all__ = ["install_page"]

_HERE = Path(__file__).parent
_REFRESH_S = 1.0  # wall
_PHONE_PX = 700
_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 38 38"><rect width="38" height="38" rx="11" fill="#1f7a4d"/>'
    '<path d="M20 9 14 20h9l-5 9" fill="none" stroke="#ffd27a" stroke-width="3.2" stroke-linecap="round" '
    'stroke-linejoin="round"/></svg>'
)
_WIDTH_AND_THEME = "({width: window.innerWidth, dark: document.body.classList.contains('body--dark')})"
_log = get_logger("page")


def install_page(app: FastAPI, parts: PageParts, *, default_language: Language) -> None:
    """Put the page on an app. Routes of the app have to be there already: the page takes every other path."""
    css = (_HERE / "page.css").read_text(encoding="utf-8")
    script = (_HERE / "plan_chart.js").read_text(encoding="utf-8")

    @ui.page("/", title="PEMS", favicon=_FAVICON, reconnect_timeout=20)
    def home_page(request: Request) -> None:
        session: Session | None = request.scope.get(SESSION)
        if session is None:  # the guard lets nobody here without one
            ui.navigate.to("/login")
            return
        ui.add_css(css)
        ui.add_head_html(f"<script>{script}</script>")
        lang = language_of(request.headers, session, default=default_language)
        _Page(PageContext(parts, session, lang))

    nicegui_app.on_exception(lambda error: _log.error("the page failed", exc_info=error))
    ui.run_with(
        app,
        title="PEMS",
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
        reconnect_timeout=20,
        dark=None,
    )


class _Page:
    """One open tab."""

    def __init__(self, ctx: PageContext) -> None:
        self._ctx = ctx
        self._ready = False
        ui.colors(primary="#1f7a4d", positive="#2f9e5f", negative="#b3362b", warning="#a86400", info="#2f64ad")
        theme = ctx.session.theme
        self._theme = ui.dark_mode({"dark": True, "light": False}.get(theme))
        dialog, keys, model = OverrideDialog(ctx), KeysDialog(ctx), RoomModelDialog(ctx)
        self._header = Header(
            ctx, on_theme=self._set_theme, on_language=self._turn_language, on_keys=keys.open, on_logout=self._logout
        )
        with box("wrap", "main"):
            banner = AlertBanner(ctx)
            with box("two"):
                flow, state = FlowPanel(ctx), StatePanel(ctx)
            figures = FiguresPanel(ctx)
            self._plan = PlanPanel(ctx)
            forecasts = ForecastPanel(ctx)
            rooms = RoomsPanel(ctx, dialog.open, model.open)
            with box("two"):
                overrides, alerts = OverridePanel(ctx, dialog), AlertsPanel(ctx)
            text(f"PEMS · {ctx.home.site.name} · {ctx.home.site.timezone}", "foot")
        self._panels: tuple[Any, ...] = (
            self._header,
            banner,
            flow,
            state,
            figures,
            self._plan,
            forecasts,
            rooms,
            overrides,
            alerts,
        )
        self._refresh_panels()
        ui.timer(0.05, self._begin, once=True)
        ui.timer(_REFRESH_S, self._refresh)
        ui.on("pems_theme", self._device_theme)

    async def _begin(self) -> None:
        """Ask the browser for width and theme, then draw the chart."""
        try:
            found = await ui.run_javascript(f"return {_WIDTH_AND_THEME}", timeout=10)
        except TimeoutError:
            found = {}
        self._ctx.phone = int(found.get("width", 1200)) < _PHONE_PX
        self._ctx.dark = bool(found.get("dark", False))
        ui.run_javascript(
            "new MutationObserver(() => emitEvent('pems_theme', document.body.classList.contains('body--dark')))"
            ".observe(document.body, {attributes: true, attributeFilter: ['class']})"
        )
        self._plan.start()
        self._ready = True

    def _refresh(self) -> None:
        if self._ctx.parts.store.session_by_key(self._ctx.session.key) is None:
            ui.navigate.to("/login")  # logged out in another tab
            return
        self._refresh_panels()

    def _refresh_panels(self) -> None:
        now = self._ctx.parts.handlers.clock.now()
        for panel in self._panels:
            panel.update(now)

    def _device_theme(self, event: Any) -> None:
        dark = event.args is True
        if dark != self._ctx.dark:
            self._ctx.dark = dark
            self._plan.restyle()

    def _set_theme(self, theme: str) -> None:
        self._ctx.parts.store.prefer(self._ctx.session.key, theme=theme)
        self._theme.value = {"dark": True, "light": False}.get(theme)

    def _turn_language(self) -> None:
        other = "en" if self._ctx.lang == "cs" else "cs"
        self._ctx.parts.store.prefer(self._ctx.session.key, language=other)
        ui.navigate.reload()

    def _logout(self) -> None:
        self._ctx.parts.store.close_session(self._ctx.session.key)
        ui.navigate.to("/login")
