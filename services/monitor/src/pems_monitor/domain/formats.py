"""Numbers with their units as people read them, in Czech or English. Unknown is an en dash."""

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = [
    "LANGUAGES",
    "UNKNOWN",
    "Language",
    "age",
    "clock_time",
    "date_text",
    "day_and_time",
    "duration",
    "energy",
    "money",
    "number",
    "percent",
    "power",
    "price",
    "short_date",
    "temperature",
]

Language = Literal["en", "cs"]
LANGUAGES: tuple[Language, ...] = ("en", "cs")
UNKNOWN = "–"
_SPACE = "\u00a0"  # between number and unit, so that they stay on one line
_MINUS = "\u2212"
_WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "cs": ("po", "út", "st", "čt", "pá", "so", "ne"),
}


def number(value: float | None, digits: int, lang: Language) -> str:
    """A number with so many decimals; decimal comma and thin grouping in Czech."""
    if value is None or value != value:
        return UNKNOWN
    rounded = round(value, digits)
    text = f"{abs(rounded):,.{digits}f}"
    text = text.replace(",", "\u202f")
    if lang == "cs":
        text = text.replace(".", ",")
    return f"{_MINUS}{text}" if rounded < 0 else text


def power(value_w: float | None, lang: Language) -> str:
    """A power [W]: whole watts to the nearest ten below 1 kW, then kW with one decimal."""
    if value_w is None:
        return UNKNOWN
    if abs(value_w) < 995:
        return f"{number(round(value_w, -1), 0, lang)}{_SPACE}W"
    return f"{number(value_w / 1000, 1, lang)}{_SPACE}kW"


def energy(value_wh: float | None, lang: Language) -> str:
    """An energy [Wh], shown in kWh with one decimal."""
    if value_wh is None:
        return UNKNOWN
    return f"{number(value_wh / 1000, 1, lang)}{_SPACE}kWh"


def temperature(value_c: float | None, lang: Language, digits: int = 1) -> str:
    """A temperature [C]."""
    return UNKNOWN if value_c is None else f"{number(value_c, digits, lang)}{_SPACE}°C"


def percent(value_pct: float | None, lang: Language, digits: int = 0) -> str:
    """A share [%]."""
    return UNKNOWN if value_pct is None else f"{number(value_pct, digits, lang)}{_SPACE}%"


def money(value_czk: float | None, lang: Language, digits: int = 1) -> str:
    """An amount of money [CZK]."""
    return UNKNOWN if value_czk is None else f"{number(value_czk, digits, lang)}{_SPACE}Kč"


def price(value_czk_kwh: float | None, lang: Language) -> str:
    """A price [CZK/kWh]."""
    return UNKNOWN if value_czk_kwh is None else f"{number(value_czk_kwh, 2, lang)}{_SPACE}Kč/kWh"


def duration(span: timedelta, lang: Language) -> str:
    """A length of time in its two largest units: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds}{_SPACE}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}{_SPACE}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{_SPACE}h" + (f" {minutes}{_SPACE}min" if minutes else "")
    days, hours = divmod(hours, 24)
    day = "d"
    return f"{days}{_SPACE}{day}" + (f" {hours}{_SPACE}h" if hours else "")


def age(span: timedelta, lang: Language) -> str:
    """How long ago something was: `12 min ago`, `před 12 min`."""
    text = duration(span, lang)
    return f"před {text}" if lang == "cs" else f"{text} ago"


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    """Local time of day, HH:MM."""
    return at.astimezone(zone).strftime("%H:%M")


def day_and_time(at: datetime, zone: ZoneInfo, lang: Language, *, relative_to: datetime | None = None) -> str:
    """Local day and time; only the time when `relative_to` falls on the same local day."""
    local = at.astimezone(zone)
    if relative_to is not None and relative_to.astimezone(zone).date() == local.date():
        return local.strftime("%H:%M")
    return f"{_WEEKDAYS[lang][local.weekday()]}{_SPACE}{local:%H:%M}"


def short_date(at: datetime, zone: ZoneInfo, lang: Language) -> str:
    """Local date without weekday and year: `15 Jan` or `15. 1.`."""
    local = at.astimezone(zone)
    if lang == "cs":
        return f"{local.day}.{_SPACE}{local.month}."
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{local.day}{_SPACE}{months[local.month - 1]}"


def date_text(at: datetime, zone: ZoneInfo, lang: Language) -> str:
    """Local weekday and date: `Thu 15 Jan` or `čt 15. 1.`."""
    return f"{_WEEKDAYS[lang][at.astimezone(zone).weekday()]} {short_date(at, zone, lang)}"
