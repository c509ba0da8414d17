"""The month's peak: means of whole slots only, gaps tolerated, a new month begins at local midnight."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.unit.optimizer.optimizer_cases import small_home

from pems_common.home import Hygiene
from pems_common.messages import Telemetry, WaterReading
from pems_optimizer.domain.month_peak import MonthPeak
from pems_optimizer.domain.remembered import Remembered

PRAGUE = ZoneInfo("Europe/Prague")
NOON = datetime(2025, 1, 14, 12, tzinfo=UTC)


def watch(state: MonthPeak, start: datetime, minutes: float, grid_w, every_s: float = 30.0) -> MonthPeak:
    """Let readings come from `start` on, the end excluded; `grid_w` may be a function of the minute."""
    for k in range(round(minutes * 60 / every_s)):
        value = grid_w(k * every_s / 60) if callable(grid_w) else grid_w
        state = state.seen(start + timedelta(seconds=k * every_s), value, PRAGUE)
    return state


def peak(state: MonthPeak, at: datetime) -> float:
    """Return the peak known after one more reading at an instant."""
    return state.seen(at, 0.0, PRAGUE).so_far_w(at, PRAGUE)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_the_peak_is_the_highest_mean_of_a_slot_not_of_an_instant():
    state = watch(MonthPeak(), NOON, 15, lambda minute: 12_000.0 if minute < 5 else 3_000.0)
    assert peak(state, after(15)) == pytest.approx(6_000.0)
    lower = watch(state, after(15), 15, 5_000.0)
    assert peak(lower, after(30)) == pytest.approx(6_000.0)
    higher = watch(lower, after(30), 15, 7_000.0)
    assert peak(higher, after(45)) == pytest.approx(7_000.0)


def test_export_is_no_import():
    state = watch(MonthPeak(), NOON, 15, lambda minute: -9_000.0 if minute < 7.5 else 4_000.0)
    assert peak(state, after(15)) == pytest.approx(2_000.0)


def test_a_slot_that_was_not_watched_as_a_whole_does_not_count():
    late = watch(MonthPeak(), after(5), 10, 9_000.0)
    assert peak(late, after(15)) == 0.0
    running = watch(MonthPeak(), NOON, 14.5, 9_000.0)
    assert running.so_far_w(NOON, PRAGUE) == 0.0
    away = watch(MonthPeak(), NOON, 5, 9_000.0)  # the last reading stands for some minutes only
    assert peak(away, after(200)) == 0.0
    assert peak(away.seen(after(12), 9_000.0, PRAGUE), after(15)) == 0.0


def test_readings_without_a_value_are_a_gap_and_late_ones_are_ignored():
    holed = watch(MonthPeak(), NOON, 15, lambda minute: None if 4 <= minute < 9 else 8_000.0)
    assert peak(holed, after(15)) == 0.0
    state = watch(MonthPeak(), NOON, 10, 8_000.0)
    assert state.seen(after(3), 90_000.0, PRAGUE) == state
    assert state.seen(state.last_at, 90_000.0, PRAGUE) == state


def test_sparse_readings_are_split_at_the_ends_of_slots():
    state = MonthPeak()
    for k, power in enumerate([4_000.0] * 4 + [10_000.0] * 4 + [1_000.0]):
        state = state.seen(NOON + timedelta(minutes=4 * k), power, PRAGUE)
    # 12:00 to 12:15: 4 kW; 12:15 to 12:30: one minute of 4 kW, 14 of 10 kW
    assert state.so_far_w(NOON, PRAGUE) == pytest.approx((4_000.0 + 14 * 10_000.0) / 15)


@pytest.mark.parametrize("month", [2, 7])
def test_a_new_month_begins_at_local_midnight(month):
    midnight = datetime(2025, month, 1, tzinfo=PRAGUE).astimezone(UTC)
    quarter = timedelta(minutes=15)
    state = watch(MonthPeak(), midnight - quarter, 15, 9_000.0)
    state = watch(state, midnight, 15, 2_000.0)
    assert state.so_far_w(midnight - quarter, PRAGUE) == pytest.approx(9_000.0)
    assert state.so_far_w(midnight, PRAGUE) == 0.0
    assert peak(state, midnight + quarter) == pytest.approx(2_000.0)
    assert state.seen(midnight + quarter, 0.0, PRAGUE).so_far_w(midnight - quarter, PRAGUE) == 0.0


@pytest.mark.parametrize("night", [datetime(2025, 3, 30, tzinfo=PRAGUE), datetime(2025, 10, 26, tzinfo=PRAGUE)])
def test_the_hours_of_a_clock_change_count_once_each(night):
    begin, seen = night.astimezone(UTC), []
    state = MonthPeak()
    for k in range(60 * 5):
        state = state.seen(begin + timedelta(minutes=k), 5_000.0 + 1_000.0 * (k // 15), PRAGUE)
        seen.append(state.so_far_w(begin, PRAGUE))
    # One whole slot after the other, through the hour that is missing or there twice.
    assert sorted(set(seen)) == [0.0, *(5_000.0 + 1_000.0 * k for k in range(19))]


def test_a_clock_that_is_set_back_begins_a_slot_anew_and_keeps_the_peak():
    state = watch(MonthPeak(), NOON, 16, 6_000.0)
    back = watch(state, NOON - timedelta(hours=5), 15, 4_000.0)
    assert peak(back, NOON - timedelta(hours=4, minutes=45)) == pytest.approx(6_000.0)
    more = watch(state, NOON - timedelta(hours=5), 15, 7_000.0)
    assert peak(more, NOON - timedelta(hours=4, minutes=45)) == pytest.approx(7_000.0)


def test_it_is_kept_as_json_in_the_middle_of_a_slot():
    whole = watch(MonthPeak(), NOON, 22, 6_000.0)
    first = watch(MonthPeak(), NOON, 7, 6_000.0)
    again = MonthPeak.from_json(json.loads(json.dumps(first.to_json())))
    assert watch(again, after(7), 15, 6_000.0) == whole


@pytest.mark.parametrize(
    "damage",
    [{"peak_w": "high"}, {"slot": "yesterday"}, {"peak_w": -1}, {"peak_w": float("nan")}, {"last_at": "2025-01-01"}],
)
def test_a_damaged_record_is_refused(damage):
    with pytest.raises(ValueError, match="no record"):
        MonthPeak.from_json({**MonthPeak().to_json(), **damage})
    for other in (None, [], {}, "x"):
        with pytest.raises(ValueError, match="no record"):
            MonthPeak.from_json(other)
        with pytest.raises(ValueError, match="no record"):
            Remembered.from_json(other)


def test_a_planner_remembers_the_peak_and_the_last_hot_tank():
    home = small_home()
    home = home.model_copy(update={"water": home.water.model_copy(update={"hygiene": Hygiene(temperature_c=60)})})
    state = Remembered()
    for k in range(16):
        tank = WaterReading(temperature_c=52.0 + 2 * min(k, 4))
        state = state.seen(home, Telemetry(grid_power_w=5_000.0, water=tank), NOON + timedelta(minutes=k))
    assert state.hygienic_at == NOON + timedelta(minutes=15)
    assert state.peak_so_far_w(home, NOON) == pytest.approx(5_000.0)
    own = home.model_copy(update={"grid": home.grid.model_copy(update={"peak_is_monthly": False})})
    assert state.peak_so_far_w(own, NOON) == 0.0
    assert Remembered.from_json(json.loads(json.dumps(state.to_json()))) == state
    assert state.hygiene_before(NOON + timedelta(hours=1)) == state.hygienic_at
    assert state.hygiene_before(NOON) is None, "a clock that was wrong does not switch hygiene off until then"
    cool = Remembered().seen(home, Telemetry(water=WaterReading(temperature_c=59.0)), NOON)
    assert cool.hygienic_at is None
    plain = home.model_copy(update={"water": None})
    assert Remembered().seen(plain, Telemetry(), NOON).hygienic_at is None
