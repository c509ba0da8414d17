"""Why the plan does what it does in a slot: the optimizer's codes as sentences."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pems_common.messages import Plan, Reason
from pems_common.timegrid import slot_index
from pems_monitor.domain.formats import Language, power, price, temperature
from pems_monitor.domain.room_names import room_title

__all__ = ["REASONS", "reason_text", "reasons_now"]

_MOST = 3

# code: (English, Czech); {braces} are parameters, already with their units
REASONS: dict[str, tuple[str, str]] = {
    "cheap_price": (
        "Heating {heat_w}: electricity is cheap, {buy_czk_kwh}",
        "Topí se {heat_w}: elektřina je levná, {buy_czk_kwh}",
    ),
    "pv_surplus": ("Heating {heat_w} from the sun", "Topí se {heat_w} ze slunce"),
    "preheat.warmer_band": ("Warming up before the warmer hours", "Předehřívá se před teplejšími hodinami"),
    "preheat.dearer_hours": (
        "Warming up before {buy_later_czk_kwh}",
        "Předehřívá se, než elektřina zdraží na {buy_later_czk_kwh}",
    ),
    "comfort_floor": ("{room} would get too cold", "{room}: jinak by tam bylo chladno"),
    "peak_avoid": ("The battery keeps the import peak down", "Baterie drží špičku odběru níž"),
    "battery_arbitrage": (
        "The battery charges at {buy_czk_kwh}; later it is {dearest_later_czk_kwh}",
        "Baterie se nabíjí za {buy_czk_kwh}; později bude {dearest_later_czk_kwh}",
    ),
    "battery_saved": ("The battery waits for {dearest_later_czk_kwh}", "Baterie čeká na {dearest_later_czk_kwh}"),
    "sell_high": ("Selling from the battery at {sell_czk_kwh}", "Prodává se z baterie za {sell_czk_kwh}"),
    "curtail_negative_price": ("Solar is held back: selling would cost", "Slunce se krotí: prodej by stál peníze"),
    "inverter_off": ("The inverter rests: electricity is paid for taking", "Střídač stojí: za odběr se platí nám"),
    "ev_deadline": ("The car charges to be ready in time", "Auto se nabíjí, aby bylo včas připravené"),
    "water_heat": ("The water is heated now", "Teď se ohřívá voda"),
}


def _shown(name: str, value: float | str, lang: Language) -> str:
    """A parameter with its unit, by the end of its name."""
    if isinstance(value, str):
        return room_title(value, lang) if name == "room" else value
    if name.endswith("_czk_kwh"):
        return price(value, lang)
    if name.endswith("_w"):
        return power(value, lang)
    return temperature(value, lang) if name.endswith("_c") else f"{value:g}"


class _Known(dict[str, str]):
    """Parameters by name; a missing one shows as a dash instead of failing."""

    def __missing__(self, key: str) -> str:
        return "–"


def reason_text(reason: Reason, lang: Language) -> str:
    """A reason as a sentence; empty for codes that say nothing to a family."""
    code = reason.code
    if code == "preheat":
        code = f"preheat.{reason.params.get('before', '')}"
    pair = REASONS.get(code)
    if pair is None:
        return ""
    params: Mapping[str, str] = _Known({name: _shown(name, value, lang) for name, value in reason.params.items()})
    return pair[1 if lang == "cs" else 0].format_map(params)


def reasons_now(plan: Plan | None, now: datetime, lang: Language) -> list[str]:
    """Why the plan's present slot is as it is, at most three sentences."""
    if plan is None:
        return []
    index = slot_index(plan.start, now, timedelta(seconds=plan.step_s))
    texts = [reason_text(reason, lang) for reason in plan.reasons.get(str(index), ())]
    return list(dict.fromkeys(text for text in texts if text))[:_MOST]
