"""Alerts: what is wrong now and what to do about it, and what was."""

from datetime import datetime

from nicegui import ui

from pems_common.messages import Alert
from pems_monitor.domain.alert_texts import alert_remedy, alert_text
from pems_monitor.domain.formats import day_and_time, duration
from pems_monitor.domain.room_names import device_title
from pems_monitor.web.context import PageContext, box, show, text

__all__ = ["AlertBanner", "AlertsPanel"]

_ICONS = {"critical": "error", "warning": "warning", "info": "info"}
_HISTORY = 8


class AlertBanner:
    """The worst alert at the top of the page; absent when all is well."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it hidden."""
        self._ctx = ctx
        self._shown: Alert | None = None
        self._box = box("banner hide").props("role=alert")

    def update(self, now: datetime) -> None:
        """Show the worst critical alert or warning."""
        alerts = [a for a in self._ctx.parts.handlers.state.alerts if a.severity != "info"]
        worst = alerts[0] if alerts else None
        show(self._box, worst is not None)
        if worst is None or worst == self._shown:
            self._shown = worst
            return
        self._shown = worst
        self._box.classes(add=worst.severity, remove="critical" if worst.severity == "warning" else "warning")
        self._box.clear()
        with self._box:
            ui.icon(_ICONS[worst.severity])
            with box("item-main"):
                ui.label(alert_text(worst, self._ctx.lang)).style("font-weight: 600")
                if remedy := alert_remedy(worst, self._ctx.lang):
                    ui.label(remedy).style("color: var(--ink); opacity: .85; font-size: 14px")


class AlertsPanel:
    """All active alerts, and the latest ended ones."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it empty."""
        self._ctx = ctx
        self._shown: object = None
        with box("card").props("id=alerts"):
            with box("card-head"):
                text(ctx.tr("alerts.title"), "h")
            self._list = box("")

    def update(self, now: datetime) -> None:
        """Show them where they changed."""
        ctx = self._ctx
        state = ctx.parts.handlers.state
        shown = (state.alerts, state.ended_alerts[:_HISTORY], now.astimezone(ctx.zone).date())
        if shown == self._shown:
            return
        self._shown = shown
        self._list.clear()
        with self._list:
            if not state.alerts:
                with box("empty").style("padding: 22px 20px"):
                    ui.icon("check_circle").style("font-size: 30px; color: var(--battery)")
                    ui.label(ctx.tr("alerts.empty")).style("color: var(--ink); font-weight: 600")
                    text(ctx.tr("alerts.empty_more"), "sub")
            for alert in state.alerts:
                self._alert(alert, now)
            if state.ended_alerts:
                ui.label(ctx.tr("alerts.history")).classes("label").style("margin: 14px 0 6px")
                for alert in state.ended_alerts[:_HISTORY]:
                    self._alert(alert, now)

    def _alert(self, alert: Alert, now: datetime) -> None:
        ctx = self._ctx
        with box(f"item sev-{alert.severity}" + (" ended" if alert.cleared_at else "")):
            ui.icon(_ICONS[alert.severity])
            with box("item-main"):
                ui.label(alert_text(alert, ctx.lang)).style("font-weight: 600")
                remedy = alert_remedy(alert, ctx.lang)
                if remedy and alert.cleared_at is None:
                    text(f"{ctx.tr('alerts.remedy')}: {remedy}")
                at = day_and_time(alert.raised_at, ctx.zone, ctx.lang, relative_to=now)
                words = [device_title(alert.device, ctx.lang)] if alert.device else []
                if alert.cleared_at is None:
                    words.append(ctx.tr("alerts.since", time=at))
                else:
                    words.append(
                        ctx.tr("alerts.lasted", time=at, span=duration(alert.cleared_at - alert.raised_at, ctx.lang))
                    )
                text(" · ".join(words), "sub")
            if alert.cleared_at is None:
                button = ui.button(icon="close", color=None, on_click=lambda: ctx.parts.handlers.dismiss_alert(alert))
                button.props(f'flat round dense size=11px aria-label="{ctx.tr("alerts.dismiss")}"')
                with button:
                    ui.tooltip(ctx.tr("alerts.dismiss"))
