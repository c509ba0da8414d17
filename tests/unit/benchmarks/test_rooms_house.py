"""The benches of the simulated house's rooms: what is recorded, what a forecast may know, how rooms are judged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from benchmarks import _rooms_house as bench
from benchmarks._rooms_loop import ColderWorld, IdentifiedRooms

from pems_common.messages import Evidence, RoomModel, Thermal
from pems_forecaster.domain.room_fit.identify import RoomFit
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.rooms import prior_models
from pems_house.domain.building import make_building

NAMES = ("pracovna", "hosti", "zadveri")
SEED = 3
STEPS = 220
MORNING = bench.START + timedelta(hours=6)
ORIGIN = np.array([100], dtype=np.int64)


def few_rooms():
    rooms = {
        name: room.model_copy(update={"neighbours": [other for other in room.neighbours if other in NAMES]})
        for name, room in bench.HOME.rooms.items()
        if name in NAMES
    }
    return bench.HOME.model_copy(update={"rooms": rooms})


HOME = few_rooms()
WORLD = bench.generated_world(HOME, SEED)


@pytest.fixture(scope="module")
def recorded():
    return bench.live(HOME, WORLD, MORNING, 0.25, seed=SEED).series


@pytest.fixture(scope="module")
def lived():
    """Two days and more that nobody simulated: quick, and good enough to be judged on."""
    rng, hours = np.random.default_rng(SEED), np.arange(STEPS) / 4.0

    def daily(middle, swing, noise):
        return middle + swing * np.sin(hours / 24.0 * 2.0 * np.pi) + rng.normal(0.0, noise, STEPS)

    series = HouseSeries(
        start_s=int(bench.START.timestamp()),
        step_s=900,
        air_c={name: daily(20.0, 0.5, 0.05) for name in NAMES},
        heat_w={name: np.clip(daily(300.0, 200.0, 50.0), 0.0, None) for name in NAMES},
        outdoor_c=daily(-2.0, 3.0, 0.1),
        solar_w_m2={"south": np.clip(daily(0.0, 200.0, 1.0), 0.0, None)},
        local_hour=(hours % 24).astype(np.int64),
        open_window={},
    )
    return bench.Lived(series, make_building(HOME, SEED), WORLD)


def fit_of(room, model, *, loss_interval=(0.9, 1.1), **evidence):
    return RoomFit(
        room=room,
        model=model,
        interval={"rea_k_w": (model.rea_k_w * loss_interval[0], model.rea_k_w * loss_interval[1])},
        evidence=Evidence(**evidence),
        arx=None,
        p95_24h_c=None,
        nis=None,
        warnings=(),
        left_out={},
    )


class Otherwise:
    """A world whose weather service believes in another world."""

    def __init__(self, world, forecasts):
        self._world, self._forecasts = world, forecasts

    def __getattr__(self, name):
        return getattr(self._world, name)

    def weather_forecast(self, issued_at, hours=72):
        return self._forecasts.weather_forecast(issued_at, hours)


def test_what_is_recorded_is_what_sensors_and_relays_say(recorded):
    assert recorded.steps == 24
    assert tuple(recorded.air_c) == NAMES
    assert tuple(recorded.open_window) == NAMES
    for name, air in recorded.air_c.items():
        assert np.allclose(air * 10, np.rint(air * 10), atol=1e-6), "steps of 0.1 K"
        assert air.min() > 15
        assert air.max() < 30
        assert recorded.heat_w[name].min() >= 0
        assert recorded.heat_w[name].max() <= HOME.rooms[name].heat_w
    assert recorded.heat_w["zadveri"].mean() > 100, "the morning's target is higher than the night's"
    true_c = [WORLD.weather(MORNING + timedelta(minutes=15 * k + 7.5)).temperature_c for k in range(24)]
    assert np.abs(recorded.outdoor_c - true_c).mean() < 0.7
    assert recorded.local_hour[:5].tolist() == [6, 6, 6, 6, 7]


def test_a_seed_gives_the_same_house_each_time(recorded):
    again, other = (bench.live(HOME, WORLD, MORNING, 0.0625, seed=seed).series for seed in (SEED, SEED + 1))
    for name in NAMES:
        assert np.array_equal(again.air_c[name], recorded.air_c[name][: again.steps])
    assert any(not np.array_equal(again.air_c[name], other.air_c[name]) for name in NAMES)


def test_the_sun_is_the_forecast_one_and_not_the_true_one():
    other = bench.generated_world(HOME, SEED + 1)
    noon = bench.START + timedelta(hours=8)
    told, true, believed = (
        bench.expected_sun(HOME, world, noon, 24)["south"] for world in (Otherwise(WORLD, other), WORLD, other)
    )
    assert told.max() > 0.0
    assert np.array_equal(told, believed)
    assert not np.array_equal(told, true)


def test_a_forecast_knows_nothing_later_but_the_heat(lived):
    series, rooms = lived.series, bench.Rooms(prior_models(HOME), {})

    def hidden(values):
        return np.where(np.arange(len(values)) < ORIGIN[0], values, np.nan)

    blind = replace(
        series,
        air_c={name: np.where(np.arange(series.steps) <= ORIGIN[0], air, np.nan) for name, air in series.air_c.items()},
        outdoor_c=hidden(series.outdoor_c),
        solar_w_m2={side: hidden(values) for side, values in series.solar_w_m2.items()},
    )
    seeing, unseeing = (
        bench.foresee(rooms, known, bench.outlook(HOME, WORLD, known, ORIGIN)) for known in (series, blind)
    )
    assert np.isfinite(seeing).all()
    assert np.array_equal(seeing, unseeing)
    unheated = replace(series, heat_w={name: np.nan_to_num(hidden(heat)) for name, heat in series.heat_w.items()})
    cooling = bench.foresee(rooms, unheated, bench.outlook(HOME, WORLD, unheated, ORIGIN))
    assert (cooling[:, -1] < seeing[:, -1] - 0.1).all()


def steady(heat_from_origin):
    """One room held at 20 C for days at 0 C outdoors, and its model."""
    model = RoomModel(ria_k_w=0.01, rea_k_w=0.05, ci_j_k=1e6, cm_j_k=5e6, heater_w=1000.0)
    steps = 96 * 5
    heat = np.full(steps, 400.0)
    heat[96 * 3 :] *= heat_from_origin
    zeros = np.zeros(steps)
    start_s = int(bench.START.timestamp())
    series = HouseSeries(
        start_s, 900, {"room": np.full(steps, 20.0)}, {"room": heat}, zeros, {"south": zeros}, zeros.astype(int), {}
    )
    origins = np.array([96 * 3], dtype=np.int64)
    ahead = bench.Outlook(origins, np.zeros((1, bench.AHEAD)), {"south": np.zeros((1, bench.AHEAD))})
    return model, bench.foresee(bench.Rooms({"room": model}, {}), series, ahead)[0, :, 0]


def test_a_room_in_balance_stays_and_one_left_alone_cools_by_its_time_constant():
    assert np.allclose(steady(1.0)[1], 20.0, atol=0.02)
    model, air = steady(0.0)
    hours = bench.time_constant_h(model)
    assert hours == pytest.approx(0.05 * 6e6 / 3600, rel=0.2), "both capacities empty through the outer resistance"
    late = np.log(air[-40] / air[-1]) / (39 * 0.25)
    assert 1.0 / late == pytest.approx(hours, rel=0.03)


def test_rooms_are_counted_against_the_building(lived):
    building, models = lived.building, prior_models(HOME)
    found = {}
    for name in NAMES:
        right = 1.0 / building.loss_w_k()[building.names.index(name)]
        found[name] = fit_of(name, models[name].model_copy(update={"rea_k_w": float(right)}), mae_24h_c=0.1, days=21.0)
    trusted = {"mae_24h_c": 0.1, "simple_mae_24h_c": 0.4, "days": 21.0, "excitation": 1.0}
    right = found["hosti"].model
    found["hosti"] = fit_of("hosti", right, **trusted)
    wrong = right.model_copy(update={"rea_k_w": found["zadveri"].model.rea_k_w / 2.0})
    found["zadveri"] = fit_of("zadveri", wrong, **trusted)
    *rows, house = bench.judge(HOME, lived, found, 108, SEED)
    assert [row["room"] for row in rows] == list(NAMES)
    by_room = {row["room"]: row for row in rows}
    assert by_room["hosti"]["loss_off_pct"] == 0.0
    assert by_room["hosti"]["loss_in_interval"] is True
    assert by_room["zadveri"]["loss_off_pct"] == pytest.approx(100.0)
    assert by_room["zadveri"]["loss_in_interval"] is False
    assert by_room["hosti"]["mae_24h_c"] < by_room["hosti"]["persistence_c"] + 1.0
    assert house["rooms_not_control"] == 1
    assert house["control_rooms_loss_off"] == 1
    assert house["loss_in_interval"] == pytest.approx(2 / 3, abs=1e-3)
    assert house["time_constant_in_interval"] is None
    assert house["control_loss_off_pct"] > 30.0


def test_only_rooms_on_the_ground_lose_to_it(lived):
    shares = {name: bench.ground_pct(lived.building, lived.building.names.index(name)) for name in NAMES}
    assert 5.0 < shares["hosti"] < 50.0, "a heavy room"
    assert shares["pracovna"] == shares["zadveri"] == 0.0


def test_without_a_room_in_control_nothing_counts_as_recovered(lived):
    found = {name: fit_of(name, model) for name, model in prior_models(HOME).items()}
    house = bench.judge(HOME, lived, found, 108, SEED)[-1]
    assert house["rooms_not_control"] == 3
    assert house["control_loss_off_pct"] == 100.0


def test_a_colder_world_is_colder_in_truth_and_forecast_alike():
    cold, at = ColderWorld(WORLD, 8.0), datetime(2026, 1, 20, 12, tzinfo=UTC)
    assert cold.weather(at).temperature_c == pytest.approx(WORLD.weather(at).temperature_c - 8.0)
    assert cold.weather(at).ghi_w_m2 == WORLD.weather(at).ghi_w_m2
    told, usual = (world.weather_forecast(at, 6) for world in (cold, WORLD))
    assert told.temperature_c.values == pytest.approx([value - 8.0 for value in usual.temperature_c.values])
    assert told.ghi_w_m2 == usual.ghi_w_m2


def test_the_planner_is_told_what_was_identified():
    models = prior_models(HOME)
    better = models["hosti"].model_copy(update={"rea_k_w": 0.01})
    rooms = IdentifiedRooms(HOME, {name: fit_of(name, better) for name in NAMES})
    told = rooms.instead(Thermal(room="hosti", model=models["hosti"], tier="prior", version="prior"))
    assert (told.room, told.model.rea_k_w, told.tier) == ("hosti", 0.01, "observe")
