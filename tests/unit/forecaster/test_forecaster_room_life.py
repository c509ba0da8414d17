"""Room models from the first identification to the step back, in two true rooms under a thermostat."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import WINTER, calendar
from tests.unit.forecaster.forecaster_true_rooms import TrueRooms, outdoor_c, two_room_home, two_rooms

from pems_common.bus import MemoryBus
from pems_common.clock import FakeClock
from pems_common.errors import PermanentError, UnavailableError
from pems_common.messages import Alert, Band, Evidence, Forecast, Series, read_body
from pems_common.standing_alerts import StandingAlerts
from pems_forecaster.adapters.lesson_store import LessonStore
from pems_forecaster.adapters.state_file import StateFile
from pems_forecaster.domain.grid import slot_at, slot_no
from pems_forecaster.domain.observer import RoomInputs
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.rooms import prior_model, prior_version
from pems_forecaster.room_life import RoomLife

ROOMS = ("obyvak", "kuchyne")
HOME = two_room_home()
PRIOR = prior_version(prior_model(HOME, "obyvak"))
NIGHT = WINTER + timedelta(hours=2, minutes=59)  # 3:59 in Prague


def fits(models, *, faulty=False, warnings=(), excitation=0.8):
    evidence = Evidence(mae_24h_c=0.2, simple_mae_24h_c=0.6, days=30.0, excitation=excitation)
    return {
        room: RoomFit(
            room=room,
            model=model,
            interval={"rea_k_w": (0.9 * model.rea_k_w, 1.1 * model.rea_k_w)},
            evidence=evidence,
            arx=None,
            p95_24h_c=0.5,
            nis=1.0,
            warnings=tuple(warnings),
            left_out={"window": 1.5},
            faulty=faulty,
        )
        for room, model in models.items()
    }


class Identifier:
    """Says what it is told to."""

    def __init__(self):
        self.says = fits(two_rooms())
        self.series = None

    async def identify(self, home, series, folder, progress):
        progress(0.5, "rooms")
        self.series = series
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class History:
    """Sixty days of a house that stood still."""

    async def slots(self, series, start, end, *, step_s=900):
        count = int((end - start).total_seconds() // step_s)
        value = {"temperature_c": 21.0, "relay_on": 0.3, "outdoor_temperature_c": -1.0}
        return {name: [value.get(name.rsplit(".", 1)[-1])] * count for name in series}


class Rig:
    """The life of two rooms, and the rooms themselves."""

    def __init__(self, folder, models=None):
        self.folder, self.clock = folder, FakeClock(NIGHT)
        self.bus = MemoryBus(self.clock)
        self.identifier = Identifier()
        self.truth = TrueRooms(two_rooms() if models is None else models)

    async def begin(self, home=HOME):
        self.alerts = StandingAlerts(HOME.site.id, self.clock, self.bus, "test")
        await self.alerts.take_over("forecast.")
        self.life = RoomLife(
            home,
            self.clock,
            calendar(),
            self.identifier,
            self.alerts,
            History(),
            LessonStore(None),
            StateFile(self.folder / "rooms.json"),
            background=False,
        )
        await self.life.start()
        self.observer = self.life.observer()
        return self

    def forecast(self):
        now = self.clock.now()
        first = slot_no(now)

        def band(values):
            series = Series.of(slot_at(first), 900, values)
            return Band(p10=series, p50=series, p90=series)

        flat = band([0.0] * 200)
        return Forecast(
            issued_at=now,
            available_at=now,
            horizon_s=200 * 900,
            pv_power_w=flat,
            load_power_w=flat,
            buy_czk_kwh=flat,
            sell_czk_kwh=flat,
            outdoor_temperature_c=band([outdoor_c(n) for n in range(first, first + 200)]),
        )

    async def live(self, days, *, tick=False):
        """A quarter of an hour at a time."""
        for _ in range(int(days * 96)):
            if tick:
                await self.life.tick()
            slot = slot_no(self.clock.now())
            hour = calendar().hour(slot)
            parts = [self.truth.step(slot, hour) for _ in range(3)]
            heat = {room: sum(part[0][room] for part in parts) / 3 for room in ROOMS}
            self.clock.advance(900.0)
            now = self.clock.now()
            inputs = RoomInputs(outdoor_c(slot), heat, parts[-1][1], {}, hour)
            self.observer.step(now, inputs)
            if self.life.follow(self.observer, now, inputs, self.forecast()):
                self.observer = self.life.exchanged(self.observer)

    def thermal(self, room="obyvak"):
        return self.life.thermal(room, self.observer)


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Identified in the first night, and lived on for four days."""

    async def lived():
        rig = await Rig(tmp_path_factory.mktemp("rooms")).begin()
        before = rig.thermal()
        rig.clock.advance(3600.0)
        await rig.life.tick()
        await rig.live(4.0)
        return rig, before

    return asyncio.run(lived())


async def test_a_better_model_is_published_after_its_trial_and_controls(settled):
    rig, before = settled
    assert (before.tier, before.version) == ("prior", PRIOR)
    thermal = rig.thermal()
    assert thermal.version.startswith("rooms-20260114T")
    assert thermal.tier == "control"
    assert thermal.model == two_rooms()["obyvak"]
    errors = rig.life._trial.errors["obyvak"][thermal.version]
    assert np.mean(list(errors.values())[-8:]) < 0.12, "the slab is known after some hours"
    assert thermal.evidence.mae_24h_c not in (None, 0.2), "of the running house, not of the held-out days"
    assert thermal.evidence.days == 30.0
    assert set(thermal.interval) == {"rea_k_w"}
    assert thermal.state.air_c == pytest.approx(rig.truth.air[0], abs=0.2)
    assert thermal.state.mass_c == pytest.approx(rig.truth.mass[0], abs=0.6)


async def test_all_of_it_is_told(settled):
    rig, _ = settled
    told = rig.life.told(rig.observer)
    assert [room["room"] for room in told["rooms"]] == list(ROOMS)
    assert told["job"]["state"] == "done"
    details = rig.life.details("obyvak", rig.observer)
    json.dumps([{**told, "job": None}, details])
    assert details["watched"] == PRIOR
    assert details["methods"]["model"] > details["methods"]["yesterday"]
    assert 0.2 < details["nis"] < 5.0
    assert details["parameters"]["rea_k_w"]["unit"] == "K/W"
    assert details["parameters"]["rea_k_w"]["low"] < details["parameters"]["rea_k_w"]["value"]
    assert sum(value is not None for value in details["picture"]["predicted_c"]) > 40
    with pytest.raises(KeyError):
        rig.life.details("sklep", rig.observer)


async def test_a_restart_loses_nothing(settled):
    rig, _ = settled
    rig.life.save()
    again = Rig(rig.folder)
    again.clock = rig.clock
    await again.begin()
    assert again.life.thermal("obyvak", rig.observer) == rig.thermal()
    assert again.life.identified_at == rig.life.identified_at
    assert again.life.details("kuchyne", rig.observer) == rig.life.details("kuchyne", rig.observer)


async def test_when_the_house_changes_the_other_model_comes_back(tmp_path):
    """Here: what was identified fits a house that is no longer there."""
    rig = await Rig(tmp_path, two_rooms()).begin()
    rig.identifier.says = fits(two_rooms(loss=1.6))
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.5)
    assert rig.thermal().version == PRIOR, "a worse model is not published"
    rig.identifier.says = fits(two_rooms())
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.5)
    first = rig.thermal()
    assert first.tier == "control"
    rig.identifier.says = fits(two_rooms(loss=1.6))
    await rig.life._work(rig.life.identify("asked"))
    rig.truth.build(two_rooms(loss=1.6))
    await rig.live(4.0)
    assert rig.thermal().version != first.version
    rig.truth.build(two_rooms())
    await rig.live(6.0)
    assert rig.thermal().version == first.version


async def test_a_room_with_a_fault_is_left_to_its_thermostat_and_told(tmp_path):
    rig = await Rig(tmp_path).begin()
    rig.identifier.says = fits(two_rooms(), faulty=True, warnings=["the relay reports on, but does not heat"])
    await rig.life._work(rig.life.identify("asked"))
    await rig.life.tick()
    await rig.live(3.5)
    assert rig.thermal().tier == "observe"
    alert = await rig.bus.latest("alert", HOME.site.id, "forecast.room_obyvak")
    assert "does not heat" in read_body(alert, Alert).text
    rig.identifier.says = fits(two_rooms())
    await rig.life._work(rig.life.identify("asked"))
    await rig.life.tick()
    alert = await rig.bus.latest("alert", HOME.site.id, "forecast.room_obyvak")
    assert alert is None or read_body(alert, Alert).cleared_at is not None


async def test_what_was_identified_is_judged_before_the_next_identification(tmp_path):
    """Also when the service begins anew meanwhile."""
    rig = await Rig(tmp_path).begin()
    await rig.live(2.2, tick=True)
    rig.life.save()
    clock, truth = rig.clock, rig.truth
    rig = Rig(tmp_path)
    rig.clock, rig.truth, rig.bus = clock, truth, MemoryBus(clock)
    await rig.begin()
    await rig.live(2.0, tick=True)
    assert rig.thermal().version.startswith("rooms-")
    assert len(rig.life.jobs.all()) <= 1


async def test_a_model_that_would_cost_the_room_its_tier_is_not_published_nor_one_of_a_summer_watched(tmp_path):
    rig = await Rig(tmp_path).begin()
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.2)
    first = rig.thermal()
    assert first.tier == "control"
    rig.identifier.says = fits(two_rooms(), excitation=0.0)
    await rig.life._work(rig.life.identify("asked"))
    assert rig.life.room("obyvak", rig.observer)["watched"] == PRIOR
    shaky = fits(two_rooms())
    rig.identifier.says = {room: replace(fit, interval={"rea_k_w": (0.001, 1.0)}) for room, fit in shaky.items()}
    rig.truth.build(two_rooms(loss=1.2))
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.2)
    assert rig.thermal().version == first.version


async def test_a_heater_found_dead_is_observed_whichever_model_is_published(tmp_path):
    rig = await Rig(tmp_path).begin()
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.2)
    assert rig.thermal().tier == "control"
    rig.identifier.says = fits(two_rooms(loss=1.6), faulty=True, warnings=["does not heat"])
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(1.2)
    assert rig.thermal().tier == "observe"


async def test_another_tariff_keeps_what_is_known_of_the_rooms_another_floor_does_not(tmp_path):
    rig = await Rig(tmp_path).begin()
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.2)
    rig.life.save()
    changed = HOME.model_copy(
        update={
            "comfort": HOME.comfort.model_copy(update={"day_start": "05:30"}),
            "rooms": {
                **HOME.rooms,
                "kuchyne": HOME.rooms["kuchyne"].model_copy(update={"relay_w": 9000.0, "usable_w": None}),
            },
        }
    )
    again = Rig(tmp_path)
    again.clock = rig.clock
    await again.begin(changed)
    assert again.life.thermal("obyvak", again.observer).version == rig.thermal().version
    assert again.life.thermal("kuchyne", again.observer).tier == "prior"


async def test_a_prior_model_with_a_hopeless_error_is_observed_even_if_nothing_is_identified(tmp_path):
    rig = await Rig(tmp_path, two_rooms(loss=6.0)).begin()
    await rig.live(3.5)
    assert rig.thermal().tier == "observe"


async def test_rooms_whose_sensor_is_stuck_lose_control(tmp_path):
    """The error in the running house counts, whatever the held-out days said."""
    rig = await Rig(tmp_path).begin()
    await rig.life._work(rig.life.identify("asked"))
    await rig.live(3.0)
    assert rig.thermal().tier == "control"
    rig.truth.stuck = {"obyvak": 23.5}
    await rig.live(1.5)
    await rig.life.tick()
    assert rig.thermal().tier == "observe"
    await rig.live(4.0)  # by then it stood still on every day that is remembered
    await rig.life.tick()
    assert rig.thermal().tier == "observe"
    rig.life.save()
    bus, clock, truth = rig.bus, rig.clock, rig.truth
    rig = Rig(tmp_path)
    rig.bus, rig.clock, rig.truth = bus, clock, truth
    await rig.begin()
    alert = await rig.bus.latest("alert", HOME.site.id, "forecast.sensor_obyvak")
    assert "one value" in read_body(alert, Alert).text
    assert "one value" in rig.life.room("obyvak", rig.observer)["warnings"][0]
    assert rig.thermal("kuchyne").tier != "observe"
    rig.truth.stuck = {}
    await rig.live(1.2)
    await rig.life.tick()
    assert not rig.life.room("obyvak", rig.observer)["warnings"]
    assert "forecast.sensor_obyvak" not in rig.alerts.standing


async def test_it_is_identified_at_once_and_then_every_few_nights(tmp_path):
    rig = await Rig(tmp_path).begin()
    nights = []
    for _ in range(9 * 24):
        before = len(rig.life.jobs.all())
        await rig.life.tick()
        if len(rig.life.jobs.all()) > before:
            nights.append(rig.clock.now())
        rig.clock.advance(3600.0)
    local = [at.astimezone(HOME.site.zone) for at in nights]
    assert all(3 <= at.hour < 6 for at in local)
    assert len(nights) in (3, 4)
    assert {(b - a).days for a, b in pairwise(nights[1:])} == {3}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermanentError("too little", remedy="wait"), "failed"),
        (UnavailableError("another training"), "queued"),
        (RuntimeError("a fault"), "failed"),
    ],
)
async def test_whatever_happens_a_job_ends(tmp_path, error, state):
    rig = await Rig(tmp_path).begin()
    rig.identifier.says = error
    job = rig.life.identify("asked")
    await rig.life.tick()
    assert job.state == state
    assert job.what
    assert rig.thermal().tier == "prior"
    await rig.life.stop()


async def test_the_history_that_is_learnt_from(tmp_path):
    rig = await Rig(tmp_path).begin()
    rig.life.identify("asked")
    await rig.life.tick()
    series = rig.identifier.series
    assert series.steps == 60 * 96
    assert series.start_s + series.steps * 900 <= rig.clock.now().timestamp()
    assert series.heat_w["obyvak"][5] == pytest.approx(0.3 * HOME.rooms["obyvak"].heat_w)
    np.testing.assert_array_equal(series.outdoor_c, -1.0)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9}', '{"version": 1, "rooms": 3}'])
async def test_a_damaged_file_is_set_aside(tmp_path, content):
    (tmp_path / "rooms.json").write_text(content)
    rig = await Rig(tmp_path).begin()
    assert rig.thermal().tier == "prior"
    assert (tmp_path / "rooms.damaged").exists()
