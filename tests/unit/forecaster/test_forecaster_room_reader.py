"""What rooms are identified from: out of the stored history and the weather as it was told."""

from datetime import timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import WINTER, calendar, shaded_lessons, the_home

from pems_common.errors import UnavailableError
from pems_forecaster.domain.facade_sun import facade_history
from pems_forecaster.domain.grid import slot_no
from pems_forecaster.domain.lessons import Lessons
from pems_forecaster.domain.observer import HouseObserver
from pems_forecaster.domain.rooms import prior_models
from pems_forecaster.room_reader import read_house, walk

HOME = the_home()
FIRST = slot_no(WINTER)


class History:
    """Two days: a ramp of temperature, a relay that is on by night, a window that opens once."""

    def __init__(self, **changed):
        self.changed = changed

    async def slots(self, series, start, end, *, step_s=900):
        slots = np.arange(slot_no(start), slot_no(end))
        columns = {
            "outdoor_temperature_c": np.full(len(slots), -3.0),
            "room.obyvak.temperature_c": 20.0 + 0.01 * (slots - FIRST),
            "room.obyvak.relay_on": np.where(slots % 96 < 20, 0.5, 0.0),
            "room.obyvak.window_open": np.where(slots == FIRST + 7, 1.0, 0.0),
        } | {name: np.full(len(slots), value) for name, value in self.changed.items()}
        return {
            name: [None if not np.isfinite(v) else float(v) for v in columns[name]] if name in columns else []
            for name in series
        }


async def read(history, lessons=None, days=2):
    return await read_house(HOME, history, calendar(), lessons, FIRST, FIRST + days * 96)


async def test_slot_means_become_temperatures_at_the_beginning():
    series = await read(History())
    assert series.steps == 192
    np.testing.assert_allclose(series.air_c["obyvak"], 20.0 + 0.01 * (np.arange(192) - 0.5))
    assert np.isnan(series.air_c["kuchyne"]).all()
    assert series.heat_w["obyvak"].max() == pytest.approx(0.5 * HOME.rooms["obyvak"].heat_w)
    assert series.open_window["obyvak"].nonzero()[0].tolist() == [7]
    assert "kuchyne" not in series.open_window
    assert series.local_hour[0] == 1, "Prague is an hour ahead in winter"
    assert series.solar_w_m2 == {}


async def test_where_nothing_was_measured_outdoors_the_weather_service_tells():
    lessons = shaded_lessons(3)
    missing = History(outdoor_temperature_c=np.nan)
    first, until = lessons.first + 96, lessons.first + 192
    series = await read_house(HOME, missing, calendar(), lessons, first, until)
    np.testing.assert_allclose(series.outdoor_c, lessons.weather()["temperature_c"][96:192])
    assert set(series.solar_w_m2) == {"north", "east", "south", "west"}
    before = await read_house(HOME, missing, calendar(), lessons, lessons.first - 96, lessons.first)
    assert np.isnan(before.outdoor_c).all()
    assert before.solar_w_m2 == {}


async def test_an_absent_history_is_told():
    class Away:
        async def slots(self, *args, **kwargs):
            raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        await read(Away())


def test_the_plant_corrects_the_sun_that_was_told():
    lessons = shaded_lessons(20)
    sun = facade_history(HOME, lessons)
    dull = {**lessons.measured, "pv_w": 0.5 * lessons.measured["pv_w"]}
    recent = np.where(np.arange(20 * 96) >= 17 * 96, dull["pv_w"], lessons.measured["pv_w"])
    duller = facade_history(HOME, Lessons(lessons.first, {**lessons.measured, "pv_w": recent}, lessons.runs))
    noon = slice(18 * 96 + 40, 18 * 96 + 52)
    assert np.nanmean(duller["south"][noon]) < 0.75 * np.nanmean(sun["south"][noon])
    plain = facade_history(
        HOME, Lessons(lessons.first, {**lessons.measured, "pv_w": np.full(20 * 96, np.nan)}, lessons.runs)
    )
    assert np.nanmax(plain["south"]) < 1200.0
    night = slice(18 * 96, 18 * 96 + 8)
    assert np.nanmax(plain["south"][night]) == 0.0


async def test_an_observer_walks_through_it():
    series = await read(History(**{"room.obyvak.temperature_c": 21.5}))
    observer = HouseObserver(prior_models(HOME))
    assert walk(observer, series) == series.steps - 1
    assert observer.at == WINTER + timedelta(days=2) - timedelta(minutes=15)
    state = observer.state("obyvak")
    assert state is not None
    assert state.air_c == pytest.approx(21.5, abs=0.1)
    assert observer.state("kuchyne") is None
    blind = HouseObserver(prior_models(HOME))
    assert walk(blind, await read(History(outdoor_temperature_c=np.nan))) == 0
