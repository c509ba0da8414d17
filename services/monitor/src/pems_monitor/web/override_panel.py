"""Setting a device by hand for a while, seeing what is set, and ending it."""

from datetime import datetime, timedelta

from nicegui import ui

from pems_common.messages import OverrideEntry
from pems_monitor.adapters.services import Outcome, OverrideRequest
from pems_monitor.domain.formats import clock_time, day_and_time, duration
from pems_monitor.domain.override_form import DURATIONS_MIN, ActionChoice, choices
from pems_monitor.domain.room_names import device_title
from pems_monitor.domain.rooms import override_rows
from pems_monitor.domain.why import override_text
from pems_monitor.web.context import PageContext, box, show, text

__all__ = ["OverrideDialog", "OverridePanel"]


class OverridePanel:
    """Running overrides, and the way to a new one."""

    def __init__(self, ctx: PageContext, dialog: "OverrideDialog") -> None:
        """Build it empty."""
        self._ctx = ctx
        self._shown: tuple[tuple[OverrideEntry, str], ...] | None = None
        with box("card").props("id=overrides"):
            with box("card-head"):
                text(ctx.tr("over.title"), "h")
                box("grow")
                button = ui.button(ctx.tr("over.new"), icon="add", on_click=lambda: dialog.open(None))
                button.props("unelevated no-caps dense padding='4px 12px' size=13px")
            with box("empty").style("padding: 22px 20px") as self._empty:
                ui.label(ctx.tr("over.empty")).style("color: var(--ink); font-weight: 600")
                text(ctx.tr("over.empty_more"), "sub")
            self._list = box("")

    def update(self, now: datetime) -> None:
        """Show what runs; the time left once a minute."""
        ctx = self._ctx
        rows = override_rows(ctx.parts.handlers.state, now)
        shown = tuple((row, duration(row.until - now, ctx.lang)) for row in rows)
        if shown == self._shown:
            return
        self._shown = shown
        show(self._empty, not rows)
        self._list.clear()
        with self._list:
            for row, left in shown:
                with box("item"):
                    ui.icon("back_hand").style("color: var(--info)")
                    with box("item-main"):
                        ui.label(device_title(row.device, ctx.lang)).style("font-weight: 600")
                        text(override_text(row, ctx.lang))
                        end = day_and_time(row.until, ctx.zone, ctx.lang, relative_to=now)
                        words = [ctx.tr("over.until", time=end), ctx.tr("over.left", span=left)]
                        if row.by:
                            words.append(ctx.tr("over.by_page") if row.by == "page" else ctx.tr("over.by", who=row.by))
                        text(" · ".join(words), "sub")
                    button = ui.button(ctx.tr("over.end"), color=None, on_click=lambda _, d=row.device: self._end(d))
                    button.props("flat no-caps dense padding='2px 10px'").props(f"data-end={row.device}")

    async def _end(self, device: str) -> None:
        ctx = self._ctx
        outcome = await ctx.parts.clients.end_override(device)
        if outcome.ok:
            ctx.parts.handlers.set_status_after_override(device, ended=True)
            ui.notify(ctx.tr("over.ended"), type="positive")
        else:
            ui.notify(ctx.tr("over.failed", why=_why(ctx, outcome)), type="negative")


def _why(ctx: PageContext, outcome: Outcome) -> str:
    if not outcome.reachable:
        return ctx.tr("over.unreachable")
    return outcome.reason or ctx.tr("over.refused")


class OverrideDialog:
    """Asks what, how much and how long."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it closed."""
        self._ctx = ctx
        self._choice: ActionChoice | None = None
        titles = {name: device_title(name, ctx.lang) for name in ctx.home.device_names}
        with ui.dialog() as self._dialog, ui.card().classes("sheet"):
            text(ctx.tr("over.title"), "h")
            self._device = ui.select(titles, label=ctx.tr("over.device"), on_change=lambda _: self._new_device())
            self._device.props("outlined dense options-dense behavior=menu")
            self._action = ui.select({}, label=ctx.tr("over.action"), on_change=lambda _: self._new_action())
            self._action.props("outlined dense options-dense behavior=menu")
            self._value = ui.number().props("outlined dense")
            self._minutes = ui.select(
                {m: duration_text(m, ctx) for m in DURATIONS_MIN},
                value=60,
                label=ctx.tr("over.how_long"),
                on_change=lambda _: self._show_end(),
            )
            self._minutes.props("outlined dense options-dense behavior=menu")
            self._end = text("", "sub")
            with box("row-end"):
                ui.button(ctx.tr("over.cancel"), color=None, on_click=self._dialog.close).props("flat no-caps")
                self._set = ui.button(ctx.tr("over.set"), on_click=self._send).props("unelevated no-caps data-set=1")

    def open(self, device: str | None) -> None:
        """Open for a device, or for the first one."""
        names = self._ctx.home.device_names
        wanted = device if device in names else ("battery" if "battery" in names else names[0])
        if self._device.value == wanted:
            self._new_device()
        self._device.value = wanted
        self._show_end()
        self._dialog.open()

    def _choices(self) -> dict[str, ActionChoice]:
        return {choice.action: choice for choice in choices(self._ctx.home, str(self._device.value or ""))}

    def _new_device(self) -> None:
        found = self._choices()
        first = next(iter(found), None)
        self._action.set_options({name: self._ctx.tr(choice.text) for name, choice in found.items()}, value=first)
        self._new_action()

    def _new_action(self) -> None:
        self._choice = self._choices().get(str(self._action.value or ""))
        setting = self._choice.setting if self._choice else None
        self._value.visible = setting is not None
        if setting is not None:
            self._value.props(f'label="{self._ctx.tr(setting.label)}"')
            self._value.min, self._value.max = setting.low, setting.high
            self._value.props(f"step={setting.step}")
            self._value.value = setting.default

    def _show_end(self) -> None:
        now = self._ctx.parts.handlers.clock.now()
        end = _end_of(now, int(self._minutes.value or 60))
        at = day_and_time(end, self._ctx.zone, self._ctx.lang, relative_to=now)
        self._end.text = self._ctx.tr("over.until", time=at)

    async def _send(self) -> None:
        ctx, choice = self._ctx, self._choice
        device = str(self._device.value or "")
        if choice is None or device not in ctx.home.device_names:
            return
        params: dict[str, float] = {}
        if choice.setting is not None:
            value = self._value.value
            if value is None:
                return
            bounded = min(choice.setting.high, max(choice.setting.low, float(value)))
            params[choice.setting.param] = round(bounded * choice.setting.scale, 3)
        minutes = int(self._minutes.value or 60)
        self._set.disable()
        try:
            outcome = await ctx.parts.clients.set_override(OverrideRequest(device, choice.action, params, minutes))
        finally:
            self._set.enable()
        if outcome.ok:
            self._dialog.close()
            end = _end_of(ctx.parts.handlers.clock.now(), minutes)
            ui.notify(ctx.tr("over.done", time=clock_time(end, ctx.zone)), type="positive")
        else:
            ui.notify(ctx.tr("over.failed", why=_why(ctx, outcome)), type="negative")


def _end_of(now: datetime, minutes: int) -> datetime:
    return now + timedelta(minutes=minutes)


def duration_text(minutes: int, ctx: PageContext) -> str:
    """A choice of duration."""
    return duration(timedelta(minutes=minutes), ctx.lang)
