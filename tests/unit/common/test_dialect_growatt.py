"""The Growatt dialect, on payloads written by hand from the description of the first house."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pems_common.dialects import growatt_oig as oig
from pems_common.dialects.result import MAX_BYTES, Rejected

STATE = {
    "InverterStatus": 6,
    "InputPower": 3200.5,
    "PV1InputPower": 1700.5,
    "PV2InputPower": 1500,
    "OutputPower": 3100,
    "SOC": 57,
    "ChargePower": 1200,
    "DischargePower": 0,
    "ACPowerToUser": 0,
    "ACPowerToGrid": 650.0,
    "INVPowerToLocalLoad": 1250,
    "BatteryTemperature": 21.5,
    "BatteryState": 1,
    "TodayGenerateEnergy": 12.3,
    "EnergyToUserToday": 4.4,
    "EnergyToGridToday": 2.2,
    "ChargeEnergyToday": 5.1,
    "DischargeEnergyToday": 3.3,
    "LocalLoadEnergyToday": 11.0,
}


def state(**changes: object) -> bytes:
    return json.dumps({**STATE, **changes}).encode()


def without(*names: str) -> bytes:
    return json.dumps({k: v for k, v in STATE.items() if k not in names}).encode()


def test_a_state_is_read_with_pems_signs():
    reading = oig.parse_state(state())
    assert isinstance(reading, oig.InverterReading)
    assert reading.online
    assert reading.pv_power_w == 3200.5
    assert reading.load_power_w == 1250
    assert reading.grid_power_w == -650
    assert reading.battery_power_w == -1200
    assert reading.soc_pct == 57
    assert reading.battery_temperature_c == 21.5
    assert reading.counters_kwh["DischargeEnergyToday"] == 3.3


def test_import_and_discharge_are_positive():
    reading = oig.parse_state(state(ACPowerToUser=400, ACPowerToGrid=0, ChargePower=0, DischargePower=900))
    assert isinstance(reading, oig.InverterReading)
    assert (reading.grid_power_w, reading.battery_power_w) == (400, 900)


def test_the_strings_stand_in_for_a_missing_sum():
    reading = oig.parse_state(without("InputPower"))
    assert isinstance(reading, oig.InverterReading)
    assert reading.pv_power_w == 3200.5


def test_the_last_will_is_offline_not_an_error():
    reading = oig.parse_state(b'{"InverterStatus": -1}')
    assert reading == oig.InverterReading(online=False, status=-1)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "not_json"),
        (b"{", "not_json"),
        (b"[" * 50_000, "not_json"),
        (b'"' + b"x" * MAX_BYTES + b'"', "too_large"),
        (b"[1, 2]", "not_object"),
        (b"null", "not_object"),
        (b"{}", "missing_field"),
        (without("SOC"), "missing_field"),
        (without("ACPowerToGrid"), "missing_field"),
        (state(SOC="57"), "wrong_type"),
        (state(SOC=True), "wrong_type"),
        (state(SOC=101), "impossible_value"),
        (state(SOC=-1), "impossible_value"),
        (state(ACPowerToUser=1_409_024), "impossible_value"),
        (state(ACPowerToUser=10**400), "impossible_value"),
        (state(ChargePower=float("nan")), "impossible_value"),
        (state(DischargePower=float("inf")), "impossible_value"),
        (state(BatteryTemperature=-100), "impossible_value"),
        (state(LocalLoadEnergyToday=4_294_898_07.9), "impossible_value"),
        (state(InverterStatus=None), "wrong_type"),
    ],
)
def test_what_cannot_be_is_rejected_with_its_reason(payload: bytes, reason: str):
    rejected = oig.parse_state(payload)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert len(rejected.detail) < 200


@given(st.binary(max_size=300))
def test_no_bytes_raise(payload: bytes):
    assert isinstance(oig.parse_state(payload), oig.InverterReading | Rejected)
    assert isinstance(oig.parse_result(payload), oig.CommandResult | Rejected)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(STATE)), ANYTHING)
def test_no_value_in_any_field_raises(name: str, value: object):
    reading = oig.parse_state(state(**{name: value}))
    if isinstance(reading, oig.InverterReading) and reading.online:
        assert reading.soc_pct is not None
        assert 0 <= reading.soc_pct <= 100


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_settings_raise(slots: object, rate: object, ac: object):
    answer = {"correlationId": "a", "success": True, "timeSlots": slots, "powerRate": rate, "acChargeEnabled": ac}
    result = oig.parse_result(json.dumps(answer).encode())
    assert isinstance(result, oig.CommandResult)
    assert isinstance(oig.parse_settings(result), oig.ModeSettings | Rejected)


def test_an_answer_is_read():
    payload = b'{"correlationId":"x1","command":"batteryfirst/set/stopsoc","success":false,"message":"range"}'
    assert oig.parse_result(payload) == oig.CommandResult("x1", "batteryfirst/set/stopsoc", False, "range")


def test_an_answer_without_its_id_is_rejected():
    assert oig.parse_result(b'{"command":"a","success":true}') == Rejected("missing_field", "correlationId")


def test_settings_are_read_back_whatever_the_case_of_their_names():
    answer = {
        "correlationId": "x",
        "command": "batteryfirst/get",
        "success": True,
        "message": "",
        "powerRate": 57,
        "stopSoc": 90,
        "acChargeEnabled": 1,
        "timeSlots": [{"start": "01:00", "stop": "05:00", "enabled": True}],
    }
    result = oig.parse_result(json.dumps(answer).encode())
    assert isinstance(result, oig.CommandResult)
    assert oig.parse_settings(result) == oig.ModeSettings(57, 90, True, (oig.SlotSettings("01:00", "05:00", True),))


def test_commands_are_what_the_gateway_understands():
    command = oig.timeslot("batteryfirst", "01:00", "05:00", enabled=True)
    assert command.topic("energy/solar/command") == "energy/solar/command/batteryfirst/set/timeslot"
    assert json.loads(command.payload("id-1")) == {
        "slot": 1,
        "start": "01:00",
        "stop": "05:00",
        "enabled": True,
        "correlationId": "id-1",
    }
    assert json.loads(oig.inverter_power(on=True).payload("i")) == {
        "id": 0,
        "type": "16b",
        "registerType": "H",
        "value": 1,
        "correlationId": "i",
    }
    assert oig.ac_charge(enabled=True).params == {"value": 1}
    assert oig.set_clock(datetime(2026, 1, 2, 3, 4, 5)).params == {"value": "2026-01-02 03:04:05"}  # noqa: DTZ001
    assert oig.get_settings("gridfirst").name == "gridfirst/get"


def test_builders_clamp_because_the_firmware_does_not():
    assert oig.power_rate("batteryfirst", 0).params == {"value": 1}
    assert oig.power_rate("gridfirst", 400).params == {"value": 100}
    assert oig.stop_soc("batteryfirst", 57.9).params == {"value": 57}
    assert oig.stop_soc("gridfirst", 1).params == {"value": 10}
    with pytest.raises(ValueError, match="midnight"):
        oig.timeslot("gridfirst", "23:00", "01:00", enabled=True)
