"""What models learn from: kept, given back, pruned, and never from the future."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from pems_common.errors import UnavailableError
from pems_forecaster.adapters.lesson_store import KEEP_DAYS, LessonStore
from pems_forecaster.domain.grid import SLOT_S, SLOTS_PER_DAY
from pems_forecaster.domain.lessons import MEASURED, RUN_COLUMNS, Lessons, WeatherRun

FIRST = 1_900_000


def a_run(first: int, slots: int = 216, value: float = 1.0) -> WeatherRun:
    columns = {name: value + k + np.arange(slots) / 1000.0 for k, name in enumerate(RUN_COLUMNS)}
    return WeatherRun(first * SLOT_S + 60, first, columns)


def test_what_was_kept_comes_back_with_gaps_and_over_a_restart(tmp_path: Path):
    store = LessonStore(tmp_path / "deep" / "lessons.sqlite")
    store.put(FIRST, {"pv_w": 100.0, "load_w": 300.0, "outdoor_c": 5.0, "pv_limited": float("nan")})
    store.put(FIRST + 2, {"pv_w": 120.0, "spot_eur_mwh": -5.0})
    store.put_run(a_run(FIRST))
    store.put_run(a_run(FIRST + 1, value=3.0))
    store.close()
    lessons = LessonStore(tmp_path / "deep" / "lessons.sqlite").lessons(FIRST + 3)
    assert (lessons.first, lessons.until) == (FIRST, FIRST + 3)
    np.testing.assert_array_equal(lessons.measured["pv_w"], [100.0, np.nan, 120.0])
    np.testing.assert_array_equal(lessons.measured["spot_eur_mwh"], [np.nan, np.nan, -5.0])
    assert np.isnan(lessons.measured["pv_limited"]).all()
    assert [run.first for run in lessons.runs] == [FIRST, FIRST + 1]
    np.testing.assert_allclose(
        lessons.runs[1].columns["cloud_pct"], a_run(0, value=3.0).columns["cloud_pct"], rtol=1e-6
    )


def test_nothing_of_the_future_is_given():
    store = LessonStore(None)
    for slot in range(FIRST, FIRST + 10):
        store.put(slot, {"spot_eur_mwh": float(slot)})
        store.put_run(a_run(slot))
    lessons = store.lessons(FIRST + 4)
    assert lessons.until == FIRST + 4
    assert lessons.measured["spot_eur_mwh"].max() == FIRST + 3
    assert [run.first for run in lessons.runs] == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]


def test_a_backfill_never_overrides_what_was_seen():
    store = LessonStore(None)
    store.put(FIRST + 1, {"load_w": 500.0})
    store.put_series("load_w", FIRST, [100.0, 200.0, None, 400.0])
    np.testing.assert_array_equal(store.lessons(FIRST + 4).measured["load_w"], [100.0, 500.0, np.nan, 400.0])


def test_what_is_older_than_it_keeps_is_dropped():
    store = LessonStore(None)
    now = FIRST + KEEP_DAYS * SLOTS_PER_DAY + 1
    for slot in (FIRST, FIRST + 2):
        store.put(slot, {"pv_w": 1.0})
        store.put_run(a_run(slot))
    store.prune(now)
    lessons = store.lessons(now)
    assert lessons.first == FIRST + 2
    assert [run.first for run in lessons.runs] == [FIRST + 2]


def test_a_damaged_file_is_set_aside_and_none_set_aside_before_is_lost(tmp_path: Path):
    path = tmp_path / "lessons.sqlite"
    for k, aside in enumerate(("lessons.damaged", "lessons.damaged1")):
        path.write_bytes(b"this is no database" * 100 + bytes([k]))
        store = LessonStore(path)
        store.put(FIRST, {"pv_w": 1.0})
        assert store.lessons(FIRST + 1).first == FIRST
        store.close()
        assert (tmp_path / aside).read_bytes()[-1] == k
        path.unlink()


def test_a_file_that_is_damaged_while_it_runs_begins_anew(tmp_path: Path):
    path = tmp_path / "lessons.sqlite"
    store = LessonStore(path)
    for slot in range(FIRST, FIRST + 3000):
        store.put(slot, {"pv_w": 1.0})
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    store._db.execute("PRAGMA cache_size = 0")
    with pytest.raises(UnavailableError):
        store.lessons(FIRST + 3000)
    store.put(FIRST, {"pv_w": 2.0})
    assert store.lessons(FIRST + 1).measured["pv_w"].tolist() == [2.0]
    assert (tmp_path / "lessons.damaged").exists()


def test_a_locked_file_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "lessons.sqlite"
    first = LessonStore(path)
    first.put(FIRST, {"pv_w": 1.0})
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: plain(*args, **{**more, "timeout": 0.01}))
    first._db.execute("BEGIN EXCLUSIVE")
    second = LessonStore(path)  # works, in memory
    second.put(FIRST, {"pv_w": 5.0})
    assert second.lessons(FIRST + 1).measured["pv_w"].tolist() == [5.0]
    first._db.rollback()
    assert LessonStore(path).lessons(FIRST + 1).measured["pv_w"].tolist() == [1.0]
    assert list(tmp_path.glob("*.damaged*")) == []


def test_where_no_file_can_be_made_lessons_are_kept_in_memory(tmp_path: Path):
    (tmp_path / "a file").write_text("where a folder should be")
    store = LessonStore(tmp_path / "a file" / "lessons.sqlite")
    store.put(FIRST, {"pv_w": 1.0})
    assert store.oldest() == FIRST


def test_an_empty_store_gives_empty_lessons():
    lessons = LessonStore(None).lessons(FIRST)
    assert (lessons.first, lessons.until, lessons.runs) == (FIRST, FIRST, ())
    assert lessons.days("pv_w") == 0.0


def test_lessons_travel_as_plain_arrays():
    lessons = Lessons(
        FIRST,
        {name: np.array([1.0, np.nan, k]) for k, name in enumerate(MEASURED)},
        (a_run(FIRST, 5), a_run(FIRST + 1, 9)),
    )
    again = Lessons.of_arrays(lessons.arrays())
    assert (again.first, again.until) == (lessons.first, lessons.until)
    assert [len(run.slots) for run in again.runs] == [5, 9]
    np.testing.assert_array_equal(again.runs[0].columns["wind_m_s"], lessons.runs[0].columns["wind_m_s"])
    np.testing.assert_array_equal(again.at("pv_w", np.array([FIRST - 1, FIRST, FIRST + 3])), [np.nan, 1.0, np.nan])


def test_later_lessons_are_cut_out():
    measured = {name: np.arange(192.0) for name in MEASURED}
    lessons = Lessons(FIRST, measured, (a_run(FIRST, 20), a_run(FIRST + 60, 60), a_run(FIRST + 150, 20)))
    late = lessons.since(FIRST + 100)
    assert (late.first, late.until) == (FIRST + 100, FIRST + 192)
    assert late.measured["pv_w"][0] == 100.0
    assert [run.first for run in late.runs] == [FIRST + 60, FIRST + 150]
    np.testing.assert_array_equal(late.weather()["ghi_w_m2"], lessons.weather()["ghi_w_m2"][100:])
    assert lessons.since(FIRST - 5).first == FIRST
    assert lessons.since(FIRST + 500).until == FIRST + 192
