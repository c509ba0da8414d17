"""The generic dialect: scalars, JSON paths, sums over channels, partial updates."""

import json
import os
from pathlib import Path

import pytest

from pems_common.dialects.generic import FieldMapping, parse_value, read_mapped
from pems_common.dialects.result import Rejected

DATA = Path(os.environ.get("PEMS_DATA_DIR") or Path(__file__).parents[4] / "shared" / "data")


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"77", 77),
        (b" -117 ", -117),
        (b"38.3", 38.3),
        (b"21,5", 21.5),
        (b"ON", 1),
        (b"off", 0),
        (b"true", 1),
        (b"open", 1),
    ],
)
def test_scalars(payload, value):
    assert parse_value(payload) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"unavailable", "unavailable"),
        (b"unknown", "unavailable"),
        (b"Solar/Battery", "not_number"),
        (b"inf", "not_number"),
        (b"1_000", "not_number"),
        (b"\xff\xfe", "not_text"),
        (b"9" * 70_000, "too_large"),
    ],
)
def test_scalars_that_are_none(payload, reason):
    got = parse_value(payload)
    assert isinstance(got, Rejected)
    assert got.reason == reason


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", 1),
        ("list[1]", 5),
        ("list[*]", 9),
        ("objects[*].p", 3),
        ("em1:0.act_power", -1.5),
        ("flag", 1),
        ("text", 2.5),
        ("a.b[*]", 1),
    ],
)
def test_paths(path, expected):
    data = {
        "a": {"b": 1},
        "list": [4, 5],
        "objects": [{"p": 1}, {"p": 2}],
        "em1:0": {"act_power": -1.5},
        "flag": True,
        "text": "2.5",
    }
    assert parse_value(json.dumps(data).encode(), path) == expected


@pytest.mark.parametrize(
    ("payload", "path", "reason"),
    [
        (b"{}", "a", "absent"),
        (b"[]", "a", "absent"),
        (b'{"a": []}', "a[0]", "absent"),
        (b'{"a": []}', "a[*]", "absent"),
        (b'{"a": {}}', "a", "wrong_type"),
        (b'{"a": null}', "a", "wrong_type"),
        (b"{", "a", "not_json"),
        (b"", "a", "empty"),
        (b'{"a": NaN}', "a", "not_number"),
    ],
)
def test_paths_that_lead_nowhere(payload, path, reason):
    got = parse_value(payload, path)
    assert isinstance(got, Rejected)
    assert got.reason == reason


def test_huge_integers_are_impossible():
    got = parse_value(b'{"a": 1' + b"0" * 400 + b"}", "a")
    assert isinstance(got, Rejected)


def test_a_malformed_path_is_refused_early():
    with pytest.raises(ValueError, match="cannot be read"):
        FieldMapping("grid_power_w", "t", "a[x]")


def test_mapping_scales_and_checks_the_range():
    kilowatts = FieldMapping("grid_power_w", "t", "p", scale=-1000, low=-20_000, high=20_000)
    assert read_mapped(b'{"p": 1.5}', kilowatts) == -1500
    got = read_mapped(b'{"p": 50}', kilowatts)
    assert isinstance(got, Rejected)
    assert got.reason == "impossible_value"


def test_recorded_payloads():
    path = DATA / "replies" / "mqtt_payloads.jsonl"
    if not path.exists():
        pytest.skip(f"no recorded payloads at {path}")
    mappings = {
        "Tasmota, two channels": ("ENERGY.Power[*]", 57),
        "Tasmota, one channel": ("ENERGY.Power[*]", 56),
        "Shelly EM gen3": ("act_power", -1899.8),
        "Shelly gen2+": ("params.switch:1.apower", 0),
        "Shelly gen2+, energy counter only": ("params.switch:1.apower", "absent"),
        "Solar Assistant": ("", None),
        "Solar Assistant, text state": ("", "not_number"),
    }
    seen = set()
    for line in path.read_text().splitlines():
        data = json.loads(line)
        if data["from"] not in mappings:
            continue
        seen.add(data["from"])
        where, expected = mappings[data["from"]]
        payload = data["payload"] if isinstance(data["payload"], str) else json.dumps(data["payload"])
        got = parse_value(payload.encode(), where)
        if isinstance(expected, str):
            assert isinstance(got, Rejected)
            assert got.reason == expected
        else:
            assert not isinstance(got, Rejected), (data["from"], got)
            assert expected is None or got == pytest.approx(expected)
    assert seen == set(mappings)
