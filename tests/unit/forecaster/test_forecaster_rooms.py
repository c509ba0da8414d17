"""Room priors and the observer: plausible figures, convergence with a wrong prior, faults."""

from datetime import timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import WINTER, the_home

from pems_common.thermal import discretise
from pems_forecaster.domain.observer import HouseObserver, RoomInputs
from pems_forecaster.domain.rooms import heating_need_w, prior_interval, prior_model, prior_models

HOME = the_home()
STEP = timedelta(minutes=5)


def alone(name="pokoj_1"):
    return prior_model(HOME, name).model_copy(update={"neighbours": {}, "solar_m2": {}, "gains_w": {}})


def test_house_needs_five_to_seven_kilowatts_at_freezing():
    assert 5_000 < heating_need_w(HOME, 0.0) < 7_000


def test_time_constants_and_powers_are_plausible():
    for name, model in prior_models(HOME).items():
        tau_h = (model.ci_j_k + model.cm_j_k) * model.rea_k_w / 3600
        assert 30 < tau_h < 220, name
        assert model.heater_w > 21 / model.rea_k_w, f"{name} could not be held warm at freezing"
        for parameter, (low, high) in prior_interval(model).items():
            assert low < getattr(model, parameter) < high


def test_neighbours_are_symmetric():
    models = prior_models(HOME)
    for name, model in models.items():
        for other, conductance in model.neighbours.items():
            assert models[other].neighbours[name] == conductance
            assert 4 < conductance < 30


def test_radiator_rooms_heat_the_air_first():
    rooms = dict(HOME.rooms)
    rooms["hosti"] = rooms["hosti"].model_copy(update={"floor": "radiator"})
    model = prior_model(HOME.model_copy(update={"rooms": rooms}), "hosti")
    assert model.heat_to_mass < 0.5
    assert prior_model(HOME, "hosti").heat_to_mass == 1.0


def run(true, prior, days, *, seed=0, missing=0.2, wrong_sensor=None, irregular=False, noise=0.07):
    """Thermostat operation of a true room, watched by an observer with the prior."""
    rng = np.random.default_rng(seed)
    observer = HouseObserver({"r": prior})
    exact = discretise(true, STEP.total_seconds())
    air, mass, on = 20.0, 22.0, False
    at, since = WINTER, WINTER
    trace = []
    heat_sum, heat_n = 0.0, 0
    for k in range(int(days * 288)):
        at += STEP
        outdoor = 4 * np.sin(2 * np.pi * k / 288) + 3 * np.sin(2 * np.pi * k / 288 / 3)
        on = True if air < 20.8 else False if air > 21.2 else on
        heat = true.heater_w * on
        air, mass = exact.step(air, mass, outdoor / true.rea_k_w, heat)
        heat_sum, heat_n = heat_sum + heat, heat_n + 1
        trace.append((air, mass, heat, outdoor))
        if irregular and rng.random() < 0.6 and at - since < timedelta(hours=1):
            continue
        measured = round(air + noise * rng.standard_normal(), 1)
        if wrong_sensor is not None:
            measured = wrong_sensor(k, measured)
        seen = {} if measured is None or rng.random() < missing else {"r": measured}
        observer.step(at, RoomInputs(outdoor, {"r": heat_sum / heat_n}, seen, {}, at.hour))
        heat_sum, heat_n, since = 0.0, 0, at
    return observer, np.array(trace)


@pytest.mark.parametrize(("loss", "capacity"), [(1.3, 1.0), (0.7, 1.0), (1.3, 0.7), (0.7, 1.3)])
@pytest.mark.parametrize("irregular", [False, True])
def test_prediction_has_no_steady_offset_with_a_prior_wrong_by_30_percent(loss, capacity, irregular):
    prior = alone()
    true = prior.model_copy(
        update={
            "rea_k_w": prior.rea_k_w / loss,
            "cm_j_k": prior.cm_j_k * capacity,
            "ci_j_k": prior.ci_j_k * capacity,
        }
    )
    observer, trace = run(true, prior, days=5, irregular=irregular)
    state = observer.state("r")
    assert state is not None
    outdoor = 0.0
    mean_heat = (21.0 - outdoor) / true.rea_k_w
    balance = mean_heat + (outdoor - 21.0) / prior.rea_k_w + state.disturbance_w
    offset_k = balance * prior.rea_k_w
    without_k = (balance - state.disturbance_w) * prior.rea_k_w
    assert abs(without_k) > 4.0
    assert abs(offset_k) < 0.3 * abs(without_k)
    assert state.air_c == pytest.approx(trace[-1, 0], abs=0.25)
    assert state.mass_c == pytest.approx(trace[-1, 1], abs=1.2)


def test_perfect_prior_keeps_the_disturbance_small():
    prior = alone()
    observer, trace = run(prior, prior, days=4)
    state = observer.state("r")
    assert state is not None
    assert abs(state.disturbance_w) < 0.12 * 21 / prior.rea_k_w
    assert state.mass_c == pytest.approx(trace[-1, 1], abs=0.4)


def test_one_absurd_reading_hardly_matters_and_disturbance_stays_bounded():
    prior = alone()
    observer, trace = run(prior, prior, days=3, wrong_sensor=lambda k, t: 35.0 if k == 800 else t)
    assert observer.state("r").air_c == pytest.approx(trace[-1, 0], abs=0.3)
    stuck, _ = run(prior, prior, days=4, wrong_sensor=lambda k, t: 12.0 if k > 300 else t)
    assert abs(stuck.state("r").disturbance_w) <= stuck.bound_w[0] + 1e-6
    assert np.isfinite(stuck._p).all()


def test_open_window_is_not_learnt_from():
    prior = alone()
    observer, _ = run(prior, prior, days=2)
    before = observer.state("r").disturbance_w
    at = observer.at
    for k in range(12):
        observer.step(at + STEP * (k + 1), RoomInputs(0.0, {"r": 0.0}, {"r": 19.0 - 0.2 * k}, {}, 3, frozenset({"r"})))
    assert observer.state("r").disturbance_w == pytest.approx(before)


def test_rooms_nobody_measures_have_no_state_and_disturb_nobody():
    models = prior_models(HOME)
    observer = HouseObserver(models)
    inputs = RoomInputs(0.0, {}, {"obyvak": 21.0}, {"south": 100.0}, 12)
    for k in range(20):
        observer.step(WINTER + STEP * k, inputs)
    assert observer.known == 1
    assert observer.state("kuchyne") is None
    assert observer.state("obyvak") is not None


def test_silence_of_half_a_day_starts_anew():
    prior = alone()
    observer, _ = run(prior, prior, days=1)
    late = observer.at + timedelta(hours=20)
    observer.step(late, RoomInputs(0.0, {}, {}, {}, 3))
    assert observer.state("r") is None
    observer.step(late + STEP, RoomInputs(0.0, {}, {"r": 15.0}, {}, 3))
    assert observer.state("r").air_c == pytest.approx(15.0, abs=0.1)


def test_sensor_that_moved_is_believed_after_a_while():
    prior = alone()
    observer, _ = run(prior, prior, days=1)
    at = observer.at
    for k in range(8):
        observer.step(at + STEP * (k + 1), RoomInputs(0.0, {"r": 400.0}, {"r": 16.0}, {}, 3))
    assert observer.state("r").air_c == pytest.approx(16.0, abs=0.3)


def test_state_survives_its_file():
    prior = alone()
    observer, _ = run(prior, prior, days=1)
    other = HouseObserver({"r": prior})
    other.load_json(observer.to_json(), observer.at + timedelta(minutes=10))
    assert other.state("r") == observer.state("r")
    old = HouseObserver({"r": prior})
    old.load_json(observer.to_json(), observer.at + timedelta(days=1))
    assert old.state("r") is None
