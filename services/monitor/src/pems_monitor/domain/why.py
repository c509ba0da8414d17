"""The controller's reason codes in plain words, in English and Czech, and what a device is told to do."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from pems_common.messages import DeviceMode, OverrideEntry
from pems_monitor.domain.formats import UNKNOWN, Language, clock_time, power, temperature
from pems_monitor.domain.texts import t

__all__ = ["WHY", "action_text", "override_text", "until_text", "why_text"]

# code: (English, Czech)
WHY: dict[str, tuple[str, str]] = {
    "plan": ("As the fresh plan says", "Podle čerstvého plánu"),
    "override": ("Set by hand", "Nastaveno ručně"),
    "no_plan": ("No plan has come yet", "Zatím nepřišel žádný plán"),
    "plan_too_old": ("The last plan is more than two hours old", "Poslední plán je starší než dvě hodiny"),
    "plan_from_future": ("The plan's clock is ahead of this house's", "Čas plánu je napřed před časem domu"),
    "plan_for_other_config": ("The plan was made for other settings", "Plán vznikl pro jiné nastavení domu"),
    "plan_slot_is_outlook": ("The plan reaches here only as an outlook", "Sem plán sahá už jen jako výhled"),
    "plan_malformed": ("The plan could not be read", "Plán se nepodařilo přečíst"),
    "state_off_plan": (
        "Reality is too far from what the plan expected; a new plan is on its way",
        "Skutečnost je příliš daleko od plánu; vzniká nový",
    ),
    "model_not_trusted": (
        "Its thermal model is not proven: its thermostat keeps it",
        "Jeho tepelný model není ověřený: drží ho termostat",
    ),
    "state_unknown": ("Its sensor has been silent too long", "Čidlo se příliš dlouho neozvalo"),
    "hard_limit_broken": ("A safety limit was reached", "Byl dosažen bezpečnostní limit"),
    "stopping": ("PEMS is shutting down", "PEMS se vypíná"),
    "another_controller": ("Another controller runs this house", "Dům řídí jiné řízení"),
    "not_armed": ("Dry run: nothing is sent until both keys are turned", "Nanečisto: bez obou klíčů se nic neposílá"),
    "shadow": ("Shadow run: decided and recorded, not sent", "Stínový běh: rozhoduje a zapisuje, ale neposílá"),
    "not_in_rollout": ("Not in the list of live devices yet", "Zatím není mezi řízenými zařízeními"),
}


def why_text(code: str, lang: Language) -> str:
    """A reason in words; an unknown code is shown as readable as it can be."""
    head, _, _ = code.partition(":")
    pair = WHY.get(head.strip())
    if pair is None:
        words = code.replace("_", " ").strip()
        return words[:1].upper() + words[1:] if words else UNKNOWN
    return pair[1 if lang == "cs" else 0]


def _number(params: Mapping[str, object], name: str) -> float | None:
    value = params.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def action_text(device: str, mode: DeviceMode | None, lang: Language) -> str:
    """What a device is told to do now, in words; empty where the status does not say."""
    if mode is None:
        return ""
    name = mode.action.get("action")
    inner = mode.action.get("params")
    params = inner if isinstance(inner, dict) else mode.action
    return _named(device, name, params, lang, "did") if isinstance(name, str) else ""


def _named(device: str, name: str, params: Mapping[str, object], lang: Language, group: str) -> str:
    """An action with its temperature or power."""
    kind = device.partition(":")[0]
    if name == "heat":
        return f"{t('action.target', lang)} {temperature(_number(params, 'target_c'), lang)}"
    key = f"{group}.{'water_on' if (kind, name) == ('water', 'on') else name}"
    text = t(key, lang)
    if text == key:  # an action this page does not know
        text = name.replace("_", " ")
    power_w = _number(params, "power_w")
    return f"{text}, {power(power_w, lang)}" if power_w else text


def override_text(entry: OverrideEntry, lang: Language) -> str:
    """What an override asks for, in words."""
    return _named(entry.device, entry.action, entry.params, lang, "action")


def until_text(until: datetime | None, zone: ZoneInfo, lang: Language) -> str:
    """`until 14:30`, or empty."""
    return "" if until is None else t("now.until", lang, time=clock_time(until, zone))
