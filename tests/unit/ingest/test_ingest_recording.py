"""What is stored, how slots are averaged, how series are judged, and the dataset."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pems_common.history import Point
from pems_ingest.adapters.arrow import to_arrow
from pems_ingest.domain.dataset import EnergyDataset, group_of
from pems_ingest.domain.quality import assess
from pems_ingest.domain.recording import Recorder
from pems_ingest.domain.slot_means import coverage, slot_means

START = datetime(2026, 1, 15, tzinfo=UTC)
ROOM = "room.obyvak.temperature_c"


def test_only_changes_and_heartbeats_are_stored():
    recorder = Recorder()
    stored = [recorder.point(ROOM, START + timedelta(seconds=s), 21.0) for s in range(0, 600, 10)]
    assert [p is not None for p in stored].count(True) == 3  # 0, 240, 480
    assert recorder.point(ROOM, START + timedelta(seconds=601), 21.1) is not None


def test_two_readings_never_share_a_millisecond():
    recorder = Recorder()
    points = [recorder.point("pv_power_w", START, float(i)) for i in range(5)]
    assert len({p.at for p in points if p}) == 5


def means(times: list[float], values: list[float], count: int, *, carry_s: float = 900.0, start_s: float = 0.0):
    return slot_means(np.array(times), np.array(values), start_s=start_s, count=count, step_s=900.0, carry_s=carry_s)


def test_means_are_weighted_by_time_not_by_points():
    # On for 5 of 15 minutes, told by a burst of points.
    assert means([0, 300, 301, 302, 303], [1, 0, 0, 0, 0], 1) == [pytest.approx(1 / 3)]


def test_values_hold_until_the_next_one_but_not_for_ever():
    assert means([0], [20.0], 3) == [20.0, None, None]
    assert means([600], [20.0], 3) == [20.0, 20.0, None]


def test_a_value_before_the_start_reaches_in():
    assert means([-300], [5.0], 1) == [5.0]
    assert means([-900], [5.0], 1) == [None]


def test_no_points_no_means():
    assert means([], [], 2) == [None, None]


def test_means_stay_inside_the_values():
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(1.7e9, 1.7e9 + 86_400, 5000))
    got = slot_means(times, np.full(5000, 21.3), start_s=1.7e9, count=96, step_s=900, carry_s=900)
    assert all(v == 21.3 for v in got if v is not None)


def test_coverage():
    assert coverage([0.0, 100.0], start_s=0, end_s=1000, carry_s=300) == pytest.approx(0.4)
    assert coverage([], start_s=0, end_s=1000, carry_s=300) == 0


def series(minutes: range, value=lambda m: 21.0 + 0.01 * m, name: str = ROOM) -> list[Point]:
    return [Point(name, START + timedelta(minutes=m), value(m)) for m in minutes]


def test_quality_of_a_whole_series():
    got = assess(ROOM, series(range(0, 1440, 5)), START, START + timedelta(days=1))
    assert got.completeness == 1
    assert got.gaps == ()
    assert got.cadence_s == 300
    assert got.score == 1


def test_gaps_are_named_by_start_and_end():
    points = [p for p in series(range(0, 1440, 5)) if not 300 <= (p.at - START).total_seconds() / 60 < 600]
    got = assess(ROOM, points, START, START + timedelta(days=1))
    assert len(got.gaps) == 1
    assert got.gaps[0].start == START + timedelta(minutes=295 + 15)
    assert got.gaps[0].end == START + timedelta(minutes=600)
    assert got.score < 0.85


def test_an_empty_series_is_one_gap():
    got = assess(ROOM, [], START, START + timedelta(hours=1))
    assert got.score == 0
    assert got.gaps[0].start == START


def test_outliers_and_stuck_values_lower_the_score():
    spiky = series(range(0, 1440, 5), lambda m: 80.0 if m % 200 == 100 else 21.0 + 0.1 * np.sin(m))
    got = assess(ROOM, spiky, START, START + timedelta(days=1))
    assert got.outliers == 7
    assert got.score < 0.9
    stuck = series(range(0, 3 * 1440, 5), lambda m: 21.0)
    got = assess(ROOM, stuck, START, START + timedelta(days=3))
    assert got.stuck_share > 0.9
    assert got.score < 0.1


def test_an_empty_period_is_refused():
    with pytest.raises(ValueError, match="empty"):
        assess(ROOM, [], START, START)


def test_dataset_groups_and_guards():
    dataset = EnergyDataset(START, 900, {"pv_power_w": [1.0, None], "room.obyvak.relay_on": [0.0, 1.0]})
    assert len(dataset) == 2
    assert dataset.group("relays") == {"room.obyvak.relay_on": [0.0, 1.0]}
    assert dataset.select(["production"]).columns == {"pv_power_w": [1.0, None]}
    assert group_of("battery_soc_pct") == "storage"
    assert group_of("weather.ghi_w_m2") == "weather"
    assert group_of("counter.X_kwh") == "other"
    with pytest.raises(ValueError, match="length"):
        EnergyDataset(START, 900, {"a": [1.0], "b": []})
    with pytest.raises(ValueError, match="naive"):
        EnergyDataset(START.replace(tzinfo=None), 900, {})


def test_dataset_as_arrow():
    pa = pytest.importorskip("pyarrow")
    data = to_arrow(EnergyDataset(START, 900, {"pv_power_w": [1.0, None], "price.spot_eur_mwh": [2.0, 3.0]}))
    table = pa.ipc.open_stream(data).read_all()
    assert table.column("pv_power_w").to_pylist() == [1.0, None]
    assert table.column("slot_start").to_pylist()[1] == START + timedelta(minutes=15)
    assert table.schema.field("price.spot_eur_mwh").metadata[b"group"] == b"prices"
