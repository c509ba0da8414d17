"""The rooms as cards: temperature, relay, next switch, the reason, how well it is known, a button to set it by hand."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from nicegui import ui

from pems_monitor.domain.formats import day_and_time, power, temperature
from pems_monitor.domain.room_models import room_facts, short_text, summary_text, tier_key
from pems_monitor.domain.room_names import room_title
from pems_monitor.domain.rooms import RoomRow, room_rows
from pems_monitor.domain.state import HouseState, RoomFacts
from pems_monitor.domain.why import override_text, until_text, why_text
from pems_monitor.web.context import PageContext, box, show, swap_classes, text

__all__ = ["RoomsPanel"]

_GAUGE_K = 3.0  # the gauge shows the target and so many K to each side


class RoomsPanel:
    """All rooms."""

    def __init__(
        self, ctx: PageContext, on_override: Callable[[str], None], on_model: Callable[[str], Awaitable[None]]
    ) -> None:
        """Build one card per room of home.yaml."""
        self._ctx = ctx
        self._cards: dict[str, _RoomCard] = {}
        with box("card").props("id=rooms"):
            with box("card-head"):
                text(ctx.tr("rooms.title"), "h")
                self._summary = text("", "sub")
                self._models = text("", "sub")
                box("grow")
                self._identify = ui.button(ctx.tr("model.identify"), icon="school", color=None, on_click=self._learn)
                self._identify.props("flat no-caps dense padding='2px 10px' data-identify=1")
                with self._identify:
                    self._identify_tip = ui.tooltip("")
            with box("rooms"):
                for name in ctx.home.rooms:
                    self._cards[name] = _RoomCard(ctx, name, on_override, on_model)

    def update(self, now: datetime) -> None:
        """Show the latest of each room."""
        ctx = self._ctx
        rows = room_rows(ctx.parts.handlers.state, ctx.home, now)
        inside = sum(row.comfort == "inside" for row in rows)
        on = sum(bool(row.relay_on) for row in rows)
        known = any(row.temperature_c is not None for row in rows)
        self._summary.text = ctx.tr("rooms.summary", inside=inside, count=len(rows), on=on) if known else ""
        state = ctx.parts.handlers.state
        for row in rows:
            self._cards[row.name].show(row, now)
            self._cards[row.name].show_model(room_facts(state, row.name))
        self._show_models(state)

    def _show_models(self, state: HouseState) -> None:
        """How many rooms are how well known, and when they were identified last."""
        ctx, models = self._ctx, state.room_models
        self._models.text = ctx.tr("model.running") if models.running else summary_text(state, ctx.home, ctx.lang)
        self._identify.set_enabled(not models.running)
        at = models.identified_at
        when = ctx.tr("model.never") if at is None else day_and_time(at, ctx.zone, ctx.lang)
        self._identify_tip.text = ctx.tr("model.identify_tip", when=when)

    async def _learn(self) -> None:
        ctx = self._ctx
        outcome = await ctx.parts.clients.identify_rooms()
        if outcome.ok:
            ctx.parts.handlers.set_room_models(await ctx.parts.clients.room_models())
            ui.notify(ctx.tr("model.asked"), type="positive")
            return
        why = outcome.reason or ctx.tr("model.refused" if outcome.reachable else "model.unreachable")
        ui.notify(ctx.tr("model.failed", why=why), type="negative")


class _RoomCard:
    """One room."""

    def __init__(
        self,
        ctx: PageContext,
        name: str,
        on_override: Callable[[str], None],
        on_model: Callable[[str], Awaitable[None]],
    ) -> None:
        self._ctx = ctx
        self._row: tuple[RoomRow, str] | None = None
        self._facts: RoomFacts | None = None
        with box("room") as self._card:
            with box("room-top"):
                text(room_title(name, ctx.lang), "room-name")
                self._temperature = text("", "room-temp")
            with box("gauge"):
                self._band = box("gauge-band")
                self._target = box("gauge-target")
                self._at = box("gauge-at hide")
                self._gauge_tip = ui.tooltip("")
            with box("room-line room-comfort"):
                self._comfort = text("")
                self._goal = text("")
            with box("room-line"):
                with box("room-relay"):
                    box("dot")
                    self._relay = text("")
                self._next = text("")
            self._strip = box("strip")
            with box("room-model", "button").props(f"type=button data-model={name}") as self._model:
                self._tier = text("", "pill small")
                self._known = text("", "room-known")
                self._warned = ui.icon("warning").classes("room-warned hide")
            self._model.props(f'aria-label="{ctx.tr("model.open", room=room_title(name, ctx.lang))}"')
            self._model.on("click", lambda: on_model(name))
            with box("room-foot"):
                self._mode = text("", "pill small")
                self._why = text("", "room-why")
                button = ui.button(icon="tune", color=None, on_click=lambda: on_override(f"room:{name}"))
                button.props(f"flat round dense size=11px data-room={name}").props(
                    f'aria-label="{ctx.tr("rooms.override")}"'
                )
                with button:
                    ui.tooltip(ctx.tr("rooms.override"))

    def show(self, row: RoomRow, now: datetime) -> None:
        """Show a row; nothing is sent where nothing changed."""
        ctx, lang = self._ctx, self._ctx.lang
        stamp = (row, now.isoformat()[:16])
        if self._row == stamp:
            return
        self._row = stamp
        self._temperature.text = temperature(row.temperature_c, lang)
        swap_classes(self._temperature, "below", "") if row.comfort == "below" else self._temperature.classes(
            remove="below"
        )
        swap_classes(self._temperature, "above", "") if row.comfort == "above" else self._temperature.classes(
            remove="above"
        )
        self._show_gauge(row)
        self._card.classes(add="on") if row.relay_on else self._card.classes(remove="on")
        if row.window_open:
            self._comfort.text = ctx.tr("rooms.window")
        else:
            self._comfort.text = ctx.tr(
                "rooms.band",
                low=temperature(row.low_c, lang).replace("\u00a0°C", ""),
                high=temperature(row.high_c, lang),
            )
        self._goal.text = ctx.tr("rooms.target", value=temperature(row.target_c, lang))
        self._show_relay(row, now)
        self._show_mode(row)
        self._show_strip(row)

    def show_model(self, facts: RoomFacts) -> None:
        """Show how well the room is known; nothing is sent where nothing changed."""
        if facts == self._facts:
            return
        self._facts = facts
        swap_classes(self._tier, "t-", tier_key(facts))
        self._tier.text = self._ctx.tr(f"model.tier.{tier_key(facts)}")
        self._known.text = short_text(facts, self._ctx.lang) if facts.tier else ""
        show(self._warned, bool(facts.warnings))

    def _show_gauge(self, row: RoomRow) -> None:
        middle = (row.low_c + row.high_c) / 2

        def place(value_c: float) -> float:
            return round(100 * min(0.98, max(0.02, (value_c - middle + _GAUGE_K) / (2 * _GAUGE_K))), 1)

        low, high = place(row.low_c), place(row.high_c)
        self._band.style(f"left: {low}%; width: {high - low:.1f}%")
        self._target.style(f"left: {place(row.target_c)}%")
        show(self._at, row.temperature_c is not None)
        if row.temperature_c is not None:
            self._at.style(f"left: {place(row.temperature_c)}%")
        self._gauge_tip.text = self._ctx.tr(
            "rooms.band", low=temperature(row.low_c, self._ctx.lang), high=temperature(row.high_c, self._ctx.lang)
        )

    def _show_relay(self, row: RoomRow, now: datetime) -> None:
        ctx, lang = self._ctx, self._ctx.lang
        if row.relay_on is None:
            self._relay.text = ctx.tr("rooms.unknown")
        elif row.relay_on:
            self._relay.text = f"{ctx.tr('rooms.heating')} {power(row.relay_w, lang)}"
        else:
            self._relay.text = ctx.tr("rooms.idle")
        if row.next_switch_at is not None:
            at = day_and_time(row.next_switch_at, ctx.zone, lang, relative_to=now)
            self._next.text = ctx.tr("rooms.next_on" if row.next_on else "rooms.next_off", time=at)
        elif row.left:
            self._next.text = ctx.tr("rooms.left")
        else:
            planned = ctx.parts.handlers.state.plan is not None and bool(row.strip or row.mode)
            self._next.text = ctx.tr("rooms.no_switch" if planned else "rooms.no_plan")

    def _show_mode(self, row: RoomRow) -> None:
        ctx, lang = self._ctx, self._ctx.lang
        show(self._mode, row.mode is not None)
        if row.mode is None:
            self._why.text = ""
            return
        swap_classes(self._mode, "m-", row.mode.mode)
        self._mode.text = ctx.tr(f"mode.short.{row.mode.mode}")
        if row.override is not None:
            words = f"{override_text(row.override, lang)}, {until_text(row.override.until, ctx.zone, lang)}"
        elif row.mode.mode == "mpc":
            words = ""
        else:
            words = why_text(row.mode.why, lang)
        self._why.text = words

    def _show_strip(self, row: RoomRow) -> None:
        stops: list[str] = []
        for span in row.strip:
            begin, end = 100 * span.begin, 100 * span.end
            stops += [f"transparent {begin:.2f}%", f"var(--heating) {begin:.2f}%"]
            stops += [f"var(--heating) {end:.2f}%", f"transparent {end:.2f}%"]
        background = f"linear-gradient(90deg, {', '.join(stops)})" if stops else "none"
        self._strip.style(f"background-image: {background}")
