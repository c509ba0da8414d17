"""Intents as registers, the fewest writes, and the dead man's timeslot."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.unit.controller.controller_kit import START, small_home

from pems_common.dialects import growatt_oig as oig
from pems_controller.domain.inverter_modes import (
    InverterTarget,
    Registers,
    after,
    before,
    read_back,
    refused,
    target_of,
    writes,
)
from pems_controller.domain.state import BatteryWish

BATTERY = small_home().battery
assert BATTERY is not None
PRAGUE = ZoneInfo("Europe/Prague")


def target(intent: Any, now: datetime = START, soc: float = 57.8, **changes: Any) -> InverterTarget:
    assert BATTERY is not None
    return target_of(BATTERY, BatteryWish(intent, **changes), soc, now, PRAGUE, top_w=5_000)


def carried_out(known: Registers, wanted: InverterTarget, now=START) -> tuple[Registers, list[str]]:
    commands = writes(known, wanted, now, PRAGUE)
    for command in commands:
        known = after(before(known, command), command)
    return known, [c.name for c in commands]


def test_plan_slots_to_modes():
    assert target("self_consume").kind is None
    charge = target("charge_from_grid", power_w=4_900.0, stop_soc_pct=90)
    assert (charge.kind, charge.stop_soc_pct, charge.rate_pct, charge.ac_charge) == ("batteryfirst", 90, 50, True)
    hold = target("hold")
    assert (hold.kind, hold.stop_soc_pct, hold.rate_pct) == ("batteryfirst", 57, 51)
    sell = target("discharge_to_grid", power_w=2_450.0, stop_soc_pct=30)
    assert (sell.kind, sell.stop_soc_pct, sell.rate_pct) == ("gridfirst", 30, 25)
    assert target("export_pv").stop_soc_pct == 100
    assert target("off").inverter_on is False


def test_a_hold_never_pins_below_the_lower_limit():
    assert target("hold", soc=17.0).stop_soc_pct == 22
    assert target("hold", soc=21.0).stop_soc_pct == 22  # charges 1 % from the grid rather than drift below 20


def test_the_slot_ends_at_the_next_change_and_at_most_two_hours_ahead():
    assert target("hold").slot == ("11:55", "14:00")
    assert target("hold", until=START + timedelta(minutes=45)).slot == ("11:55", "12:45")
    assert target("hold", now=START + timedelta(minutes=7), until=START + timedelta(hours=9)).slot == ("12:02", "14:00")


def test_the_slot_never_crosses_midnight():
    late = START + timedelta(hours=11, minutes=30)  # 23:30
    assert target("hold", now=late).slot == ("23:25", "23:59")
    early = START + timedelta(hours=12, minutes=2)  # 00:02
    assert target("hold", now=early).slot == ("00:00", "02:00")


@pytest.mark.parametrize("day", [(2026, 3, 28, 22), (2026, 10, 24, 22), (2026, 1, 14, 22)])
@pytest.mark.parametrize("ahead", [None, 1, 20, 300])
def test_slots_hold_now_and_are_ordered_in_every_hour_of_the_year(day, ahead):
    for minute in range(0, 26 * 60, 7):
        now = datetime(*day, tzinfo=UTC) + timedelta(minutes=minute)
        until = None if ahead is None else now + timedelta(minutes=ahead)
        start, stop = target("hold", now=now, until=until).slot
        local = now.astimezone(PRAGUE).strftime("%H:%M")
        assert start < stop
        assert start <= local
        assert local < stop or local == "23:59"
        length = int(stop[:2]) * 60 + int(stop[3:]) - int(local[:2]) * 60 - int(local[3:])
        # Over the change to summer time the digits are an hour further apart than the time.
        assert length <= (180 if day[1] == 3 else 120)


def test_the_other_slot_is_disabled_first_and_the_own_enabled_last():
    known, names = carried_out(Registers(), target("charge_from_grid", power_w=4_900.0))
    assert names == [
        "gridfirst/set/timeslot",
        "batteryfirst/set/stopsoc",
        "batteryfirst/set/powerrate",
        "batteryfirst/set/acchargeenabled",
        "batteryfirst/set/timeslot",
    ]
    known, names = carried_out(known, target("export_pv"))
    assert names[0] == "batteryfirst/set/timeslot"
    assert names[-1] == "gridfirst/set/timeslot"
    known, names = carried_out(known, target("self_consume"))
    assert names == ["gridfirst/set/timeslot"]
    assert carried_out(known, target("self_consume"))[1] == []


def test_only_what_changed_is_written():
    known, _ = carried_out(Registers(), target("hold", soc=57.8))
    assert carried_out(known, target("hold", soc=57.2))[1] == []
    assert carried_out(known, target("hold", soc=59.0))[1] == []
    assert carried_out(known, target("hold", soc=60.0))[1] == ["batteryfirst/set/stopsoc"]
    assert carried_out(known, target("hold", soc=56.9))[1] == ["batteryfirst/set/stopsoc"]  # would charge from the grid
    charge = target("charge_from_grid", soc=57.0, power_w=4_000.0, stop_soc_pct=58)
    known, names = carried_out(known, charge)
    assert names == ["batteryfirst/set/powerrate", "batteryfirst/set/acchargeenabled"]
    assert carried_out(known, target("hold", soc=58.0))[1] == []  # a lower rate serves a hold as well


def test_a_lower_limit_is_never_left_at_a_higher_value():
    known, _ = carried_out(Registers(), target("charge_from_grid", power_w=5_000.0, stop_soc_pct=90))
    less = target("charge_from_grid", power_w=4_900.0, stop_soc_pct=89)
    assert carried_out(known, less)[1] == ["batteryfirst/set/stopsoc", "batteryfirst/set/powerrate"]


def test_the_slot_is_renewed_before_it_ends_and_shortened_when_the_plan_changes_earlier():
    known, _ = carried_out(Registers(), target("hold"))  # until 14:00
    for minutes, expected in [(30, []), (99, []), (101, ["batteryfirst/set/timeslot"])]:
        now = START + timedelta(minutes=minutes)
        assert carried_out(known, target("hold", now=now), now)[1] == expected
    sooner = target("hold", until=START + timedelta(minutes=30))
    assert carried_out(known, sooner)[1] == ["batteryfirst/set/timeslot"]
    assert carried_out(known, target("hold", until=START + timedelta(hours=2)))[1] == []


def test_in_the_last_minute_of_the_day_nothing_is_written():
    now = START + timedelta(hours=11, minutes=59)
    known, _ = carried_out(Registers(), target("self_consume"))
    assert writes(known, target("hold", now=now), now, PRAGUE) == []


def test_registers_with_a_command_under_way_are_in_doubt():
    command = oig.stop_soc("batteryfirst", 57)
    known, _ = carried_out(Registers(), target("hold"))
    doubtful = before(known, command)
    assert doubtful.sure("batteryfirst_stop_pct") is None
    assert refused(doubtful, command) == known
    assert "batteryfirst/set/stopsoc" in carried_out(doubtful, target("hold"))[1]


def test_power_and_export_are_touched_only_when_pems_changed_them():
    assert "modbus/set" not in carried_out(Registers(), target("self_consume"))[1]
    known, names = carried_out(Registers(), target("off"))
    assert "modbus/set" in names
    assert carried_out(known, target("self_consume"))[1] == ["modbus/set"]
    in_doubt = before(Registers(), oig.inverter_power(on=False))
    assert "modbus/set" in carried_out(in_doubt, target("self_consume"))[1]
    known, names = carried_out(known, target("self_consume", export=False))
    assert "export/disable" in names
    assert carried_out(known, target("self_consume"))[1] == ["export/enable"]


def test_registers_survive_the_store():
    known, _ = carried_out(Registers(), target("charge_from_grid", power_w=3_000.0))
    known = before(known, oig.ac_charge(enabled=False))
    assert Registers.from_json({**known.to_json(), "unknown": 1}) == known


def test_what_is_read_back_is_believed():
    settings = oig.ModeSettings(33, 44, True, (oig.SlotSettings("01:00", "02:00", True),))
    known = read_back(before(Registers(), oig.stop_soc("batteryfirst", 1)), "batteryfirst", settings)
    assert (known.sure("batteryfirst_stop_pct"), known.batteryfirst_rate_pct, known.ac_charge) == (44, 33, True)
    assert "batteryfirst/set/timeslot" in carried_out(known, target("self_consume"))[1]
    assert read_back(known, "gridfirst", oig.ModeSettings(None, None, None, ())) == known
