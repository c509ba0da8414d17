"""Grott records: scaling, history, underflows, impossible ones, and local times without a zone."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pems_common.dialects.grott import GrottRecord, parse_record, resolve_local
from pems_common.dialects.result import Rejected

PRAGUE = ZoneInfo("Europe/Prague")
DATA = Path(os.environ.get("PEMS_DATA_DIR") or Path(__file__).parents[4] / "shared" / "data")


def record(values: dict[str, object], **more: object) -> bytes:
    return json.dumps(
        {"device": "X", "time": "2026-01-15T12:00:00", "buffered": "no", "values": {"pvstatus": 6, **values}, **more}
    ).encode()


def read(values: dict[str, object], **more: object) -> GrottRecord:
    parsed = parse_record(record(values, **more), PRAGUE)
    assert isinstance(parsed, GrottRecord), parsed
    return parsed


def test_scales_tenths_and_keeps_soc_in_percent():
    got = read(
        {
            "pvpowerin": 12345,
            "pactouserr": 12707,
            "pactogridr": 0,
            "plocaloadr": 12700,
            "pdischarge1": 5000,
            "p1charge1": 0,
            "SOC": 11,
            "pvfrequentie": 5000,
        }
    )
    assert got.reading.pv_power_w == pytest.approx(1234.5)
    assert got.reading.grid_power_w == pytest.approx(1270.7)
    assert got.reading.load_power_w == pytest.approx(1270.0)
    assert got.reading.battery_power_w == pytest.approx(500.0)
    assert got.reading.soc_pct == 11
    assert got.at == datetime(2026, 1, 15, 11, tzinfo=UTC)


def test_export_and_charging_are_negative():
    got = read({"pactouserr": 0, "pactogridr": 30000, "pdischarge1": 0, "p1charge1": 10000})
    assert got.reading.grid_power_w == -3000
    assert got.reading.battery_power_w == -1000


def test_strings_are_summed_where_the_total_is_missing_and_odd_keys_are_understood():
    got = read({"pv1watt": 6, "pv2watt:": 18056})
    assert got.reading.pv_power_w == pytest.approx(1806.2)
    assert got.reading.grid_power_w is None


def test_newer_layouts_names_are_understood():
    got = read({"ppv": 100, "ptousertotal": 2000, "ptogridtotal": 0, "pdischr": 0, "pchr": 700, "soc": 55})
    assert (got.reading.grid_power_w, got.reading.battery_power_w, got.reading.soc_pct) == (200, -70, 55)


def test_buffered_records_are_history():
    assert read({}, buffered="yes").buffered
    assert not read({}).buffered


def test_counters_get_one_set_of_names_and_underflows_are_left_out():
    got = read({"etouser_tod": 206, "edischarge1_tod": 101, "eharge1_tod": 4294967290, "elocalload_tot": 4294898079})
    assert got.reading.counters_kwh == {"EnergyToUserToday": 20.6, "DischargeEnergyToday": 10.1}
    assert set(got.underflows) == {"eharge1_tod", "elocalload_tot"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pactouserr": 14090246}, "impossible_value"),
        ({"SOC": 0, "pdischarge1": 4870}, "impossible_value"),
        ({"SOC": 101}, "impossible_value"),
        ({"pvpowerin": -5}, "impossible_value"),
        ({"pvpowerin": 4294967295}, "impossible_value"),
        ({"pvfrequentie": 1200}, "impossible_value"),
        ({"pvpowerin": "12"}, "wrong_type"),
        ({"pvpowerin": True}, "wrong_type"),
        ({"etouser_tod": 99999}, "impossible_value"),
        ({"pvstatus": "on"}, "wrong_type"),
    ],
)
def test_impossible_records_are_rejected_with_a_reason(values, reason):
    got = parse_record(record(values), PRAGUE)
    assert isinstance(got, Rejected)
    assert got.reason == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"{", "not_json"),
        (b"[]", "not_object"),
        (b"{}", "missing_field"),
        (b'{"values": 3}', "wrong_type"),
        (b'{"values": {}}', "missing_field"),
        (b'{"values": {"pvstatus": 1}, "time": "yesterday"}', "bad_time"),
        (b"x" * 70_000, "too_large"),
    ],
)
def test_broken_payloads_are_rejected(payload, reason):
    got = parse_record(payload, PRAGUE)
    assert isinstance(got, Rejected)
    assert got.reason == reason


def test_the_hour_that_comes_twice_is_resolved_by_the_time_of_reception():
    naive = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - as devices say it
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert resolve_local(naive, PRAGUE) == first
    assert resolve_local(naive, PRAGUE, first) == first
    assert resolve_local(naive, PRAGUE, second) == second


def test_the_hour_that_spring_skips_is_read_as_winter_time():
    naive = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - as devices say it
    assert resolve_local(naive, PRAGUE) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_recorded_payloads():
    path = DATA / "replies" / "mqtt_payloads.jsonl"
    if not path.exists():
        pytest.skip(f"no recorded payloads at {path}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    records = [line for line in lines if line["from"].startswith("Grott")]
    results = [parse_record(json.dumps(line["payload"]).encode(), PRAGUE) for line in records]
    for line, result in zip(records, results, strict=True):
        rejected = isinstance(result, Rejected)
        assert rejected == ("must be rejected" in line["from"]), (line["from"], result)
    sph = results[0]
    assert isinstance(sph, GrottRecord)
    assert sph.reading.grid_power_w == pytest.approx(1270.7)
    assert sph.reading.soc_pct == 11
    assert sph.underflows == ("elocalload_tot",)
