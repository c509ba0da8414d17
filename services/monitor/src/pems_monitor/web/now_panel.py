"""The present: flows, the house's mode and why, devices, who is alive, and the day's figures."""

from datetime import datetime

from nicegui import ui

from pems_common.messages import Mode
from pems_monitor.domain.formats import UNKNOWN, age, energy, money, number, percent, power, temperature
from pems_monitor.domain.now import (
    DeviceRow,
    Flows,
    Headline,
    device_rows,
    flows,
    headline,
    room_modes,
    source_labels,
)
from pems_monitor.domain.plan_reasons import reasons_now
from pems_monitor.domain.room_names import device_title
from pems_monitor.domain.texts import source_title
from pems_monitor.domain.why import action_text, until_text, why_text
from pems_monitor.web.context import PageContext, box, show, swap_classes, text
from pems_monitor.web.flow_diagram import FlowDiagram, flow_props

__all__ = ["FiguresPanel", "FlowPanel", "StatePanel"]

_ICONS = {
    "mpc": "auto_awesome",
    "mixed": "auto_awesome",
    "rule_based": "rule",
    "manual": "back_hand",
    "safety": "health_and_safety",
    "released": "visibility",
    "none": "hourglass_empty",
    "silent": "portable_wifi_off",
}


class FlowPanel:
    """The live diagram."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it empty."""
        self._ctx = ctx
        with box("card").props("id=now"):
            with box("card-head"):
                text(ctx.tr("now.title"), "h")
                box("grow")
                self._stale = text(ctx.tr("now.stale"), "pill small warn hide")
                self._outdoor = text("", "pill small hide")
            with box("empty") as self._empty:
                ui.spinner("dots", size="42px").style("color: var(--go)")
                ui.label(ctx.tr("now.waiting")).style("color: var(--ink); font-weight: 600; font-size: 16px")
                text(ctx.tr("now.waiting_more"))
            with box("flow-box hide") as self._box:
                self._diagram = FlowDiagram(self._props(_NOTHING))

    def _props(self, found: Flows) -> dict[str, object]:
        home = self._ctx.home
        return flow_props(
            found,
            self._ctx.lang,
            has_battery=home.battery is not None,
            has_ev=home.ev is not None,
            has_water=home.water is not None,
        )

    def update(self, now: datetime) -> None:
        """Show the latest readings."""
        ctx = self._ctx
        found = flows(ctx.parts.handlers.state, ctx.home, now)
        show(self._empty, found is None)
        show(self._box, found is not None)
        if found is None:
            return
        self._diagram.show(self._props(found))
        show(self._stale, found.stale)
        show(self._outdoor, found.outdoor_c is not None)
        self._outdoor.text = f"{ctx.tr('now.outdoor')} {temperature(found.outdoor_c, ctx.lang)}"


_NOTHING = Flows(None, None, None, None, None, None, 0, None, False, None, None, None, None, False)


class StatePanel:
    """Mode, plan, devices and services."""

    def __init__(self, ctx: PageContext) -> None:
        """Build it empty."""
        self._ctx = ctx
        self._devices_shown: tuple[list[DeviceRow], dict[Mode, int]] | None = None
        self._services: object = None
        self._because_shown: list[str] = []
        with box("card state"):
            with box("card-head").style("margin-bottom: 0"):
                text(ctx.tr("now.state"), "h")
                box("grow")
                self._armed = text(ctx.tr("badge.dry_run"), "pill small info hide")
                self._shadow = text(ctx.tr("badge.shadow"), "pill small info hide")
            with box("mode m-none") as self._mode:
                self._icon = ui.icon("hourglass_empty")
                with box("mode-text"):
                    self._title = text("", "mode-title")
                    self._explain = text("", "mode-explain")
            with box("lines"):
                with box("line"):
                    text(ctx.tr("now.plan_age"), "line-name")
                    self._plan = text("", "line-main")
                    self._plan_pill = text("", "pill small hide")
                self._devices = box("lines")
            with box("because hide") as self._because:
                text(ctx.tr("now.why"), "label")
                self._reasons = box("reasons")
            with box("").style("margin-top: auto; display: grid; gap: 10px"):
                text(ctx.tr("now.services"), "label")
                self._alive = box("services")
                self._source = text("", "sub")

    def update(self, now: datetime) -> None:
        """Show mode, plan age, devices and services."""
        handlers, ctx = self._ctx.parts.handlers, self._ctx
        found = headline(handlers.state, now, status_silent_after=handlers.status_silent_after)
        self._show_mode(found)
        self._show_plan(found)
        rows, rooms = device_rows(handlers.state), room_modes(handlers.state)
        if (rows, rooms) != self._devices_shown:
            self._devices_shown = (rows, rooms)
            self._build_devices(rows, rooms)
        self._show_reasons(found, now)
        if handlers.state.services != self._services:
            self._services = handlers.state.services
            self._build_services()
        labels = source_labels(handlers.state)
        titles = [source_title(label, ctx.lang) for label in labels]
        show(self._source, bool(labels))
        self._source.text = f"{ctx.tr('now.source')}: {', '.join(dict.fromkeys(titles))}"

    def _show_mode(self, found: Headline) -> None:
        name: str = "none" if found.mode is None else ("silent" if found.silent else found.mode)
        if found.mostly_planned and not found.silent:
            name = "mixed"
        swap_classes(self._mode, "m-", "mpc" if name == "mixed" else name)
        self._icon.name = _ICONS[name]
        self._title.text = self._ctx.tr(f"mode.{name}")
        counts = {"plan": found.by_plan, "rules": found.by_rules} if name == "mixed" else {}
        self._explain.text = self._ctx.tr(f"mode.explain.{name}", **counts)
        show(self._armed, found.mode is not None and not found.armed)
        show(self._shadow, found.shadow)

    def _show_reasons(self, found: Headline, now: datetime) -> None:
        """Why the plan does what it does now, while it is followed."""
        followed = found.by_plan > 0 and not found.silent
        texts = reasons_now(self._ctx.parts.handlers.state.plan, now, self._ctx.lang) if followed else []
        if texts == self._because_shown:
            return
        self._because_shown = texts
        show(self._because, bool(texts))
        self._reasons.clear()
        with self._reasons:
            for sentence in texts:
                text(sentence)

    def _show_plan(self, found: Headline) -> None:
        ctx = self._ctx
        self._plan.text = ctx.tr("now.plan.none") if found.plan_age is None else age(found.plan_age, ctx.lang)
        pill = ""
        if found.plan in {"late", "expired"}:
            pill = ctx.tr(f"now.plan.{found.plan}")
        elif found.fallback:
            pill = ctx.tr("now.plan.fallback")
        self._plan_pill.text = pill
        show(self._plan_pill, bool(pill))
        swap_classes(self._plan_pill, "warn" if found.plan != "expired" else "bad", "")

    def _build_devices(self, rows: list[DeviceRow], rooms: dict[Mode, int]) -> None:
        ctx = self._ctx
        status = ctx.parts.handlers.state.status
        self._devices.clear()
        with self._devices:
            for row in rows:
                mode = status.devices.get(row.device) if status else None
                action = action_text(row.device, mode, ctx.lang)
                until = until_text(row.until, ctx.zone, ctx.lang)
                with box("line").style("border-top: 1px solid var(--line)"):
                    text(device_title(row.device, ctx.lang), "line-name")
                    with box("line-main"):
                        if action:
                            text(action)
                        text(" · ".join(part for part in (why_text(row.why, ctx.lang), until) if part), "sub")
                    text(ctx.tr(f"mode.short.{row.mode}"), f"pill small m-{row.mode}")
            if rooms:
                with box("line").style("border-top: 1px solid var(--line)"):
                    text(ctx.tr("now.rooms_modes"), "line-name")
                    box("line-main")
                    for mode_name, count in rooms.items():
                        text(f"{count}× {ctx.tr(f'mode.short.{mode_name}')}", f"pill small m-{mode_name}")

    def _build_services(self) -> None:
        ctx = self._ctx
        self._alive.clear()
        with self._alive:
            for service in ctx.parts.handlers.state.services:
                with box(f"service {service.state}"):
                    box(f"dot {service.state}")
                    text(ctx.tr(f"service.{service.name}"))
                    tip = ctx.tr(f"service.state.{service.state}")
                    ui.tooltip(f"{tip}: {service.detail}" if service.detail else tip)


class FiguresPanel:
    """Today's key figures."""

    _NAMES = ("cost", "import", "export", "pv", "self", "heating", "peak", "comfort")

    def __init__(self, ctx: PageContext) -> None:
        """Build it empty."""
        self._ctx = ctx
        self._values: dict[str, ui.label] = {}
        with box("card"):
            with box("card-head"):
                text(ctx.tr("kpi.title"), "h")
                self._covered = text("", "sub")
            with box("figures"):
                for name in self._NAMES:
                    with box("figure"):
                        self._values[name] = text(UNKNOWN, "value")
                        text(ctx.tr(f"kpi.{name}"), "name")

    def update(self, now: datetime) -> None:
        """Show the sums of the day."""
        ctx, lang = self._ctx, self._ctx.lang
        kpi = ctx.parts.handlers.kpi()
        if kpi is None:
            self._covered.text = ctx.tr("kpi.empty")
            for label in self._values.values():
                label.text = UNKNOWN
            return
        share = number(kpi.covered * 100, 0, lang) + "\u00a0%"
        self._covered.text = ctx.tr("kpi.covered", share=share) if kpi.covered < 0.97 else ""
        values = {
            "cost": money(kpi.cost_czk, lang) if kpi.priced else UNKNOWN,
            "import": energy(kpi.import_wh, lang),
            "export": energy(kpi.export_wh, lang),
            "pv": energy(kpi.pv_wh, lang),
            "self": percent(None if kpi.self_consumption is None else 100 * kpi.self_consumption, lang),
            "heating": energy(kpi.heating_wh, lang),
            "peak": power(kpi.peak_import_w, lang),
            "comfort": percent(None if kpi.comfort_inside is None else 100 * kpi.comfort_inside, lang),
        }
        for name, value in values.items():
            self._values[name].text = value
