"""API keys: made here, shown once, kept hashed (`pems_common.auth.KeyFile`), removed here."""

import asyncio
from typing import cast

from nicegui import ui

from pems_common.auth import Scope
from pems_common.errors import PemsError
from pems_monitor.web.context import PageContext, box, show, text

__all__ = ["KeysDialog"]

_MAX_KEYS = 50


class KeysDialog:
    """Lists keys and makes new ones."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it closed."""
        self._ctx = ctx
        with ui.dialog() as self._dialog, ui.card().classes("sheet"):
            text(ctx.tr("keys.title"), "h")
            text(ctx.tr("keys.more"), "sub")
            self._list = box("")
            self._name = ui.input(ctx.tr("keys.name")).props("outlined dense maxlength=80")
            scopes = {"read": ctx.tr("keys.read"), "write": ctx.tr("keys.write")}
            self._scope = ui.select(scopes, value="read", label=ctx.tr("keys.scope"))
            self._scope.props("outlined dense options-dense behavior=menu")
            self._once = text(ctx.tr("keys.once"), "sub hide")
            self._secret = text("", "secret hide")
            with box("row-end"):
                ui.button(ctx.tr("head.close"), color=None, on_click=self._close).props("flat no-caps")
                ui.button(ctx.tr("keys.create"), on_click=self._create).props("unelevated no-caps")

    def open(self) -> None:
        """Show the keys there are."""
        self._fill()
        self._dialog.open()

    def _close(self) -> None:
        self._secret.text = ""
        show(self._secret, False)
        show(self._once, False)
        self._dialog.close()

    def _fill(self) -> None:
        ctx = self._ctx
        self._list.clear()
        with self._list:
            keys = ctx.parts.keys.keys
            if not keys:
                text(ctx.tr("keys.empty"), "sub")
            for key in keys:
                with box("item"), box("item-main"):
                    text(key.name)
                    text(ctx.tr(f"keys.{key.scope}"), "sub")
                    button = ui.button(
                        ctx.tr("keys.delete"), color=None, on_click=lambda _, n=key.name: self._remove(n)
                    )
                    button.props("flat no-caps dense size=13px")

    async def _create(self) -> None:
        ctx = self._ctx
        name = str(self._name.value or "").strip()[:80]
        if not name or len(ctx.parts.keys.keys) >= _MAX_KEYS:
            return
        try:
            secret = await asyncio.to_thread(ctx.parts.keys.add, name, cast(Scope, self._scope.value))
        except PemsError as error:
            ui.notify(error.message, type="negative")
            return
        self._secret.text = secret
        show(self._secret, True)
        show(self._once, True)
        self._name.value = ""
        self._fill()

    def _remove(self, name: str) -> None:
        self._ctx.parts.keys.remove(name)
        self._fill()
