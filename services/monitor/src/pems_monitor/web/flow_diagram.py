"""The live diagram of power flows: a small component drawn as SVG; see flow.js."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui.element import Element

from pems_monitor.domain.formats import Language, percent, power, temperature
from pems_monitor.domain.now import Flows
from pems_monitor.domain.texts import t

__all__ = ["FlowDiagram", "flow_props"]

_WIDTH = 420.0
_HUB = (210.0, 206.0)
_BIG_R, _SMALL_R = 49.0, 41.0
_LOADS_Y = 374.0
_IDLE_W = 40.0
_SPEED_STEPS_W = (600.0, 2_000.0, 5_000.0)


class FlowDiagram(Element, component=Path(__file__).parent / "flow.js"):
    """Shows what `flow_props` made."""

    def __init__(self, props: dict[str, Any]) -> None:
        """Draw once."""
        super().__init__()
        self._shown = props
        for name, value in props.items():
            self._props[name] = value

    def show(self, props: dict[str, Any]) -> None:
        """Draw again where something changed."""
        if props == self._shown:
            return
        self._shown = props
        for name, value in props.items():
            self._props[name] = value
        self.update()


def _speed(power_w: float | None) -> int:
    """How fast dashes run: 0 still, 1..4."""
    if power_w is None or abs(power_w) < _IDLE_W:
        return 0
    return 1 + sum(abs(power_w) >= step for step in _SPEED_STEPS_W)


def _node(
    kind: str,
    x: float,
    y: float,
    *,
    value: str,
    name: str,
    color: str,
    dim: bool,
    more: str = "",
    big: bool = False,
    ring: float | None = None,
) -> dict[str, Any]:
    radius = _BIG_R if big else _SMALL_R
    return {
        "id": kind,
        "kind": kind,
        "x": x,
        "y": y,
        "r": radius,
        "icon": 24 if big else 20,
        "iconY": -22 if big else -19,
        "value": value,
        "valueY": 9 if big else 8,
        "big": big,
        "name": name,
        "nameY": 26 if big else 23,
        "below": more,
        "belowY": -radius - 9 if big else radius + 17,
        "color": color,
        "dim": dim,
        "ring": ring,
    }


def _link(kind: str, path: str, power_w: float | None, color: str, *, back: bool) -> dict[str, Any]:
    return {"id": kind, "path": path, "speed": _speed(power_w), "color": color, "back": back}


def _drop(x: float) -> str:
    """From the hub down to a load at `x`, with round corners."""
    hub_x, hub_y = _HUB
    turn_y, bend = hub_y + 62, 16.0
    end_y = _LOADS_Y - _SMALL_R
    if abs(x - hub_x) < 1:
        return f"M{hub_x} {hub_y + 7}V{end_y}"
    way = 1 if x > hub_x else -1
    bend = min(bend, abs(x - hub_x) / 2)
    return (
        f"M{hub_x} {hub_y + 7}V{turn_y - bend}Q{hub_x} {turn_y} {hub_x + way * bend} {turn_y}"
        f"H{x - way * bend}Q{x} {turn_y} {x} {turn_y + bend}V{end_y}"
    )


def flow_props(flows: Flows, lang: Language, *, has_battery: bool, has_ev: bool, has_water: bool) -> dict[str, Any]:
    """Nodes and links of the diagram, with their texts."""

    def text(key: str, **params: Any) -> str:
        return t(key, lang, **params)

    def idle(power_w: float | None) -> bool:
        return _speed(power_w) == 0

    nodes: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    hub_x, hub_y = _HUB
    nodes.append(
        _node(
            "pv",
            hub_x,
            58,
            value=power(flows.pv_w, lang),
            name=text("flow.pv"),
            color="pv",
            dim=idle(flows.pv_w),
            big=True,
        )
    )
    links.append(_link("pv", f"M{hub_x} {58 + _BIG_R}V{hub_y - 7}", flows.pv_w, "pv", back=False))

    exporting = flows.grid_w is not None and flows.grid_w < -_IDLE_W
    grid_color = "export" if exporting else "import"
    grid_name = "flow.grid" if idle(flows.grid_w) else ("flow.grid_export" if exporting else "flow.grid_import")
    grid_value = power(None if flows.grid_w is None else abs(flows.grid_w), lang)
    nodes.append(
        _node(
            "grid",
            62,
            hub_y,
            value=grid_value,
            name=text(grid_name),
            color=grid_color,
            dim=idle(flows.grid_w),
            big=True,
        )
    )
    links.append(_link("grid", f"M{62 + _BIG_R} {hub_y}H{hub_x - 7}", flows.grid_w, grid_color, back=exporting))

    if has_battery:
        charging = flows.battery_w is not None and flows.battery_w < -_IDLE_W
        name = (
            "flow.battery"
            if idle(flows.battery_w)
            else ("flow.battery_charge" if charging else "flow.battery_discharge")
        )
        value = power(None if flows.battery_w is None else abs(flows.battery_w), lang)
        nodes.append(
            _node(
                "battery",
                _WIDTH - 62,
                hub_y,
                value=value,
                name=text(name),
                color="battery",
                dim=False,
                big=True,
                more=percent(flows.soc_pct, lang),
                ring=flows.soc_pct if flows.soc_pct is not None else 0.0,
            )
        )
        links.append(
            _link("battery", f"M{_WIDTH - 62 - _BIG_R} {hub_y}H{hub_x + 7}", flows.battery_w, "battery", back=charging)
        )

    loads: list[tuple[str, float | None, str, Callable[[], str]]] = [
        ("house", flows.house_w, "house", lambda: ""),
        ("heating", flows.heating_w, "heating", lambda: text("flow.rooms_on", count=flows.rooms_on)),
    ]
    if has_ev:
        loads.append(
            (
                "ev",
                flows.ev_w,
                "ev",
                lambda: percent(flows.ev_soc_pct, lang) if flows.ev_connected else text("flow.ev_away"),
            )
        )
    if has_water:
        loads.append(("water", flows.water_w, "water", lambda: temperature(flows.water_c, lang, 0)))
    spacing = (_WIDTH - 2 * (_SMALL_R + 9)) / max(1, len(loads) - 1)
    for i, (kind, load_w, color, more) in enumerate(loads):
        x = round(_SMALL_R + 9 + i * spacing, 1) if len(loads) > 1 else hub_x
        nodes.append(
            _node(
                kind,
                x,
                _LOADS_Y,
                value=power(load_w, lang),
                name=text(f"flow.{kind}"),
                color=color,
                dim=idle(load_w),
                more=more(),
            )
        )
        links.append(_link(kind, _drop(x), load_w, color, back=False))
    return {
        "nodes": nodes,
        "links": links,
        "hub": [hub_x, hub_y],
        "height": _LOADS_Y + _SMALL_R + 26,
        "label": text("now.title"),
    }
