"""The head of the page: whose house it is, what time it has, and the page's own settings."""

from collections.abc import Callable
from datetime import datetime

from nicegui import ui

from pems_monitor.domain.formats import clock_time, date_text, number
from pems_monitor.web.context import PageContext, box, text

__all__ = ["Header"]

_MARK = (
    '<rect width="38" height="38" rx="11" fill="#1f7a4d"/>'
    '<path d="M9 19.5 19 10l10 9.5M12.5 17.5V28h13V17.5" fill="none" stroke="#fff" stroke-width="2.4" '
    'stroke-linecap="round" stroke-linejoin="round"/><path d="M20 15.5 16 22h6l-3.5 5" fill="none" stroke="#ffd27a" '
    'stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/>'
)
_THEME_ICONS = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}
_NEXT_THEME = {"auto": "light", "light": "dark", "dark": "auto"}


class Header:
    """Sticky head with navigation, house time, language, theme, keys and logout."""

    def __init__(
        self,
        ctx: PageContext,
        *,
        on_theme: Callable[[str], None],
        on_language: Callable[[], None],
        on_keys: Callable[[], None],
        on_logout: Callable[[], None],
    ) -> None:
        """Build it."""
        self._ctx = ctx
        self._theme = ctx.session.theme if ctx.session.theme in _THEME_ICONS else "auto"
        self._on_theme = on_theme
        with box("top", "header"), box("top-in"):
            ui.html(f'<svg class="mark" viewBox="0 0 38 38" aria-hidden="true">{_MARK}</svg>', sanitize=False)
            with box("who"):
                text("PEMS", "brand")
                text(ctx.home.site.name, "site")
            with box("nav", "nav"):
                for part in ("now", "plan", "forecasts", "rooms", "overrides", "alerts"):
                    ui.link(ctx.tr(f"nav.{part}"), f"#{part}")
            box("grow")
            with box("time"):
                self._clock = text("", "clock").style("font-size: 19px; font-weight: 600")
                self._date = text("", "time-sub")
            with box("tools"):
                self._theme_button = ui.button(icon=_THEME_ICONS[self._theme], color=None, on_click=self._turn_theme)
                self._theme_button.props(f'flat round dense data-theme=1 aria-label="{ctx.tr("head.theme")}"')
                language = ui.button("EN" if ctx.lang == "cs" else "CS", color=None, on_click=on_language)
                language.props(f'flat dense no-caps data-language=1 aria-label="{ctx.tr("head.language")}"')
                with (
                    ui.button(icon="more_vert", color=None).props(
                        f'flat round dense aria-label="{ctx.tr("head.menu")}"'
                    ),
                    ui.menu(),
                ):
                    ui.menu_item(ctx.tr("head.keys"), on_click=on_keys)
                    ui.menu_item(ctx.tr("head.logout"), on_click=on_logout)

    def update(self, now: datetime) -> None:
        """Show house time."""
        ctx = self._ctx
        self._clock.text = clock_time(now, ctx.zone)
        speed = ctx.parts.handlers.clock.speed
        day = date_text(now, ctx.zone, ctx.lang)
        factor = number(speed, 0 if speed == int(speed) else 1, ctx.lang)
        self._date.text = day if speed == 1 else f"{day} · {factor}×"

    def _turn_theme(self) -> None:
        self._theme = _NEXT_THEME[self._theme]
        self._theme_button.props(f"icon={_THEME_ICONS[self._theme]}")
        self._on_theme(self._theme)
