"""The time grid: aware instants, half-open slots, local days of 92, 96 and 100 slots."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pems_common.timegrid import (
    SLOT,
    is_weekend,
    local_day_slots,
    next_slot_start,
    parse_instant,
    require_utc,
    slot_index,
    slot_range,
    slot_start,
)

PRAGUE = ZoneInfo("Europe/Prague")


@pytest.mark.parametrize(
    ("day", "count"),
    [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 1, 12), 96)],
)
def test_local_days_have_92_96_or_100_slots(day, count):
    slots = local_day_slots(day, PRAGUE)
    assert len(slots) == count
    assert all(b - a == SLOT for a, b in pairwise(slots))
    assert slots[0].astimezone(PRAGUE).hour == 0
    assert (slots[-1] + SLOT).astimezone(PRAGUE).date() == day + timedelta(days=1)


def test_a_naive_datetime_raises_and_says_what_to_do():
    with pytest.raises(ValueError, match="time zone"):
        require_utc(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="time zone"):
        parse_instant("2026-01-01T00:00:00")


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_a_slot_holds_its_instant_whatever_the_zone(naive, offset):
    at = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    start = slot_start(at)
    assert start <= at < start + SLOT
    assert start.tzinfo == UTC
    assert start.minute % 15 == 0 or offset % 15 != 0 or start.second == 0
    assert next_slot_start(at) - at < SLOT
    assert slot_index(start, at) == 0


def test_ranges_and_weekends():
    start = datetime(2026, 1, 9, 23, 0, tzinfo=UTC)  # Saturday 00:00 in Prague
    assert slot_range(start, 2) == [start, start + SLOT]
    assert is_weekend(start, PRAGUE)
    assert not is_weekend(start - SLOT, PRAGUE)
