"""How well PEMS knows each room, as the page tells it: tier, evidence, warnings, and a picture of the last days.

Tier and evidence come with every `thermal` message; the forecaster's REST has the rest. Where one of them is silent the
other is shown, and a field that is missing is only missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pems_common.errors import PemsError
from pems_common.home import Home
from pems_common.timegrid import parse_instant
from pems_monitor.domain.formats import UNKNOWN, Language, date_text, number, percent, power, temperature
from pems_monitor.domain.state import HouseState, RoomFacts, RoomModels
from pems_monitor.domain.texts import TEXTS, t

__all__ = [
    "RoomPicture",
    "evidence_texts",
    "figures",
    "left_out_text",
    "parameter_texts",
    "read_picture",
    "read_room_facts",
    "read_room_models",
    "room_facts",
    "short_text",
    "summary_text",
    "tier_key",
]

_TIERS = ("control", "suggest", "prior", "observe")  # from much trust to none
_LITTLE_EXCITATION, _SOME_EXCITATION = 0.15, 0.3
_LONGEST_PICTURE = 24 * 31
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class RoomPicture:
    """A room's last days [C]: measured, said 24 h before, and what "same as yesterday" would have said.

    Attributes:
        start: First instant.
        step: Time between values.
    """

    start: datetime
    step: timedelta
    measured_c: tuple[float | None, ...]
    predicted_c: tuple[float | None, ...]
    yesterday_c: tuple[float | None, ...]


# --- reading what the forecaster says


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if known and value is not None else None


def _mapping(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _instant(data: Mapping[str, Any], name: str) -> datetime | None:
    value = data.get(name)
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except (ValueError, PemsError):
        return None


def _numbers(data: Mapping[str, Any], name: str) -> dict[str, float]:
    inner = _mapping(data, name)
    found = {str(key): _number(inner, key) for key in inner}
    return {key: value for key, value in found.items() if value is not None}


def read_room_facts(data: Mapping[str, Any]) -> RoomFacts:
    """Read one room of `GET /v1/rooms`; what is missing or malformed is unknown."""
    evidence = _mapping(data, "evidence")
    warnings = data.get("warnings")
    tier = data.get("tier")
    parameters = _mapping(data, "parameters")
    return RoomFacts(
        tier=tier if tier in _TIERS else "",
        since=_instant(data, "since"),
        mae_c=_number(evidence, "mae_24h_c"),
        simple_mae_c=_number(evidence, "simple_mae_24h_c"),
        p95_c=_number(data, "p95_24h_c"),
        days=_number(evidence, "days"),
        excitation=_number(evidence, "excitation"),
        loss_w_k=_number(data, "loss_w_k"),
        time_constant_h=_number(data, "time_constant_h"),
        heater_w=_number(data, "heater_w"),
        warnings=tuple(str(w) for w in warnings) if isinstance(warnings, list) else (),
        left_out_h=_numbers(data, "left_out_h"),
        methods=_numbers(data, "methods"),
        parameters={str(k): v for k, v in parameters.items() if isinstance(v, dict)},
    )


def read_room_models(data: Mapping[str, Any]) -> RoomModels:
    """Read `GET /v1/rooms`."""
    rooms = data.get("rooms")
    found = {
        str(item["room"]): read_room_facts(item)
        for item in (rooms if isinstance(rooms, list) else [])
        if isinstance(item, dict) and "room" in item
    }
    running = _mapping(data, "job").get("state") in {"queued", "running"}
    return RoomModels(found, _instant(data, "identified_at"), running=running)


def read_picture(data: Mapping[str, Any]) -> RoomPicture | None:
    """Read the picture of `GET /v1/rooms/{room}`; None where there is none to draw."""
    picture = _mapping(data, "picture")
    start, step_s = _instant(picture, "start"), _number(picture, "step_s")
    series = [_series(picture, name) for name in ("measured_c", "predicted_c", "yesterday_c")]
    count = max(len(values) for values in series)
    if start is None or step_s is None or step_s < 60 or not any(v is not None for values in series for v in values):
        return None
    measured, predicted, yesterday = (values + (None,) * (count - len(values)) for values in series)
    return RoomPicture(start, timedelta(seconds=step_s), measured, predicted, yesterday)


def _series(data: Mapping[str, Any], name: str) -> tuple[float | None, ...]:
    values = data.get(name)
    found = values[:_LONGEST_PICTURE] if isinstance(values, list) else []
    return tuple(_number({"": value}, "") for value in found)


# --- joining it with the messages


def room_facts(state: HouseState, name: str) -> RoomFacts:
    """What is known of a room's model: from the forecaster's REST, and what only its message says."""
    facts = state.room_models.rooms.get(name, RoomFacts())
    thermal = state.thermal.get(name)
    if thermal is None:
        return facts
    said = thermal.evidence
    return RoomFacts(
        tier=thermal.tier,
        since=facts.since if facts.tier == thermal.tier else None,
        mae_c=said.mae_24h_c if facts.mae_c is None else facts.mae_c,
        simple_mae_c=said.simple_mae_24h_c if facts.simple_mae_c is None else facts.simple_mae_c,
        p95_c=facts.p95_c,
        days=said.days if facts.days is None else facts.days,
        excitation=said.excitation if facts.excitation is None else facts.excitation,
        loss_w_k=facts.loss_w_k,
        time_constant_h=facts.time_constant_h,
        heater_w=thermal.model.heater_w if facts.heater_w is None else facts.heater_w,
        warnings=facts.warnings,
        left_out_h=facts.left_out_h,
        methods=facts.methods,
        parameters=facts.parameters,
    )


# --- words


def tier_key(facts: RoomFacts) -> str:
    """The tier, or `unknown`: the last part of text keys and of classes."""
    return facts.tier or "unknown"


def _gain_text(mae_c: float, simple_mae_c: float, lang: Language) -> str:
    gain = round(100 * (1 - mae_c / simple_mae_c))
    if gain == 0:
        return t("model.gain.same", lang)
    return t("model.gain.better" if gain > 0 else "model.gain.worse", lang, share=percent(abs(gain), lang))


def short_text(facts: RoomFacts, lang: Language) -> str:
    """How good the model is, for the room's card."""
    if facts.mae_c is None:
        return t("model.no_error", lang)
    return t("model.error", lang, error=temperature(facts.mae_c, lang, 2))


def evidence_texts(facts: RoomFacts, zone: ZoneInfo, lang: Language) -> list[str]:
    """Why the model is trusted as far as it is, in sentences."""
    said = []
    if facts.since is not None:
        said.append(t("model.since", lang, date=date_text(facts.since, zone, lang)))
    if facts.mae_c is None:
        said.append(t("model.evidence.none", lang))
    elif not facts.simple_mae_c:
        said.append(t("model.evidence.alone", lang, error=temperature(facts.mae_c, lang, 2)))
    else:
        error, simple = temperature(facts.mae_c, lang, 2), temperature(facts.simple_mae_c, lang, 2)
        gain = _gain_text(facts.mae_c, facts.simple_mae_c, lang)
        said.append(t("model.evidence", lang, error=error, simple=simple, gain=gain))
    if facts.p95_c is not None:
        said.append(t("model.p95", lang, error=temperature(facts.p95_c, lang, 2)))
    if facts.days is not None:
        days = number(facts.days, 0, lang)
        if facts.excitation is None:
            said.append(t("model.days", lang, days=days))
        else:
            little, some = facts.excitation < _LITTLE_EXCITATION, facts.excitation < _SOME_EXCITATION
            how = t(f"model.excitation.{'little' if little else 'some' if some else 'enough'}", lang)
            said.append(t("model.days_excited", lang, days=days, how=how))
    return said


def left_out_text(facts: RoomFacts, lang: Language) -> str:
    """Hours of the history that taught nothing, by reason, the longest first; empty where there were none."""
    parts = []
    for reason, hours in sorted(facts.left_out_h.items(), key=lambda item: -item[1]):
        if hours >= 0.5:
            key = f"model.left_out.{reason.replace(' ', '_')}"
            parts.append(f"{t(key, lang) if key in TEXTS else reason} {number(hours, 0, lang)}\u00a0h")
    return ", ".join(parts)


def figures(facts: RoomFacts, lang: Language) -> list[tuple[str, str]]:
    """What the model says of the room, as (name, value with unit): loss, time constant, heater."""
    loss = UNKNOWN if facts.loss_w_k is None else f"{number(facts.loss_w_k, 0, lang)}\u00a0W/K"
    slow = UNKNOWN if facts.time_constant_h is None else f"{number(facts.time_constant_h, 0, lang)}\u00a0h"
    return [
        (t("model.loss", lang), loss),
        (t("model.time_constant", lang), slow),
        (t("model.heater", lang), power(facts.heater_w, lang)),
    ]


def parameter_texts(facts: RoomFacts, lang: Language) -> list[tuple[str, str]]:
    """The model's parameters with their intervals and units, as (name, text)."""
    found = []
    for name, item in facts.parameters.items():
        value, low, high = (_number(item, key) for key in ("value", "low", "high"))
        if value is None:
            continue
        span = "" if low is None or high is None else f" ({_digits(low, lang)} – {_digits(high, lang)})"
        unit = str(item.get("unit", ""))
        key = f"model.parameter.{name}"
        found.append((t(key, lang) if key in TEXTS else name, f"{_digits(value, lang)}{span}\u00a0{unit}".strip()))
    return found


def _digits(value: float, lang: Language) -> str:
    """Three significant digits, or all before the point; powers of ten from a million on."""
    text = f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"
    return text.replace(".", ",") if lang == "cs" else text


def summary_text(state: HouseState, home: Home, lang: Language) -> str:
    """How many rooms are of which tier; empty before anything is known."""
    tiers = [room_facts(state, name).tier for name in home.rooms]
    counts = [(tier, tiers.count(tier)) for tier in _TIERS if tier in tiers]
    words: Sequence[str] = [f"{count}\u00a0{t(f'model.tier.{tier}', lang)}" for tier, count in counts]
    return t("model.summary", lang, tiers=", ".join(words)) if words else ""
