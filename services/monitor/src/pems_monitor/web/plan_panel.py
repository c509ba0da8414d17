"""The plan: its figures in words, and the chart of the past and coming hours."""

from datetime import datetime, timedelta

from nicegui import ui

from pems_monitor.domain.formats import money, number, percent, power
from pems_monitor.domain.now import plan_age
from pems_monitor.domain.plan_view import PlanSummary, plan_summary
from pems_monitor.web.context import PageContext, box, show, text
from pems_monitor.web.palette import intent_colors
from pems_monitor.web.plan_chart import plan_chart_options

__all__ = ["PlanPanel"]

_KEYS = (
    ("chart.buy", "price", "line"),
    ("chart.sell", "sell", "line"),
    ("chart.pv", "pv", "line"),
    ("chart.load", "house", "line"),
    ("chart.heating", "heating", "box"),
    ("chart.ev", "ev", "box"),
    ("chart.grid", "import", "line"),
    ("flow.grid_export", "export", "line"),
    ("chart.battery", "battery", "line"),
)


class PlanPanel:
    """Summary and chart."""

    def __init__(self, ctx: PageContext) -> None:
        """Build everything but the chart, which waits until the browser told its width and theme."""
        self._ctx = ctx
        self._chart: ui.echart | None = None
        self._shown: tuple[int, bool] | None = None
        self._summary: PlanSummary | None = None
        self._intents: tuple[str, ...] = ()
        with box("card").props("id=plan"):
            with box("card-head"):
                text(ctx.tr("plan.title"), "h")
                self._how = text("", "sub")
                box("grow")
                with ui.element("div").classes("tools"):
                    for key, hours in (("chart.zoom_day", 24), ("chart.zoom_all", 0)):
                        button = ui.button(ctx.tr(key), color=None, on_click=lambda _, h=hours: self._zoom(h))
                        button.props("flat dense no-caps size=13px padding='2px 10px'")
            with box("empty") as self._empty:
                ui.icon("query_stats").style("font-size: 40px; color: var(--faint)")
                ui.label(ctx.tr("plan.empty")).style("color: var(--ink); font-weight: 600; font-size: 16px")
                text(ctx.tr("plan.empty_more"))
            self._figures = box("figures hide")
            self._note = text("", "note warn hide")
            with box("legend hide") as self._legend:
                for key, color, kind in _KEYS:
                    with box(f"key k-{kind} c-{color}"):
                        ui.element("i")
                        text(ctx.tr(key))
                with box("key k-box c-outlook"):
                    ui.element("i")
                    text(ctx.tr("chart.outlook"))
                self._intent_keys = box("chips").style("gap: 6px 16px")
            self._place = box("hide")

    def start(self) -> None:
        """Make the chart; called once the browser told its width and theme."""
        with self._place:
            self._chart = ui.echart({}).classes("plan-chart")
        self._draw(zoom=True)

    def restyle(self) -> None:
        """Draw again in the other theme."""
        self._shown = None

    def update(self, now: datetime) -> None:
        """Show the latest plan; draw again only when something in the chart changed."""
        state = self._ctx.parts.handlers.state
        summary = plan_summary(state)
        anything = state.plan is not None or state.prices is not None or state.forecast is not None
        show(self._empty, summary is None)
        show(self._figures, summary is not None)
        show(self._legend, anything)
        show(self._place, anything)
        if summary is not None and summary != self._summary:
            self._build_figures(summary)
        self._summary = summary
        self._show_note(now)
        if self._chart is not None and anything:
            self._draw(zoom=False)

    def _draw(self, *, zoom: bool) -> None:
        ctx = self._ctx
        stamp, view = ctx.parts.handlers.plan_chart()
        if self._chart is None or (self._shown == (stamp, ctx.dark) and not zoom):
            return
        self._shown = (stamp, ctx.dark)
        options = plan_chart_options(
            view, ctx.lang, ctx.zone, dark=ctx.dark, phone=ctx.phone, chart_id=self._chart.id, zoom=zoom
        )
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()
        intents = tuple(dict.fromkeys(span.intent for span in view.intents))
        colors = intent_colors(ctx.dark)
        self._intent_keys.clear()
        with self._intent_keys:
            for intent in intents:
                with box("key k-box"):
                    ui.element("i").style(f"background: {colors[intent]}")
                    text(ctx.tr(f"intent.{intent}"))

    def _zoom(self, hours: int) -> None:
        if self._chart is None:
            return
        _, view = self._ctx.parts.handlers.plan_chart()
        first = max(0, view.now_index - 4) if hours else 0
        last = view.now_index + 4 * hours if hours else view.count
        bounds = {"type": "dataZoom", "start": 100 * first / view.count, "end": 100 * last / view.count}
        self._chart.run_chart_method("dispatchAction", bounds)

    def _build_figures(self, summary: PlanSummary) -> None:
        ctx, lang = self._ctx, self._ctx.lang
        hours = number(summary.horizon / timedelta(hours=1), 0, lang)
        how = [ctx.tr("plan.next_hours", hours=hours)]
        if f"plan.profile.{summary.profile}" in _PROFILES:
            how.append(f"{ctx.tr('plan.profile')} {ctx.tr(f'plan.profile.{summary.profile}')}")
        self._how.text = " · ".join(how)
        figures: list[tuple[str, str, str]] = [("plan.expected", money(summary.expected, lang), "")]
        if summary.baseline is not None and summary.savings is not None:
            figures.append(("plan.baseline", money(summary.baseline, lang), ""))
            saves = summary.savings >= 0
            share = (
                f" ({percent(100 * abs(summary.savings) / abs(summary.baseline), lang)})" if summary.baseline else ""
            )
            key = "plan.savings" if saves else "plan.costs_more"
            figures.append((key, money(abs(summary.savings), lang) + share, "good" if saves else "poor"))
        figures.append(("plan.peak", power(summary.peak_import_w, lang), ""))
        if summary.self_consumption_rate is not None:
            figures.append(("plan.self", percent(100 * summary.self_consumption_rate, lang), ""))
        solved = f"{number(summary.solve_s, 1, lang)}\u00a0s"
        figures.append(("plan.solver", solved, ""))
        self._figures.clear()
        with self._figures:
            for key, value, tone in figures:
                with box("figure"):
                    text(value, f"value {tone}")
                    name = ctx.tr(key)
                    if key == "plan.solver":
                        name += f" · {ctx.tr(f'plan.status.{summary.status}')}"
                        if summary.gap_czk is not None:
                            proven = "plan.gap" if summary.bound_kind == "proven" else "plan.gap_estimate"
                            name += f" · {ctx.tr(proven, money=money(summary.gap_czk, lang))}"
                    text(name, "name")

    def _show_note(self, now: datetime) -> None:
        ctx, summary = self._ctx, self._summary
        trust, _ = plan_age(ctx.parts.handlers.state, now)
        note = ""
        if summary is not None and trust == "expired":
            note = ctx.tr("plan.expired")
        elif summary is not None and summary.fallback:
            note = ctx.tr("plan.fallback")
        elif summary is not None and summary.violations:
            note = ctx.tr("plan.violations", count=summary.violations)
        self._note.text = note
        calm = summary is not None and trust != "expired" and not summary.fallback
        self._note.classes(remove="warn") if calm else self._note.classes(add="warn")
        show(self._note, bool(note))


_PROFILES = {f"plan.profile.{name}" for name in ("economic", "balanced", "comfort", "green")}
