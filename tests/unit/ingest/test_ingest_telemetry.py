"""Readings become telemetry: ranges, outliers, ages, stuck values, balance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pems_common.dialects.growatt_oig import InverterReading
from pems_common.dialects.result import Rejected
from pems_ingest.domain.telemetry import Accepted, TelemetryAssembler

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ROOM = "room.obyvak.temperature_c"


@pytest.fixture
def assembler() -> TelemetryAssembler:
    return TelemetryAssembler(["obyvak", "kuchyne"], has_ev=True, has_water=True)


def inverter(**values: Any) -> InverterReading:
    defaults: dict[str, Any] = {
        "pv_power_w": 1000.0,
        "load_power_w": 1500.0,
        "grid_power_w": 200.0,
        "battery_power_w": 300.0,
    }
    return replace(InverterReading(online=True, status=1, soc_pct=50.0), **{**defaults, **values})


def test_nothing_known_is_missing_not_zero(assembler):
    got = assembler.telemetry(NOW)
    assert got.pv_power_w is None
    assert got.rooms["obyvak"].temperature_c is None
    assert got.quality[ROOM].flag == "missing"
    assert not got.inverter_online
    assert got.ev is None


def test_an_inverter_reading_fills_its_fields(assembler):
    assembler.inverter(inverter(), NOW)
    got = assembler.telemetry(NOW + timedelta(seconds=5))
    assert (got.pv_power_w, got.load_power_w, got.grid_power_w, got.battery_power_w) == (1000, 1500, 200, 300)
    assert got.battery_soc_pct == 50
    assert got.inverter_online
    assert got.inverter_mode == "normal"
    assert got.quality["pv_power_w"].age_s == 5
    assert got.quality["pv_power_w"].score == 1


def test_ages_count_house_time_and_quality_fades(assembler):
    assembler.offer(ROOM, 21.0, NOW)
    flags = []
    for minutes in (10, 20, 40, 50):
        got = assembler.telemetry(NOW + timedelta(minutes=minutes))
        flags.append((got.quality[ROOM].flag, got.rooms["obyvak"].temperature_c))
    assert flags == [("ok", 21.0), ("stale", 21.0), ("stale", 21.0), ("missing", None)]
    scores = [assembler.telemetry(NOW + timedelta(minutes=m)).quality[ROOM].score for m in (10, 20, 30, 40)]
    assert scores == sorted(scores, reverse=True)


def test_a_silent_inverter_is_not_online(assembler):
    assembler.inverter(inverter(), NOW)
    assert not assembler.telemetry(NOW + timedelta(seconds=121)).inverter_online


def test_offline_ends_the_powers_at_once(assembler):
    assembler.inverter(inverter(), NOW)
    assembler.inverter(InverterReading(online=False, status=-1), NOW + timedelta(seconds=5))
    got = assembler.telemetry(NOW + timedelta(seconds=6))
    assert got.pv_power_w is None
    assert not got.inverter_online
    assert got.battery_soc_pct == 50


def test_retained_readings_fill_but_are_never_fresh(assembler):
    assert assembler.offer(ROOM, 19.0, NOW, retained=True) == Accepted(ROOM, 19.0, fresh=False)
    got = assembler.telemetry(NOW)
    assert got.rooms["obyvak"].temperature_c == 19.0
    assert got.quality[ROOM].flag == "stale"
    assert got.quality[ROOM].age_s > 900
    assembler.offer(ROOM, 21.0, NOW)
    assembler.offer(ROOM, 15.0, NOW, retained=True)
    assert assembler.telemetry(NOW).rooms["obyvak"].temperature_c == 21.0


@pytest.mark.parametrize("value", [-50.0, 200.0, float("nan"), float("inf")])
def test_impossible_values_are_rejected(assembler, value):
    got = assembler.offer(ROOM, value, NOW)
    assert isinstance(got, Rejected)
    assert got.reason == "impossible_value"


@pytest.mark.parametrize("field", ["room.attic.temperature_c", "nonsense", "room..relay_on"])
def test_unknown_fields_are_rejected(assembler, field):
    got = assembler.offer(field, 1.0, NOW)
    assert isinstance(got, Rejected)
    assert got.reason == "unknown_field"


def test_a_jump_needs_a_second_reading(assembler):
    assembler.offer(ROOM, 21.0, NOW)
    got = assembler.offer(ROOM, 35.0, NOW + timedelta(minutes=1))
    assert isinstance(got, Rejected)
    assert got.reason == "outlier"
    assert assembler.telemetry(NOW + timedelta(minutes=1)).quality[ROOM].flag == "outlier"
    assert isinstance(assembler.offer(ROOM, 21.1, NOW + timedelta(minutes=2)), Accepted)
    assert assembler.telemetry(NOW + timedelta(minutes=2)).quality[ROOM].flag == "ok"
    assert isinstance(assembler.offer(ROOM, 30.0, NOW + timedelta(minutes=3)), Rejected)
    assert isinstance(assembler.offer(ROOM, 30.2, NOW + timedelta(minutes=4)), Accepted)


def test_a_jump_after_a_long_silence_is_believed(assembler):
    assembler.offer(ROOM, 21.0, NOW)
    assert isinstance(assembler.offer(ROOM, 12.0, NOW + timedelta(hours=3)), Accepted)


def test_a_relay_is_zero_or_one(assembler):
    assert isinstance(assembler.offer("room.obyvak.relay_on", 0.5, NOW), Rejected)
    assembler.offer("room.obyvak.relay_on", 1.0, NOW)
    assert assembler.telemetry(NOW).rooms["obyvak"].relay_on is True


def test_a_temperature_that_never_changes_is_stuck(assembler):
    for i in range(0, 25 * 60, 5):
        assembler.offer(ROOM, 21.0, NOW + timedelta(minutes=i))
    assert assembler.telemetry(NOW + timedelta(hours=25)).quality[ROOM].flag == "stuck"


def test_a_frozen_inverter_is_stuck_but_a_dark_idle_one_is_not(assembler):
    for i in range(0, 2000, 5):
        assembler.inverter(inverter(), NOW + timedelta(seconds=i))
    assert assembler.telemetry(NOW + timedelta(seconds=2000)).quality["pv_power_w"].flag == "stuck"
    still = TelemetryAssembler(["obyvak"], has_ev=False, has_water=False)
    zero = inverter(pv_power_w=0.0, load_power_w=0.0, grid_power_w=0.0, battery_power_w=0.0)
    for i in range(0, 2000, 5):
        still.inverter(zero, NOW + timedelta(seconds=i))
    assert still.telemetry(NOW + timedelta(seconds=2000)).quality["pv_power_w"].flag == "ok"


def test_load_is_computed_where_nobody_measures_it(assembler):
    reading = InverterReading(online=True, status=1, pv_power_w=2000.0, grid_power_w=-500.0, battery_power_w=-300.0)
    assembler.inverter(reading, NOW)
    got = assembler.telemetry(NOW + timedelta(seconds=3))
    assert got.load_power_w == 1200
    assert got.quality["load_power_w"].flag == "ok"
    assert not assembler.measures("load_power_w")


def test_a_load_that_breaks_the_balance_is_doubted(assembler):
    assembler.inverter(inverter(load_power_w=9000.0), NOW)
    got = assembler.telemetry(NOW)
    assert got.load_power_w == 9000
    assert got.quality["load_power_w"].flag == "outlier"


def test_car_and_water(assembler):
    assembler.offer("ev.connected", 1.0, NOW)
    assembler.offer("ev.power_w", 7000.0, NOW)
    assembler.offer("water.power_w", 800.0, NOW)
    got = assembler.telemetry(NOW)
    assert got.ev is not None
    assert got.ev.connected
    assert got.ev.power_w == 7000
    assert got.water is not None
    assert got.water.power_w == 800
