"""Intervals of paired days, and the gate."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pems_lab.paired import DayPair, DayScore, GateTerms, judged, mean_interval, share_interval

SAME = DayScore(cost_czk=100.0, below_k_h=0.1, peak_w=9_000.0, switchings=20.0)


def days(gains: list[float], **candidate: float) -> list[DayPair]:
    first = date(2025, 1, 1)
    return [
        DayPair((first + timedelta(days=k)).isoformat(), SAME, replace(SAME, cost_czk=100.0 - gain, **candidate))
        for k, gain in enumerate(gains)
    ]


def noisy(mean: float, spread: float, count: int, seed: int = 1) -> list[float]:
    """Days whose mean is just so."""
    drawn = np.random.default_rng(seed).normal(0.0, spread, count)
    return (drawn - drawn.mean() + mean).tolist()


@pytest.mark.parametrize("count", [14, 28, 56])
def test_the_interval_of_independent_days_holds_the_truth_about_as_often_as_it_says(count: int) -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(150):
        found = mean_interval(rng.normal(2.0, 5.0, count))
        assert found is not None
        held += found.low <= 2.0 <= found.high
    assert 0.80 <= held / 150 <= 0.98


def test_days_that_hang_together_make_the_interval_wider() -> None:
    rng = np.random.default_rng(0)
    alone = rng.normal(size=84)
    together = np.repeat(rng.normal(size=12), 7)
    one, other = mean_interval(alone), mean_interval(together)
    assert one is not None
    assert other is not None
    assert other.high - other.low > 1.5 * (one.high - one.low)


@given(st.lists(st.floats(-50, 50), min_size=14, max_size=40), st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_an_interval_moves_with_its_days_and_holds_their_mean(values: list[float], by: float) -> None:
    found, moved = mean_interval(values), mean_interval([value + by for value in values])
    assert found is not None
    assert moved is not None
    assert found.low <= found.mean + 1e-9
    assert found.high >= found.mean - 1e-9
    assert moved.low == pytest.approx(found.low + by, abs=1e-6)


def test_below_two_weeks_there_is_no_interval() -> None:
    assert mean_interval(np.ones(13)) is None
    assert share_interval(np.ones(13), np.ones(13)) is None
    assert share_interval(np.ones(14), np.ones(15)) is None
    assert share_interval(np.ones(14), np.zeros(14)) is None


def test_a_share_is_of_the_others_sum() -> None:
    found = share_interval(np.full(20, 90.0), np.full(20, 100.0))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((10.0, 10.0, 10.0))


def test_a_plainly_better_candidate_is_promoted_after_enough_days_and_not_before() -> None:
    gains = noisy(8.0, 4.0, 21)
    verdict = judged(days(gains))
    assert verdict.decision == "promote"
    assert verdict.gain_czk_day is not None
    assert verdict.gain_czk_day.mean == pytest.approx(8.0)
    assert "saves 8.00 CZK a day" in verdict.reasons[0]
    early = judged(days(gains[:9]))
    assert (early.decision, early.days_more) == ("not_yet", 5)


def test_a_plainly_worse_candidate_is_rejected() -> None:
    verdict = judged(days(noisy(-8.0, 4.0, 21)))
    assert verdict.decision == "reject"
    assert "costs 8.00 CZK a day more" in verdict.reasons[0]


def test_equal_candidates_are_neither_and_no_number_of_days_is_promised() -> None:
    verdict = judged(days([0.0] * 30))
    assert (verdict.decision, verdict.days_more) == ("not_yet", None)
    assert verdict.reasons == ("both cost the same on every day",)
    losing = judged(days(noisy(-0.5, 8.0, 30)))
    assert (losing.decision, losing.days_more) == ("not_yet", None)


def test_not_yet_says_how_many_more_days_and_so_many_do() -> None:
    verdict = judged(days(noisy(1.0, 8.0, 28)))
    assert verdict.decision == "not_yet"
    assert verdict.days_more is not None
    more = judged(days(noisy(1.0, 8.0, 28 + verdict.days_more + 14)))
    assert more.gain_czk_day is not None
    assert verdict.gain_czk_day is not None
    assert more.gain_czk_day.low > verdict.gain_czk_day.low


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"below_k_h": 0.3}, "further below their bands"),
        ({"peak_w": 9_900.0}, "highest import is 10.0 %"),
        ({"broken_s": 60.0}, "breaks hard limits"),
    ],
)
def test_what_is_cheaper_by_less_comfort_a_higher_peak_or_a_broken_limit_is_rejected(changed, said) -> None:
    verdict = judged(days(noisy(8.0, 2.0, 21), **changed))
    assert verdict.decision == "reject"
    assert any(said in reason for reason in verdict.reasons)
    assert not any("saves" in reason for reason in verdict.reasons)


def test_a_broken_limit_is_told_before_there_are_enough_days() -> None:
    assert judged(days([8.0] * 3, broken_s=60.0)).decision == "reject"


def test_comfort_that_may_be_worse_by_chance_waits() -> None:
    pairs = days(noisy(8.0, 2.0, 21))
    cold = [0.0] * 18 + [1.5, 0.0, 1.5]
    pairs = [
        replace(p, candidate=replace(p.candidate, below_k_h=p.live.below_k_h + k))
        for p, k in zip(pairs, cold, strict=True)
    ]
    verdict = judged(pairs)
    assert verdict.decision == "not_yet"
    assert "may be chance" in verdict.reasons[0]


@pytest.mark.parametrize(
    "terms", [{"days": 13}, {"confidence": 1.0}, {"confidence": 0.3}, {"comfort_k_h": -1.0}, {"peak_pct": -1.0}]
)
def test_terms_without_sense_are_refused(terms) -> None:
    with pytest.raises(ValueError, match=r"days|confidence|margins"):
        GateTerms(**terms)


def test_no_days_and_days_that_come_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="no day"):
        judged([])
    with pytest.raises(ValueError, match="twice"):
        judged([days([1.0])[0]] * 2)
