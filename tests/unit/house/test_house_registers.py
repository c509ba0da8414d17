"""The inverter's command dialect, from the device's side."""

import json
from datetime import datetime
from typing import Any

import pytest

from pems_house.domain.registers import Answer, Registers

NOON = datetime(2026, 1, 13, 12, 0)  # noqa: DTZ001 - local, as the inverter's clock


def send(registers: Registers, command: str, at: datetime = NOON, **params: Any) -> Answer:
    return registers.handle(command, json.dumps({"correlationId": "c1", **params}).encode(), at)


def slot(registers: Registers, kind: str, start: str, stop: str, enabled: bool = True, number: int = 1) -> Answer:
    return send(registers, f"{kind}/set/timeslot", slot=number, start=start, stop=stop, enabled=enabled)


def test_load_first_rules_without_a_timeslot() -> None:
    assert Registers().priority(NOON) == "loadfirst"


def test_a_timeslot_holds_half_open_on_the_inverters_own_clock() -> None:
    registers = Registers()
    assert slot(registers, "batteryfirst", "11:00", "12:01").success
    assert registers.priority(NOON) == "batteryfirst"
    assert registers.priority(NOON.replace(minute=1)) == "loadfirst"
    registers.clock_offset_s = -3700.0
    assert registers.priority(NOON) == "loadfirst"


def test_the_other_timeslot_is_refused_until_the_first_is_disabled() -> None:
    registers = Registers()
    assert slot(registers, "batteryfirst", "01:00", "02:00").success
    refused = slot(registers, "gridfirst", "03:00", "04:00")
    assert not refused.success
    assert "batteryfirst" in refused.message
    assert slot(registers, "gridfirst", "03:00", "04:00", enabled=False).success
    assert slot(registers, "batteryfirst", "01:00", "02:00", enabled=False).success
    assert slot(registers, "gridfirst", "03:00", "04:00").success


def test_a_timeslot_across_midnight_is_taken_and_never_holds() -> None:
    registers = Registers()
    assert slot(registers, "gridfirst", "23:00", "01:00").success
    assert registers.priority(NOON.replace(hour=23, minute=30)) == "loadfirst"
    assert registers.priority(NOON.replace(hour=0, minute=30)) == "loadfirst"


@pytest.mark.parametrize("kind", ["batteryfirst", "gridfirst"])
def test_a_power_rate_of_zero_is_refused_and_one_is_the_least(kind: str) -> None:
    registers = Registers()
    assert not send(registers, f"{kind}/set/powerrate", value=0).success
    assert send(registers, f"{kind}/set/powerrate", value=1).success
    assert getattr(registers, kind).power_rate_pct == 1


def test_the_firmware_checks_no_ranges() -> None:
    registers = Registers()
    assert send(registers, "batteryfirst/set/powerrate", value=400).success
    assert send(registers, "gridfirst/set/stopsoc", value=-5).success


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("batteryfirst/set/timeslot", {"slot": 4, "start": "01:00", "stop": "02:00", "enabled": True}),
        ("batteryfirst/set/timeslot", {"slot": 1, "start": "25:00", "stop": "02:00", "enabled": True}),
        ("batteryfirst/set/timeslot", {"slot": 1, "start": "01:00", "stop": "02:00", "enabled": "yes"}),
        ("batteryfirst/set/timeslot", {"slot": 1, "start": None, "stop": "02:00", "enabled": True}),
        ("batteryfirst/set/stopsoc", {"value": "high"}),
        ("batteryfirst/set/stopsoc", {}),
        ("loadfirst/set/powerrate", {"value": 50}),
        ("modbus/set", {"id": 7, "type": "16b", "registerType": "H", "value": 1}),
        ("modbus/set", {"id": 0, "type": "32b", "registerType": "H", "value": 1}),
        ("datetime/set", {"value": "yesterday"}),
        ("make/coffee", {}),
    ],
)
def test_nonsense_is_refused_without_a_write(command: str, params: dict[str, Any]) -> None:
    registers = Registers()
    answer = send(registers, command, **params)
    assert (answer.success, answer.correlation_id) == (False, "c1")
    assert registers.writes == 0


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"\xff\xfe", b"7", b"[" * 5000])
def test_any_bytes_are_answered(payload: bytes) -> None:
    assert not Registers().handle("batteryfirst/set/stopsoc", payload, NOON).success


def test_writes_to_flash_are_counted_also_useless_ones() -> None:
    registers = Registers()
    for value in (80, 80, 70):
        send(registers, "batteryfirst/set/stopsoc", value=value)
    assert (registers.writes, registers.writes_unchanged) == (3, 1)
    send(registers, "batteryfirst/get")
    assert registers.writes == 3


def test_export_register_zero_and_ac_charge() -> None:
    registers = Registers()
    send(registers, "export/disable")
    send(registers, "modbus/set", id=0, type="16b", registerType="H", value=0)
    send(registers, "batteryfirst/set/acchargeenabled", value=1)
    assert (registers.export_enabled, registers.inverter_on, registers.ac_charge) == (False, False, True)
    send(registers, "export/enable")
    assert registers.export_enabled


def test_setting_the_clock_mends_offset_and_drift() -> None:
    registers = Registers(drift_s_day=86_400.0)
    registers.clock(NOON)
    later = NOON.replace(hour=18)
    assert (registers.clock(later) - later).total_seconds() == pytest.approx(6 * 3600)
    assert send(registers, "datetime/set", at=later, value=later.strftime("%Y-%m-%d %H:%M:%S")).success
    assert registers.clock(later) == later


def test_read_back_tells_all_settings() -> None:
    registers = Registers()
    slot(registers, "batteryfirst", "01:00", "05:30")
    send(registers, "batteryfirst/set/powerrate", value=57)
    told = json.loads(send(registers, "batteryfirst/get").payload())
    assert told["powerRate"] == 57
    assert told["timeSlots"][0] == {"slot": 1, "start": "01:00", "stop": "05:30", "enabled": True}
    assert told["acChargeEnabled"] is False
    assert told["success"] is True
    assert "acChargeEnabled" not in json.loads(send(registers, "gridfirst/get").payload())
