"""How good the forecasts are: method, how often the band held against its promise, error and gain on yesterday."""

from datetime import datetime

from nicegui import ui

from pems_monitor.domain.forecast_quality import (
    PROMISE_PCT,
    ForecastRow,
    band_verdict,
    error_text,
    forecast_rows,
    gain_text,
    method_text,
    scored_text,
)
from pems_monitor.domain.formats import UNKNOWN, percent
from pems_monitor.web.context import PageContext, box, show, text

__all__ = ["ForecastPanel"]

_ICONS = {
    "pv": ("wb_sunny", "c-pv"),
    "load": ("home", "c-house"),
    "price": ("payments", "c-price"),
    "temperature": ("thermostat", "c-import"),
}
_COLUMNS = ("forecast.held_day1", "forecast.held_day2", "forecast.error", "forecast.gain")


class ForecastPanel:
    """A table with one row per kind of forecast; on a phone each row is a block."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it without figures."""
        self._ctx = ctx
        self._shown: tuple[ForecastRow, ...] = ()
        with box("card").props("id=forecasts"):
            with box("card-head"):
                text(ctx.tr("forecast.title"), "h")
                self._promise = text(ctx.tr("forecast.promise", share=percent(PROMISE_PCT, ctx.lang)), "sub hide")
            self._quiet = text(ctx.tr("forecast.empty"), "sub")
            with box("forecasts hide", "table") as self._table:
                with box("", "thead"), box("", "tr"):
                    box("", "td")
                    for key in _COLUMNS:
                        with box("label", "th").props("scope=col"):
                            text(ctx.tr(key))
                self._rows = box("", "tbody")

    def update(self, now: datetime) -> None:
        """Show the latest figures where they changed."""
        rows = forecast_rows(self._ctx.parts.handlers.state)
        if rows == self._shown:
            return
        self._shown = rows
        for element in (self._promise, self._table):
            show(element, bool(rows))
        show(self._quiet, not rows)
        self._rows.clear()
        with self._rows:
            for row in rows:
                self._row(row)

    def _row(self, row: ForecastRow) -> None:
        ctx, lang = self._ctx, self._ctx.lang
        with box("", "tr").props(f"data-forecast={row.kind}"):
            with box("", "th").props("scope=row"), box("forecast-kind"):
                icon, color = _ICONS[row.kind]
                ui.icon(icon).classes(color)
                with box(""):
                    text(ctx.tr(f"forecast.kind.{row.kind}"))
                    text(method_text(row.version, ctx.zone, lang), "sub")
            for key, held_pct in zip(_COLUMNS[:2], row.held_pct, strict=True):
                with self._cell(key):
                    self._held(held_pct)
            with self._cell("forecast.error"):
                text(error_text(row, lang), "forecast-value")
                text(scored_text(row, ctx.zone, lang), "sub")
            with self._cell("forecast.gain"):
                tone = "good" if (row.gain_pct or 0) > 0 else "poor" if (row.gain_pct or 0) < 0 else ""
                text(gain_text(row.gain_pct, lang), f"forecast-value {tone}")

    def _cell(self, key: str) -> ui.element:
        """A cell with the head of its column, which only a phone shows."""
        cell = box("", "td")
        with cell:
            text(self._ctx.tr(key), "label")
        return cell

    def _held(self, held_pct: float | None) -> None:
        """A bar of how often the band held, with the promise marked, and in words when it is off."""
        if held_pct is None:
            text(UNKNOWN, "sub")
            return
        verdict = band_verdict(held_pct)
        with box(f"held {verdict}"):
            with box("held-bar"):
                box("held-share").style(f"width: {min(100.0, max(0.0, held_pct)):.1f}%")
                box("held-promise").style(f"left: {PROMISE_PCT:.0f}%")
            text(percent(held_pct, self._ctx.lang), "forecast-value")
        if verdict != "kept":
            text(self._ctx.tr(f"forecast.{verdict}"), f"held-off {verdict}")
