"""Identification of rooms: the mathematics against plain simulation, and rooms of the model class found again."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks._rooms_faults import DAY, ROOM, STEP_S, TRUE, drawn_house, faults, lived_by_model
from scipy.linalg import expm, solve_discrete_are

from pems_common.messages import Evidence
from pems_forecaster.domain.room_fit.errors import Problem, RoomRecord, errors_of
from pems_forecaster.domain.room_fit.fit import Task, fit_rooms
from pems_forecaster.domain.room_fit.foretold import foretold
from pems_forecaster.domain.room_fit.identify import identify_house
from pems_forecaster.domain.room_fit.intervals import time_constant_h
from pems_forecaster.domain.room_fit.modes import Noise, modes_of
from pems_forecaster.domain.room_fit.parameters import Parameters, gain_shapes, prior_of
from pems_forecaster.domain.room_fit.plain_prior import PLAIN_VAGUE, plain_prior
from pems_forecaster.domain.room_fit.predict import Beliefs, HousePredictor

ALONE = {ROOM: TRUE[ROOM].model_copy(update={"neighbours": {}})}
SENSOR_K2 = 0.0025


@pytest.fixture(scope="module")
def house():
    return lived_by_model(TRUE, 16, seed=4)


def record(series, days, *, neighbours=()):
    count = days * DAY
    origins = np.arange(144, count - DAY, 24)
    ahead = np.array([1, 8, 40, 96])
    return RoomRecord(
        series.air_c[ROOM][:count],
        series.outdoor_c[:count],
        {name: series.air_c[name][:count] for name in neighbours},
        series.heat_w[ROOM][:count],
        {plane: values[:count] for plane, values in series.solar_w_m2.items()},
        gain_shapes()[:, series.local_hour[:count]],
        origins,
        ahead,
        np.ones((len(origins), len(ahead)), dtype=bool),
        STEP_S,
    )


def test_modes_are_the_room_and_its_steady_filter():
    model, noise = TRUE[ROOM], Noise(*(np.array([v]) for v in (SENSOR_K2, 2e-3, 1e-3, 2e-3, 9.0)))
    modes = modes_of(
        *(np.array([v]) for v in (model.ria_k_w, 1 / model.rea_k_w, model.ci_j_k, model.cm_j_k)), noise, STEP_S
    )
    g, loss = 1 / model.ria_k_w, 1 / model.rea_k_w
    rate = np.array([[-(g + loss) / model.ci_j_k, g / model.ci_j_k], [g / model.cm_j_k, -g / model.cm_j_k]])
    entry = np.diag([1 / model.ci_j_k, 1 / model.cm_j_k])
    whole = expm(np.block([[rate, entry], [np.zeros((2, 4))]]) * STEP_S)
    assert modes.air_in.sum() == pytest.approx(whole[0, 2])
    assert modes.mass_in.sum() == pytest.approx(whole[0, 3])
    step = np.zeros((3, 3))
    step[:2, :2], step[:2, 2], step[2, 2] = whole[:2, :2], whole[:2, 2], np.exp(-0.25 / 9.0)
    to_w = model.ci_j_k / 3600.0  # from K/h
    wander = np.diag([2e-3, 1e-3, 2e-3 * to_w**2]) * 0.25
    steady = solve_discrete_are(step.T, np.array([[1.0], [0.0], [0.0]]), wander, np.array([[SENSOR_K2]]))
    assert modes.variance[0] == pytest.approx(steady[0, 0] + SENSOR_K2)
    assert modes.states[0] @ modes.gain[:, 0] == pytest.approx(steady[:, 0] / modes.variance[0])


def test_derivatives_of_errors_are_differences(house):
    prior = prior_of(TRUE[ROOM], ["hall"], ["south", "west"], SENSOR_K2, doubt_heat=True)
    problem = Problem(record(house, 8, neighbours=["hall"]), prior)
    values = prior.middle + 0.1
    ((error, jacobian),) = errors_of([problem], [values])
    for k in range(len(values)):
        moved = values.copy()
        moved[k] += 1e-3
        ((other, _),) = errors_of([problem], [moved])
        assert jacobian[:, k] == pytest.approx((other - error) / 1e-3, abs=5e-3 * np.abs(jacobian[:, k]).max() + 1e-5)


def test_errors_are_those_of_a_room_that_is_predicted_step_by_step(house):
    series = replace(house, air_c={ROOM: house.air_c[ROOM].copy()})
    series.air_c[ROOM][300:330] = np.nan
    kept = record(series, 8)
    kept = replace(kept, wanted=np.isfinite(kept.air_c)[kept.origins[:, None] + kept.ahead])
    prior = prior_of(ALONE[ROOM], [], ["south", "west"], SENSOR_K2)
    ((error, _),) = errors_of([Problem(kept, prior)], [prior.middle])
    parameters = Parameters(prior, prior.middle)
    beliefs = Beliefs(SENSOR_K2, *(parameters.of(name) for name in ("air_noise", "mass_noise", "drift", "fade_h")))
    predictor = HousePredictor.of({ROOM: parameters.model()}, STEP_S, {ROOM: beliefs})
    heat_in = predictor.heat_in(series.outdoor_c, series.heat_w, series.solar_w_m2, series.local_hour)
    states = predictor.states(series.air_c, *heat_in, kept.origins)
    said = predictor.air_c(states, *heat_in, kept.origins, DAY)[:, kept.ahead - 1, 0]
    truth = series.air_c[ROOM][kept.origins[:, None] + kept.ahead]
    assert error == pytest.approx((truth - said)[kept.wanted], abs=5e-3)


def test_rooms_of_the_model_class_are_found_again(house):
    priors = drawn_house(TRUE, seed=2)
    shares = []
    fits = identify_house(priors, house, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for room, fit in fits.items():
        low, high = fit.interval["rea_k_w"]
        assert fit.model.rea_k_w == pytest.approx(TRUE[room].rea_k_w, rel=0.12)
        assert low < TRUE[room].rea_k_w < high
        assert time_constant_h(fit.model) == pytest.approx(time_constant_h(TRUE[room]), rel=0.2)
        assert fit.evidence.mae_24h_c < min(0.4, fit.evidence.simple_mae_24h_c)
        assert 0.5 < fit.nis < 2.0
        assert fit.tier() == "control"
        assert fit.warnings == ()
        assert fit.left_out == {}
    # Both sides of a wall say the same.
    assert fits["study"].model.neighbours["hall"] == pytest.approx(fits["hall"].model.neighbours["study"], rel=0.25)
    said = foretold(fits, house, 3)
    error = (
        said.air_c[:, :, 0] - house.air_c[ROOM][np.minimum(said.origins[:, None] + 1 + np.arange(DAY), 16 * DAY - 1)]
    )
    assert np.abs(error[:-1]).mean() < 0.4


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(16):
        series = lived_by_model(ALONE, 9, seed)
        prior = prior_of(drawn_house(ALONE, seed)[ROOM], [], ["south", "west"], SENSOR_K2)
        fitted = fit_rooms([Task(record(series, 9), prior, starts=0)], rounds=15)[0]
        for name in ("rea_k_w", "cm_j_k"):
            k = prior.names.index(name)
            off = fitted.parameters.values[k] - np.log(getattr(TRUE[ROOM], name))
            held.append(abs(off) < 1.645 * np.sqrt(fitted.covariance[k, k]))
    assert 0.8 <= np.mean(held) <= 1.0


def test_steps_of_five_minutes_are_made_longer(house):
    fine = replace(
        house,
        step_s=300,
        air_c={room: np.repeat(values, 3) for room, values in house.air_c.items()},
        heat_w={room: np.repeat(values, 3) for room, values in house.heat_w.items()},
        outdoor_c=np.repeat(house.outdoor_c, 3),
        solar_w_m2={plane: np.repeat(values, 3) for plane, values in house.solar_w_m2.items()},
        local_hour=np.repeat(house.local_hour, 3),
        open_window={ROOM: np.arange(3 * house.steps) == 4},
    )
    coarse = fine.part(1, fine.steps).coarse(900)  # not from a quarter of an hour on
    assert coarse.start_s == house.start_s + 900
    assert coarse.air_c[ROOM].tolist() == house.air_c[ROOM][1:].tolist()
    assert coarse.heat_w[ROOM] == pytest.approx(house.heat_w[ROOM][1:])
    assert np.flatnonzero(coarse.open_window[ROOM]).tolist() == [0]
    assert house.coarse(900) is house
    with pytest.raises(ValueError, match="do not make"):
        house.coarse(1000)


def test_nothing_known_of_the_room(house):
    alone = replace(house, air_c={ROOM: house.air_c[ROOM]}, heat_w={ROOM: house.heat_w[ROOM]})
    fit = identify_house({ROOM: plain_prior(alone, ROOM)}, alone, vague=PLAIN_VAGUE)[ROOM]
    # Its neighbour is unknown too, and stands for a part of the loss.
    assert fit.model.rea_k_w == pytest.approx(TRUE[ROOM].rea_k_w, rel=0.35)
    assert fit.evidence.mae_24h_c < fit.evidence.simple_mae_24h_c


def test_a_room_that_is_never_heated_is_observed(house):
    short = house.part(0, 8 * DAY)
    cold = replace(short, heat_w={})
    fit = identify_house({ROOM: plain_prior(cold, ROOM)}, cold, vague=PLAIN_VAGUE)[ROOM]
    assert fit.evidence.excitation == 0.0
    assert fit.tier() == "observe"
    assert any("hardly heated" in warning for warning in fit.warnings)


def test_a_room_that_was_never_measured_keeps_its_prior(house):
    short = house.part(0, 6 * DAY)
    silent = replace(short, air_c={ROOM: np.full(short.steps, np.nan), "bath": short.air_c["bath"]})
    fit = identify_house(TRUE, silent)[ROOM]
    assert fit.model.rea_k_w == pytest.approx(TRUE[ROOM].rea_k_w, rel=1e-6)
    assert fit.evidence == Evidence(excitation=0.0)
    assert fit.arx is None
    assert fit.tier() == "observe"


@pytest.mark.parametrize("name", ["dead_relay", "missing"])
def test_a_fault_is_said_and_does_no_harm(name):
    (fault,) = [fault for fault in faults() if fault.name == name]
    alone = {ROOM: TRUE[ROOM].model_copy(update={"neighbours": {}})}
    fit = identify_house(alone, lived_by_model(alone, 14, 11, fault))[ROOM]
    assert any(word in warning for word in fault.words for warning in fit.warnings)
    assert 1 / 3 < TRUE[ROOM].rea_k_w / fit.model.rea_k_w < 3
    assert (fit.tier() == "observe") == (name == "dead_relay")
