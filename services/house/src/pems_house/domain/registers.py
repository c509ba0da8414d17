"""The inverter's registers and its own clock, and the commands of the OpenInverterGateway that write them.

Written from docs/architecture.md (the dialect of the first house), independently of `pems_common.dialects`, so that
tests of one against the other mean something. The firmware checks no ranges; it refuses only what is said here.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Answer", "ModeRegisters", "Registers", "Slot"]

_SLOTS = 3
_OTHER = {"batteryfirst": "gridfirst", "gridfirst": "batteryfirst"}
_PAYLOAD_MAX = 4096


@dataclass
class Slot:
    """A timeslot in minutes after local midnight, half-open. One whose start is not before its stop never holds."""

    start_min: int = 0
    stop_min: int = 0
    enabled: bool = False

    def holds(self, minute: int) -> bool:
        """Tell whether it is enabled and the minute lies inside."""
        return self.enabled and self.start_min <= minute < self.stop_min

    def shown(self, number: int) -> dict[str, Any]:
        """As `<mode>/get` tells it."""
        return {"slot": number, "start": _hh_mm(self.start_min), "stop": _hh_mm(self.stop_min), "enabled": self.enabled}


@dataclass
class ModeRegisters:
    """Registers of one priority."""

    power_rate_pct: float = 100.0
    stop_soc_pct: float = 100.0
    slots: list[Slot] = field(default_factory=lambda: [Slot() for _ in range(_SLOTS)])

    def active(self, minute: int) -> bool:
        """Tell whether one of its slots holds."""
        return any(slot.holds(minute) for slot in self.slots)

    @property
    def any_enabled(self) -> bool:
        """Whether one of its slots is enabled."""
        return any(slot.enabled for slot in self.slots)


@dataclass(frozen=True)
class Answer:
    """What goes to the result topic."""

    correlation_id: str | None
    command: str
    success: bool
    message: str
    data: dict[str, Any] = field(default_factory=dict)

    def payload(self) -> str:
        """JSON."""
        return json.dumps(
            {
                **self.data,
                "correlationId": self.correlation_id,
                "command": self.command,
                "success": self.success,
                "message": self.message,
            }
        )


class _RefusedError(Exception):
    """The device answers with a NAK; the text is its message."""


class Registers:
    """All that a command can change. Times of slots are read on the inverter's own clock."""

    def __init__(self, drift_s_day: float = 0.0) -> None:
        """Start with factory settings: load first, export allowed, on.

        Args:
            drift_s_day: How much the clock gains a day.
        """
        self.batteryfirst = ModeRegisters()
        self.gridfirst = ModeRegisters(stop_soc_pct=10.0)
        self.loadfirst = ModeRegisters(stop_soc_pct=10.0)
        self.ac_charge = False
        self.export_enabled = True
        self.inverter_on = True
        self.clock_offset_s = 0.0
        self.fault_offset_s = 0.0
        self.writes = 0
        self.writes_unchanged = 0
        self._drift_s_day = drift_s_day
        self._drift_since: datetime | None = None

    def clock(self, local: datetime) -> datetime:
        """Return what the inverter's clock shows at a local wall-clock time (naive)."""
        naive = local.replace(tzinfo=None)
        if self._drift_since is None:
            self._drift_since = naive
        days = (naive - self._drift_since) / timedelta(days=1)
        return naive + timedelta(seconds=self.clock_offset_s + self.fault_offset_s + days * self._drift_s_day)

    def priority(self, local: datetime) -> str:
        """Return `batteryfirst`, `gridfirst` or `loadfirst`."""
        shown = self.clock(local)
        minute = shown.hour * 60 + shown.minute
        if self.batteryfirst.active(minute):
            return "batteryfirst"
        if self.gridfirst.active(minute):
            return "gridfirst"
        return "loadfirst"

    def handle(self, command: str, payload: bytes, local: datetime, *, refuse: bool = False) -> Answer:
        """Carry out a command and answer.

        Args:
            command: Topic below the command topic, such as `batteryfirst/set/stopsoc`.
            payload: JSON with a `correlationId`.
            local: Local wall-clock time.
            refuse: Answer everything with a NAK (a fault).
        """
        correlation_id: str | None = None
        try:
            params = _parse(payload)
            given = params.get("correlationId")
            correlation_id = given if isinstance(given, str) else None
            if refuse:
                raise _RefusedError("modbus error: no answer from the inverter")
            data = self._carry_out(command, params, local)
        except _RefusedError as refusal:
            return Answer(correlation_id, command, False, str(refusal))
        return Answer(correlation_id, command, True, "success", data)

    def _carry_out(self, command: str, params: dict[str, Any], local: datetime) -> dict[str, Any]:
        match command.split("/"):
            case ["batteryfirst" | "gridfirst" as mode, "get"]:
                return self._settings(mode)
            case ["batteryfirst" | "gridfirst" as mode, "set", "timeslot"]:
                self._set_slot(mode, params)
            case ["batteryfirst" | "gridfirst" | "loadfirst" as mode, "set", "stopsoc"]:
                self._set_number(mode, "stop_soc_pct", params)
            case ["batteryfirst" | "gridfirst" as mode, "set", "powerrate"]:
                if _number(params) < 1:
                    raise _RefusedError("power rate must be at least 1")
                self._set_number(mode, "power_rate_pct", params)
            case ["batteryfirst", "set", "acchargeenabled"]:
                self.ac_charge = self._written(self.ac_charge, _number(params) != 0)
            case ["export", "enable" | "disable" as what]:
                self.export_enabled = self._written(self.export_enabled, what == "enable")
            case ["modbus", "set"]:
                self._modbus(params)
            case ["datetime", "set"]:
                self._set_clock(params, local)
            case _:
                raise _RefusedError(f"unknown command {command[:100]}")
        return {}

    def _settings(self, mode: str) -> dict[str, Any]:
        registers: ModeRegisters = getattr(self, mode)
        data: dict[str, Any] = {
            "powerRate": registers.power_rate_pct,
            "stopSOC": registers.stop_soc_pct,
            "timeSlots": [slot.shown(i + 1) for i, slot in enumerate(registers.slots)],
        }
        if mode == "batteryfirst":
            data["acChargeEnabled"] = self.ac_charge
        return data

    def _written(self, old: Any, new: Any) -> Any:
        """Count a write to flash, also of a value that was there before."""
        self.writes += 1
        self.writes_unchanged += int(old == new)
        return new

    def _set_number(self, mode: str, name: str, params: dict[str, Any]) -> None:
        registers = getattr(self, mode)
        setattr(registers, name, self._written(getattr(registers, name), _number(params)))

    def _set_slot(self, mode: str, params: dict[str, Any]) -> None:
        number = params.get("slot", 1)
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= _SLOTS:
            raise _RefusedError(f"slot must be 1 to {_SLOTS}")
        enabled = params.get("enabled")
        if not isinstance(enabled, bool):
            raise _RefusedError("enabled must be true or false")
        if enabled and getattr(self, _OTHER[mode]).any_enabled:
            raise _RefusedError(f"{_OTHER[mode]} has a timeslot enabled: disable it first")
        slot = Slot(_minutes(params.get("start")), _minutes(params.get("stop")), enabled)
        slots = getattr(self, mode).slots
        slots[number - 1] = self._written(slots[number - 1], slot)

    def _modbus(self, params: dict[str, Any]) -> None:
        if params.get("registerType") != "H" or params.get("type") != "16b":
            raise _RefusedError("only 16b holding registers can be written")
        if params.get("id") != 0:
            raise _RefusedError(f"register {str(params.get('id'))[:20]} cannot be written")
        self.inverter_on = self._written(self.inverter_on, _number(params) != 0)

    def _set_clock(self, params: dict[str, Any], local: datetime) -> None:
        try:
            wanted = datetime.strptime(str(params.get("value")), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - local, naive
        except ValueError:
            raise _RefusedError("write YYYY-MM-DD HH:MM:SS") from None
        naive = local.replace(tzinfo=None)
        self.clock_offset_s = (wanted - naive).total_seconds() - self.fault_offset_s
        self._drift_since = naive


def _parse(payload: bytes) -> dict[str, Any]:
    if not payload.strip():
        return {}
    if len(payload) > _PAYLOAD_MAX:
        raise _RefusedError("message too long")
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        raise _RefusedError("not JSON") from None
    if not isinstance(data, dict):
        raise _RefusedError("not a JSON object")
    return data


def _number(params: dict[str, Any]) -> float:
    value = params.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not -65_535 <= value <= 65_535:
        raise _RefusedError("value must be a number")
    return value


def _minutes(text: Any) -> int:
    try:
        hour, minute = (int(part) for part in str(text).split(":"))
    except ValueError:
        raise _RefusedError("times are HH:MM") from None
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise _RefusedError("times are 00:00 to 23:59")
    return hour * 60 + minute


def _hh_mm(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
