"""Errors of room models in the running house."""

import json

import pytest
from tests.unit.forecaster.forecaster_true_rooms import TrueRooms, outdoor_c, two_rooms

from pems_forecaster.domain.room_trial import ORIGIN_SLOTS, YESTERDAY, Origin, RoomTrial, Side

FIRST = 1_968_000  # a midnight
RIGHT = Side({"obyvak": "right", "kuchyne": "right"}, two_rooms())
WRONG = Side({"obyvak": "wrong", "kuchyne": "wrong"}, two_rooms(loss=1.5))
SIDES = {"published": RIGHT, "watched": WRONG}


def lived(days=4.0, *, missing=(), gap=(), sides=SIDES):
    """Return a trial that watched true rooms, each model beginning from the true state."""
    rooms, trial = TrueRooms(two_rooms()), RoomTrial()
    last = {name: float(c) for name, c in zip(rooms.names, rooms.air, strict=True)}
    for slot in range(FIRST, FIRST + int(days * 96)):
        hour = (slot % 96) // 4
        if trial.due(slot):
            state = {name: (float(rooms.air[i]), float(rooms.mass[i]), 0.0) for i, name in enumerate(rooms.names)}
            ahead = tuple(outdoor_c(n) for n in range(slot, slot + 96))
            versions = {name: dict(side.versions) for name, side in sides.items()}
            trial.begin(Origin(slot, ahead, {}, dict.fromkeys(sides, state), versions))
        trial.compare(slot, sides)
        begin, heats = last, []
        for _ in range(3):
            heat, last = rooms.step(slot, hour)
            heats.append(heat)
        if slot - FIRST in gap:
            continue
        seen = {name: c for name, c in begin.items() if slot - FIRST not in missing}
        trial.note(slot, hour, seen, {name: sum(h[name] for h in heats) / 3 for name in rooms.names})
    return trial


@pytest.fixture(scope="module")
def trial():
    return lived()


def test_the_right_model_is_told_from_the_wrong_one(trial):
    right, simple = trial.mae("obyvak", "right")
    wrong, _ = trial.mae("obyvak", "wrong")
    assert right < 0.1
    assert wrong > 3 * right
    assert simple > right
    count = len(trial.errors["obyvak"]["right"])
    assert count == 3 * 96 // ORIGIN_SLOTS, "one each three hours, but for the last day"
    ratio, origins = trial.ratio("obyvak", "wrong", "right")
    assert ratio > 3.0
    assert origins == count
    assert trial.ratio("obyvak", "nobody", "right") == (float("inf"), 0)
    assert trial.mae("obyvak", "nobody") is None


def test_yesterday_is_compared_from_the_second_day_on(trial):
    count, all_of_them = (len(trial.errors["kuchyne"][name]) for name in (YESTERDAY, "right"))
    assert count == all_of_them - 96 // ORIGIN_SLOTS + 3, "the first day has no yesterday, or too little of it"


def test_a_day_that_was_hardly_measured_counts_for_nothing():
    """Neither one in which the forecaster itself was away."""
    some = lived(2.5, missing=range(96, 180))
    assert len(some.errors["obyvak"]["right"]) < len(lived(2.5).errors["obyvak"]["right"])
    away = lived(2.0, gap=range(87, 96))
    assert not away.errors
    restarted = lived(2.0, gap=range(92, 96))
    assert len(restarted.errors["obyvak"]["right"]) == 8, "an hour is bridged"
    assert restarted.mae("obyvak", "right") is None


def test_a_room_whose_relay_did_not_tell_is_not_judged_by_heat_it_may_have_had():
    whole = lived(1.0)
    for slot in range(FIRST + 10, FIRST + 14):
        del whole._heat_w[slot]["obyvak"]
    assert whole.compare(FIRST + 96, SIDES)
    assert "obyvak" not in whole.errors
    assert whole.errors["kuchyne"]["right"]


def test_only_rooms_whose_own_model_changed_lose_what_is_under_way():
    trial = lived(1.0)
    half = Side({"obyvak": "newer", "kuchyne": "right"}, two_rooms())
    trial.compare(FIRST + 96, {"published": half})
    assert "obyvak" not in trial.errors
    assert "right" in trial.errors["kuchyne"]


def test_models_that_changed_places_are_not_mistaken_for_each_other():
    trial = lived(1.0)
    assert trial.compare(FIRST + 96, {"published": WRONG, "watched": RIGHT})
    assert not trial.errors


def test_errors_of_models_that_are_gone_are_dropped(trial):
    copy = RoomTrial.from_json(json.loads(json.dumps(trial.to_json())))
    copy.forget("obyvak", ["right"])
    assert set(copy.errors["obyvak"]) == {"right", YESTERDAY}
    assert "wrong" in copy.errors["kuchyne"]


def test_everything_survives_the_file(trial):
    copy = RoomTrial.from_json(json.loads(json.dumps(trial.to_json())))
    assert copy == trial
    assert copy.compare(FIRST + 5 * 96, SIDES)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        RoomTrial.from_json({"errors": [], "said": {}})


def test_the_picture_shows_what_was_said_a_day_before(trial):
    picture = trial.picture("obyvak", FIRST + 4 * 96 - 4, hours=48)
    assert {len(values) for values in picture.values()} == {48}
    pairs = [(m, p) for m, p in zip(picture["measured_c"], picture["predicted_c"], strict=True) if None not in (m, p)]
    assert len(pairs) > 40
    assert max(abs(m - p) for m, p in pairs) < 0.6
    shifted = trial.picture("obyvak", FIRST + 3 * 96 - 4, hours=24)["measured_c"]
    assert picture["yesterday_c"][24:] == shifted


def test_the_past_is_not_kept_for_ever():
    long = lived(9.0, sides={"published": RIGHT})
    assert len(long.errors["obyvak"]["right"]) == 56
    assert len(long._air_c) == 8 * 96 + 1
    assert max(map(len, long.said.values())) <= 7 * 96 + 1


def test_two_bad_days_weigh_more_than_a_good_week(trial):
    copy = RoomTrial.from_json(json.loads(json.dumps(trial.to_json())))
    errors = copy.errors["obyvak"]["right"]
    for slot in sorted(errors)[-16:]:
        errors[slot] = 2.0
    assert copy.mae("obyvak", "right")[0] == pytest.approx(2.0)
    for slot in sorted(errors)[:-16]:
        errors[slot] = 5.0
    assert copy.mae("obyvak", "right")[0] > 2.0
    del errors[min(errors)]
    few = dict(list(errors.items())[:15])
    copy.errors["obyvak"]["right"] = few
    assert copy.mae("obyvak", "right") is None


def test_a_sensor_that_stands_still_is_seen():
    trial = lived(3.5, sides={})
    assert not trial.stands_still("obyvak")
    for slot in range(FIRST + 336, FIRST + 336 + 97):
        trial.note(slot, 0, {"obyvak": 21.0, "kuchyne": 20.0 + (slot % 3) / 10}, {})
    assert trial.stands_still("obyvak")
    assert not trial.stands_still("kuchyne")
    assert not trial.stands_still("nowhere")
