"""Grott: Growatt records as its proxy publishes them on MQTT, read only.

Values are raw register contents: W, V, A, kWh and C in tenths, Hz in hundredths, SoC in whole percent. Times are
local without a zone; `"buffered": "yes"` marks history that the data logger sends late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pems_common.dialects.growatt_oig import InverterReading
from pems_common.dialects.result import POWER_MAX_W, Rejected, number, parse_object, shorten

__all__ = ["GrottRecord", "parse_record", "resolve_local"]

_UNDERFLOW = 2**32 - 10_000_000  # a counter above this went below zero in the register
_TENTHS = 10.0
_HUNDREDTHS = 100.0

# Field of the record -> (divisor, low, high) in the physical unit. What the layouts call the same thing differently.
_PV = ("pvpowerin", "ppv")
_PV_STRINGS = ("pv1watt", "pv2watt", "pv3watt", "pv4watt")
_IMPORT = ("pactousertot", "pactouserr", "ptousertotal")
_EXPORT = ("pactogridtot", "pactogridr", "ptogridtotal")
_LOAD = ("plocaloadtot", "plocaloadr", "ptoloadtotal")
_DISCHARGE = ("pdischarge1", "pdischr")
_CHARGE = ("p1charge1", "pchr")
_POWERS = (*_PV, *_PV_STRINGS, *_IMPORT, *_EXPORT, *_LOAD, *_DISCHARGE, *_CHARGE, "pvpowerout", "pvgridpower")
_CHECKS: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(_POWERS, (_TENTHS, 0.0, POWER_MAX_W)),
    **dict.fromkeys(("pv1voltage", "pv2voltage", "pv3voltage", "pv4voltage"), (_TENTHS, 0.0, 1_100.0)),
    **dict.fromkeys(("pvgridvoltage", "pvgridvoltage2", "pvgridvoltage3"), (_TENTHS, 0.0, 500.0)),
    **dict.fromkeys(("pvfrequentie", "pvfrequency"), (_HUNDREDTHS, 0.0, 70.0)),
    **dict.fromkeys(("soc",), (1.0, 0.0, 100.0)),
    "pvtemperature": (_TENTHS, -40.0, 150.0),
}
# Daily counters by the names that the OpenInverterGateway dialect uses, so that the rest of PEMS knows one set.
_COUNTERS = {
    "pvenergytoday": "TodayGenerateEnergy",
    "epvtoday": "TodayGenerateEnergy",
    "etouser_tod": "EnergyToUserToday",
    "etousertoday": "EnergyToUserToday",
    "etogrid_tod": "EnergyToGridToday",
    "etogridtoday": "EnergyToGridToday",
    "eharge1_tod": "ChargeEnergyToday",
    "echrtoday": "ChargeEnergyToday",
    "edischarge1_tod": "DischargeEnergyToday",
    "edischrtoday": "DischargeEnergyToday",
    "elocalload_tod": "LocalLoadEnergyToday",
    "eloadtoday": "LocalLoadEnergyToday",
}
_TOTALS = tuple(
    f"{name}_tot" for name in ("etouser", "etogrid", "edischarge1", "eharge1", "elocalload")
)  # never used as energy: they only show underflows
_DAY_KWH_MAX = 1_200.0
_MISDECODED_W = 100.0


@dataclass(frozen=True)
class GrottRecord:
    """One record.

    Attributes:
        device: Serial number as published.
        at: The record's own time in UTC, None where it has none.
        buffered: True for history; it must not be taken for the present.
        reading: State of the inverter; quantities the record lacks are None.
        underflows: Counters left out because their register went below zero.
    """

    device: str
    at: datetime | None
    buffered: bool
    reading: InverterReading
    underflows: tuple[str, ...] = ()


def resolve_local(naive: datetime, zone: ZoneInfo, near: datetime | None = None) -> datetime:
    """Return the UTC instant that a naive local time means.

    In the hour that comes twice the candidate nearest to `near` is taken (the first without it). A time in the
    hour that spring skips is read as if the clock had not been changed yet.

    Args:
        naive: Local time without a zone.
        zone: Its zone.
        near: An aware instant close to the truth, such as the time of reception.
    """
    first = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if near is None or second <= first:  # unambiguous, or skipped in spring (fold 1 is then the earlier one)
        return first
    return min((first, second), key=lambda candidate: abs(candidate - near))


def parse_record(payload: bytes, zone: ZoneInfo, near: datetime | None = None) -> GrottRecord | Rejected:
    """Read a message of topic `energy/growatt`. One impossible value rejects the whole record.

    Args:
        payload: JSON `{"device", "time", "buffered", "values"}`.
        zone: Zone of the record's naive times.
        near: Time of reception, to resolve the hour that comes twice.
    """
    data = parse_object(payload)
    if isinstance(data, Rejected):
        return data
    raw = data.get("values")
    if raw is None:
        return Rejected("missing_field", "values")
    if not isinstance(raw, dict):
        return Rejected("wrong_type", f"values = {shorten(raw)}")
    values = {str(key).strip().rstrip(":").lower(): value for key, value in raw.items()}
    if "pvstatus" not in values:
        return Rejected("missing_field", "pvstatus")
    status = number(values, "pvstatus", 0, 1_000)
    if isinstance(status, Rejected):
        return status
    at = _time_of(data, zone, near)
    if isinstance(at, Rejected):
        return at
    checked = _checked(values)
    if isinstance(checked, Rejected):
        return checked
    counters = _counters(values)
    if isinstance(counters, Rejected):
        return counters
    counters_kwh, underflows = counters
    reading = InverterReading(
        online=True,
        status=int(status),
        pv_power_w=_pv_power_w(checked),
        load_power_w=_first(checked, _LOAD),
        grid_power_w=_difference(checked, _IMPORT, _EXPORT),
        battery_power_w=_difference(checked, _DISCHARGE, _CHARGE),
        soc_pct=checked.get("soc"),
        counters_kwh=counters_kwh,
    )
    buffered = str(data.get("buffered", "no")).strip().lower() in {"yes", "true", "1"}
    return GrottRecord(str(data.get("device", ""))[:64], at, buffered, reading, underflows)


def _time_of(data: Mapping[str, Any], zone: ZoneInfo, near: datetime | None) -> datetime | Rejected | None:
    text = data.get("time")
    if text is None:
        return None
    try:
        local = datetime.fromisoformat(str(text)[:32])
        at = resolve_local(local, zone, near) if local.tzinfo is None else local.astimezone(UTC)
        at + timedelta(days=1)
    except (ValueError, OverflowError):
        return Rejected("bad_time", shorten(text))
    return at


def _checked(values: dict[str, Any]) -> dict[str, float] | Rejected:
    """Return the physical values of all known fields, or why the record cannot be true."""
    result: dict[str, float] = {}
    for field, (divisor, low, high) in _CHECKS.items():
        if field not in values:
            continue
        raw = number(values, field, low * divisor, high * divisor)
        if isinstance(raw, Rejected):
            return raw
        result[field] = raw / divisor
    frequency = result.get("pvfrequentie", result.get("pvfrequency", 0.0))
    if 0.0 < frequency < 40.0:
        return Rejected("impossible_value", f"frequency {frequency:g} Hz")
    discharge = _first(result, _DISCHARGE) or 0.0
    if result.get("soc") == 0.0 and discharge > _MISDECODED_W:
        return Rejected("impossible_value", f"SoC 0 % while discharging {discharge:g} W")
    return result


def _counters(values: dict[str, Any]) -> tuple[dict[str, float], tuple[str, ...]] | Rejected:
    result: dict[str, float] = {}
    underflows: list[str] = []
    for field in (*_COUNTERS, *_TOTALS):
        if field not in values:
            continue
        raw = number(values, field, 0, 2.0**32)
        if isinstance(raw, Rejected):
            return raw
        if raw >= _UNDERFLOW:
            underflows.append(field)
        elif field in _COUNTERS:
            if raw / _TENTHS > _DAY_KWH_MAX:
                return Rejected("impossible_value", f"{field} = {raw:g}")
            result.setdefault(_COUNTERS[field], raw / _TENTHS)
    return result, tuple(underflows)


def _first(values: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _difference(values: Mapping[str, float], plus: tuple[str, ...], minus: tuple[str, ...]) -> float | None:
    positive, negative = _first(values, plus), _first(values, minus)
    return None if positive is None and negative is None else (positive or 0.0) - (negative or 0.0)


def _pv_power_w(values: Mapping[str, float]) -> float | None:
    total = _first(values, _PV)
    if total is not None:
        return total
    strings = [values[name] for name in _PV_STRINGS if name in values]
    return sum(strings) if strings else None
