"""The report as one HTML page: no script, nothing loaded, light or dark as the reader's device, fit to print."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from pems_cli.report_charts import Line, Stack, bars, lines
from pems_cli.report_texts import say
from pems_monitor.domain.formats import (
    UNKNOWN,
    Language,
    clock_time,
    energy,
    money,
    number,
    percent,
    power,
    price,
    temperature,
)

__all__ = ["report_page"]

Row = Mapping[str, Any]
_HOURS_UP_TO_DAYS = 3
_LEADS = ("24h", "6h")
_CSS = """
:root{color-scheme:light dark;--bg:#f7f7f5;--card:#fff;--ink:#1d2327;--soft:#5d6870;--line:#dfe2e4;--pv:#d39a00;
--buy:#2f6db3;--sell:#7aa65a;--load:#8a5bb0;--warn:#b25b00;--bad:#b3261e;--good:#2c7a3f}
@media (prefers-color-scheme:dark){:root{--bg:#14181b;--card:#1d2327;--ink:#e7eaec;--soft:#a3adb5;--line:#343c43;
--pv:#e6b422;--buy:#6ba5e7;--sell:#93c572;--load:#b98fdd;--warn:#f0a04b;--bad:#f2857d;--good:#7cc68d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:20px 16px 40px;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:30px 0 10px}h3{font-size:.95rem;margin:0 0 6px}
p{margin:.3em 0}.soft,.legend,footer{color:var(--soft);font-size:.88rem}
.card,.todo li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(158px,1fr));gap:10px}
.tiles b{display:block;font-size:1.3rem;white-space:nowrap;line-height:1.25;font-weight:600}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:10px;margin-top:10px}
.todo{list-style:none;margin:0;padding:0;display:grid;gap:8px}.todo li{border-left:5px solid var(--soft)}
.todo .warning{border-left-color:var(--warn)}.todo .critical{border-left-color:var(--bad)}
.todo .nothing{border-left-color:var(--good)}
.todo em{font-style:normal;font-size:.78rem;color:var(--soft);display:block}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.course{fill:none!important;stroke-width:2}
.c-pv{fill:var(--pv);stroke:var(--pv)}.c-buy{fill:var(--buy);stroke:var(--buy)}.c-sell{fill:var(--sell);stroke:var(--sell)}
.c-load{fill:var(--load);stroke:var(--load)}.c-soft{fill:var(--soft);stroke:var(--soft);stroke-dasharray:5 4}
rect{stroke:none!important}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px}.legend i{display:inline-block;width:11px;height:11px;margin-right:6px;
border-radius:2px;background:var(--soft)}
.legend .c-pv{background:var(--pv)}.legend .c-buy{background:var(--buy)}.legend .c-sell{background:var(--sell)}
.legend .c-load{background:var(--load)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:5px 9px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:500}th:first-child,td:first-child{text-align:left}
footer{margin-top:28px}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb}
html{font-size:11px}body{max-width:none;padding:0;font-size:1rem}.pair{grid-template-columns:1fr 1fr}
.card,.todo li,svg,tr{break-inside:avoid}h2{break-after:avoid}.wide{overflow:visible}}
"""


def report_page(report: Mapping[str, Any], hours: Sequence[Row], lang: Language) -> str:
    """Return the page.

    Args:
        report: Answer of `GET /v1/performance/report`.
        hours: Rows of `GET /v1/performance?by=hour`, for a short period; may be empty.
        lang: Language.
    """
    period, site, zone = report["report_period"], report["site"]["name"], ZoneInfo(report["site"]["timezone"])
    made_at = datetime.fromisoformat(report["made_at"]).astimezone(zone)
    first, last = (_date(period[name], lang) for name in ("start", "end"))
    details = report["detailed_metrics"]
    when = first if first == last else say("period", lang, first=first, last=last)
    head = f"<h1>{escape(say('title', lang))}</h1><p>{escape(f'{site} · {when}')}</p>"
    if not details:
        body = f'<p class="card">{escape(say("empty", lang))}</p>'
    else:
        body = "".join(
            (
                _said(report, lang),
                _todo(report["recommendations"], lang),
                _money(details, report["summary"], lang),
                _charts(details, hours, zone, lang),
                _savings(details, lang),
                _forecasts(details, lang),
                _control(details["period"], lang),
                _rooms(details["rooms"], lang),
                _days(details["days"], lang),
            )
        )
    made = say("made", lang, at=f"{made_at:%Y-%m-%d %H:%M}")
    foot = f"<footer><p>{escape(say('foot', lang))}</p><p>{escape(made)}</p></footer>"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>PEMS · {escape(site)} · {escape(first)} – {escape(last)}</title>"
    page = f"<head>{meta}{title}<style>{_CSS}</style></head><body>{head}{body}{foot}</body>"
    return f'<!doctype html>\n<html lang="{lang}">{page}</html>\n'


def _date(text: str, lang: Language) -> str:
    day = date.fromisoformat(text)
    return f"{day.day}. {day.month}. {day.year}" if lang == "cs" else f"{day.day} {day:%b %Y}"


def _short(text: str, lang: Language) -> str:
    day = date.fromisoformat(text)
    return f"{day.day}. {day.month}." if lang == "cs" else f"{day.day} {day:%b}"


def _share(value: float | None, lang: Language, digits: int = 0) -> str:
    return percent(None if value is None else 100 * value, lang, digits)


def _said(report: Mapping[str, Any], lang: Language) -> str:
    period = report["detailed_metrics"]["period"]
    parts = [say("known", lang, known=_share(period["known"], lang), priced=_share(period["priced"], lang))]
    if not report["detailed_metrics"]["days"][-1]["complete"]:
        parts.append(say("unfinished", lang))
    if report.get("pending_days"):
        parts.append(say("pending", lang, days=report["pending_days"]))
    return f'<p class="soft">{escape(" ".join(parts))}</p>'


def _todo(found: Sequence[Row], lang: Language) -> str:
    items = "".join(
        f'<li class="{one["severity"]}"><em>{escape(say("severity." + one["severity"], lang))}</em>'
        f"{escape(one['text'][lang])}</li>"
        for one in found
    )
    items = items or f'<li class="nothing">{escape(say("nothing", lang))}</li>'
    return f'<h2>{escape(say("todo", lang))}</h2><ul class="todo">{items}</ul>'


def _money(details: Mapping[str, Any], summary: Row, lang: Language) -> str:
    period, assumed = details["period"], details["baseline"]["source"] == "assumed"
    solve_s = period["optimization_solve_time_s"]
    tiles = (
        ("tile.cost", money(period["total_energy_cost_czk"], lang, 0)),
        ("tile.saved.assumed" if assumed else "tile.saved", money(summary["total_cost_savings"], lang, 0)),
        ("tile.self", _share(period["self_consumption_rate"], lang)),
        ("tile.peak", power(period["peak_import_w"], lang)),
        ("tile.pv", energy(period["pv_generation_wh"], lang)),
        ("tile.comfort", _share(period["comfort_inside"], lang, 1)),
        ("tile.uptime", _share(period["control_loop_uptime"], lang, 1)),
        ("tile.mpc", _share(period["mpc_share"], lang, 1)),
        ("tile.cycles", number(period["battery_cycles"], 1, lang)),
        ("tile.solve", UNKNOWN if solve_s is None else say("s", lang, value=number(solve_s, 1, lang))),
    )
    cards = "".join(f'<div class="card"><b>{escape(text)}</b>{escape(say(key, lang))}</div>' for key, text in tiles)
    return f'<h2>{escape(say("money", lang))}</h2><div class="tiles">{cards}</div>'


def _scaled(rows: Sequence[Row], name: str, factor: float) -> list[float | None]:
    return [None if row[name] is None else factor * row[name] for row in rows]


def _energy_stacks(rows: Sequence[Row], lang: Language) -> list[Stack]:
    used = [
        None
        if row["pv_generation_wh"] is None or row["export_wh"] is None
        else max(0.0, row["pv_generation_wh"] - row["export_wh"]) / 1000
        for row in rows
    ]
    return [
        Stack(say("pv_used", lang), "c-pv", used),
        Stack(say("import", lang), "c-buy", _scaled(rows, "import_wh", 0.001)),
        Stack(say("export", lang), "c-sell", _scaled(rows, "export_wh", -0.001)),
    ]


def _card(title: str, chart: str) -> str:
    return f'<div class="card"><h3>{escape(title)}</h3>{chart}</div>'


def _charts(details: Mapping[str, Any], hours: Sequence[Row], zone: ZoneInfo, lang: Language) -> str:
    days, baseline = details["days"], details["baseline"]
    labels = [_short(row["day"], lang) for row in days]

    def form(value: float | None) -> str:
        return number(value, 0 if value is None or abs(value) >= 10 or value == round(value) else 1, lang)

    def kwh(value: float | None) -> str:
        return energy(None if value is None else 1000 * value, lang)

    fit = baseline["fit"]
    usual = [
        fit["base_czk"] + fit["slope_czk_k_d"] * row["heating_degree_days"]
        if fit and row["heating_degree_days"] is not None
        else baseline["daily_cost_czk"]
        for row in days
    ]
    level = Line(say("baseline" if fit else "baseline.flat", lang), "c-soft", usual)
    cost = [Stack(say("cost", lang), "c-buy", _scaled(days, "total_energy_cost_czk", 1.0))]
    cards = []
    if hours and len(days) <= _HOURS_UP_TO_DAYS:
        marks = [clock_time(datetime.fromisoformat(row["start"]), zone) for row in hours]
        title = say("chart.hours", lang)
        cards.append(_card(title, bars(title, marks, _energy_stacks(hours, lang), form, tell=kwh)))
    title = say("chart.energy", lang)
    if len(days) > 1:
        cards.append(_card(title, bars(title, labels, _energy_stacks(days, lang), form, tell=kwh)))
    title = say("chart.cost", lang)
    shown = level if len(days) > 1 else None
    cards.append(_card(title, bars(title, labels, cost, form, tell=lambda v: money(v, lang), level=shown)))
    if len(days) > 1:
        cards += _day_charts(days, labels, form, lang)
    return f'<div class="pair">{"".join(cards)}</div>'


def _day_charts(days: Sequence[Row], labels: Sequence[str], form: Any, lang: Language) -> list[str]:
    cards = []
    title = say("chart.peak", lang)
    peak = [Stack(say("peak", lang), "c-buy", _scaled(days, "peak_import_w", 0.001))]
    cards.append(
        _card(title, bars(title, labels, peak, form, tell=lambda v: power(None if v is None else 1000 * v, lang)))
    )
    title = say("chart.control", lang)
    courses = [
        Line(say("uptime", lang), "c-sell", _scaled(days, "control_loop_uptime", 100.0)),
        Line(say("mpc", lang), "c-load", _scaled(days, "mpc_share", 100.0)),
    ]
    cards.append(_card(title, lines(title, labels, courses, form, tell=lambda v: percent(v, lang, 1))))
    for kind, css in (("pv", "c-pv"), ("load", "c-load"), ("thermal", "c-buy")):
        title = say(f"chart.{kind}", lang)
        courses = [
            Line(
                say("lead", lang, hours=lead.removesuffix("h")),
                css if lead == "24h" else "c-soft",
                [row[f"{kind}_prediction"][lead]["mae"] for row in days],
            )
            for lead in _LEADS
        ]
        if any(value is not None for course in courses for value in course.values):
            cards.append(_card(title, lines(title, labels, courses, form)))
    return cards


def _savings(details: Mapping[str, Any], lang: Language) -> str:
    cards = (
        ("before", _before(details["before_and_after"], details["baseline"], lang)),
        ("trial", _trial(details["with_and_without"], lang)),
        ("foreseen", _foreseen(details["period"], lang)),
    )
    boxes = "".join(_card(say(key, lang), "".join(f"<p>{escape(text)}</p>" for text in texts)) for key, texts in cards)
    return f'<h2>{escape(say("savings", lang))}</h2><div class="pair">{boxes}</div>'


def _before(result: Row, baseline: Row, lang: Language) -> list[str]:
    if "error" in result:
        texts = [say(result["error"], lang)]
        if baseline["source"] == "assumed":
            cost, rate = money(baseline["daily_cost_czk"], lang), _share(baseline["self_consumption"], lang)
            texts.append(say("assumed", lang, cost=cost, rate=rate, peak=power(baseline["peak_import_w"], lang)))
        return texts
    texts = [
        say(
            "before.row",
            lang,
            before=money(result["baseline_daily_cost"], lang),
            after=money(result["recent_daily_cost"], lang),
            days=result["recent_days"],
            saved=money(result["daily_savings_czk"], lang),
            share=percent(result["percentage_savings"], lang),
            month=money(result["monthly_savings_czk"], lang, 0),
            year=money(result["annual_savings_czk"], lang, 0),
        )
    ]
    fit = baseline["fit"]
    if fit is None or result["corrected_daily_savings_czk"] is None:
        return [*texts, say("before.uncorrected", lang)]
    corrected = say(
        "before.corrected",
        lang,
        saved=money(result["corrected_daily_savings_czk"], lang),
        share=percent(result["corrected_percentage"], lang),
        base=money(fit["base_czk"], lang),
        slope=money(fit["slope_czk_k_d"], lang, 2),
        days=fit["days"],
        r2=number(fit["r2"], 2, lang),
        rest=money(fit["residual_czk"], lang),
    )
    return [*texts, corrected]


def _trial(result: Row, lang: Language) -> list[str]:
    if "error" in result:
        return [say(result["error"], lang, detail=result["detail"])]
    row = say(
        "trial.row",
        lang,
        saved=money(result["daily_savings_czk"], lang),
        share=percent(result["percentage"], lang),
        low=money(result["low_czk"], lang),
        high=money(result["high_czk"], lang),
        with_days=result["days_with"],
        without_days=result["days_without"],
    )
    return [row, say("trial.hdd" if result["equal_at"] else "trial.raw", lang)]


def _foreseen(period: Row, lang: Language) -> list[str]:
    value = period["foreseen_savings_czk_day"]
    return [say("foreseen.none", lang) if value is None else say("foreseen.row", lang, saved=money(value, lang))]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="card wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _forecasts(details: Mapping[str, Any], lang: Language) -> str:
    rows = []
    for kind in ("pv", "load", "thermal"):
        for lead, error in details["period"][f"{kind}_prediction"].items():
            rows.append(
                (
                    f"{say('forecasts.' + kind, lang)}, {say('lead', lang, hours=lead.removesuffix('h'))}",
                    *(_amount(error[name], kind, lang) for name in ("mae", "rmse", "bias")),
                    _share(error["inside"], lang),
                    _share(error["judged"], lang),
                )
            )
    heads = [say(key, lang) for key in ("forecasts.row", "mae", "rmse", "bias", "band", "judged")]
    return f"<h2>{escape(say('forecasts', lang))}</h2>{_table(heads, rows)}"


def _amount(value: float | None, kind: str, lang: Language) -> str:
    return temperature(value, lang, 2) if kind == "thermal" else power(value, lang)


def _control(period: Row, lang: Language) -> str:
    slowest_s, violated_s = period["optimization_solve_time_max_s"], period["violated_s"]
    text = say(
        "control.row",
        lang,
        switches=number(period["mode_switches"], 0, lang),
        violations=number(period["safety_violations"], 0, lang),
        minutes=number(None if violated_s is None else violated_s / 60, 0, lang),
        planless=_share(period["planless_share"], lang, 1),
        plans=period["plans"],
        slowest=UNKNOWN if slowest_s is None else say("s", lang, value=number(slowest_s, 1, lang)),
    )
    more = (
        ("more.possible", _share(period["self_consumption_possible"], lang)),
        ("more.sufficiency", _share(period["self_sufficiency"], lang)),
        ("more.battery", money(period["battery_gain_czk"], lang)),
        ("more.heating", _share(period["heating_efficiency"], lang, 1)),
        ("more.buy", price(period["buy_czk_kwh"], lang)),
        ("more.sell", price(period["sell_czk_kwh"], lang)),
    )
    cards = "".join(f'<div class="card"><b>{escape(text)}</b>{escape(say(key, lang))}</div>' for key, text in more)
    told = f'<h2>{escape(say("control", lang))}</h2><p class="card">{escape(text)}</p>'
    return f'{told}<h2>{escape(say("more", lang))}</h2><div class="tiles">{cards}</div>'


def _rooms(rooms: Mapping[str, Row], lang: Language) -> str:
    if not rooms:
        return ""
    rows = [
        (
            room["title"][lang],
            _share(room["comfort_inside"], lang, 1),
            f"{number(room['below_k_h'], 1, lang)} K h",
            energy(room["heating_wh"], lang),
            f"{temperature(room['thermal_mae_6h_c'], lang, 2)} / {temperature(room['thermal_mae_24h_c'], lang, 2)}",
            _share(room["known"], lang),
        )
        for room in sorted(rooms.values(), key=lambda room: -(room["below_k_h"] or 0.0))
    ]
    heads = [say(key, lang) for key in ("room", "inside", "below", "heat", "error", "sensor")]
    return f"<h2>{escape(say('rooms', lang))}</h2>{_table(heads, rows)}"


def _days(days: Sequence[Row], lang: Language) -> str:
    rows = [
        (
            _short(row["day"], lang) + ("" if row["complete"] else " …"),
            money(row["total_energy_cost_czk"], lang),
            money(row["cost_savings_vs_baseline_czk"], lang),
            energy(row["pv_generation_wh"], lang),
            _share(row["self_consumption_rate"], lang),
            energy(row["import_wh"], lang),
            energy(row["export_wh"], lang),
            power(row["peak_import_w"], lang),
            number(row["battery_cycles"], 2, lang),
            temperature(row["outdoor_temperature_c"], lang),
            _share(row["control_loop_uptime"], lang, 1),
            _share(row["known"], lang),
        )
        for row in days
    ]
    keys = (
        "day",
        "cost",
        "saved",
        "pv",
        "self",
        "import",
        "export",
        "peak.head",
        "cycles",
        "outdoor",
        "uptime",
        "sensor",
    )
    return f"<h2>{escape(say('days', lang))}</h2>{_table([say(key, lang) for key in keys], rows)}"
