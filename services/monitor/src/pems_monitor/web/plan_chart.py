"""The plan chart as ECharts options: prices, powers, and battery on one time axis, past and coming.

Only numbers and the page's own texts go in; the axis runs over slots, so days of 92 and 100 slots come out right.
"""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from pems_monitor.domain.formats import Language
from pems_monitor.domain.plan_view import PlanView, slot_labels
from pems_monitor.domain.texts import t
from pems_monitor.web.palette import Palette, intent_colors, palette

__all__ = ["plan_chart_options"]

Values = Sequence[float | None]


def _kw(values: Values) -> list[float | None]:
    return [None if v is None else round(v / 1000, 3) for v in values]


def _rounded(values: Values, digits: int) -> list[float | None]:
    return [None if v is None else round(v, digits) for v in values]


def _joined(past: Values, ahead: Values, now_index: int) -> list[float | None]:
    """What is ahead, begun at the last measured slot, so that the two lines meet."""
    values = list(ahead)
    if 0 < now_index < len(values) and values[now_index] is not None:
        values[now_index - 1] = past[now_index - 1]
    return values


def _negative(values: Values) -> list[float | None]:
    return [v if v is not None and v < 0 else None for v in values]


def _width(low: Values, high: Values) -> list[float | None]:
    return [None if a is None or b is None else max(0.0, b - a) for a, b in zip(low, high, strict=True)]


def _band(low_id: str, low: Values, high: Values, color: str, axis: int, digits: int) -> list[dict[str, Any]]:
    """A band as two stacked areas: an invisible floor and a tinted rest."""
    common = {
        "type": "line",
        "xAxisIndex": axis,
        "yAxisIndex": axis,
        "stack": low_id,
        "symbol": "none",
        "silent": True,
        "lineStyle": {"opacity": 0},
        "stackStrategy": "all",
        "z": 1,
    }
    return [
        {**common, "id": f"{low_id}_low", "data": _rounded(low, digits), "areaStyle": {"opacity": 0}},
        {
            **common,
            "id": f"{low_id}_wide",
            "data": _rounded(_width(low, high), digits),
            "areaStyle": {"color": color, "opacity": 0.2},
        },
    ]


def _line(series_id: str, values: list[float | None], color: str, axis: int, **style: Any) -> dict[str, Any]:
    dashed = style.pop("dashed", False)
    width = style.pop("width", 2)
    area = style.pop("area", 0.0)
    series: dict[str, Any] = {
        "id": series_id,
        "type": "line",
        "xAxisIndex": axis,
        "yAxisIndex": style.pop("y", axis),
        "data": values,
        "symbol": "none",
        "connectNulls": False,
        "color": color,
        "lineStyle": {"color": color, "width": width, "type": "dashed" if dashed else "solid"},
        "emphasis": {"disabled": True},
        "z": 3,
        **style,
    }
    if area:
        series["areaStyle"] = {"color": color, "opacity": area}
    return series


def _axes(view: PlanView, lang: Language, p: Palette, zone: ZoneInfo, chart_id: int) -> tuple[list[Any], list[Any]]:
    labels = slot_labels(view.slots, zone)
    shown = f"(i, v) => window.pemsChart.shown({chart_id}, v)"
    x_axes = []
    for index in range(4):
        last = index == 3
        x_axes.append(
            {
                "type": "category",
                "gridIndex": index,
                "data": labels,
                "axisLine": {"show": last, "lineStyle": {"color": p.line}},
                "axisTick": {"show": False},
                "splitLine": {"show": not last, ":interval": shown, "lineStyle": {"color": p.line, "type": [2, 3]}},
                "axisLabel": {
                    "show": last,
                    "color": p.soft,
                    "fontSize": 12,
                    "margin": 10,
                    ":interval": shown,
                    ":formatter": f"v => window.pemsChart.label(v, {json.dumps(lang)})",
                    "rich": {"day": {"color": p.ink, "fontWeight": 600, "fontSize": 12}},
                },
                "axisPointer": {"label": {"show": False}, "lineStyle": {"color": p.soft, "width": 1}},
            }
        )
    split = {"lineStyle": {"color": p.line}}
    label = {"color": p.soft, "fontSize": 12}
    decimal = f"v => window.pemsChart.number(v, Number.isInteger(v) ? 0 : 1, {json.dumps(lang)})"
    name = {"nameLocation": "end", "nameGap": 12, "nameTextStyle": {"color": p.soft, "align": "left", "fontSize": 12}}
    plain = {"axisLine": {"show": False}, "axisTick": {"show": False}}
    y_axes: list[Any] = [
        {
            "type": "value",
            "gridIndex": 0,
            "name": t("chart.prices", lang),
            **name,
            "nameGap": 26,
            **plain,
            "splitNumber": 3,
            "splitLine": split,
            "axisLabel": {**label, ":formatter": decimal},
        },
        {
            "type": "value",
            "gridIndex": 1,
            "name": t("chart.powers", lang),
            **name,
            **plain,
            "splitNumber": 5,
            "splitLine": split,
            "axisLabel": {**label, ":formatter": decimal},
        },
        {
            "type": "value",
            "gridIndex": 2,
            "name": t("chart.soc_axis", lang),
            **name,
            **plain,
            "min": 0,
            "max": 100,
            "interval": 50,
            "splitLine": split,
            "axisLabel": label,
        },
        {"type": "value", "gridIndex": 3, "min": 0, "max": 1, "show": False},
    ]
    return x_axes, y_axes


def _marks(view: PlanView, lang: Language, p: Palette, *, labels: bool) -> dict[str, Any]:
    """The now line, and the outlook shaded."""
    now_label = {
        "show": labels,
        "formatter": t("chart.now", lang),
        "color": p.card,
        "backgroundColor": p.ink,
        "padding": [4, 8, 3, 8],
        "borderRadius": 8,
        "fontSize": 11,
        "fontWeight": 600,
        "distance": 4,
    }
    marks: dict[str, Any] = {
        "markLine": {
            "silent": True,
            "symbol": "none",
            "animation": False,
            "lineStyle": {"color": p.ink, "width": 1.5, "type": "solid"},
            "label": now_label,
            "data": [{"xAxis": view.now_index}],
        }
    }
    if view.outlook_index is not None:
        marks["markArea"] = {
            "silent": True,
            "animation": False,
            "itemStyle": {"color": p.shade},
            "data": [[{"xAxis": view.outlook_index}, {"xAxis": view.count - 1}]],
        }
    return marks


def _series(view: PlanView, lang: Language, p: Palette, *, dark: bool) -> list[dict[str, Any]]:
    colors = intent_colors(dark)
    outlook = view.count if view.outlook_index is None else view.outlook_index
    intents: list[Any] = [None] * view.count
    spans: list[Any] = []
    for span in view.intents:
        for i in range(span.first, span.last + 1):
            intents[i] = {"value": 1, "label_text": t(f"intent.{span.intent}", lang)}
        for first, last, alpha in (
            (span.first, min(span.last, outlook - 1), ""),
            (max(span.first, outlook), span.last, "66"),
        ):
            if first <= last:
                spans.append({"value": [first, last, 1], "itemStyle": {"color": colors[span.intent] + alpha}})
    step = {"step": "middle"}
    buy = _line("buy", _rounded(view.buy, 3), p.price, 0, area=0.1, **step)
    buy |= _marks(view, lang, p, labels=True)
    power_grid = _line(
        "grid", _kw(_joined(view.grid_past_w, view.grid_w, view.now_index)), p.grid_import, 1, **step, z=5
    )
    power_grid |= _marks(view, lang, p, labels=False)
    soc = _line(
        "soc", _rounded(_joined(view.soc_past_pct, view.soc_pct, view.now_index), 1), p.battery, 2, width=2.5, area=0.12
    )
    soc |= _marks(view, lang, p, labels=False)
    return [
        *_band("buy_band", view.buy_p10, view.buy_p90, p.price, 0, 3),
        buy,
        _line("buy_forecast", _rounded(view.buy_p50, 3), p.price, 0, dashed=True, width=1.5, **step),
        _line("sell", _rounded(view.sell, 3), p.sell, 0, width=1.5, **step),
        *_band("pv_band", _kw(view.pv_p10_w), _kw(view.pv_p90_w), p.pv, 1, 3),
        *_band("load_band", _kw(view.load_p10_w), _kw(view.load_p90_w), p.house, 1, 3),
        _line("heating_past", _kw(view.heating_past_w), p.heating, 1, width=1, area=0.28, **step, z=2),
        _line(
            "heating",
            _kw(_joined(view.heating_past_w, view.heating_w, view.now_index)),
            p.heating,
            1,
            width=1,
            area=0.28,
            **step,
            z=2,
        ),
        _line("ev", _kw(view.ev_w), p.ev, 1, width=1, area=0.25, **step, z=2),
        _line("pv_past", _kw(view.pv_past_w), p.pv, 1, width=2.5, smooth=0.2, smoothMonotone="x"),
        _line(
            "pv",
            _kw(_joined(view.pv_past_w, view.pv_p50_w, view.now_index)),
            p.pv,
            1,
            width=2.5,
            smooth=0.2,
            smoothMonotone="x",
        ),
        _line("load_past", _kw(view.load_past_w), p.house, 1, width=1.5),
        _line("load", _kw(_joined(view.load_past_w, view.load_p50_w, view.now_index)), p.house, 1, width=1.5),
        _line("grid_past", _kw(view.grid_past_w), p.grid_import, 1, **step, z=5),
        power_grid,
        _line("export_past", _kw(_negative(view.grid_past_w)), p.grid_export, 1, area=0.22, **step, z=6),
        _line("export", _kw(_negative(view.grid_w)), p.grid_export, 1, area=0.22, **step, z=6),
        _line("battery_past", _kw(view.battery_past_w), p.battery, 1, width=1.5, **step, z=4),
        _line(
            "battery",
            _kw(_joined(view.battery_past_w, view.battery_w, view.now_index)),
            p.battery,
            1,
            width=1.5,
            **step,
            z=4,
        ),
        _line("soc_past", _rounded(view.soc_past_pct, 1), p.battery, 2, width=2.5, area=0.12),
        soc,
        # The tooltip reads the task of a slot from here; what is seen are the spans below.
        {
            "id": "intents",
            "type": "bar",
            "xAxisIndex": 3,
            "yAxisIndex": 3,
            "silent": True,
            "itemStyle": {"opacity": 0},
            "data": intents,
        },
        {
            "id": "intent_spans",
            "type": "custom",
            "xAxisIndex": 3,
            "yAxisIndex": 3,
            "silent": True,
            "tooltip": {"show": False},
            "encode": {"x": [0, 1], "y": 2},
            ":renderItem": "(params, api) => window.pemsChart.span(params, api)",
            "data": spans,
        },
    ]


def _tooltip(lang: Language, p: Palette) -> str:
    kw, czk = "kW", "Kč/kWh"

    def row(key: str, color: str, unit: str, digits: int, *ids: str, **more: Any) -> dict[str, Any]:
        return {"name": t(key, lang), "color": color, "unit": unit, "digits": digits, "ids": ids, **more}

    rows = [
        row("chart.buy", p.price, czk, 2, "buy"),
        row("chart.buy_forecast", p.price, czk, 2, "buy_forecast", band=["buy_band_low", "buy_band_wide"]),
        row("chart.sell", p.sell, czk, 2, "sell"),
        row("chart.pv", p.pv, kw, 1, "pv", "pv_past", band=["pv_band_low", "pv_band_wide"]),
        row("chart.load", p.house, kw, 1, "load", "load_past", band=["load_band_low", "load_band_wide"]),
        row("chart.heating", p.heating, kw, 1, "heating", "heating_past"),
        row("chart.ev", p.ev, kw, 1, "ev"),
        row("chart.grid", p.grid_import, kw, 1, "grid", "grid_past"),
        row("chart.battery_power", p.battery, kw, 1, "battery", "battery_past"),
        row("chart.soc", p.battery, "%", 0, "soc", "soc_past"),
        row("chart.intent", p.battery, "", 0, "intents", text=True),
    ]
    return f"params => window.pemsChart.tooltip(params, {json.dumps(lang)}, {json.dumps(rows, ensure_ascii=True)})"


def plan_chart_options(
    view: PlanView, lang: Language, zone: ZoneInfo, *, dark: bool, phone: bool, chart_id: int, zoom: bool
) -> dict[str, Any]:
    """Options of the chart.

    Args:
        view: The data.
        lang: Language of names.
        zone: Zone of the time axis.
        dark: Theme.
        phone: Narrow screen: start with the next day.
        chart_id: Id of the NiceGUI element, for the axis labels.
        zoom: Set the zoom to its start; False keeps what the person chose.
    """
    p = palette(dark)
    x_axes, y_axes = _axes(view, lang, p, zone, chart_id)
    left, right = (34, 8) if phone else (44, 16)
    grids = [
        {"left": left, "right": right, "top": 48, "height": "18.5%"},
        {"left": left, "right": right, "top": "32.5%", "height": "35%"},
        {"left": left, "right": right, "top": "74.5%", "height": "12%"},
        {"left": left, "right": right, "top": "87.6%", "height": 11},
    ]
    zoom_range: dict[str, Any] = {}
    if zoom:
        first = view.now_index - 12 if phone else 0
        last = view.now_index + 96 if phone else view.count - 1
        zoom_range = {"start": 100 * first / view.count, "end": 100 * (last + 1) / view.count}
    every = [0, 1, 2, 3]
    series = _series(view, lang, p, dark=dark)
    return {
        "animation": False,
        "textStyle": {"fontFamily": "Roboto, system-ui, sans-serif"},
        "grid": grids,
        "xAxis": x_axes,
        "yAxis": y_axes,
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "padding": 0,
            "borderWidth": 0,
            "backgroundColor": "transparent",
            "extraCssText": "box-shadow:none",
            ":formatter": _tooltip(lang, p),
        },
        "dataZoom": [
            {
                "type": "inside",
                "xAxisIndex": every,
                "zoomOnMouseWheel": "ctrl",
                "moveOnMouseWheel": False,
                "moveOnMouseMove": not phone,
                "preventDefaultMouseMove": False,
                "filterMode": "none",
                "minSpan": 5,
                **zoom_range,
            },
            {
                "type": "slider",
                "xAxisIndex": every,
                "height": 16,
                "bottom": 4,
                "left": left,
                "right": right,
                "showDetail": False,
                "showDataShadow": False,
                "brushSelect": False,
                "borderColor": "transparent",
                "backgroundColor": p.shade,
                "fillerColor": "rgba(47,158,95,0.16)",
                "filterMode": "none",
                "minSpan": 5,
                "handleStyle": {"color": p.card, "borderColor": p.soft},
                "moveHandleSize": 0,
                **zoom_range,
            },
        ],
        "series": series,
    }
