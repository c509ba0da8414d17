"""Several providers of weather and PV power: who is believed, and what comes of it."""

import json
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_makers import SUMMER, calendar, grid_at, make_weather, the_home

from pems_common.messages import ExpectedPv, Series
from pems_forecaster.domain.consensus import Consensus, Track, weighted
from pems_forecaster.domain.forecast import Contests, Inputs, make_forecast, remember
from pems_forecaster.domain.slot_history import SlotHistory

HOME = the_home()
NOON = SUMMER + timedelta(hours=10)


def tracked(errors: dict[str, float], slots: int = 500, seed: int = 0) -> Track:
    track, rng = Track(), np.random.default_rng(seed)
    for slot in range(slots):
        truth = rng.uniform(0, 5000)
        track.remember(slot, {name: truth + error * rng.standard_normal() for name, error in errors.items()})
        track.match(slot, truth)
    return track


def test_weights_follow_the_errors_and_add_up_to_one():
    weights = tracked({"good": 100.0, "bad": 300.0}, 3000).weights(["good", "bad"])
    assert sum(weights.values()) == pytest.approx(1.0)
    assert 0.8 < weights["good"] < 0.9  # 9 to 1 as the squares of the errors, drawn a little together


def test_little_experience_leaves_them_nearly_equal_and_a_newcomer_stands_in_the_middle():
    assert tracked({"good": 100.0, "bad": 300.0}, 10).weights(["good", "bad"])["good"] < 0.6
    weights = tracked({"good": 100.0, "bad": 300.0}).weights(["good", "bad", "new"])
    assert weights["good"] > weights["new"] > weights["bad"]
    assert Track().weights(["a", "b"]) == {"a": 0.5, "b": 0.5}
    assert Track().weights([]) == {}


def test_who_was_silent_and_what_was_not_measured_teach_nothing():
    track = Track()
    track.remember(5, {"a": 1.0, "b": float("nan")})
    track.match(5, 9.0)
    track.remember(6, {"a": 1.0, "b": 2.0})
    track.match(6, None)
    track.remember(7, {"a": 1.0, "b": 2.0})
    track.match(7, 9.0, 0.0)
    assert track.weights(["a", "b"]) == {"a": 0.5, "b": 0.5}
    track.remember(8, {"a": 1.0, "b": 2.0})
    track.match(8 + 200, 1.0)  # a slot that was never measured is forgotten
    assert track.to_json()["pending"] == {}


def test_a_provider_that_turns_bad_loses_its_weight():
    track = tracked({"a": 100.0, "b": 300.0}, 2000)
    rng = np.random.default_rng(1)
    for slot in range(2000, 6000):
        track.remember(slot, {"a": 600.0 * rng.standard_normal(), "b": 100.0 * rng.standard_normal()})
        track.match(slot, 0.0)
    assert track.weights(["a", "b"])["b"] > 0.8


def test_it_survives_a_restart():
    made, again = Consensus(), Consensus()
    made.pv = tracked({"a": 100.0, "b": 300.0})
    made.temperature.remember(7, {"a": 1.0, "b": 2.0})
    again.load_json(json.loads(json.dumps(made.to_json(), allow_nan=False)))
    assert again.to_json() == made.to_json()
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        again.load_json({"pv": {"pending": 3, "errors": {}}, "temperature": {}})


def test_a_mean_is_over_those_who_speak():
    said = {"a": np.array([1.0, np.nan, np.nan]), "b": np.array([3.0, 5.0, np.nan])}
    np.testing.assert_array_equal(weighted(said, {"a": 0.75, "b": 0.25}), [1.5, 5.0, np.nan])


def made_of(*others, leading, contests=None, history=None):
    inputs = Inputs(leading, None, SlotHistory() if history is None else history, others=others)
    return make_forecast(HOME, calendar(), grid_at(NOON), inputs, contests or Contests())


def test_two_providers_are_taken_in_the_middle_until_one_has_proved_better():
    low, high = (make_weather(NOON, index=i, temperature_c=t) for i, t in ((0.3, 10.0), (0.9, 20.0)))
    high = high.model_copy(update={"provider": "other"})
    alone = [made_of(leading=w).voices for w in (low, high)]
    contests = Contests()
    both = made_of(high, leading=low, contests=contests)
    middle = 0.5 * (alone[0].power.expected_w + alone[1].power.expected_w)
    np.testing.assert_allclose(both.voices.power.expected_w, middle, rtol=1e-9)
    assert both.voices.weather.temperature_c[40] == pytest.approx(15.0)
    contests.consensus.pv = tracked({"test": 3000.0, "other": 100.0}, 3000)
    proved = made_of(high, leading=low, contests=contests)
    np.testing.assert_allclose(proved.voices.power.expected_w, alone[1].power.expected_w, rtol=0.1)


def test_an_old_run_and_one_from_the_future_are_not_asked():
    low = make_weather(NOON, index=0.3)
    old = make_weather(NOON - timedelta(hours=30), index=0.9, available_at=NOON - timedelta(hours=30))
    late = make_weather(NOON, index=0.9, available_at=NOON + timedelta(minutes=1))
    others = [w.model_copy(update={"provider": name}) for w, name in ((old, "old"), (late, "late"))]
    assert set(made_of(*others, leading=low).voices.pv_w) == {"test"}


def test_outside_services_join_the_mean_where_they_speak():
    weather = make_weather(NOON, index=0.3)
    hourly = Series.of(NOON, 3600, [4000.0] * 6 + [99_000.0] * 6)
    service = ExpectedPv(available_at=NOON, p50=hourly)
    told = weather.model_copy(update={"pv_power_w": {"solcast": service}})
    alone, both = made_of(leading=weather).voices, made_of(leading=told).voices
    np.testing.assert_allclose(
        both.power.expected_w[:24], 0.5 * (alone.power.expected_w[:24] + both.pv_w["solcast"][:24])
    )
    assert both.pv_w["solcast"][:4].mean() == pytest.approx(4000.0)
    assert both.power.expected_w.max() <= HOME.pv.inverter_ac_limit_w  # a service that is out of its mind is bounded
    np.testing.assert_array_equal(both.power.expected_w[60:], alone.power.expected_w[60:])
    future = weather.model_copy(
        update={"pv_power_w": {"solcast": ExpectedPv(available_at=NOON + timedelta(minutes=1), p50=hourly)}}
    )
    np.testing.assert_array_equal(made_of(leading=future).voices.power.expected_w, alone.power.expected_w)


def test_what_each_said_is_remembered_and_learnt_from():
    low, high = make_weather(NOON, index=0.3), make_weather(NOON, index=0.9).model_copy(update={"provider": "other"})
    contests, history = Contests(), SlotHistory()
    made = made_of(high, leading=low, contests=contests, history=history)
    remember(made, contests, history)
    (said,) = contests.consensus.to_json()["temperature"]["pending"].values()
    assert said.keys() == {"test", "other"}
