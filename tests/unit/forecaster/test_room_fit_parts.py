"""Screening, excitation, trust, words and the ARX challenger of rooms."""

import numpy as np
import pytest
from benchmarks._rooms_faults import DAY, ROOM, STEP_S, TRUE, lived_by_model

from pems_common.errors import PermanentError
from pems_common.messages import Evidence
from pems_forecaster.domain.room_fit.arx import ArxModel, fit_arx
from pems_forecaster.domain.room_fit.complaints import Doubt, complaints
from pems_forecaster.domain.room_fit.excitation import excitation
from pems_forecaster.domain.room_fit.predict import HousePredictor, States
from pems_forecaster.domain.room_fit.screening import Screened, screen
from pems_forecaster.domain.room_fit.series import HouseSeries
from pems_forecaster.domain.room_fit.trust import tier_of

GOOD = Evidence(mae_24h_c=0.3, simple_mae_24h_c=0.5, days=21.0, excitation=0.8)


def quiet_series(days=4, **given):
    steps = days * DAY
    slow = np.round(20.0 + 0.5 * np.sin(np.arange(steps) / DAY * 2.0 * np.pi), 1)
    usual = {
        "air": slow,
        "heat": np.zeros(steps),
        "outdoor": np.full(steps, 2.0),
        "sun": np.zeros(steps),
        "windows": {},
    }
    given = {**usual, **given}
    return HouseSeries(
        0,
        STEP_S,
        {ROOM: given["air"]},
        {ROOM: given["heat"]},
        given["outdoor"],
        {"south": given["sun"]},
        (np.arange(steps) // 4 % 24).astype(np.int64),
        given["windows"],
    )


def with_change(change):
    air = quiet_series().air_c[ROOM].copy()
    change(air)
    return screen(quiet_series(air=air), ROOM)


def test_nothing_is_left_out_of_a_quiet_room():
    kept = screen(quiet_series(), ROOM)
    assert dict(kept.hours) == {}
    assert not kept.spoilt.any()
    assert kept.resolution_k == pytest.approx(0.1)


def test_single_wrong_values_are_missing_but_spoil_nothing():
    def change(air):
        air[100] += 3.0
        air[200] = -55.0
        air[210:214] = np.nan

    kept = with_change(change)
    assert dict(kept.hours) == {"no measurement": 1.0, "impossible value": 0.25, "spike": 0.25}
    assert np.isnan(kept.air_c[[100, 200]]).all()
    assert not kept.spoilt.any()


def test_a_stuck_sensor():
    def change(air):
        air[96:192] = 20.3

    kept = with_change(change)
    assert kept.hours["stuck sensor"] == pytest.approx(24.0, abs=1.0)
    assert np.isnan(kept.air_c[100:190]).all()


def test_an_open_window_and_what_follows_is_left_out_also_for_predictions_through_it():
    def change(air):
        air[150:158] -= np.linspace(0.4, 3.2, 8)
        air[158:166] -= np.linspace(3.0, 0.1, 8)

    kept = with_change(change)
    assert 2.0 <= kept.hours["window open"] <= 7.0
    assert kept.spoilt[151:160].all()
    assert not kept.spoilt[:140].any()
    assert not kept.spoilt[185:].any()


def test_a_known_window_and_a_stove():
    windows = {ROOM: np.arange(4 * DAY) == 50}
    kept = screen(quiet_series(windows=windows), ROOM)
    assert kept.spoilt[50]
    assert kept.hours["window open"] == pytest.approx(2.25)

    def change(air):
        air[200:212] += np.linspace(0.4, 4.0, 12)
        air[212:280] += 4.0 * np.exp(-np.arange(68) / 20.0)

    kept = with_change(change)
    assert kept.hours["other heat"] > 3.0
    assert "window open" not in kept.hours


def test_unknown_inputs_spoil_what_they_cover():
    outdoor, heat = np.full(4 * DAY, 2.0), np.zeros(4 * DAY)
    outdoor[100:120] = np.nan
    outdoor[200:204] = np.nan
    heat[300:310] = np.nan
    kept = screen(quiet_series(outdoor=outdoor, heat=heat), ROOM)
    assert np.flatnonzero(kept.spoilt).tolist() == [*range(100, 120), *range(300, 310)]
    assert dict(kept.hours) == {"outdoor temperature unknown": 5.0, "heat unknown": 2.5}
    assert (kept.heat_w == 0.0).all()


def test_excitation_wants_heat_and_rest_in_turns():
    air, none = np.full(10 * DAY, 20.0), np.zeros(10 * DAY, dtype=bool)
    turns = np.where(np.arange(10 * DAY) % DAY < 40, 1000.0, 0.0)
    assert excitation(air, turns, none, STEP_S) == pytest.approx(0.9, abs=0.11)
    assert excitation(air, 0.0 * turns, none, STEP_S) == 0.0
    assert excitation(air, 0.0 * turns + 700.0, none, STEP_S) == 0.0
    assert excitation(air, turns, ~none, STEP_S) == 0.0
    assert excitation(air, np.where(np.arange(10 * DAY) < DAY, 1000.0, 0.0), none, STEP_S) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "tier"),
    [
        ({}, "control"),
        ({"mae_24h_c": 0.51, "simple_mae_24h_c": 0.9}, "suggest"),
        ({"mae_24h_c": 0.9, "simple_mae_24h_c": 2.0}, "observe"),
        ({"mae_24h_c": 0.45, "simple_mae_24h_c": 0.35}, "suggest"),
        ({"mae_24h_c": 0.45, "simple_mae_24h_c": 0.2}, "observe"),
        ({"mae_24h_c": 0.2, "simple_mae_24h_c": 0.15}, "control"),
        ({"days": 7.0}, "suggest"),
        ({"days": 2.0}, "observe"),
        ({"excitation": 0.2}, "suggest"),
        ({"mae_24h_c": None}, "observe"),
    ],
)
def test_tiers_follow_the_evidence(change, tier):
    assert tier_of(GOOD.model_copy(update=change)) == tier


def test_a_tier_is_kept_a_little_longer_than_it_is_given():
    border = GOOD.model_copy(update={"excitation": 0.28})
    assert tier_of(border) == "suggest"
    assert tier_of(border, before="control") == "control"
    assert tier_of(GOOD.model_copy(update={"mae_24h_c": 0.501}), before="control") == "suggest"


def test_what_the_error_does_not_show_costs_trust_too():
    assert tier_of(GOOD, faulty=True, before="control") == "observe"
    assert tier_of(GOOD, loss_interval_ratio=4.0) == "suggest"
    assert tier_of(GOOD, nis=3.0) == "suggest"
    assert tier_of(GOOD, nis=1.0, loss_interval_ratio=1.5) == "control"


def test_words_come_with_what_to_do():
    air = np.full(DAY, 20.0)
    screened = Screened(air, 0.0 * air, np.zeros(DAY, dtype=bool), {"no measurement": 60.0, "window open": 5.0}, 0.5)
    near = TRUE[ROOM].model_copy(update={"neighbours": {"hall": 200.0}})
    lossy = near.model_copy(update={"rea_k_w": near.rea_k_w / 4})
    bad = Evidence(mae_24h_c=0.9, simple_mae_24h_c=0.6, days=3.0, excitation=0.1)
    said = "; ".join(complaints(ROOM, near, TRUE[ROOM], screened, bad, None, 100.0))
    for words in ("60 % of the time", "steps of 0.5 C", "window stood open", "nearly one room", "only 3 days"):
        assert words in said
    assert "worse (0.90 C) than by yesterday (0.60 C)" in said
    assert "hardly heated" in said
    assert any("4.0 times" in words for words in complaints(ROOM, lossy, TRUE[ROOM], screened, GOOD, None, 100.0))
    hall = TRUE[ROOM].model_copy(update={"neighbours": dict.fromkeys(("hall", "bath", "attic"), 60.0)})
    assert any(
        "lives from its neighbours" in words for words in complaints(ROOM, hall, hall, screened, GOOD, None, 1e3)
    )
    first = complaints(ROOM, near, TRUE[ROOM], screened, bad, Doubt(0.1, 4, now=True), 100.0)[0]
    assert first.startswith("the relay reports on, but the room does not warm (about 10 %")


def test_a_house_in_balance_stays_where_it_is():
    models = {name: room.model_copy(update={"gains_w": {}}) for name, room in TRUE.items()}
    predictor = HousePredictor.of(models, STEP_S)
    outdoor = np.full(200, 10.0)
    heat = {name: np.full(200, 10.0 / room.rea_k_w) for name, room in models.items()}
    heat_in = predictor.heat_in(outdoor, heat, {}, np.zeros(200, dtype=np.int64))
    mass = [20.0 + 10.0 * room.ria_k_w / room.rea_k_w * room.heat_to_mass for room in models.values()]
    begin = States(np.full((1, 3), 20.0), np.array([mass]), np.zeros((1, 3)), np.empty((0, 3)))
    assert predictor.air_c(begin, *heat_in, [0], 200) == pytest.approx(20.0)


def test_arx_learns_a_room_and_keeps_as_plain_data():
    series = lived_by_model({ROOM: TRUE[ROOM].model_copy(update={"neighbours": {}})}, 12, 3)
    air = series.air_c[ROOM]
    inputs = {"outdoor": series.outdoor_c, "heat": series.heat_w[ROOM], "flat": 0.0 * air, **series.solar_w_m2}
    model = fit_arx(air, np.isfinite(air), inputs, DAY)
    assert model is not None
    assert "flat" not in model.inputs
    origins = np.arange(8 * DAY, 11 * DAY, 12)
    truth = air[origins[:, None] + 1 + np.arange(DAY)]
    error = np.abs(model.predict(air, inputs, origins, DAY) - truth).mean()
    assert error < np.abs(air[origins][:, None] - truth).mean() / 2
    assert error == pytest.approx(model.mae_24h_c, rel=0.5)
    again = ArxModel.from_json(model.to_json())
    assert again == model
    with pytest.raises(PermanentError, match="do not fit together"):
        ArxModel.from_json({**model.to_json(), "weights": [1.0]})
    with pytest.raises(PermanentError, match="no ARX model"):
        ArxModel.from_json({"inputs": []})
    assert fit_arx(air[:DAY], np.ones(DAY, dtype=bool), {}, DAY) is None
