"""Names of rooms and devices as people say them. home.yaml keeps ASCII names because they become MQTT topics."""

from pems_monitor.domain.formats import Language

__all__ = ["device_title", "room_title"]

# Whole names first, then word by word. (English, Czech)
_NAMES: dict[str, tuple[str, str]] = {
    "technicka_mistnost": ("Utility room", "Technická místnost"),
    "koupelna_dole": ("Bathroom downstairs", "Koupelna dole"),
    "koupelna_nahore": ("Bathroom upstairs", "Koupelna nahoře"),
    "chodba_dole": ("Hall downstairs", "Chodba dole"),
    "chodba_nahore": ("Hall upstairs", "Chodba nahoře"),
    "satna_dole": ("Wardrobe downstairs", "Šatna dole"),
    "satna_nahore": ("Wardrobe upstairs", "Šatna nahoře"),
    "hosti": ("Guest room", "Hosté"),
}
_WORDS: dict[str, tuple[str, str]] = {
    "obyvak": ("living room", "obývák"),
    "kuchyne": ("kitchen", "kuchyně"),
    "loznice": ("bedroom", "ložnice"),
    "pokoj": ("room", "pokoj"),
    "pracovna": ("office", "pracovna"),
    "chodba": ("hall", "chodba"),
    "koupelna": ("bathroom", "koupelna"),
    "satna": ("wardrobe", "šatna"),
    "spajz": ("pantry", "spíž"),
    "zachod": ("toilet", "záchod"),
    "zadveri": ("entry", "zádveří"),
    "dilna": ("workshop", "dílna"),
    "garaz": ("garage", "garáž"),
    "pradelna": ("laundry", "prádelna"),
    "dole": ("downstairs", "dole"),
    "nahore": ("upstairs", "nahoře"),
}
_DEVICES: dict[str, tuple[str, str]] = {
    "battery": ("Battery", "Baterie"),
    "ev": ("Car charger", "Nabíječka auta"),
    "water": ("Water heater", "Ohřev vody"),
}


def room_title(name: str, lang: Language) -> str:
    """A readable title of a room: `koupelna_dole` becomes `Bathroom downstairs` or `Koupelna dole`."""
    column = 1 if lang == "cs" else 0
    if name in _NAMES:
        return _NAMES[name][column]
    words = [_WORDS[word][column] if word in _WORDS else word for word in name.split("_") if word]
    text = " ".join(words) or name
    return text[:1].upper() + text[1:]


def device_title(device: str, lang: Language) -> str:
    """A readable title of a device such as `room:obyvak` or `battery`."""
    kind, _, name = device.partition(":")
    if kind == "room" and name:
        return room_title(name, lang)
    if device in _DEVICES:
        return _DEVICES[device][1 if lang == "cs" else 0]
    return room_title(device, lang)
