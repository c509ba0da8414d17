"""Price backtests know nothing that was not released, begin with similar days, and let a model earn its place."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecaster.forecaster_market import CALENDAR, QUICK, market, slot_of

from pems_forecaster.backtest.price import LEVELS, PriceBacktestSettings, PriceLearner, PriceTable, run_periods
from pems_forecaster.domain.scores import score

FIRST, UNTIL = slot_of(2025, 8, 1), slot_of(2025, 11, 21)
DAY_0 = CALENDAR.place(FIRST)[0]
TABLE = PriceTable(FIRST, market(FIRST, UNTIL)[0])
SETTINGS = PriceBacktestSettings(model=QUICK)


def issues(table, *days):
    """Run with issues from the first of some days, counted from August, to the last."""
    learner = PriceLearner(table, CALENDAR, SETTINGS)
    return list(run_periods(learner, [DAY_0 + day for day in days]))


@pytest.fixture(scope="module")
def said():
    ((model, said),) = issues(TABLE, 70, 112)
    assert model is not None
    return said


def mae(median, said, rows):
    return np.nanmean(np.abs(median - said.actual)[rows])


def test_a_model_earns_its_place_and_the_band_holds(said):
    next_day = said.days_ahead == 1
    begins = next_day & (said.issued_day < DAY_0 + 75)
    later = next_day & (said.issued_day >= DAY_0 + 80)
    assert np.array_equal(said.quantiles[begins][:96], said.similar[begins][:96]), "similar days first"
    assert mae(said.quantiles[:, 1], said, later) < 0.9 * mae(said.similar[:, 1], said, later)
    assert 0.72 < score(said.actual[later], said.quantiles[later], LEVELS, 1.0).coverage < 0.88
    assert (np.diff(said.quantiles, axis=1) >= 0.0).all()


def test_each_issue_says_the_next_two_days_as_far_as_the_history_goes(said):
    counts = {ahead: len(np.unique(said.issued_day[said.days_ahead == ahead])) for ahead in (1, 2)}
    assert counts == {1: 41, 2: 40}, "the last day is the 111th"
    autumn = CALENDAR.place(slot_of(2025, 10, 25))[0]
    assert ((said.issued_day == autumn) & (said.days_ahead == 1)).sum() == 100
    day, _, _ = CALENDAR.places(said.start_s // 900)
    assert np.array_equal(day, said.issued_day + said.days_ahead)
    price = dict(zip(range(FIRST, UNTIL), TABLE.spot_eur_mwh.tolist(), strict=True))
    assert said.actual.tolist() == [price[slot] for slot in (said.start_s // 900).tolist()]
    rows = np.flatnonzero((said.issued_day == DAY_0 + 100) & (said.days_ahead == 2))
    assert said.medians["persistence"][rows].tolist() == [price[s - 192] for s in (said.start_s[rows] // 900).tolist()]
    assert said.medians["weekly"][rows].tolist() == [price[s - 672] for s in (said.start_s[rows] // 900).tolist()]


def test_the_future_may_be_holes_and_garbage(said):
    """Prices not released at an issue do not change what is said then, bit for bit."""
    issue = 90
    released = slot_of(2025, 8, 1) + (issue + 1) * 96 + 4  # the clocks were changed in between
    assert CALENDAR.place(released) == (DAY_0 + issue + 1, 0, False)
    slots = np.arange(FIRST, UNTIL)
    future = np.where(slots % 7 < 4, np.nan, 9999.0)
    blind = replace(TABLE, spot_eur_mwh=np.where(slots < released, TABLE.spot_eur_mwh, future))
    ((_, other),) = issues(blind, 70, issue + 1)
    mine, its = (part.issued_day == DAY_0 + issue for part in (said, other))
    assert mine.sum() == its.sum() == 192
    assert (said.quantiles != said.similar)[mine].any(), "mixed and calibrated"
    for name in ("model", "similar", "quantiles"):
        assert np.array_equal(getattr(said, name)[mine], getattr(other, name)[its]), name
    for name, median in said.medians.items():
        assert np.array_equal(median[mine], other.medians[name][its]), name


@pytest.mark.parametrize("known_days", [1, 3, 14])
def test_with_few_days_similar_days_are_said(known_days):
    short = PriceTable(FIRST, TABLE.spot_eur_mwh[: (known_days + 2) * 96])
    ((model, said),) = issues(short, known_days - 1, known_days)
    assert model is None
    assert np.isnan(said.model).all()
    assert np.isfinite(said.quantiles).all()
    assert np.array_equal(said.quantiles, said.similar)
    assert np.isfinite(said.medians["persistence"]).all()
    assert np.isfinite(said.medians["weekly"]).all() == (known_days > 7)


def test_issues_that_the_history_does_not_hold_are_refused():
    learner = PriceLearner(PriceTable(FIRST, TABLE.spot_eur_mwh[: 10 * 96]), CALENDAR, SETTINGS)
    for begin, end in ((-1, 5), (5, 5), (9, 12)):
        with pytest.raises(ValueError, match="does not hold it"):
            learner.forecast(None, DAY_0 + begin, DAY_0 + end)
