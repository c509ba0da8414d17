"""The Growatt SPH inverter behind OpenInverterGateway: its MQTT payloads, as described in docs/architecture.md.

Reading: `parse_state`, `parse_result`, `parse_settings`. Writing: builders that clamp, since the firmware checks
no ranges. Registers live in flash: whoever sends has to write only what changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pems_common.dialects.result import POWER_MAX_W, Rejected, number, parse_object, shorten

__all__ = [
    "Command",
    "CommandResult",
    "InverterReading",
    "ModeSettings",
    "SlotKind",
    "SlotSettings",
    "ac_charge",
    "get_settings",
    "inverter_power",
    "parse_result",
    "parse_settings",
    "parse_state",
    "power_rate",
    "set_clock",
    "stop_soc",
    "timeslot",
]

SlotKind = Literal["batteryfirst", "gridfirst"]
OFFLINE = -1
_COUNTERS = (
    "TodayGenerateEnergy",
    "EnergyToUserToday",
    "EnergyToGridToday",
    "ChargeEnergyToday",
    "DischargeEnergyToday",
    "LocalLoadEnergyToday",
)
_DAY_KWH_MAX = 1_200.0  # 50 kW for 24 h
_NOISE_W = -50.0  # a meter may read slightly below zero; such values count as zero


@dataclass(frozen=True)
class InverterReading:
    """State of the inverter. Powers are None when it is offline.

    Attributes:
        online: False for the gateway's last will (`InverterStatus` -1).
        status: The inverter's own status number.
        pv_power_w: DC power of all strings, >= 0.
        load_power_w: What the house draws, >= 0.
        grid_power_w: + = import.
        battery_power_w: + = discharge.
        soc_pct: 0..100.
        battery_temperature_c: None where not told.
        counters_kwh: Counters of the local day, by their names in the payload.
    """

    online: bool
    status: int
    pv_power_w: float | None = None
    load_power_w: float | None = None
    grid_power_w: float | None = None
    battery_power_w: float | None = None
    soc_pct: float | None = None
    battery_temperature_c: float | None = None
    counters_kwh: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandResult:
    """The inverter's answer. `data` holds whatever else the answer carries (settings that were asked for)."""

    correlation_id: str
    command: str
    success: bool
    message: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SlotSettings:
    """A timeslot: local wall-clock times HH:MM."""

    start: str
    stop: str
    enabled: bool


@dataclass(frozen=True)
class ModeSettings:
    """Settings of battery-first or grid-first mode as read back; None where not told."""

    power_rate_pct: float | None
    stop_soc_pct: float | None
    ac_charge: bool | None
    slots: tuple[SlotSettings, ...]


@dataclass(frozen=True)
class Command:
    """A command, ready to be sent.

    Attributes:
        name: Topic below the command topic, such as `batteryfirst/set/stopsoc`.
        params: Content beside the correlation id.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def topic(self, command_topic: str) -> str:
        """Full topic below the configured command topic."""
        return f"{command_topic}/{self.name}"

    def payload(self, correlation_id: str) -> str:
        """JSON with its correlation id."""
        return json.dumps({**self.params, "correlationId": correlation_id})


def parse_state(payload: bytes) -> InverterReading | Rejected:
    """Read a state message (`energy/solar`). One impossible value rejects the whole record."""
    data = parse_object(payload)
    if isinstance(data, Rejected):
        return data
    status = number(data, "InverterStatus", -1, 1_000)
    if isinstance(status, Rejected):
        return status
    if status == OFFLINE:
        return InverterReading(online=False, status=OFFLINE)
    soc = number(data, "SOC", 0, 100)
    if isinstance(soc, Rejected):
        return soc
    powers: dict[str, float] = {}
    pv_fields = ("InputPower",) if "InputPower" in data else ("PV1InputPower", "PV2InputPower")
    for name in (*pv_fields, "INVPowerToLocalLoad", "ACPowerToUser", "ACPowerToGrid", "ChargePower", "DischargePower"):
        power = number(data, name, _NOISE_W, POWER_MAX_W)
        if isinstance(power, Rejected):
            return power
        powers[name] = max(0.0, power)
    temperature: float | None = None
    if data.get("BatteryTemperature") is not None:
        read = number(data, "BatteryTemperature", -40, 90)
        if isinstance(read, Rejected):
            return read
        temperature = read
    counters: dict[str, float] = {}
    for name in _COUNTERS:
        if name not in data:
            continue
        count = number(data, name, 0, _DAY_KWH_MAX)
        if isinstance(count, Rejected):
            return count
        counters[name] = count
    return InverterReading(
        online=True,
        status=int(status),
        pv_power_w=sum(powers[name] for name in pv_fields),
        load_power_w=powers["INVPowerToLocalLoad"],
        grid_power_w=powers["ACPowerToUser"] - powers["ACPowerToGrid"],
        battery_power_w=powers["DischargePower"] - powers["ChargePower"],
        soc_pct=soc,
        battery_temperature_c=temperature,
        counters_kwh=counters,
    )


def parse_result(payload: bytes) -> CommandResult | Rejected:
    """Read an answer (`energy/solar/result`). It is retained: the caller matches the correlation id."""
    data = parse_object(payload)
    if isinstance(data, Rejected):
        return data
    correlation_id, success = data.get("correlationId"), data.get("success")
    if correlation_id is None or success is None:
        return Rejected("missing_field", "correlationId" if correlation_id is None else "success")
    if not isinstance(correlation_id, str) or not isinstance(success, bool):
        return Rejected("wrong_type", f"correlationId = {shorten(correlation_id)}, success = {shorten(success)}")
    known = {"correlationId", "command", "success", "message"}
    return CommandResult(
        correlation_id=correlation_id,
        command=str(data.get("command", ""))[:200],
        success=success,
        message=str(data.get("message", ""))[:500],
        data={key: value for key, value in data.items() if key not in known},
    )


def parse_settings(result: CommandResult) -> ModeSettings | Rejected:
    """Read the answer to `<mode>/get`: `powerRate, stopSOC, acChargeEnabled, timeSlots [{start, stop, enabled}]`.

    Upper and lower case of the names does not matter (firmware versions differ).
    """
    data = {key.lower(): value for key, value in result.data.items()}
    slots: list[SlotSettings] = []
    raw_slots = data.get("timeslots", [])
    if not isinstance(raw_slots, list):
        return Rejected("wrong_type", f"timeSlots = {shorten(raw_slots)}")
    for raw in raw_slots:
        if not isinstance(raw, dict) or not {"start", "stop", "enabled"} <= raw.keys():
            return Rejected("wrong_format", f"timeslot {shorten(raw)}")
        slots.append(SlotSettings(str(raw["start"])[:5], str(raw["stop"])[:5], bool(raw["enabled"])))
    values: dict[str, float | None] = {"powerrate": None, "stopsoc": None}
    for name in values:
        if name in data:
            value = number(data, name, 0, 100)
            if isinstance(value, Rejected):
                return value
            values[name] = value
    ac = data.get("acchargeenabled")
    return ModeSettings(values["powerrate"], values["stopsoc"], None if ac is None else bool(ac), tuple(slots))


def _percent(value: float, low: int) -> int:
    return max(low, min(100, int(value)))


def timeslot(kind: SlotKind, start: str, stop: str, *, enabled: bool) -> Command:
    """Set timeslot 1 of a mode; local HH:MM, the stop after the start (a slot must not cross midnight).

    Raises:
        ValueError: It would cross midnight.
    """
    if enabled and start >= stop:
        raise ValueError(f"timeslot {start}-{stop} would cross midnight")
    return Command(f"{kind}/set/timeslot", {"slot": 1, "start": start, "stop": stop, "enabled": enabled})


def stop_soc(kind: SlotKind, soc_pct: float) -> Command:
    """Set the SoC at which a mode stops, rounded down, 10..100 %."""
    return Command(f"{kind}/set/stopsoc", {"value": _percent(soc_pct, 10)})


def power_rate(kind: SlotKind, rate_pct: float) -> Command:
    """Set a mode's power rate, 1..100 % of the device's scale (0 is refused by the device)."""
    return Command(f"{kind}/set/powerrate", {"value": _percent(rate_pct, 1)})


def ac_charge(*, enabled: bool) -> Command:
    """Allow or forbid charging from the grid by the rate of battery-first mode."""
    return Command("batteryfirst/set/acchargeenabled", {"value": int(enabled)})


def inverter_power(*, on: bool) -> Command:
    """Switch the inverter on or off (holding register 0)."""
    return Command("modbus/set", {"id": 0, "type": "16b", "registerType": "H", "value": int(on)})


def get_settings(kind: SlotKind) -> Command:
    """Ask for a mode's settings."""
    return Command(f"{kind}/get")


def set_clock(local: datetime) -> Command:
    """Set the inverter's clock to a local time."""
    return Command("datetime/set", {"value": local.strftime("%Y-%m-%d %H:%M:%S")})
