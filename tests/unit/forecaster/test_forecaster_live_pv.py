"""PV models of the running forecaster: they learn what physics does not know, and nothing of the future."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import SUMMER, calendar, grid_at, make_weather, shaded_lessons, the_home

from pems_forecaster.domain import live_pv
from pems_forecaster.domain.fine_weather import fine_weather
from pems_forecaster.domain.grid import slot_at
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.live_model import Situation
from pems_forecaster.domain.live_pv import PvKind, PvModel
from pems_forecaster.domain.pv import pv_power
from pems_forecaster.domain.slot_history import SlotHistory

HOME = the_home()


@pytest.fixture(scope="module")
def learnt() -> tuple[PvModel, Lessons, dict[str, float]]:
    lessons = shaded_lessons(16)
    few = replace(live_pv._SHORT, rounds=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_pv, "_SHORT", few)
        trained = PvKind().train(HOME, lessons, threads=1, progress=lambda share, what: None)
    assert isinstance(trained.model, PvModel)
    return trained.model, lessons, dict(trained.metrics)


def situation(lessons: Lessons, junk: float | None = None) -> Situation:
    """The forecast at the end of the lessons; `junk` fills the history of coming slots."""
    at = slot_at(lessons.until)
    grid, history = grid_at(at), SlotHistory()
    for slot in range(lessons.until - 192, lessons.until + 216):
        known = slot < lessons.until
        history.put("pv_w", slot, float(lessons.measured["pv_w"][slot - lessons.first]) if known else junk)
    site = HOME.site
    weather = fine_weather(
        grid, make_weather(at), history, latitude=site.latitude, longitude=site.longitude, altitude_m=site.altitude_m
    )
    return Situation(HOME, calendar(), grid, weather, history, grid.first)


def test_it_learns_a_shade_that_physics_does_not_know(learnt):
    model, lessons, metrics = learnt
    now = situation(lessons)
    said, sun = model.predict(now), now.weather.sun
    physics = pv_power(HOME.pv, now.weather).expected_w
    high = sun.zenith_deg < 65.0
    morning, afternoon = high & (sun.azimuth_deg < 170.0), high & (sun.azimuth_deg > 190.0)
    ratio = said.p50 / np.maximum(physics, 1.0)
    assert ratio[morning].mean() < 0.7 * ratio[afternoon].mean()
    assert 40.0 < metrics["coverage"] <= 100.0


def test_night_is_exactly_dark_bands_are_ordered_and_inside_the_limit(learnt):
    model, lessons, _ = learnt
    now = situation(lessons)
    said = model.predict(now)
    assert (said.p90[now.weather.sun.clear_ghi_w_m2 == 0.0] == 0.0).all()
    assert (said.p10 <= said.p50).all()
    assert (said.p50 <= said.p90).all()
    assert (said.p10 >= 0.0).all()
    assert said.p90.max() <= HOME.pv.inverter_ac_limit_w


def test_what_is_measured_later_changes_nothing(learnt):
    model, lessons, _ = learnt
    honest, spoiled = (model.predict(situation(lessons, junk)) for junk in (None, 9000.0))
    np.testing.assert_array_equal(honest.p50, spoiled.p50)
    np.testing.assert_array_equal(honest.p90, spoiled.p90)


def test_held_back_power_teaches_nothing():
    lessons = shaded_lessons(3)
    limited = np.zeros(len(lessons.measured["pv_w"]))
    limited[96:192] = 1.0
    held = Lessons(lessons.first, {**lessons.measured, "pv_limited": limited}, lessons.runs)
    targets = [np.isfinite(target) & (slots >= held.first + 96) & (slots < held.first + 192)
               for _, target, slots, _ in live_pv._rows(HOME, held, live_pv.taught(HOME, held).power_w)]  # fmt: skip
    assert not np.concatenate(targets).any()


def test_days_without_weather_or_power_are_not_counted():
    lessons = shaded_lessons(3)
    assert PvKind().days(lessons) == pytest.approx(3.0)
    assert PvKind().days(Lessons(lessons.first, lessons.measured)) == 0.0
    dark = {**lessons.measured, "pv_w": np.full(288, np.nan)}
    with pytest.raises(ValueError, match="nothing to train on"):
        PvKind().train(HOME, Lessons(lessons.first, dark, lessons.runs), threads=1, progress=lambda s, w: None)
    with pytest.raises(ValueError, match="no day has both"):
        PvKind().train(HOME, Lessons(lessons.first, dark), threads=1, progress=lambda s, w: None)


def test_an_archived_run_that_reaches_a_part_of_its_slots_is_used_for_that_part():
    lessons = shaded_lessons(3)
    run = lessons.runs[0]
    short = {name: np.where(np.arange(216) < 60, column, np.nan) for name, column in run.columns.items()}
    one = Lessons(lessons.first, lessons.measured, (replace(run, columns=short),))
    (row,) = live_pv._rows(HOME, one, lessons.measured["pv_w"])
    _, target, slots, _ = row
    assert slots.max() < run.first + 60
    assert np.isfinite(target).all()
    assert slot_at(int(slots.min())) > SUMMER + timedelta(hours=2)
