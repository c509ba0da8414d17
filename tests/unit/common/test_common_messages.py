"""Envelope, series and bodies: what is written can be read, what is wrong is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from pems_common.clock import FakeClock
from pems_common.errors import PermanentError
from pems_common.ids import uuid7
from pems_common.messages import CATALOG, Alert, Envelope, Series, Telemetry, read_body, wrap

START = datetime(2026, 1, 12, tzinfo=UTC)
CLOCK = FakeClock(START)


def alert(**changes) -> Alert:
    return Alert(**{"code": "price_stale", "severity": "warning", "text": "old", "raised_at": START, **changes})


def test_an_envelope_survives_the_fields_of_a_stream():
    envelope = wrap(alert(), site="home", clock=CLOCK, source="ingest@1", cause="x")
    assert envelope.subject == "price_stale"
    assert envelope.seq == int(START.timestamp() * 1000)
    assert Envelope.from_fields(envelope.to_fields()) == envelope
    assert read_body(envelope, Alert) == alert()


@pytest.mark.parametrize("missing", ["type", "v", "id", "site", "seq", "at", "wall_at", "source", "body"])
def test_an_entry_with_a_missing_field_is_undecodable(missing):
    fields = wrap(alert(), site="home", clock=CLOCK, source="s").to_fields()
    del fields[missing]
    with pytest.raises(ValueError, match=missing):
        Envelope.from_fields(fields)


@pytest.mark.parametrize(("field", "value"), [("body", "{"), ("v", "one"), ("at", "2026-01-01"), ("body", "[1]")])
def test_a_malformed_entry_is_undecodable(field, value):
    fields = wrap(alert(), site="home", clock=CLOCK, source="s").to_fields() | {field: value}
    with pytest.raises(ValueError):
        Envelope.from_fields(fields)


def test_reading_ignores_unknown_fields_and_writing_refuses_them():
    envelope = wrap(alert(), site="home", clock=CLOCK, source="s")
    newer = envelope.model_copy(update={"body": {**envelope.body, "colour": "red"}})
    assert read_body(newer, Alert) == alert()
    with pytest.raises(ValidationError):
        alert(colour="red")


def test_wrong_type_newer_version_and_bad_bodies_are_permanent():
    envelope = wrap(alert(), site="home", clock=CLOCK, source="s")
    for bad, cls in (
        (envelope, Telemetry),
        (envelope.model_copy(update={"v": 9}), Alert),
        (envelope.model_copy(update={"body": {}}), Alert),
    ):
        with pytest.raises(PermanentError):
            read_body(bad, cls)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_a_number_never_enters_a_message(value):
    with pytest.raises(ValidationError):
        Telemetry(pv_power_w=value)


def test_series_are_half_open():
    series = Series.of(START, 900, [1.0, float("nan"), 3.0])
    assert series.values == (1.0, None, 3.0)
    assert series.at(START + timedelta(minutes=14, seconds=59)) == 1.0
    assert series.at(START + timedelta(minutes=30)) == 3.0
    assert series.at(series.end) is None
    assert series.at(START - timedelta(seconds=1)) is None
    assert series.window(START + timedelta(minutes=30), 2) == [3.0, None]


def test_ids_sort_by_time_and_say_version_7():
    earlier, later = uuid7(START), uuid7(START + timedelta(milliseconds=1))
    assert earlier < later
    assert earlier.version == 7
    assert earlier.variant == "specified in RFC 4122"


def test_streams_are_named_by_type():
    assert CATALOG["plan"].stream == "pems.plan"
    assert CATALOG["plan"].dead_letters == "pems.plan.dlq"
    assert set(CATALOG) == {
        *("telemetry", "prices", "weather", "forecast", "thermal", "plan", "certificate"),
        *("command", "status", "override", "alert", "score"),
    }
