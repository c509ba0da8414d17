"""How good the forecasts were lately, as the page tells it: by which method, how often the band held, how far off."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pems_monitor.domain.formats import UNKNOWN, Language, date_text, number, percent, power, short_date, temperature
from pems_monitor.domain.state import HouseState
from pems_monitor.domain.texts import TEXTS, t

__all__ = [
    "PROMISE_PCT",
    "ForecastRow",
    "Verdict",
    "band_verdict",
    "error_text",
    "forecast_rows",
    "gain_text",
    "method_text",
    "scored_text",
]

PROMISE_PCT = 80.0  # between P10 and P90 lie eight of ten
_NARROW_PCT, _WIDE_PCT = 72.0, 88.0
_KINDS = ("pv", "load", "price", "temperature")

Verdict = Literal["kept", "narrow", "wide"]


@dataclass(frozen=True)
class ForecastRow:
    """One kind of forecast.

    Attributes:
        kind: `pv`, `load`, `price` or `temperature`.
        version: Method or model that forecasts now; empty where unknown.
        held_pct: Share of truth inside P10..P90 in the last weeks [%], up to 24 h ahead and 24 to 48 h ahead; None
            where too little was seen.
        error: Mean absolute error of the last finished day up to 24 h ahead, in W, W, EUR/MWh and C; None unknown.
        gain_pct: By how much it was smaller than the error of "as yesterday" [%]; negative is worse; None unknown.
        scored_version: Method or model that forecast on that day; it may have been another one.
        scored_at: House time at which that day was scored, soon after its end.
    """

    kind: str
    version: str
    held_pct: tuple[float | None, float | None]
    error: float | None
    gain_pct: int | None
    scored_version: str
    scored_at: datetime | None


def forecast_rows(state: HouseState) -> tuple[ForecastRow, ...]:
    """A row per kind; none at all before the first figure is known."""
    rows = tuple(_row(state, kind) for kind in _KINDS)
    known = any(row.error is not None or row.held_pct != (None, None) for row in rows)
    return rows if known else ()


def _row(state: HouseState, kind: str) -> ForecastRow:
    models = state.forecast.models if state.forecast else {}
    held = state.forecast.coverage.get(kind, {}) if state.forecast else {}
    last = state.scores.get(f"forecast.{kind}")
    metrics = last.score.metrics if last else {}
    skill = metrics.get("skill_day1")
    return ForecastRow(
        kind=kind,
        version=models.get(kind, ""),
        held_pct=(held.get("1"), held.get("2")),
        error=metrics.get("mae_day1"),
        gain_pct=None if skill is None else round(100 * skill),
        scored_version=last.score.model if last else "",
        scored_at=last.at if last else None,
    )


def band_verdict(held_pct: float) -> Verdict:
    """Whether a band that should hold 80 % was about right, too narrow (it promised too much) or too wide."""
    if held_pct < _NARROW_PCT:
        return "narrow"
    return "wide" if held_pct > _WIDE_PCT else "kept"


def method_text(version: str, zone: ZoneInfo, lang: Language) -> str:
    """A version such as `physics-1` or `pv-20260114T023000` (trained at that UTC time) in words; itself if unknown."""
    name, _, stamp = version.rpartition("-")
    key = f"forecast.method.{name}"
    if key in TEXTS:
        return t(key, lang)
    try:
        trained_at = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return version or UNKNOWN
    return t("forecast.trained", lang, date=short_date(trained_at, zone, lang))


def error_text(row: ForecastRow, lang: Language) -> str:
    """The error of the last finished day with its unit."""
    if row.kind == "price":
        return UNKNOWN if row.error is None else f"{number(row.error, 1, lang)}\u00a0EUR/MWh"
    return temperature(row.error, lang) if row.kind == "temperature" else power(row.error, lang)


def scored_text(row: ForecastRow, zone: ZoneInfo, lang: Language) -> str:
    """Of which day the error is, and of which method where another one forecasts by now."""
    if row.error is None or row.scored_at is None:
        return ""
    day = date_text(row.scored_at - timedelta(days=1), zone, lang)
    another = row.scored_version not in {"", row.version}
    return f"{day}, {method_text(row.scored_version, zone, lang)}" if another else day


def gain_text(gain_pct: int | None, lang: Language) -> str:
    """How much better or worse than "as yesterday"."""
    if gain_pct is None:
        return UNKNOWN
    if gain_pct == 0:
        return t("forecast.same", lang)
    return t("forecast.better" if gain_pct > 0 else "forecast.worse", lang, share=percent(abs(gain_pct), lang))
