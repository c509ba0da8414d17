"""The Loxone dialect, on lines written by hand from the description of the first house."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pems_common.dialects.loxone import LoxoneReading, format_bit, in_range, parse_scalar, parse_udp_line
from pems_common.dialects.result import Rejected

PRAGUE = ZoneInfo("Europe/Prague")


def test_a_full_line_is_read_in_local_time():
    line = "2026-11-22 12:00:00;temperature;21.4;obyvak;temperature;_;_"
    expected = LoxoneReading(datetime(2026, 11, 22, 11, tzinfo=UTC), "temperature", 21.4, "obyvak", "temperature")
    assert parse_udp_line(line, PRAGUE) == expected


def test_a_relay_line_has_its_tag():
    reading = parse_udp_line("2026-07-22 12:00:00;obyvak;1;obyvak;relay;heating;_\r\n", PRAGUE)
    assert isinstance(reading, LoxoneReading)
    assert (reading.value, reading.tag1, reading.tag2) == (1, "heating", "")
    assert reading.at == datetime(2026, 7, 22, 10, tzinfo=UTC)


def test_the_last_four_are_optional():
    reading = parse_udp_line("2026-11-22 12:00:00;wind_speed;3", PRAGUE)
    assert isinstance(reading, LoxoneReading)
    assert (reading.room, reading.measurement_type) == ("", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "wrong_format"),
        ("a;b", "wrong_format"),
        ("2026-11-22 12:00:00;t;1;a;b;c;d;e", "wrong_format"),
        ("yesterday;t;1", "bad_time"),
        ("0001-01-01 00:00:00;t;1", "bad_time"),
        ("2026-11-22 12:00:00;t;warm", "not_number"),
        ("2026-11-22 12:00:00;t;nan", "not_number"),
        ("2026-11-22 12:00:00;t;;obyvak", "empty"),
        ("2026-11-22 12:00:00;;1", "wrong_format"),
        ("2026-11-22 12:00:00;t;1;oby vak/#", "wrong_format"),
        ("2026-11-22 12:00:00;t;999;obyvak;temperature", "impossible_value"),
        ("2026-11-22 12:00:00;temperature;-99", "impossible_value"),
        ("x" * 2_000, "too_large"),
    ],
)
def test_other_lines_are_rejected_with_their_reason(line: str, reason: str):
    rejected = parse_udp_line(line, PRAGUE)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


@pytest.mark.parametrize(
    ("payload", "value"),
    [(b"21.5", 21.5), (b" -3 \n", -3), (b"21,5", 21.5), (b"1", 1), (b"ON", 1), (b"false", 0), (b"1e1", 10)],
)
def test_scalars(payload: bytes, value: float):
    assert parse_scalar(payload) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"\xc3\xa1", "not_text"),
        (b"inf", "not_number"),
        (b"1_000", "not_number"),
        (b"{}", "not_number"),
        (b"9" * 65, "too_large"),
    ],
)
def test_other_scalars_are_rejected(payload: bytes, reason: str):
    rejected = parse_scalar(payload)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


@given(st.binary(max_size=80))
def test_no_bytes_raise(payload: bytes):
    assert isinstance(parse_scalar(payload), float | Rejected)


@given(st.text(max_size=120) | st.from_regex(r"[0-9:\- ]{0,20};[a-z]{1,5};[0-9.e\-]{0,9}(;[a-z_]{0,5}){0,4}"))
def test_no_line_raises(line: str):
    assert isinstance(parse_udp_line(line, PRAGUE), LoxoneReading | Rejected)


def test_ranges_and_bits():
    assert in_range("temperature", 21)
    assert not in_range("humidity", 101)
    assert in_range("whatever", 1e6)
    assert (format_bit(True), format_bit(False)) == ("1", "0")
