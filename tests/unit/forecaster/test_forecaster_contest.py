"""Methods side by side: what is published, who is promoted, who is dropped."""

import json

import numpy as np
import pytest

from pems_common.errors import PermanentError
from pems_forecaster.domain.bands import Quantiles
from pems_forecaster.domain.contest import Contest, ContestRules
from pems_forecaster.domain.residuals import ResidualBook

SLOTS = 96


def band(middle, half=50.0) -> Quantiles:
    middle = np.full(SLOTS, float(middle))
    return Quantiles(middle - half, middle, middle + half)


def contest(**rules) -> Contest:
    return Contest("simple-1", lambda: ResidualBook((4.0,)), ContestRules(**rules))


def settle(made: Contest, version: str) -> None:
    """Let it be known that the model is to be believed."""
    for _ in range(5):
        simple, model = (np.tile([middle - 1.0, middle, middle + 1.0], (8, 1)) for middle in (900.0, 1000.0))
        made.arms[version].blend.learn(simple, model, np.full(8, 1000.0), np.array([0.1, 0.5, 0.9]))


def live_days(made: Contest, said: dict[str, float], days: int, first: int, truth=1000.0, noise=30.0, seed=0) -> int:
    """Each slot is forecast four hours ahead by every method and measured; returns the next first slot."""
    for version in made.models:
        if not made.arms[version].settled:
            settle(made, version)
    rng = np.random.default_rng(seed + first)
    for _ in range(days):
        for slot in range(first, first + SLOTS):
            for version, arm in made.arms.items():
                arm.book.remember(np.arange(slot - 16, slot - 16 + SLOTS), band(said[version]).p50,
                                  np.ones(SLOTS), band(said[version]))  # fmt: skip
            made.match(slot, truth + noise * rng.standard_normal())
        made.close_day()
        first += SLOTS
    return first


def test_a_better_model_is_promoted_after_enough_days_and_not_before():
    made = contest()
    assert made.challenge("m1") == ""
    next_slot = live_days(made, {"simple-1": 1200.0, "m1": 1010.0}, 4, 960)
    assert made.verdict() is None
    live_days(made, {"simple-1": 1200.0, "m1": 1010.0}, 1, next_slot)
    verdict = made.verdict()
    assert verdict is not None
    assert verdict.act == "promote"
    assert verdict.evidence["loss_ratio"] < 0.5
    assert made.promote() == ""
    assert (made.active, made.former, made.challenger) == ("m1", "simple-1", "")


def test_a_worse_model_is_rejected_and_an_equal_one_after_long():
    made = contest()
    made.challenge("m1")
    first = live_days(made, {"simple-1": 1010.0, "m1": 1400.0}, 11, 960)
    assert made.verdict() is None  # no model is given up before twelve days
    first = live_days(made, {"simple-1": 1010.0, "m1": 1400.0}, 1, first)
    assert made.verdict().act == "reject"
    made.leave("m1")
    assert (made.active, made.challenger, list(made.arms)) == ("simple-1", "", ["simple-1"])
    made.challenge("m2")
    first = live_days(made, {"simple-1": 1010.0, "m2": 1010.0}, 20, first)
    assert made.verdict() is None
    live_days(made, {"simple-1": 1010.0, "m2": 1010.0}, 1, first)
    assert made.verdict().act == "reject"


def test_an_active_model_that_becomes_worse_is_rolled_back_to_the_best_that_is_left():
    made = contest(least_days=3)
    made.challenge("m1")
    first = live_days(made, {"simple-1": 1300.0, "m1": 1010.0}, 3, 960)
    made.promote()
    made.challenge("m2")
    first = live_days(made, {"simple-1": 1300.0, "m1": 1100.0, "m2": 1010.0}, 3, first)
    assert made.promote() == ""  # the simple method was the former one: it stays in any case
    assert made.former == "m1"
    first = live_days(made, {"simple-1": 1300.0, "m1": 1100.0, "m2": 1900.0}, 12, first)
    verdict = made.verdict()
    assert (verdict.act, verdict.to) == ("roll_back", "m1")
    first = live_days(made, {"simple-1": 1050.0, "m1": 2100.0, "m2": 1900.0}, 12, first)
    assert made.verdict().to == "simple-1"
    made.leave("m2")
    assert made.active == "m1"


def test_a_challenger_begins_with_the_scatter_of_what_is_published_but_not_its_bias():
    made = contest()
    live_days(made, {"simple-1": 1500.0}, 6, 960, noise=100.0)
    made.challenge("m1")
    lead_h, scale = np.full(SLOTS, 4.0), np.ones(SLOTS)
    simple, rival = (made.arms[version].book.correct(band(1000.0), scale, lead_h) for version in ("simple-1", "m1"))
    assert simple.p50[0] < 700.0  # it has learnt that it says too much
    assert rival.p50[0] == pytest.approx(1000.0, abs=1.0)
    begun = rival.p90[0] - rival.p10[0]
    assert 200.0 < begun < simple.p90[0] - simple.p10[0]
    rng = np.random.default_rng(6)
    for slot in range(2000, 2000 + 4 * SLOTS):  # what it says itself takes the place of it within days
        said = np.arange(slot - 16, slot - 16 + SLOTS)
        made.arms["m1"].book.remember(said, band(1000.0).p50, np.ones(SLOTS), band(1000.0))
        made.match(slot, 1000.0 + 10.0 * rng.standard_normal())
    own = made.arms["m1"].book.correct(band(1000.0), scale, lead_h)
    assert own.p90[0] - own.p10[0] < 0.3 * begun


def test_what_was_learnt_of_a_mixture_stays_right_when_its_share_moves():
    made = contest()
    made.challenge("m1")
    arm, rng = made.arms["m1"], np.random.default_rng(5)
    for slot in range(960, 960 + 6 * SLOTS):
        said = np.arange(slot - 16, slot - 16 + SLOTS)
        arm.book.remember(said, band(700.0).p50, np.ones(SLOTS), band(700.0), lean=np.full(SLOTS, 300.0))
        made.match(slot, 1000.0 + 30.0 * rng.standard_normal())
    lead_h, scale = np.full(SLOTS, 4.0), np.ones(SLOTS)
    for share in (0.0, 0.5, 1.0):  # the model says 1000, which is right, the simple method 700
        arm.book.share = share
        base = 700.0 + 300.0 * share
        told = arm.book.correct(band(base), scale, lead_h)
        trust = 6.0 / 9.0
        assert told.p50[0] == pytest.approx(base + trust * (1000.0 - base), abs=5.0)


def test_a_method_that_is_not_settled_is_not_compared_and_harms_no_other_comparison():
    made = contest()
    made.challenge("m1")
    first = live_days(made, {"simple-1": 1200.0, "m1": 1010.0}, 4, 960)
    made.promote()
    made.challenge("m2")
    for slot in range(first, first + SLOTS):
        for version in ("simple-1", "m1"):  # the newcomer has nothing that could be compared yet
            said = band(1200.0 if version == "simple-1" else 1010.0)
            made.arms[version].book.remember(np.arange(slot - 16, slot - 16 + SLOTS), said.p50, np.ones(SLOTS), said)
        made.match(slot, 1000.0)
    made.close_day()
    assert made.paired("m1", "simple-1").days == 5
    assert made.paired("m2", "m1").days == 0


def test_a_third_model_drops_the_way_back_of_the_first():
    made = contest()
    for version, dropped in (("m1", ""), ("m2", ""), ("m3", "m1")):
        made.challenge(version)
        assert made.promote() == dropped
    assert set(made.arms) == {"simple-1", "m2", "m3"}


def test_days_on_which_not_all_were_measured_are_paired_on_common_slots():
    made = contest()
    made.challenge("m1")
    slots = np.arange(944, 944 + SLOTS)
    made.arms["simple-1"].book.remember(slots, band(0).p50, np.ones(SLOTS), band(0))
    made.match(960, 10.0)
    made.close_day()
    assert made.paired("m1", "simple-1").days == 0


def test_how_much_of_a_model_is_believed_follows_what_both_said():
    made = contest(blend_start=0.5)
    made.challenge("m1")
    arm = made.arms["m1"]
    mixed = arm.mixed(band(0.0), band(100.0))
    assert mixed.p50[0] == 50.0
    first = 960
    for _ in range(30):
        arm.listen(np.arange(first, first + SLOTS), band(0.0), band(100.0), np.ones(SLOTS))
        arm.listen(np.arange(first + 1, first + 1 + SLOTS), band(0.0), band(900.0), np.ones(SLOTS))  # same half day
        first += SLOTS // 2
        made.learn(first, lambda slots: np.full(len(slots), 100.0))
    assert arm.mixed(band(0.0), band(100.0)).p50[0] == 100.0


def test_slots_that_teach_nothing_are_left_out():
    made = contest()
    made.challenge("m1")
    arm = made.arms["m1"]
    arm.listen(np.arange(960, 960 + SLOTS), band(0.0), band(100.0), np.zeros(SLOTS))
    before = arm.blend.to_json()
    made.learn(960 + SLOTS, lambda slots: np.full(len(slots), 100.0))
    assert arm.blend.to_json() == before


def test_it_survives_a_restart():
    made = contest()
    made.challenge("m1")
    live_days(made, {"simple-1": 1200.0, "m1": 1010.0}, 6, 960)
    settle(made, "m1")
    made.arms["m1"].listen(np.arange(9600, 9600 + SLOTS), band(1.0), band(2.0), np.r_[0.0, np.ones(SLOTS - 1)])
    again = contest()
    again.load_json(json.loads(json.dumps(made.to_json(), allow_nan=False)))
    assert again.to_json() == made.to_json()
    assert again.verdict() == made.verdict()
    assert again.verdict() is not None


@pytest.mark.parametrize("change", [{"active": "gone"}, {"arms": {"m1": {}}}, {"losses": [["x"]]}, {"quality": [1]}])
def test_damaged_memory_is_refused(change):
    made = contest()
    with pytest.raises((PermanentError, ValueError, KeyError, TypeError, AttributeError)):
        contest().load_json({**made.to_json(), **change})


def test_a_model_of_which_nothing_is_believed_is_not_promoted_by_luck():
    made = contest()
    made.challenge("m1")
    first = 960
    for _ in range(12):
        made.arms["m1"].listen(np.arange(first, first + SLOTS), band(100.0), band(900.0), np.ones(SLOTS))
        first += SLOTS
        made.learn(first, lambda slots: np.full(len(slots), 100.0))
    assert made.arms["m1"].blend.share == 0.0
    live_days(made, {"simple-1": 1300.0, "m1": 1010.0}, 14, first)
    assert made.verdict() is None
