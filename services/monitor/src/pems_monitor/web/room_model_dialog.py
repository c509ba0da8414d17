"""How well a room is known: tier, evidence and warnings in words, and measured against predicted."""

from nicegui import ui

from pems_monitor.domain.room_models import (
    evidence_texts,
    figures,
    left_out_text,
    parameter_texts,
    read_picture,
    read_room_facts,
    room_facts,
    tier_key,
)
from pems_monitor.domain.room_names import room_title
from pems_monitor.domain.state import RoomFacts
from pems_monitor.web.context import PageContext, box, text
from pems_monitor.web.room_model_chart import room_model_options

__all__ = ["RoomModelDialog"]


class RoomModelDialog:
    """One sheet for whichever room was asked for."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it closed."""
        self._ctx = ctx
        self._room = ""
        with ui.dialog() as self._dialog, ui.card().classes("sheet wide"):
            self._words = box("model")
            self._place = box("model-picture")
            self._more = box("model")
            with box("row-end"):
                close = ui.button(ctx.tr("head.close"), color=None, on_click=self._dialog.close)
                close.props("flat no-caps")

    async def open(self, room: str) -> None:
        """Open for a room: what is known at once, the picture when the forecaster has told it."""
        ctx = self._ctx
        self._room = room
        self._show_words(room_facts(ctx.parts.handlers.state, room))
        self._place.clear()
        self._more.clear()
        self._dialog.open()
        answer = await ctx.parts.clients.room_model(room)
        if self._room != room:  # another room was asked for meanwhile
            return
        picture = read_picture(answer)
        with self._place:
            if picture is None:
                text(ctx.tr("model.picture.none"), "sub")
            else:
                text(ctx.tr("model.picture"), "label")
                options = room_model_options(picture, ctx.lang, ctx.zone, dark=ctx.dark, phone=ctx.phone)
                ui.echart(options).classes("model-chart")
        self._show_more(read_room_facts(answer))

    def _show_words(self, facts: RoomFacts) -> None:
        ctx, lang = self._ctx, self._ctx.lang
        self._words.clear()
        with self._words:
            with box("card-head"):
                text(room_title(self._room, lang), "h")
                text(ctx.tr(f"model.tier.{tier_key(facts)}"), f"pill t-{tier_key(facts)}")
            text(ctx.tr(f"model.means.{tier_key(facts)}"))
            if facts.tier:
                text(" ".join(evidence_texts(facts, ctx.zone, lang)), "sub")
            if facts.warnings:
                with box("model-warnings"):
                    text(ctx.tr("model.warnings"), "label")
                    for warning in facts.warnings:
                        with box("model-warning"):
                            ui.icon("warning")
                            text(warning)
            with box("figures three"):
                for name, value in figures(facts, lang):
                    with box("figure"):
                        text(value, "value")
                        text(name, "name")
            if left_out := left_out_text(facts, lang):
                text(ctx.tr("model.left_out", what=left_out), "sub")

    def _show_more(self, facts: RoomFacts) -> None:
        rows = parameter_texts(facts, self._ctx.lang)
        if not rows:
            return
        title = self._ctx.tr("model.parameters")
        with self._more, ui.expansion(title).props("dense").classes("model-more"), box("model-rows"):
            for name, value in rows:
                text(name, "sub")
                text(value)
