"""What the owner should do, from the figures of a period: each with its evidence, in English and Czech.

A rule speaks only where enough was measured to say it; silence means that nothing was found, not that all is known.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pems_common.home import Home
from pems_monitor.domain.formats import LANGUAGES, Language, energy, money, number, percent, power, price, temperature
from pems_monitor.domain.performance import ForecastError, PerformanceMetrics
from pems_monitor.domain.performance_tally import Tally
from pems_monitor.domain.room_names import room_title
from pems_monitor.domain.savings import WithAndWithout

__all__ = ["Recommendation", "recommendations"]

Severity = Literal["info", "warning", "critical"]

_PV_MAE_W, _THERMAL_MAE_C = 500.0, 0.5  # of the specification
_JUDGED = 0.2
_PROMISED, _OFF_BY, _BAND_SLOTS = 0.8, 0.1, 200.0
_LOW_SELF_CONSUMPTION, _CHEAP_EXPORT, _EXPORT_WH_DAY = 0.6, 0.5, 2000.0
_NEAR_BREAKER = 0.9
_PLANLESS_H = 2.0
_BELOW_SHARE, _ROOM_SLOTS = 0.05, 96.0
_CYCLES_DAY = 0.3
_MISSING_SHARE = 0.05
_UPTIME = 0.995
_SLOT_H = 0.25
_ORDER = {"critical": 0, "warning": 1, "info": 2}

# code: (English, Czech)
_TEXTS: dict[str, tuple[str, str]] = {
    "pv_forecast_poor": (
        "PV forecasts are {mae} off on average ({lead} ahead). Check the roofs' tilt, azimuth and peak power in"
        " home.yaml, and the weather sources; then let the model be trained anew.",
        "Předpověď výroby se plete v průměru o {mae} ({lead} dopředu). Zkontrolujte sklon, azimut a výkon střech"
        " v home.yaml a zdroje počasí; potom nechte model znovu naučit.",
    ),
    "thermal_model_poor": (
        "Room temperatures turn out {mae} away from what plans foresaw ({lead} ahead), most of all in: {room}. Check"
        " heating power and sensors there, then identify the rooms anew.",
        "Teploty vycházejí v průměru o {mae} jinak, než plán čekal ({lead} dopředu), nejvíc tady: {room}. Zkontrolujte"
        " tam výkon topení a čidla a nechte pokoje znovu změřit.",
    ),
    "load_band_narrow": (
        "The load forecast promised too much: its band held {inside} instead of {promised}. If habits have changed, it"
        " learns them within two weeks; if not, check the load's measurement.",
        "Předpověď spotřeby slibovala moc: pásmo platilo v {inside} místo {promised} případů. Pokud se změnily zvyky,"
        " naučí se je do dvou týdnů; jinak zkontrolujte měření spotřeby.",
    ),
    "load_band_wide": (
        "The load forecast is more careful than needed: its band held {inside} instead of {promised}. It narrows by"
        " itself; if it stays so for weeks, look for a measurement that hardly moves.",
        "Předpověď spotřeby je zbytečně opatrná: pásmo platilo v {inside} místo {promised} případů. Samo se zúží;"
        " zůstane-li tak týdny, hledejte měření, které se skoro nehýbe.",
    ),
    "pv_band_narrow": (
        "The PV forecast promised too much: its band held {inside} instead of {promised}, and plans trust it. Check"
        " the weather sources and whether something new shades the roofs.",
        "Předpověď výroby slibovala moc: pásmo platilo v {inside} místo {promised} případů a plány mu věří."
        " Zkontrolujte zdroje počasí a zda střechy nově něco nestíní.",
    ),
    "pv_band_wide": (
        "The PV forecast is more careful than needed: its band held {inside} instead of {promised}. It narrows by"
        " itself; more weather sources make that faster.",
        "Předpověď výroby je zbytečně opatrná: pásmo platilo v {inside} místo {promised} případů. Samo se zúží; více"
        " zdrojů počasí to urychlí.",
    ),
    "self_consumption_low": (
        "Only {rate} of the PV energy stayed in the house; {export} a day was sold for {sell}, while import cost {buy}."
        " Let car, water and appliances run by the plan at noon.",
        "V domě zůstalo jen {rate} výroby; denně se prodá {export} po {sell}, kdežto odběr stál {buy}. Nechte auto,"
        " vodu a spotřebiče běžet podle plánu kolem poledne.",
    ),
    "peak_near_breaker": (
        "Import reached {peak} for a quarter of an hour; the main breaker is good for {limit}. Lower"
        " control.limits.heating_max_w or the charger's power in home.yaml.",
        "Odběr byl čtvrt hodiny {peak}, hlavní jistič unese {limit}. Snižte v home.yaml control.limits.heating_max_w"
        " nebo výkon nabíječky.",
    ),
    "plan_missing": (
        "For {hours} h the optimizer had no fresh plan, so the house ran on simple rules. Look at the planner's and"
        " worker's log, at forecasts and prices, and whether the machine is too busy to solve in time.",
        "Po {hours} h optimalizace neměla čerstvý plán a dům jel podle jednoduchých pravidel. Podívejte se do záznamů"
        " plánovače, na předpovědi a ceny a zda počítač stíhá počítat.",
    ),
    "room_cold": (
        "{room} was below its comfort band in {share} of the time ({k_h} K h). Check valve, floor and window; if its"
        " heating is too weak, lower the target or start the day earlier.",
        "{room}: v {share} času pod pásmem pohodlí ({k_h} K h). Zkontrolujte ventil, podlahu a okno; je-li topení"
        " slabé, snižte cíl nebo začněte den dřív.",
    ),
    "battery_idle_gain": (
        "The battery made {cycles} full cycles and saved {gain}, less than their wear of {wear}. Check"
        " battery.wear_czk_kwh in home.yaml and the battery's measured power.",
        "Baterie prošla {cycles} plnými cykly a ušetřila {gain}, méně než jejich opotřebení {wear}. Zkontrolujte"
        " battery.wear_czk_kwh v home.yaml a měření výkonu baterie.",
    ),
    "sensor_gaps": (
        "Readings are missing: {names}. Check their sensors and gateways; without readings a room is heated by a"
        " careful rule.",
        "Chybí měření: {names}. Zkontrolujte čidla a brány; bez měření se topí podle opatrného pravidla.",
    ),
    "history_gaps": (
        "Nothing at all was recorded for {hours} h ({share} of the time). Look at ingest's log, the broker and the"
        " machine's power.",
        "Po {hours} h se nezaznamenalo vůbec nic ({share} času). Podívejte se do záznamu sběru dat, na MQTT a napájení"
        " počítače.",
    ),
    "controller_down": (
        "The controller was silent for {down} h ({uptime} uptime). Look at its log and at the machine's power and"
        " network.",
        "Řízení {down} h mlčelo (běželo {uptime} času). Podívejte se do jeho záznamu a na napájení a síť počítače.",
    ),
    "limits_broken": (
        "Hard limits were broken {count} times, for {minutes} min in all. See the status' violations: a cold or hot"
        " room, import above the breaker, or an empty battery.",
        "Pevné limity byly {count}× porušeny, celkem {minutes} min. Podívejte se, které: studený či horký pokoj,"
        " odběr nad jistič nebo prázdná baterie.",
    ),
    "heat_wasted": (
        "{share} of the heat went to rooms that were warm enough already. Check their targets and relays that stick.",
        "{share} tepla šlo do pokojů, kde už bylo dost teplo. Zkontrolujte jejich cíle a relé, která se zasekávají.",
    ),
    "plans_cost_money": (
        "Days that follow plans cost {loss} more than days that do not, and that is no chance. Compare tariff, battery"
        " and room data in home.yaml with the invoices; until then let control.shadow be true.",
        "Dny podle plánu stojí o {loss} víc než dny bez něj a není to náhoda. Porovnejte tarif, baterii a pokoje"
        " v home.yaml s fakturami; do té doby nechte control.shadow zapnuté.",
    ),
}


@dataclass(frozen=True)
class Recommendation:
    """One thing to do.

    Attributes:
        code: What was found.
        evidence: The numbers behind it, units in their names.
        text: By language, `en` and `cs`.
        subject: The room it is about; empty where it is about the house.
    """

    code: str
    severity: Severity
    evidence: Mapping[str, float]
    text: Mapping[str, str]
    subject: str = ""


Fields = Callable[[Language], dict[str, str]]


def _say(
    code: str, severity: Severity, evidence: Mapping[str, float], fields: Fields, subject: str = ""
) -> Recommendation:
    rounded = {name: round(value, 4) for name, value in evidence.items()}
    texts: dict[str, str] = {lang: _TEXTS[code][place].format(**fields(lang)) for place, lang in enumerate(LANGUAGES)}
    return Recommendation(code, severity, rounded, texts, subject)


def recommendations(
    tally: Tally, metrics: PerformanceMetrics, home: Home, measured_savings: WithAndWithout | None = None
) -> tuple[Recommendation, ...]:
    """Return what to do, worst first.

    Args:
        tally: Sums of the period.
        metrics: Its figures.
        home: For limits and rooms.
        measured_savings: Days with plans against days without; None where they cannot be compared.
    """
    found = [
        *_forecasts(tally, metrics),
        *_energy(tally, metrics, home),
        *_control(tally, metrics),
        *_rooms(tally, metrics),
        *_gaps(tally),
    ]
    if measured_savings is not None and measured_savings.high_czk < 0:
        loss_czk = -measured_savings.daily_savings_czk
        evidence = {"daily_loss_czk": loss_czk, "daily_loss_at_least_czk": -measured_savings.high_czk}
        found.append(_say("plans_cost_money", "warning", evidence, lambda lang: {"loss": money(loss_czk, lang)}))
    return tuple(sorted(found, key=lambda one: _ORDER[one.severity]))


def _judged(errors: Mapping[str, ForecastError]) -> tuple[str, ForecastError, float] | None:
    """The longest lead of which enough was judged."""
    for lead, error in errors.items():
        if error.mae is not None and error.judged >= _JUDGED:
            return lead, error, error.mae
    return None


def _forecasts(tally: Tally, metrics: PerformanceMetrics) -> Iterator[Recommendation]:
    if pv := _judged(metrics.pv_prediction):
        lead, _, pv_mae_w = pv
        if pv_mae_w > _PV_MAE_W:
            yield _say(
                "pv_forecast_poor",
                "warning",
                {"mae_w": pv_mae_w, "threshold_w": _PV_MAE_W},
                lambda lang: {"mae": power(pv_mae_w, lang), "lead": _lead(lead)},
            )
    if thermal := _thermal(tally):
        lead_c, mae_c = thermal
        worst = _worst_room(tally, lead_c)
        if mae_c > _THERMAL_MAE_C:
            yield _say(
                "thermal_model_poor",
                "warning",
                {"mae_c": mae_c, "threshold_c": _THERMAL_MAE_C},
                lambda lang: {
                    "mae": temperature(mae_c, lang, 2),
                    "lead": _lead(lead_c),
                    "room": room_title(worst, lang),
                },
                worst,
            )
    for kind, errors in (("pv", metrics.pv_prediction), ("load", metrics.load_prediction)):
        for lead_b, error in errors.items():
            inside = error.inside
            if inside is None or tally.get(f"{kind}_{lead_b}_band_n") < _BAND_SLOTS:
                continue
            if abs(inside - _PROMISED) > _OFF_BY:
                yield _band(kind, inside)
            break


def _band(kind: str, inside: float) -> Recommendation:
    return _say(
        f"{kind}_band_{'wide' if inside > _PROMISED else 'narrow'}",
        "info",
        {"inside": inside, "promised": _PROMISED},
        lambda lang: {"inside": percent(100 * inside, lang), "promised": percent(100 * _PROMISED, lang)},
    )


def _lead(lead: str) -> str:
    return f"{lead.removesuffix('h')}\u00a0h"


def _thermal(tally: Tally) -> tuple[str, float] | None:
    """Longest lead with a day's worth of judged room slots, and its error [C]."""
    for lead in ("24h", "6h"):
        mae_c = tally.ratio(f"thermal_{lead}_abs_c", f"thermal_{lead}_n")
        if mae_c is not None and tally.get(f"thermal_{lead}_n") >= _ROOM_SLOTS:
            return lead, mae_c
    return None


def _worst_room(tally: Tally, lead: str) -> str:
    errors = {
        name: room.ratio(f"thermal_{lead}_abs_c", f"thermal_{lead}_n") or 0.0
        for name, room in tally.within("room").items()
    }
    return max(errors, key=lambda name: errors[name])


def _energy(tally: Tally, metrics: PerformanceMetrics, home: Home) -> Iterator[Recommendation]:
    days = tally.get("slots") * _SLOT_H / 24
    rate, sell, buy = metrics.self_consumption_rate, metrics.sell_czk_kwh, metrics.buy_czk_kwh
    export_wh_day = tally.get("export_wh") / days if days else 0.0
    cheap = sell is not None and buy is not None and sell < _CHEAP_EXPORT * buy
    if rate is not None and rate < _LOW_SELF_CONSUMPTION and cheap and export_wh_day > _EXPORT_WH_DAY:
        yield _say(
            "self_consumption_low",
            "info",
            {
                "self_consumption": rate,
                "export_wh_day": export_wh_day,
                "sell_czk_kwh": sell or 0.0,
                "buy_czk_kwh": buy or 0.0,
            },
            lambda lang: {
                "rate": percent(100 * rate, lang),
                "export": energy(export_wh_day, lang),
                "sell": price(sell, lang),
                "buy": price(buy, lang),
            },
        )
    peak_w, limit_w = metrics.peak_import_w, home.grid.import_max_w
    if peak_w is not None and peak_w > _NEAR_BREAKER * limit_w:
        yield _say(
            "peak_near_breaker",
            "critical" if peak_w > limit_w else "warning",
            {"peak_import_w": peak_w, "import_max_w": limit_w},
            lambda lang: {"peak": power(peak_w, lang), "limit": power(limit_w, lang)},
        )
    gain_czk, cycles = metrics.battery_gain_czk, metrics.battery_cycles
    if home.battery is not None and gain_czk is not None and cycles is not None and days >= 1:
        wear_czk = (metrics.battery_discharge_wh or 0.0) * home.battery.wear_czk_kwh / 1000
        if cycles / days > _CYCLES_DAY and gain_czk < wear_czk:
            yield _say(
                "battery_idle_gain",
                "warning",
                {"battery_cycles": cycles, "battery_gain_czk": gain_czk, "wear_czk": wear_czk},
                lambda lang: {
                    "cycles": number(cycles, 1, lang),
                    "gain": money(gain_czk, lang),
                    "wear": money(wear_czk, lang),
                },
            )


def _control(tally: Tally, metrics: PerformanceMetrics) -> Iterator[Recommendation]:
    planless_h = tally.get("planless_slots") * _SLOT_H
    if metrics.plans > 0 and planless_h >= _PLANLESS_H:
        yield _say(
            "plan_missing",
            "warning",
            {"planless_h": planless_h, "plans": metrics.plans},
            lambda lang: {"hours": number(planless_h, 1, lang)},
        )
    uptime = metrics.control_loop_uptime
    if uptime is not None and uptime < _UPTIME:
        down_h = (tally.get("watched_s") - tally.get("up_s")) / 3600
        yield _say(
            "controller_down",
            "warning",
            {"control_loop_uptime": uptime, "down_h": down_h},
            lambda lang: {"down": number(down_h, 1, lang), "uptime": percent(100 * uptime, lang, 1)},
        )
    if metrics.safety_violations:
        minutes = (metrics.violated_s or 0.0) / 60
        yield _say(
            "limits_broken",
            "critical",
            {"safety_violations": metrics.safety_violations, "violated_min": minutes},
            lambda lang: {
                "count": number(metrics.safety_violations, 0, lang),
                "minutes": number(minutes, 0, lang),
            },
        )


def _rooms(tally: Tally, metrics: PerformanceMetrics) -> Iterator[Recommendation]:
    for name, room in tally.within("room").items():
        share = room.ratio("below_n", "comfort_n")
        if share is not None and share > _BELOW_SHARE and room.get("comfort_n") >= _ROOM_SLOTS:
            yield _room_cold(name, share, room.get("below_k_h"))
    asked = metrics.heating_efficiency
    if asked is not None and asked < 0.9 and tally.get("heat_judged_wh") > 5000:
        evidence = {"heating_efficiency": asked}
        yield _say("heat_wasted", "info", evidence, lambda lang: {"share": percent(100 * (1 - asked), lang)})


def _room_cold(name: str, share: float, below_k_h: float) -> Recommendation:
    return _say(
        "room_cold",
        "warning",
        {"below_share": share, "below_k_h": below_k_h},
        lambda lang: {
            "room": room_title(name, lang),
            "share": percent(100 * share, lang),
            "k_h": number(below_k_h, 1, lang),
        },
        name,
    )


def _gaps(tally: Tally) -> Iterator[Recommendation]:
    recorded, watched = tally.get("recorded_slots"), tally.get("slots") - tally.get("before_slots")
    if not recorded:
        return
    nothing = max(0.0, watched - recorded)
    if nothing > _MISSING_SHARE * watched:
        yield _say(
            "history_gaps",
            "warning",
            {"nothing_recorded_h": nothing * _SLOT_H, "nothing_recorded_share": nothing / watched},
            lambda lang: {
                "hours": number(nothing * _SLOT_H, 1, lang),
                "share": percent(100 * nothing / watched, lang),
            },
        )
    missing = {name: 1 - room.get("known_slots") / recorded for name, room in tally.within("room").items()}
    missing = {name: share for name, share in missing.items() if share > _MISSING_SHARE}
    plant = 1 - tally.get("known_slots") / recorded
    if not missing and plant <= _MISSING_SHARE:
        return

    def names(lang: Language) -> dict[str, str]:
        house = {"en": "inverter and meter", "cs": "střídač a elektroměr"}[lang]
        told = [f"{house} ({percent(100 * plant, lang)})"] if plant > _MISSING_SHARE else []
        told += [f"{room_title(name, lang)} ({percent(100 * share, lang)})" for name, share in missing.items()]
        return {"names": ", ".join(told)}

    evidence = {f"missing_share_{name}": share for name, share in missing.items()}
    yield _say("sensor_gaps", "warning", {"missing_share_plant": plant, **evidence}, names)
