"""Alerts in the language of the page: known codes have Czech texts; others keep the words they came with."""

import re

from pems_common.messages import Alert
from pems_monitor.domain.formats import Language
from pems_monitor.domain.room_names import room_title

__all__ = ["alert_remedy", "alert_text"]

_RETRAINED = "Učí se nový model. Zkontrolujte měření a zdroje počasí."
_WORSE_FOR_GOOD = "se trvale zhoršila a nové naučení to nespravilo."
_LOOK_FOR_CHANGE = "Hledejte změnu ve výrobně nebo domácnosti, vadné měření nebo zdroj dat."

# code: (what is wrong, what to do), Czech; the services write English
_CZECH: dict[str, tuple[str, str]] = {
    "state_unknown": ("Některé zařízení se neozývá.", "Zkontrolujte jeho čidlo, bránu a MQTT."),
    "another_controller": ("Dům řídí ještě jiné řízení, toto mlčí.", "Jedno z nich zastavte."),
    "inverter_nak": ("Střídač odmítl příkaz.", "Podívejte se do záznamu příkazů a na střídač."),
    "inverter_silent": ("Střídač na příkazy neodpovídá.", "Zkontrolujte střídač a jeho bránu."),
    "inverter_clock": ("Hodiny střídače jdou špatně.", "Nastavte na střídači správný čas."),
    "register_budget": ("Denní počet zápisů do střídače je vyčerpán.", "Do půlnoci zůstane ve vlastním režimu."),
    "optimizer.silent": ("Plánovač nedává plány, dům jede podle pravidel.", "Zkontrolujte, zda běží plánovač a Redis."),
    "optimizer.no_forecast": ("Chybí předpověď, bez ní nejde plánovat.", "Zkontrolujte předpověď a zdroj počasí."),
    "prices_stale": ("Ceny elektřiny jsou zastaralé.", "Zkontrolujte připojení k internetu."),
    "weather_stale": ("Předpověď počasí je zastaralá.", "Zkontrolujte připojení k internetu."),
    "history_away": ("Historii teď nejde ukládat; údaje čekají.", "Zkontrolujte místo na disku."),
    "history_lost": ("Část historie se nepodařilo uložit.", "Zkontrolujte místo na disku."),
    "forecast.error_pv": ("Chyba předpovědi slunce během týdne vzrostla.", _RETRAINED),
    "forecast.error_load": ("Chyba předpovědi spotřeby domu během týdne vzrostla.", _RETRAINED),
    "forecast.error_price": ("Chyba předpovědi cen během týdne vzrostla.", _RETRAINED),
    "forecast.drift_pv": (f"Předpověď slunce {_WORSE_FOR_GOOD}", _LOOK_FOR_CHANGE),
    "forecast.drift_load": (f"Předpověď spotřeby domu {_WORSE_FOR_GOOD}", _LOOK_FOR_CHANGE),
    "forecast.drift_price": (f"Předpověď cen {_WORSE_FOR_GOOD}", _LOOK_FOR_CHANGE),
}


_ROOM = re.compile(r"\broom:([a-z][a-z0-9_]*)")
_MOST_NAMED = 4


def alert_text(alert: Alert, lang: Language) -> str:
    """What is wrong; names of rooms as people say them."""
    known = _CZECH.get(alert.code)
    if lang == "cs" and known:
        rooms = [room_title(name, lang) for name in _ROOM.findall(alert.text)]
        more = ", …" if len(rooms) > _MOST_NAMED else ""
        return f"{known[0]} ({', '.join(rooms[:_MOST_NAMED])}{more})" if rooms else known[0]
    text = _ROOM.sub(lambda found: room_title(found[1], lang).lower(), alert.text)
    return text[:1].upper() + text[1:]


def alert_remedy(alert: Alert, lang: Language) -> str:
    """What to do about it; may be empty."""
    known = _CZECH.get(alert.code)
    return known[1] if lang == "cs" and known else alert.remedy
